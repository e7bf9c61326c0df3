"""Measures POP3 beside IMAP: the same mailbox of small messages, both servers 50 ms away.

    python -m bench.pop3 [--messages 10000] [--rtt 50] [--rounds 3]

Two Dovecots, each behind a delay. The whole command is timed, by POP3 and by IMAP in turns; each result is compared by
the messages' bytes, since POP3 brings neither flags nor folders.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from bench.timed_import import Timed, timed_import
from tests.mail import Mail, make_message, populate, snapshot
from tests.servers.dovecot import Dovecot
from tests.servers.proxy import FaultProxy

ROOT = Path(__file__).resolve().parent.parent
_WHEN = datetime(2024, 1, 2, tzinfo=UTC)
_LOGIN = "anna@example.org"
#: The servers' mail lies in memory: ext4 looks for inodes that were not freed a moment ago, one by one, and one lane would
#: measure that. IMAP has four lanes here, POP3 has one, since a maildrop is locked by its session (RFC 1939 §3).
_MEMORY = Path("/dev/shm")


def main() -> int:
    """Runs the series and prints a row for each protocol."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rtt", type=float, default=50, help="milliseconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--command", default=str(ROOT / "mailhaul"))
    a = parser.parse_args()
    found: dict[str, list[Timed]] = {"imap": [], "pop3": []}
    if _MEMORY.is_dir():
        tempfile.tempdir = str(_MEMORY)
    with (
        tempfile.TemporaryDirectory(prefix="mh-pop3-") as place,
        Dovecot(pop3=True) as source,
        Dovecot() as destination,
        FaultProxy(source.host, source.port, delay_ms=a.rtt / 2) as imap,
        FaultProxy(source.host, source.pop3_port, delay_ms=a.rtt / 2) as pop3,
        FaultProxy(destination.host, destination.port, delay_ms=a.rtt / 2) as to,
    ):
        source.add_user(_LOGIN, "secret")
        mails = [Mail(make_message(number, 4000), (), _WHEN) for number in range(a.messages)]
        populate(source.host, source.port, _LOGIN, "secret", {"INBOX": mails})
        sent = _bodies(source.host, source.port, _LOGIN)
        manifest = Path(place) / "people.csv"
        for number in range(a.rounds * 2):
            kind, port = (("imap", imap.port), ("pop3", pop3.port))[number % 2]
            into = f"anna{number}@example.org"
            destination.add_user(into, "secret")
            manifest.write_text(
                f"login,password,destination_login,destination_password\n{_LOGIN},secret,{into},secret\n"
            )
            ends = f"{kind}://127.0.0.1:{port}", f"imap://127.0.0.1:{to.port}"
            found[kind].append(timed_import(a.command, manifest, *ends, Path(place) / f"state{number}"))
            if _bodies(destination.host, destination.port, into) != sent:
                print("the copies differ from the originals", file=sys.stderr)
                return 1
    print(f"{a.messages} messages of 4 KB, {a.rtt:g} ms; load {max(one.load for one in found['imap']):.1f}")
    for kind, rows in found.items():
        seconds = [one.seconds for one in rows]
        cpu = statistics.median(one.cpu for one in rows)
        print(f"{kind} {statistics.median(seconds):6.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), CPU {cpu:.2f} s")
    ratio = statistics.median(one.seconds for one in found["imap"]) / statistics.median(
        one.seconds for one in found["pop3"]
    )
    print(f"POP3 is {ratio:.2f} times as fast as IMAP")
    return 0


def _bodies(host: str, port: int, login: str) -> Counter[str]:
    return Counter(kept.sha256 for kept in snapshot(host, port, login, "secret").elements())


if __name__ == "__main__":
    sys.exit(main())
