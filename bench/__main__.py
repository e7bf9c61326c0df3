"""`make bench`: mailhaul beside its peers on the same mailboxes, in one interleaved series; writes bench/RESULTS.md.

The yardstick (servers, delay line, mailboxes, peers, verification of each result) is a folder that
`MAILHAUL_BENCH_DIR` names, `../shared/bench` when it is not set; its README says how it measures. It needs root and
Debian packages. Only ratios of one run mean anything: the machine is small and noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "RESULTS.md"
#: The row of the copying alone.
_COPYING: Final = "mailhaul, the copying alone"

#: The folder of the peers, and of the delay line, while they run.
_WORK = Path(os.environ.get("MAILBENCH_DIR", Path(tempfile.gettempdir()) / "mailbench"))


@dataclass(frozen=True)
class Series:
    """A table of the results: mailhaul and its peers on the same mailboxes."""

    title: str
    #: The yardstick's name of the mailboxes.
    profile: str
    #: The round trip to both servers in milliseconds.
    rtt: int
    #: The yardstick's names of the peers, with commas.
    peers: str
    #: The worker processes of mailhaul.
    workers: int = 1
    #: The yardstick's name of the destination.
    server: str = "dst-maildir-never"
    #: Whether both servers speak TLS to mailhaul.
    tls: bool = False
    #: The rounds, if not as many as asked for.
    rounds: int | None = None


SERIES: Final = (
    Series("One mailbox, 10,000 messages of 4 KB", "small", 0, "proto,mbsync,dsync-tuned,lib-tuned"),
    Series("The same, 50 ms round trip on both sides", "small", 50, "proto,mbsync"),
    Series("The same, TLS on both sides", "small", 0, "proto-tls", tls=True),
    Series("The same, a destination that syncs to disk", "small", 0, "proto", server="dst-maildir-fsync"),
    Series("One mailbox, 100,000 messages of 4 KB", "small100k", 0, "proto", rounds=1),
    Series("One mailbox, 5,000 messages, mean 65 KB", "mixed", 0, "proto,mbsync"),
    Series("The same, 50 ms round trip on both sides, mean 65 KB", "mixed", 50, "proto"),
    Series("Fifty mailboxes of 200 messages", "many", 0, "proto-x4,mbsync-x2", workers=2),
    Series("Fifty mailboxes of 200 messages, 50 ms round trip", "many", 50, "proto-x4,proto-x16", workers=2),
)

#: What is measured by programs with servers of their own: (title, module, arguments).
PROGRAMS: Final = (
    ("Start and stop: one mailbox of 20 messages, and the verbs that only look", "bench.prompt", "--verbs"),
    ("Nothing new in 50 mailboxes of 8 folders", "bench.prompt", "--mailboxes 50 --folders 8 --messages 80 --rounds 3"),
    ("POP3 beside IMAP, 50 ms round trip", "bench.pop3", "--rounds 2"),
    ("A link of 20 Mbit/s at the source, text", "bench.slow_link", "--rounds 1"),
    ("One big folder, 20 ms an APPEND, no MULTIAPPEND", "bench.big_folder", "--connections 1,4,8 --messages 2000"),
)


def main() -> int:
    """Runs the series and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="rounds; peers are interleaved")
    parser.add_argument("--only", default="", help="only what has this text in its title; nothing is written")
    parser.add_argument("--keep", action="store_true", help="leave servers and network up")
    a = parser.parse_args()
    yardstick = Path(os.environ.get("MAILHAUL_BENCH_DIR", ROOT.parent / "shared" / "bench"))
    if not (yardstick / "peers").exists():
        print(
            f"no yardstick in {yardstick}: set MAILHAUL_BENCH_DIR to the folder with setup and peers", file=sys.stderr
        )
        return 2
    if os.geteuid() != 0:
        print("the yardstick makes network namespaces and servers: run it as root", file=sys.stderr)
        return 2
    subprocess.run([str(yardstick / "setup")], check=True)
    began = time.monotonic()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, series in enumerate(one for one in SERIES if a.only in one.title):
            if not (_WORK / "profiles" / f"{series.profile}.json").exists():
                _generate(yardstick, series.profile)
            rows += _series(yardstick, Path(scratch) / str(number), series, series.rounds or a.runs)
    if not a.keep:
        subprocess.run([str(yardstick / "setup"), "--down"], check=False)
    said = [(title, _program(module, words)) for title, module, words in PROGRAMS if a.only in title]
    text = _report(rows, said, a.runs, time.monotonic() - began)
    if not a.only:
        RESULTS.write_text(text)
    print(text)
    return 0 if all(row["codes"] == [0] for row in rows) else 1


