"""Runs one import for the benchmark: the real command line, one or more worker processes, and the store's own times.

    python -m bench.one --src HOST:PORT --dst HOST:PORT --users FILE --password P --state DIR [--workers N]

Prints `BENCHJSON {"wall": …}` with the seconds from the first claim of a batch to the last record in the ledger. With
nothing to copy, these are the seconds of the whole command.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Runs the import and prints its times."""
    parser = argparse.ArgumentParser()
    for name in ("src", "dst", "users", "password", "state"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--threads", default="16")
    parser.add_argument("--whole", action="store_true", help="report the wall time of the whole command")
    a = parser.parse_args()
    state = Path(a.state)
    manifest = state / "bench.csv"
    users = [user.strip() for user in Path(a.users).read_text().splitlines() if user.strip()]
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([user, a.password] for user in users)
    began = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "producer",
            "import",
            str(manifest),
            "--source",
            f"imap://{a.src}",
            "--destination",
            f"imap://{a.dst}",
            "--allow-plaintext",
            "--workers",
            a.workers,
            "--threads",
            a.threads,
            "--state-dir",
            str(state / "mailhaul"),
            "--json",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    wall = time.monotonic() - began
    if done.returncode:
        print(done.stdout[-2000:])
        return done.returncode
    said = json.loads(done.stdout)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    first, last = said["import"]["first_claim_at"] or 0.0, said["import"]["last_record_at"] or 0.0
    copied = max(0.0, last - first)
    seconds = copied if copied and not a.whole else wall
    print(f"whole command {wall:.2f} s, first claim to last record {copied:.3f} s")
    print("BENCHJSON " + json.dumps({"wall": seconds, "cpu": spent.ru_utime + spent.ru_stime}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
