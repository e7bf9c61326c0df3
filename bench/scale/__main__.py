"""`make bench-scale`, or `python -m bench.scale [--only PART …]`: measures how mailhaul scales and writes it into docs/scaling.md.

    workers     1, 2 and 4 worker processes, with servers near and 50 ms away
    hosts       workers in two network namespaces, as two hosts (root)
    joining     how soon a worker that comes gets work; what one that goes costs
    migration   thousands of mailboxes, millions of messages, simulated
    claims      claims while 1,000, 10,000 and 100,000 batches wait
    bands       claims by age band while 100,000 batches wait
    usable      how soon a mailbox of 20,000 messages is usable
    page        every view of an import of 50,000 mailboxes

Ends with 1 when something that must hold does not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from bench.scale import backlog, bands, hosts, joining, migration, usable, viewing, workers
from bench.scale.page import Section, put
from shared.runtime.logs import configure_logging

#: Largest value of each fact that is allowed.
MOST = {
    "coordinator_share_quiet": 0.05,
    "coordinator_share_copying": 0.05,
    "coordinator_bytes": 100e6,
    "claim_p99_seconds": 0.010,
    "lost": 0,
    "twice": 0,
    "early_claims": 0,
    "usable_seconds": 120.0,
    "first_claim_seconds": 1.0,
    "page_p95_seconds": 0.300,
}


def main() -> int:
    """Runs the parts. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="this part; may be given several times")
    parser.add_argument("--people", type=int, default=32, help="workers, hosts, joining: mailboxes")
    parser.add_argument("--mail", type=int, default=160, help="workers, hosts, joining: messages of each")
    parser.add_argument("--mailboxes", type=int, default=5_000, help="migration")
    parser.add_argument("--messages", type=int, default=20_000_000, help="migration: of all mailboxes")
    parser.add_argument("--seconds", type=float, default=300.0, help="migration: copying ends then")
    parser.add_argument("--big", type=int, default=8, help="usable: mailboxes")
    parser.add_argument("--levels", default="1000,10000,100000", help="claims: batches that wait")
    parser.add_argument("--claims", type=int, default=2_000, help="claims: at each level")
    a = parser.parse_args()
    parts: dict[str, Callable[[], Section | None]] = {
        "workers": lambda: workers.run(a.people, a.mail),
        "hosts": lambda: _hosts(a.people, a.mail),
        "joining": lambda: joining.run(a.people, a.mail),
        "claims": lambda: backlog.run(tuple(map(int, a.levels.split(","))), a.claims),
        "bands": lambda: bands.run(1_000),
        "usable": lambda: usable.run(a.big, 20_000),
        "page": lambda: viewing.run(50_000, 6_000, 2_000, 15),
        "migration": lambda: migration.run(a.mailboxes, a.messages, a.seconds),
    }
    if unknown := set(a.only) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    configure_logging(level="error", log_format="console", addresses="hash")
    broken = []
    for name, part in parts.items():
        if a.only and name not in a.only:
            continue
        section = part()
        if section is None:
            continue
        put(section)
        broken += [
            f"{fact} is {value}, at most {MOST[fact]}" for fact, value in section.facts.items() if value > MOST[fact]
        ]
    for sentence in broken:
        print(f"does not hold: {sentence}", file=sys.stderr)
    return 1 if broken else 0


def _hosts(people: int, mail: int) -> Section | None:
    if reason := hosts.why_not():
        print(reason, file=sys.stderr)
        return None
    return hosts.run(people, mail)


if __name__ == "__main__":
    sys.exit(main())
