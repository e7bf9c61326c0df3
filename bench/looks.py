"""Measures imports that stand: looks at quiet mailboxes, and the time from a delivery to its copy.

`python -m bench.looks [--mailboxes 200] [--folders 8] [--rounds 3]` lets all mailboxes be due at once, and times the round of
one worker. `python -m bench.looks --busy 30 [--seconds 480]` delivers a message a second to one of so many mailboxes that stand
near their switch. Servers and processes are real: two Dovecots, Redis, one worker, one coordinator.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

from shared.model import Import
from shared.rules.standing import Standing
from tests.integration.process_cluster import Child, Person, ProcessCluster
from tests.mail import Mail, populate
from tests.servers.dovecot import Dovecot
from tests.servers.wire import Wire

_WHEN = datetime(2024, 1, 2, tzinfo=UTC)
_TICK = os.sysconf("SC_CLK_TCK")
#: When Dovecot wrote a message of a maildir: seconds and microseconds.
_WRITTEN = re.compile(r"(\d+)\.M(\d+)")
#: As often as a person may ask for: each mailbox is due all the time.
_ALWAYS = Standing(least_seconds=10, most_seconds=10)


def _message(number: int) -> Mail:
    return Mail(b"Subject: %d\r\nMessage-ID: <%d@bench>\r\n\r\n%d\r\n" % (number, number, number), (), _WHEN)


def _cpu(child: Child) -> float:
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _stood(office: ProcessCluster, mailboxes: int, folders: int) -> Import:
    """Imports so many small mailboxes."""
    names = ["INBOX", *(f"Folder{n}" for n in range(1, folders))]
    for number in range(mailboxes):
        person = Person(f"person{number}@example.org", "pw-canary")
        for server in (office.source, office.destination):
            server.add_user(person.login, person.password)
        mail = {name: [_message(number * 100 + at)] for at, name in enumerate(names)}
        populate(office.source.host, office.source.port, person.login, person.password, mail)
        office.people.append(person)
    whole = office.submit()
    office.await_finished(whole, 7200)
    return whole


def _memory(office: ProcessCluster) -> int:
    with office.redis.client(1) as client:
        return int(client.info("memory")["used_memory"])


def quiet(office: ProcessCluster, worker: Child, coordinator: Child, args: argparse.Namespace) -> None:
    """Prints how long one worker takes to look at all mailboxes once, and what it costs."""
    whole, store = _stood(office, args.mailboxes, args.folders), office.store
    memory, began = _memory(office), 0.0
    print(
        f"{args.mailboxes} quiet mailboxes of {args.folders} folders, {args.threads} lanes; Redis: {memory / args.mailboxes:.0f} "
        "bytes for each of them",
        flush=True,
    )
    for _ in range(args.rounds):
        store.set_standing(whole.import_id, "", None)
        time.sleep(_ALWAYS.least_seconds + 1)
        before, used = store.standing_tally(whole.import_id), (_cpu(worker), _cpu(coordinator))
        began = time.monotonic()
        store.set_standing(whole.import_id, "", _ALWAYS)  # all are due at once
        wanted = before.looks + args.mailboxes
        office.until(lambda wanted=wanted: store.standing_tally(whole.import_id).looks >= wanted, "a round", 900)  # type: ignore[misc]
        seconds = time.monotonic() - began
        cost = (_cpu(worker) - used[0], _cpu(coordinator) - used[1])
        found = store.standing_tally(whole.import_id).found - before.found
        print(
            f"a round: {seconds:.1f} s, so 5,000 take {seconds * 5000 / args.mailboxes:.0f} s; CPU a look: worker "
            f"{cost[0] / args.mailboxes * 1000:.1f} ms, coordinator {cost[1] / args.mailboxes * 1000:.2f} ms; {found} found some, "
            f"load of the machine {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    print(f"Redis: {(_memory(office) - memory) / args.mailboxes:.0f} bytes a mailbox more than before it stood")


def busy(office: ProcessCluster, args: argparse.Namespace) -> None:
    """Prints how long it takes from a delivery to the copy."""
    whole = _stood(office, args.busy, 2)
    standing = Standing(switch_at=time.time() + args.seconds)
    office.store.set_standing(whole.import_id, "", standing)
    delivered: dict[int, float] = {}
    began = time.monotonic()
    while (passed := time.monotonic() - began) < args.seconds:
        number = 1_000_000 + len(delivered)
        person = office.people[len(delivered) % len(office.people)]
        with Wire(office.source.host, office.source.port, person.login, person.password) as wire:
            text = _message(number).body
            wire.command(b"APPEND INBOX {%d+}\r\n%b" % (len(text), text))
        delivered[number] = time.time()
        time.sleep(max(0.0, len(delivered) - (time.monotonic() - began)))
    print(
        f"{len(delivered)} messages to {args.busy} mailboxes in {passed:.0f} s, looked at after {standing.least_seconds:.0f} s"
    )
    arrived: dict[int, list[float]] = {}

    def all_there() -> bool:
        arrived.clear()
        for path in office.destination.home.glob("mail/*/Maildir/[cn]*/*"):
            number = int(path.read_bytes().splitlines()[0].removeprefix(b"Subject: "))
            if number in delivered and (written := _WRITTEN.match(path.name)):
                arrived.setdefault(number, []).append(int(written[1]) + int(written[2]) / 1e6)
        return len(arrived) == len(delivered)

    office.until(all_there, "the last copy", 900)
    twice = sum(len(found) > 1 for found in arrived.values())
    took = sorted(arrived[number][0] - at for number, at in delivered.items())
    print(
        f"lost 0, twice {twice}; from delivery to copy: median {statistics.median(took):.1f} s, longest {took[-1]:.1f} s"
    )


def main() -> None:
    """Runs one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mailboxes", type=int, default=200)
    parser.add_argument("--folders", type=int, default=8)
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=480.0)
    parser.add_argument("--threads", type=int, default=4)
    args = parser.parse_args()
    variables = {"MAILHAUL_LEASE_SECONDS": "60", "MAILHAUL_RENEW_SECONDS": "10"}
    with Dovecot() as source, Dovecot() as destination, ProcessCluster(source, destination, **variables) as office:
        worker = office.start_worker(MAILHAUL_WORKER_THREADS=str(args.threads))
        coordinator = office.start_coordinator()
        if args.busy:
            busy(office, args)
        else:
            quiet(office, worker, coordinator, args)


if __name__ == "__main__":
    main()
