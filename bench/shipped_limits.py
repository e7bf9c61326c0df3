"""Moves honest messages of 200 MB with a worker as it is shipped (`make limits`), by IMAP and by POP3, and attacks it.

Prints the most memory that the worker and the coordinator had, beside the least that compose, Kubernetes and systemd give
them. The exit code is 1 if one had more, or if a message did not arrive byte for byte.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.beside import HOSTILE, attacked, pace, site
from bench.chaos.oracle import read_maildir
from producer.intake.manifest_row import Row
from producer.intake.preparing import prepare_import
from shared.model import Endpoint, Import, Options, Tls
from shared.runtime.secret import Secret
from tests.integration.process_cluster import ROOT, ProcessCluster
from tests.mail import Mail
from tests.servers.dovecot import Dovecot
from tests.servers.hostile_server import Hostile

DEPLOY: Final = ROOT / "deploy"
#: Role → the files that limit its memory, beside docker-compose.yml, which has one limit for all.
LIMITS: Final = {
    "worker": (DEPLOY / "kubernetes/base/worker.yaml", DEPLOY / "systemd/mailhaul-worker@.service"),
    "coordinator": (DEPLOY / "kubernetes/base/coordinator.yaml", DEPLOY / "systemd/mailhaul-coordinator.service"),
    "web": (DEPLOY / "kubernetes/base/web.yaml", DEPLOY / "systemd/mailhaul-web.service"),
}
_LIMIT: Final = re.compile(r"limits: \{memory: (\d+)Mi\}|^MemoryMax=(\d+)M$|^  mem_limit: (\d+)m$", re.MULTILINE)
GROUPS: Final = Path("/sys/fs/cgroup/memory")
WHEN: Final = datetime(2024, 5, 6, tzinfo=UTC)


def shipped_mib(role: str) -> int:
    """Returns the least memory that a role is given, in MiB. Each of the three ways to run it must give a limit."""
    given = []
    for path in (*LIMITS[role], ROOT / "docker-compose.yml"):
        found = _LIMIT.search(path.read_text("utf-8"))
        assert found is not None, f"no limit in {path}"
        given.append(int(next(filter(None, found.groups()))))
    return min(given)


def large(number: int, size: int) -> bytes:
    """Returns a message of this size: base64 lines, as attachments are."""
    line = hashlib.sha256(b"%d" % number).hexdigest().encode() + b"\r\n"
    return b"Subject: large %d\r\nMessage-ID: <%d@large>\r\n\r\n" % (number, number) + line * (size // len(line))


def peak_mib(pid: int) -> float:
    """Returns the most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


@contextmanager
def limited(pid: int, mib: int) -> Iterator[bool]:
    """Limits the memory of a process as a container does, what it has already counted in. Yields False where it may not."""
    group = GROUPS / f"mailhaul-limits-{pid}"
    has = int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("utf-8"))[0]) * 1024
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(mib * 2**20 - has))
        (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):
            (GROUPS / "cgroup.procs").write_text(str(pid))
        with contextlib.suppress(OSError):
            group.rmdir()


def opened(office: ProcessCluster, protocol: str) -> Import:
    """Opens an import of all accounts, whose source speaks this protocol."""
    rows = [
        Row(
            line=n,
            login=one.login,
            password=Secret(one.password),
            new_login=one.login,
            new_password=Secret(one.password),
        )
        for n, one in enumerate(office.people, start=1)
    ]
    port = office.source.pop3_port if protocol == "pop3" else office.source.port
    source = Endpoint(protocol=protocol, host="127.0.0.1", port=port, tls=Tls.NONE)
    destination = Endpoint(host="127.0.0.1", port=office.destination.port, tls=Tls.NONE)
    import_, mailboxes = prepare_import(rows, source, destination, Options(), "large")
    office.operations.submit(import_, mailboxes, rows)
    return import_


def moved(protocol: str, mailboxes: int, size: int, limit: int) -> tuple[float, bool]:
    """Moves one large message, with a small one on each side, of each mailbox.

    Returns the worker's peak in MiB, and whether it was limited.
    """
    with (
        tempfile.TemporaryDirectory(prefix="limits-") as room,
        Dovecot(pop3=protocol == "pop3") as source,
        Dovecot() as destination,
        ProcessCluster(
            source, destination, MAILHAUL_WORKER_THREADS="16", MAILHAUL_LEASE_SECONDS="60", TMPDIR=room
        ) as office,
    ):
        for number in range(mailboxes):
            bodies = [large(3 * number, 2_000), large(3 * number + 1, size), large(3 * number + 2, 2_000)]
            office.person({"INBOX": [Mail(body, (), WHEN) for body in bodies]})
        worker = office.start_worker()
        office.start_coordinator()
        with limited(worker.pid, limit) as is_limited:
            whole = opened(office, protocol)
            office.await_finished(whole, 900)
            assert worker.running, "it was killed"
            peak = peak_mib(worker.pid)
        for person in office.people:
            there, here = (read_maildir(one.mail_folder(person.login)) for one in (source, destination))
            assert {kept.sha256 for kept in there} == {kept.sha256 for kept in here}, office.logs()
        return peak, is_limited


def besieged(how: str, limit: int) -> tuple[float, float, bool]:
    """Moves small honest mailboxes beside a hostile import that holds every lane (`bench.beside`).

    Returns the peaks of the worker and of the coordinator in MiB, and whether the worker was limited.
    """
    with site(16) as office:
        worker, coordinator = office.children
        with Hostile(how) as server, limited(worker.pid, limit) as is_limited:
            attacked(office, server)
            pace(office, 1, 8, 200)
            assert worker.running, "it was killed"
            return peak_mib(worker.pid), peak_mib(coordinator.pid), is_limited


def main() -> int:
    """Runs the command. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mailboxes", type=int, default=4, help="whose large messages pass at the same time")
    parser.add_argument("--size", type=int, default=200_000_000, help="of the large messages, in bytes")
    a = parser.parse_args()
    limit, worst = shipped_mib("worker"), 0.0
    print("| source | messages | most memory of the worker, MiB | shipped, MiB | |\n|---|--:|--:|--:|---|")
    for protocol in ("imap", "pop3"):
        peak, is_limited = moved(protocol, a.mailboxes, a.size, limit)
        worst = max(worst, peak)
        how = "held to it" if is_limited else "not held to it: that needs root and a memory cgroup"
        print(f"| {protocol} | {a.mailboxes} of {a.size / 1e6:.0f} MB | {peak:.0f} | {limit} | {how} |", flush=True)
    small = shipped_mib("coordinator")
    print("\n| attack | worker, MiB | shipped | coordinator, MiB | shipped |\n|---|--:|--:|--:|--:|")
    for how in HOSTILE:
        peak, other, _ = besieged(how, limit)
        worst, well = max(worst, peak), other <= small
        print(f"| {how} | {peak:.0f} | {limit} | {other:.0f} | {small} |", flush=True)
        if not well:
            return 1
    return 1 if worst > limit else 0


if __name__ == "__main__":
    sys.exit(main())