def _generate(yardstick: Path, profile: str) -> None:
    """Generates a mailbox of 100,000 small messages, ten times what the yardstick has."""
    program = f"import gen; gen.PROFILES[{profile!r}] = (1, 100_000, 'small'); gen.generate({profile!r})"
    subprocess.run([sys.executable, "-c", program], cwd=yardstick, check=True)


def _program(module: str, words: str) -> str:
    """Runs a measurement with servers of its own. Returns what it prints."""
    return subprocess.run(
        [sys.executable, "-m", module, *words.split()], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def _series(yardstick: Path, place: Path, series: Series, runs: int) -> list[dict[str, object]]:
    """Runs one series. Returns a row for each pass, and one for each copying of mailhaul that was timed."""
    place.mkdir()
    out, copying = place / "rows.jsonl", place / "copying"
    copying.touch()
    src, dst = ("{src_tls}", "{dst_tls}") if series.tls else ("{src_port}", "{dst_port}")
    ours = (
        f"env PYTHONPATH={ROOT} {sys.executable} -m bench.one --src {{src_host}}:{src} --dst {{dst_host}}:{dst} "
        f"--users {{users}} --password {{password}} --state {{state}} --workers {series.workers} --copying {copying}"
    )
    if series.tls:
        ours += f" --ca {_WORK / 'tls' / 'cert.pem'}"
    subprocess.run(
        [
            str(yardstick / "peers"),
            *("--peers", series.peers, "--add", f"mailhaul={ours}", "--profiles", series.profile),
            *("--servers", series.server, "--rtt", str(series.rtt), "--runs", str(runs), "--again", "--out", str(out)),
        ],
        check=True,
    )
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    passes = [row for row in rows if row["peer"] == "mailhaul" and row["pass"] == "first"]
    seconds = map(float, copying.read_text().split())
    timed = [row | {"peer": _COPYING, "wall": copied} for row, copied in zip(passes, seconds, strict=True)]
    return [row | {"title": series.title} for row in [*rows, *timed]]


def _report(rows: list[dict[str, object]], said: list[tuple[str, str]], runs: int, seconds: float) -> str:
    lines = [
        "# Results",
        "",
        f"Written by `make bench` in {seconds / 60:.0f} minutes on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores;",
        f"{runs} interleaved rounds, medians and the spread. Dovecot to Dovecot, maildir; each result is read back and compared",
        "message by message. mailhaul's time is that of the whole command: start of Redis and processes, planning, copying,",
        "verification, report. Its copying alone, from the first claim of a batch to the last record in the ledger, stands",
        "beside it. `proto` is a bare prototype without ledger, leases or recovery: the bound. Compare within a table only:",
        "this machine is small and noisy.",
    ]
    tables: dict[tuple[str, str], dict[str, list[dict[str, object]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        tables[str(row["title"]), str(row["pass"])][str(row["peer"])].append(row)
    for (title, which), peers in tables.items():
        lines += ["", f"## {title}" + ("" if which == "first" else ": second pass, nothing changed"), ""]
        lines += [
            "| copier | seconds | messages/s | of the prototype | client CPU s | client peak MB | result |",
            "|---|---|---|---|---|---|---|",
        ]
        prototypes = [_median(measured, "wall") for peer, measured in peers.items() if peer.startswith("proto")]
        bound = min(prototypes, default=0.0)
        for peer, measured in sorted(peers.items(), key=lambda item: _median(item[1], "wall")):
            wall = _median(measured, "wall")
            share = f"{100 * bound / wall:.0f} %" if bound and which == "first" else ""
            walls = [float(str(row["wall"])) for row in measured]
            lines.append(
                f"| {peer} | {wall:.2f} ({min(walls):.2f} to {max(walls):.2f}) | "
                f"{_median(measured, 'messages') / wall:,.0f} | {share} | "
                f"{_median(measured, 'cpu'):.2f} | {_median(measured, 'rss') / 1e6:.0f} | "
                f"{'; '.join(sorted({str(row['verify']) for row in measured}))} |"
            )
    for title, text in said:
        lines += ["", f"## {title}", "", "```text", *text.rstrip().splitlines(), "```"]
    return "\n".join(lines) + "\n"


def _median(rows: list[dict[str, object]], field: str) -> float:
    return statistics.median(float(str(row[field])) for row in rows)


if __name__ == "__main__":
    sys.exit(main())
