"""Cuts a connection at each byte of an import, in either direction, at either server: `make chaos-cuts STEP=7`.

This is exhaustive where the trials are random. The lanes run in this process, between two scripted servers behind
proxies, with a clock that stands still, so a cut takes some milliseconds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import structlog

from shared.model import Options
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, plain
from tests.servers.faulty import FaultyServer
from tests.servers.proxy import Direction, FaultProxy, Kind, Rule
from worker.copying.copy import CopyRules

Side = Literal["source", "destination"]
MESSAGES = 7


@dataclass(frozen=True)
class Cut:
    """The place and kind of a cut."""

    side: Side
    direction: Direction
    kind: Kind
    at: int


def cuts(step: int) -> Iterator[Cut]:
    """Yields every `step`-th byte of both directions at both servers, by reset and by close.

    Where mail is written there is late delivery too.
    """
    for (side, direction), length in undisturbed().items():
        kinds: list[Kind] = ["rst", "fin"]
        if (side, direction) == ("destination", "c2s"):
            kinds.append("late")
        for kind in kinds:
            for at in range(1, length, step):
                yield Cut(side, direction, kind, at)


def undisturbed() -> dict[tuple[Side, Direction], int]:
    """Returns how many bytes the one connection of each side carries each way without a fault."""
    with (
        FaultyServer() as source,
        FaultyServer() as destination,
        FaultProxy(source.host, source.port) as old,
        FaultProxy(destination.host, destination.port) as new,
    ):
        _play(source, destination, old, new, None)
        return {
            ("source", "c2s"): old.carried["c2s"],
            ("source", "s2c"): old.carried["s2c"],
            ("destination", "c2s"): new.carried["c2s"],
            ("destination", "s2c"): new.carried["s2c"],
        }


def play(cut: Cut) -> str:
    """Plays an import with this cut. Returns what was wrong at the end; "" for nothing."""
    with (
        FaultyServer() as source,
        FaultyServer() as destination,
        FaultProxy(source.host, source.port) as old,
        FaultProxy(destination.host, destination.port) as new,
    ):
        return _play(source, destination, old, new, cut)


def _play(source: FaultyServer, destination: FaultyServer, old: FaultProxy, new: FaultProxy, cut: Cut | None) -> str:
    theirs, ours = (server.add_account(LOGIN, PASSWORD) for server in (source, destination))
    for number in range(MESSAGES):
        theirs.folder(b"INBOX").add(plain(number), [b"\\Seen"] if number % 2 else [])
    theirs.folder(b"INBOX").add(plain(1))  # a twin
    theirs.folder(b"Work").add(plain(100))
    stage = InProcessImport(old, new, options=Options(), copy_rules=CopyRules(group_messages=3, outstanding=2))
    rule = Rule(cut.kind, cut.direction, at=cut.at) if cut else Rule()
    if cut:
        (old if cut.side == "source" else new).plan(rule)
    stage.submit()
    stage.work()
    # All data on the wire has arrived, as it has after the settle time.
    rule.release()
    if new.log and cut and cut.kind == "late":
        rule.await_delivered()
    stage.later()
    stage.to_the_end(submit=False)
    wanted, found = (
        Counter(
            (name, message.body, frozenset(message.flags), message.internaldate)
            for name, folder in account.folders.items()
            for message in folder.messages
        )
        for account in (theirs, ours)
    )
    if wanted != found:
        return f"lost {(wanted - found).total()}, surplus {(found - wanted).total()}"
    counts = stage.outcomes()
    return "" if set(counts) <= {"copied"} and sum(counts.values()) == MESSAGES + 2 else f"counted {counts}"


def main() -> int:
    """Runs the command. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", type=int, default=7, help="bytes between two cuts; 1: at each byte")
    a = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    played: Counter[str] = Counter()
    wrong = []
    for cut in cuts(a.step):
        played[f"{cut.side} {cut.direction} {cut.kind}"] += 1
        try:
            if said := play(cut):
                wrong.append((cut, said))
        except Exception as error:  # a cut that fails is a result, and the others still count
            wrong.append((cut, f"{type(error).__name__}: {error}"))
    for cut, said in wrong:
        print(cut, said)
    print(json.dumps({"cuts": played.total(), "wrong": len(wrong), **played}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
