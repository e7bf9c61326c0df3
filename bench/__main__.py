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
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "RESULTS.md"

#: The measured series: (title, profile, RTT in ms, peers, mailhaul's arguments).
SERIES = (
    ("One mailbox, 10,000 messages of 4 KB", "small", 0, "proto,mbsync,dsync-tuned,lib-tuned", "--workers 1"),
    ("The same, 50 ms round trip on both sides", "small", 50, "proto,mbsync", "--workers 1"),
    ("One mailbox, 5,000 messages, mean 65 KB", "mixed", 0, "proto,mbsync", "--workers 1"),
    ("Fifty mailboxes of 200 messages", "many", 0, "proto,proto-x4,mbsync-x2", "--workers 2"),
    ("Fifty mailboxes of 200 messages, 50 ms round trip", "many", 50, "proto-x4,proto-x16", "--workers 2"),
)


def main() -> int:
    """Runs the series and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", default="3", help="rounds; peers are interleaved")
    parser.add_argument("--only", default="", help="only series whose title holds this text")
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
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for title, profile, rtt, peers, ours in SERIES:
            if a.only in title:
                rows += [
                    row | {"title": title}
                    for row in _series(yardstick, Path(scratch), profile, rtt, peers, ours, a.runs)
                ]
    if not a.keep:
        subprocess.run([str(yardstick / "setup"), "--down"], check=False)
    RESULTS.write_text(_report(rows, a.runs))
    print(RESULTS.read_text())
    return 0 if all(row["codes"] == [0] for row in rows) else 1


def _series(
    yardstick: Path, scratch: Path, profile: str, rtt: int, peers: str, ours: str, runs: str
) -> list[dict[str, object]]:
    out = scratch / f"{profile}-{rtt}.jsonl"
    command = (
        f"env PYTHONPATH={ROOT} {sys.executable} -m bench.one --src {{src_host}}:{{src_port}} --dst {{dst_host}}:{{dst_port}} "
        f"--users {{users}} --password {{password}} --state {{state}} {ours}"
    )
    subprocess.run(
        [
            str(yardstick / "peers"),
            "--peers",
            peers,
            "--add",
            f"mailhaul={command}",
            "--add",
            f"mailhaul (whole command)={command} --whole",
            "--profiles",
            profile,
            "--rtt",
            str(rtt),
            "--runs",
            runs,
            "--again",
            "--out",
            str(out),
        ],
        check=True,
    )
    return [json.loads(line) for line in out.read_text().splitlines()]


def _report(rows: list[dict[str, object]], runs: str) -> str:
    lines = [
        "# Results",
        "",
        f"Written by `make bench` on {platform.system()} {platform.machine()}, {os.cpu_count()} cores, {runs} interleaved rounds;",
        "medians. Dovecot to Dovecot, maildir, each result read back and compared message by message. `proto` is a bare",
        "prototype without ledger, leases or recovery: the bound. mailhaul's time is from the first claim of a batch to the",
        "last record in the ledger, as the issue asks; the whole command (start of Redis and processes, planning, copying,",
        "verification, report) stands beside it. Compare within a table only: this machine is small and noisy.",
    ]
    tables: dict[tuple[str, str], dict[str, list[dict[str, object]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        tables[str(row["title"]), str(row["pass"])][str(row["peer"])].append(row)
    for (title, which), peers in tables.items():
        lines += ["", f"## {title}" + ("" if which == "first" else ": second pass, nothing changed"), ""]
        lines += [
            "| copier | seconds | messages/s | of proto | client CPU s | client peak MB | result |",
            "|---|---|---|---|---|---|---|",
        ]
        bound = _median(peers["proto"], "wall") if "proto" in peers else 0.0
        for peer, measured in sorted(peers.items(), key=lambda item: _median(item[1], "wall")):
            wall = _median(measured, "wall")
            share = f"{100 * bound / wall:.0f} %" if bound and which == "first" else ""
            lines.append(
                f"| {peer} | {wall:.2f} | {_median(measured, 'messages') / wall:,.0f} | {share} | "
                f"{_median(measured, 'cpu'):.2f} | {_median(measured, 'rss') / 1e6:.0f} | "
                f"{'; '.join(sorted({str(row['verify']) for row in measured}))} |"
            )
    return "\n".join(lines) + "\n"


def _median(rows: list[dict[str, object]], field: str) -> float:
    return statistics.median(float(str(row[field])) for row in rows)


if __name__ == "__main__":
    sys.exit(main())
