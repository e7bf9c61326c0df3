"""Measures what a person waits for: from the prompt to the first IMAP command, and from the last answer back to the prompt.

`python -m bench.prompt [--messages 20] [--folders 1] [--mailboxes 1] [--rounds 5] [--verbs]` imports between two Dovecots,
each behind a relay that notes when bytes pass, then imports again with nothing new. Redis is the embedded one. With
`--verbs` it times the verbs that only look. Wall seconds mean little on a busy machine: CPU seconds stand beside them.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.mail import Mail, make_message, populate
from tests.servers.dovecot import Dovecot
from tests.servers.relay import Relay

ROOT = Path(__file__).resolve().parent.parent
_WHEN = datetime(2024, 1, 2, tzinfo=UTC)


def _timed(argv: list[str], **options: object) -> tuple[float, float, float, float, subprocess.CompletedProcess[str]]:
    """Runs a command. Returns (began, ended, its wall seconds, its CPU seconds, how it ended)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(argv, text=True, capture_output=True, check=False, **options)  # type: ignore[call-overload]
    ended = time.monotonic()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return began, ended, ended - began, cpu, done


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    for name, usual in (("messages", 20), ("folders", 1), ("mailboxes", 1), ("rounds", 5), ("passes", 2)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--verbs", action="store_true")
    parser.add_argument("--command", default=str(ROOT / "mailhaul"))
    a = parser.parse_args()
    names = ["INBOX", *(f"Folder{n}" for n in range(1, a.folders))]
    rows: dict[str, list[tuple[float, ...]]] = {}
    place = Path(tempfile.mkdtemp(prefix="mh-prompt-"))
    with Dovecot() as source, Dovecot() as destination:
        relays = Relay(source.port), Relay(destination.port)
        for round_ in range(a.rounds):
            logins = [f"u{round_}x{n}@example.org" for n in range(a.mailboxes)]
            for at, login in enumerate(logins):
                source.add_user(login, "secret")
                destination.add_user(login, "secret")
                folders = {
                    name: [
                        Mail(make_message(round_ * 1_000_000 + at * 10_000 + number, 4000), (), _WHEN)
                        for number in range(nth, a.messages, a.folders)
                    ]
                    for nth, name in enumerate(names)
                }
                populate(source.host, source.port, login, "secret", folders)
            manifest = place / f"{round_}.csv"
            with manifest.open("w", newline="") as file:
                csv.writer(file).writerows([login, "secret"] for login in logins)
            state = place / f"state{round_}"
            for pass_ in range(1, a.passes + 1):
                for relay in relays:
                    relay.clear()
                began, ended, wall, cpu, done = _timed(
                    [
                        a.command,
                        "import",
                        str(manifest),
                        "--source",
                        f"imap://127.0.0.1:{relays[0].port}",
                        "--destination",
                        f"imap://127.0.0.1:{relays[1].port}",
                        "--state-dir",
                        str(state),
                    ],
                )
                if done.returncode:
                    print(done.stderr, file=sys.stderr)
                    return 1
                first = min(t for relay in relays for t in relay.asked) - began
                last = ended - max(t for relay in relays for t in relay.answered)
                flights = [len(relay.asked) / a.mailboxes for relay in relays]
                rows.setdefault(f"pass {pass_}", []).append((wall, first, last, cpu, *flights, relays[0].connections))
            if a.verbs:
                for verb in ("--help", "status", "list", "errors", "forecast", "audit", "spool --help"):
                    words = [*verb.split(), *([] if "--help" in verb else ["--state-dir", str(state)])]
                    *_, wall, cpu, done = _timed([a.command, *words])
                    rows.setdefault(verb, []).append((wall, 0, 0, cpu, 0, 0, 0))
    what = f"{a.mailboxes} mailboxes of {a.messages} messages in {a.folders} folders"
    print(f"load {os.getloadavg()[0]:.1f}; {what}; {a.rounds} rounds, medians (best)")
    heads = (
        "wall s",
        "to first command",
        "after last answer",
        "CPU s",
        "flights source",
        "flights dest",
        "connections",
    )
    print(f"{'':14}" + "".join(f"{head:>18}" for head in heads))
    for name, found in rows.items():
        cells = [f"{statistics.median(values):.3f} ({min(values):.3f})" for values in zip(*found, strict=True)]
        print(f"{name:14}" + "".join(f"{cell:>18}" for cell in cells))
    shutil.rmtree(place, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
