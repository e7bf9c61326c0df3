"""Runs one import for the benchmark: the real command line, one or more worker processes, and the store's own times.

    python -m bench.one --src HOST:PORT --dst HOST:PORT --users FILE --password P --state DIR [--workers N] [--ca FILE]

Prints `BENCHJSON {"wall": …}` with the seconds of the whole command, and appends to `--copying FILE` the seconds from the
first claim of a batch to the last record in the ledger; a pass that found nothing to copy appends nothing.
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
    parser.add_argument("--ca", default="", help="both servers speak TLS, with a certificate of this authority")
    parser.add_argument("--copying", default="", help="the file of the seconds that the copying took")
    a = parser.parse_args()
    state = Path(a.state)
    manifest = state / "bench.csv"
    users = [user.strip() for user in Path(a.users).read_text().splitlines() if user.strip()]
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([user, a.password] for user in users)
    tls = ["--source-ca", a.ca, "--destination-ca", a.ca] if a.ca else ["--allow-plaintext"]
    scheme = "imaps" if a.ca else "imap"
    began = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "producer",
            "import",
            str(manifest),
            "--source",
            f"{scheme}://{a.src}",
            "--destination",
            f"{scheme}://{a.dst}",
            *tls,
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
    print(f"whole command {wall:.2f} s, first claim to last record {copied:.3f} s")
    print("BENCHJSON " + json.dumps({"wall": wall, "cpu": spent.ru_utime + spent.ru_stime}))
    if a.copying and copied:
        with Path(a.copying).open("a") as file:
            print(copied, file=file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
