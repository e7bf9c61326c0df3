"""Tests when a folder gets more writers than one, and how its batches are shared out."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.uids import UidSet
from worker.copying.writers import FolderWriters
from worker.decisions.closing import Divided
from worker.decisions.shares import Widening

RULES = Widening()


@pytest.mark.parametrize(
    ("pending", "seconds_each", "writers"),
    [
        (200_000, 0.001, 1),  # fast, however much there is
        (200_000, 0.0049, 1),
        (200_000, 0.02, 16),
        (400, 0.02, 1),  # 8 s in all
        (500, 0.02, 2),
        (2_000, 0.02, 8),
        (30, 1.0, 6),
        (0, 1.0, 1),
    ],
)
def test_writers_by_what_is_left_and_how_long_it_takes(pending: int, seconds_each: float, writers: int) -> None:
    assert RULES.writers(pending, seconds_each) == writers


def test_a_setting_bounds_the_writers() -> None:
    assert replace(RULES, most=3).writers(200_000, 0.02) == 3
    assert replace(RULES, most=1).writers(200_000, 0.02) == 1


@pytest.mark.parametrize(
    ("remaining", "pending", "fresh", "probe"),
    [
        (2000, 200_000, True, 30),  # the first batch of a folder
        (2000, 200_000, False, 0),  # a later one: its end is soon enough
        (2000, 2_000, False, 30),  # but not where it is most of what is left
        (900, 900, True, 0),  # too few
        (30, 5_000, True, 0),
    ],
)
def test_the_pace_is_measured_within_a_batch_where_its_end_is_late(
    remaining: int, pending: int, fresh: bool, probe: int
) -> None:
    assert RULES.probe(remaining, pending, fresh=fresh) == probe


def test_a_batch_is_divided_into_half_of_what_is_left_for_each_lane() -> None:
    batch = UidSet.span(1, 2000)
    assert RULES.shares(batch, 200_000, 8) == [batch]
    assert [len(share) for share in RULES.shares(batch, 8_000, 8)] == [500, 468, 439, 297, 296]
    assert [len(share) for share in RULES.shares(UidSet.span(1, 120), 120, 8)] == [25, 25, 25, 23, 22]
    assert RULES.shares(batch, 100, 1) == [batch], "one writer"


@given(st.integers(1, 3000), st.integers(0, 5000), st.integers(1, 20))
def test_shares_hold_the_batch_and_nothing_else(count: int, more: int, writers: int) -> None:
    batch = UidSet.span(7, 6 + count)
    shares = RULES.shares(batch, count + more, writers)
    assert [uid for share in shares for uid in share] == list(batch)


@given(st.integers(50, 3000), st.integers(0, 2000), st.integers(2, 20))
def test_no_share_is_divided_again_while_the_writers_are_at_work(count: int, late: int, writers: int) -> None:
    shares = RULES.shares(UidSet.span(1, count), count, writers)
    for at, share in enumerate(shares):
        pending = sum(map(len, shares[at:])) + late
        assert RULES.shares(share, pending, writers) == [share]


def test_shares_end_together() -> None:
    lanes = [0] * 8
    for share in RULES.shares(UidSet.span(31, 2000), 1970, 8):
        lanes[lanes.index(min(lanes))] += len(share)
    assert max(lanes) - min(lanes) <= RULES.share_messages


class Bench:
    """A batch of 2,000 messages of a folder, and a destination that takes so many seconds for each."""

    def __init__(
        self,
        seconds_each: float,
        *,
        protocol: str = "imap",
        uidplus: bool = True,
        flight: float = 0.0,
        proof: float = 0.0,
        **fields: Any,
    ) -> None:
        account = SimpleNamespace(endpoint=SimpleNamespace(protocol=protocol))
        known = {"writers": 1, "heads": 1, "folder_pending": 2000, "last_taken": (0, 0)} | fields
        self.lease: Any = SimpleNamespace(mailbox=SimpleNamespace(source=account), **known)
        self.destination: Any = SimpleNamespace(capabilities={"UIDPLUS"} if uidplus else set())
        self.seconds_each, self.now, self.widened, self.rung = seconds_each, 0.0, [], 0
        #: The seconds of a round trip where the first group of the folder is waited for before the next is sent; 0: it is not.
        self.flight = flight
        #: The seconds of a round trip in which the second group waits for the server to let a literal through; 0: it does not.
        self.proof = proof
        self.called = 0

    def widen(self, lease: Any, writers: int) -> int:
        """Plays the store."""
        self.widened.append(writers)
        return writers

    def ring(self) -> None:
        """Counts the lanes that are called."""
        self.rung += 1

    def copy(self, *, alone: bool = False) -> list[int]:
        """Copies the batch, and returns the sizes of its parts, and then of its shares."""
        store: Any = self
        writers = FolderWriters(self.lease, store, RULES, ring=self.ring, clock=lambda: self.now)
        parts: list[int] = []
        try:
            for part in writers.parts(UidSet.span(1, 2000), self.destination, lambda: alone):
                parts.append(len(part))
                groups = len(part) // 10
                for group in range(groups):
                    first, waited = bool(self.flight) and group == 0, bool(self.proof) and group == 1
                    self.now += 10 * self.seconds_each + self.flight * (group < 2) + self.proof * waited
                    writers.answered(10, followed=group + 1 < groups and not first, waited=waited)
        except Divided as batch:
            parts += [len(share) for share in batch.parts]
            self.called = batch.lanes
        return parts


def test_a_slow_destination_gets_more_lanes() -> None:
    bench = Bench(0.02)
    parts = bench.copy()
    assert (bench.widened, bench.rung, bench.called) == ([7], 0, 7), "lanes are called once the shares are there"
    assert parts[0] == 30
    assert sum(parts) == 2000
    assert len(parts) > 10


def test_a_later_batch_is_measured_at_its_end() -> None:
    bench = Bench(0.02, last_taken=(1, 4000), folder_pending=50_000)
    assert bench.copy() == [2000]
    assert (bench.widened, bench.rung) == ([16], 16)


@pytest.mark.parametrize(
    ("why", "bench", "alone"),
    [
        ("fast", Bench(0.001), False),
        ("fast, far away", Bench(0.001, flight=0.3), False),
        ("fast, far away, with a keyword that waits", Bench(0.001, proof=0.3), False),
        ("POP3: a maildrop is open once", Bench(0.02, protocol="pop3"), False),
        ("copies are found by their place", Bench(0.02, uidplus=False), False),
        ("a rate, or another folder that goes there too", Bench(0.02), True),
        ("several already", Bench(0.02, writers=4), False),
        ("the rest of several", Bench(0.02, heads=2), False),
    ],
)
def test_one_writer_stays(why: str, bench: Bench, alone: bool) -> None:
    assert sum(bench.copy(alone=alone)) == 2000
    assert bench.widened == [], why
