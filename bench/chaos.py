"""Kills workers, the coordinator and Redis at random while an import runs, and counts what was lost and what is twice.

    python -m bench.chaos [--messages 20000] [--kills 100] [--seed 1] [--lease 60] [--workers 3]

Two private Dovecots, a private Redis, real processes; each that is killed is started again at once, as a supervisor would.
The kills are spread over the import's progress by the seed, so that they strike while it runs however fast it is.
Prints one line of JSON. The same code, smaller, is a test: `tests/integration/test_kill_chaos.py`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

from shared.model import Import
from tests.integration.office import Child, Office, folders_of
from tests.servers.dovecot import Dovecot

#: Longest outage of Redis, in seconds.
OUTAGE_SECONDS = 1.0


@dataclass
class Figures:
    """The result of a run."""

    messages: int
    seed: int
    lease_seconds: float
    #: Number of kills, by process.
    kills: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    twice: int = 0
    #: Seconds from the request to the last kill, and from there to the end.
    seconds_of_kills: float = 0.0
    seconds_after: float = 0.0
    #: Numbers of messages by outcome.
    outcomes: dict[str, int] = field(default_factory=dict)


class Chaos:
    """A seeded series of kills in an office whose processes run."""

    def __init__(self, office: Office, whole: Import, seed: int) -> None:
        self._office, self._whole = office, whole
        self._chance = random.Random(seed)
        self._pause = threading.Event()
        self.kills: Counter[str] = Counter()

    def strike(self, kills: int, messages: int, patience_seconds: float) -> None:
        """Kills `kills` times, each time when a mark of progress is reached or the patience has ended.

        It stops early when the import ends.
        """
        marks = sorted(self._chance.random() * 0.97 * messages for _ in range(kills))
        for mark in marks:
            self._await(mark, time.monotonic() + patience_seconds * self._chance.uniform(0.2, 1.0))
            if self._office.finished(self._whole):
                return
            self._kill()

    def _await(self, mark: float, until: float) -> None:
        while time.monotonic() < until and self._office.done(self._whole) < mark:
            self._pause.wait(0.02)

    def _kill(self) -> None:
        office = self._office
        victims: list[Child | None] = [*office.children, None]
        # A worker is chosen twice as often as another process.
        weights = [2 if child is not None and child.name.startswith("worker") else 1 for child in victims]
        victim = self._chance.choices(victims, weights)[0]
        if victim is None:
            self.kills["redis"] += 1
            office.redis.kill()
            self._pause.wait(self._chance.uniform(0.0, OUTAGE_SECONDS))
            office.redis.start()
        else:
            self.kills[victim.name.rstrip("0123456789")] += 1
            victim.kill()
            victim.start()


def run(
    office: Office,
    *,
    messages: int,
    kills: int,
    seed: int,
    workers: int = 3,
    mailboxes: int = 4,
    folders: int = 10,
    patience_seconds: float = 4.0,
    deadline_seconds: float = 300.0,
) -> tuple[Figures, Import]:
    """Runs an import under kills. Measures loss and does not assert it."""
    names = ["INBOX", *(f"Folder {n}" for n in range(1, folders))]
    share, rest = divmod(messages, mailboxes * folders)
    for person in range(mailboxes):
        counts = {name: share + (rest if person == 0 and name == "INBOX" else 0) for name in names}
        office.person(folders_of(seed * 1000 + person, counts, twins=share // 10))
    children = [office.start_worker() for _ in range(workers)] + [office.start_coordinator()]
    whole = office.submit("chaos")
    began = time.monotonic()
    chaos = Chaos(office, whole, seed)
    chaos.strike(kills, messages, patience_seconds)
    struck = time.monotonic()
    office.await_finished(whole, deadline_seconds)
    ended = time.monotonic()
    assert all(child.running for child in children), "a process ended by itself"
    figures = Figures(messages, seed, float(office.variables["MAILHAUL_LEASE_SECONDS"]), dict(chaos.kills))
    figures.seconds_of_kills, figures.seconds_after = round(struck - began, 1), round(ended - struck, 1)
    for difference in map(office.difference, office.people):
        figures.lost += difference.lost.total()
        figures.twice += difference.surplus.total()
    figures.outcomes = {str(outcome): n for outcome, n in office.tally(whole).outcomes.items() if n}
    return figures, whole


def main() -> int:
    """Runs the command. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--lease", type=float, default=60.0, help="seconds; renewed four times as often")
    parser.add_argument("--patience", type=float, default=4.0, help="most seconds between two kills")
    a = parser.parse_args()
    times = {"MAILHAUL_LEASE_SECONDS": str(a.lease), "MAILHAUL_RENEW_SECONDS": str(a.lease / 4)}
    times |= {"MAILHAUL_SETTLE_SECONDS": str(min(30.0, a.lease / 2))}
    # All other settings keep their defaults, so that the run measures the delivered product.
    usual = ("MAILHAUL_WORKER_THREADS", "MAILHAUL_GROUP_MESSAGES", "MAILHAUL_CONNECT_TIMEOUT_SECONDS")
    with Dovecot() as source, Dovecot() as destination, Office(source, destination, **times) as office:
        for name in usual:
            del office.variables[name]
        figures, whole = run(
            office, messages=a.messages, kills=a.kills, seed=a.seed, workers=a.workers, patience_seconds=a.patience
        )
        print(json.dumps(asdict(figures)), flush=True)
        if figures.lost or figures.twice:
            print(office.logs(), file=sys.stderr)
            return 1
        office.assert_exactly_once(whole)
    return 0


if __name__ == "__main__":
    sys.exit(main())
