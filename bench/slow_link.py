"""Measures an import over a link of limited bandwidth, with and without compression (COMPRESS=DEFLATE, RFC 4978).

    python -m bench.slow_link [--messages 10000] [--bytes 4000] [--megabits 20] [--rounds 2] [--slow source] [--kind text]

Two Dovecots, one of them behind `tests.servers.slow_link`. The whole command is timed, once with MAILHAUL_COMPRESS=auto
and once with never, in turns; each result is compared message by message. `--kind attachments`: bodies of base64.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import random
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.timed_import import timed_import
from tests.mail import Mail, make_message, populate, snapshot
from tests.servers.dovecot import Dovecot
from tests.servers.slow_link import SlowLink

ROOT = Path(__file__).resolve().parent.parent
_WHEN = datetime(2024, 1, 2, tzinfo=UTC)
_COMPRESSES = "protocol imap {\n  mail_plugins = imap_zlib\n}\n"


def _message(seed: int, size: int, kind: str) -> bytes:
    text = make_message(seed, size if kind == "text" else 1000)
    if kind == "text":
        return text
    noise = base64.encodebytes(random.Random(seed).randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    return text + noise


def main() -> int:
    """Runs the series and prints a row for each of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=4000)
    parser.add_argument("--megabits", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--slow", choices=("source", "destination", "none"), default="source")
    parser.add_argument("--kind", choices=("text", "attachments"), default="text")
    parser.add_argument("--command", default=str(ROOT / "mailhaul"))
    a = parser.parse_args()
    rows: dict[str, list[tuple[float, float, float, float]]] = {"auto": [], "never": []}
    with (
        tempfile.TemporaryDirectory(prefix="mh-link-") as place,
        Dovecot(extra=_COMPRESSES) as source,
        Dovecot(extra=_COMPRESSES) as destination,
    ):
        login = "anna@example.org"
        source.add_user(login, "secret")
        mails = (Mail(_message(number, a.bytes, a.kind), (), _WHEN) for number in range(a.messages))
        populate(source.host, source.port, login, "secret", {"INBOX": list(mails)})
        manifest = Path(place) / "people.csv"
        for number in range(a.rounds * 2):
            compress = ("auto", "never")[number % 2]
            into = f"anna{number}@example.org"
            destination.add_user(into, "secret")
            manifest.write_text(
                "login,password,destination_login,destination_password\n" + f"{login},secret,{into},secret\n"
            )
            with contextlib.ExitStack() as stack:
                ports = {"source": source.port, "destination": destination.port}
                link = None
                if a.slow != "none":
                    link = stack.enter_context(SlowLink("127.0.0.1", ports[a.slow], a.megabits * 1e6 / 8))
                    ports[a.slow] = link.port
                timed = timed_import(
                    a.command,
                    manifest,
                    f"imap://127.0.0.1:{ports['source']}",
                    f"imap://127.0.0.1:{ports['destination']}",
                    Path(place) / f"state{number}",
                    MAILHAUL_COMPRESS=compress,
                )
            carried = (link.up.passed + link.down.passed) / 1e6 if link else 0.0
            rows[compress].append((timed.seconds, timed.cpu, carried, timed.load))
            there = snapshot(destination.host, destination.port, into, "secret")
            if there != snapshot(source.host, source.port, login, "secret"):
                print("the copies differ from the originals", file=sys.stderr)
                return 1
    print(f"{a.messages} messages of {a.bytes} bytes ({a.kind}), {a.megabits:g} Mbit/s at the {a.slow}")
    for compress, found in rows.items():
        wall, cpu, carried, load = (statistics.median(values) for values in zip(*found, strict=True))
        print(f"{compress:6} {wall:7.2f} s, CPU {cpu:5.2f} s, {carried:6.1f} MB on the link, load {load:.1f}")
    ratio = statistics.median(row[0] for row in rows["never"]) / statistics.median(row[0] for row in rows["auto"])
    print(f"with compression {ratio:.2f} times as fast")
    return 0


if __name__ == "__main__":
    sys.exit(main())
