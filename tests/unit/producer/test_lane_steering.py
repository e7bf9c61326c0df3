"""Tests the search for the number of lanes from claims to decisions: the real store in memory, lanes and a server simulated."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from producer.coordinator import lane_steering
from producer.coordinator.lane_steering import LaneSteering
from shared.model import Lease
from shared.model.lanes import LanePlace, Measured, Reason
from shared.model.lifecycle import Wish
from shared.rules.batching import Worth
from shared.store.memory.memory_store import MemoryStore
from tests.contract.store_kit import Clock, plan_of, start, take

HOST = "destination_host:new.example"
ONE = 1_000_000


class BusyLanes:
    """Twenty lanes that always have something to do, and a server that gives each of them so much work a second."""

    def __init__(self, each: Callable[[int], float], start_at: int = 4) -> None:
        self.clock = Clock()
        limits = {"source_host": 20, "destination_host": start_at}
        most = limits | {"destination_host": 16}
        self.store = MemoryStore(
            clock=self.clock, limits=limits, most_lanes=most, worth=Worth(messages=1, size_bytes=1), lease_seconds=60
        )
        _, rows = start(self.store, 20)
        for row in rows:
            planner = take(self.store, "planner", prefer=row.mailbox_id)
            self.store.plan_folders(planner, [(plan_of(row, "INBOX", (1, 10)), 1)])
            self.store.finish(planner)
            self.store.leave("planner", row.mailbox_id)
        self.each, self.beat = each, 0
        self.steering = LaneSteering(self.store)
        self.leases: dict[str, Lease] = {}

    def second(self) -> None:
        """Lets a second pass: lanes that may claim do, all tell what they did, those that are too many go."""
        for n in range(20):
            holder = f"lane{n:02}"
            if holder not in self.leases and (lease := self.store.claim(holder)):
                self.leases[holder] = lease
        self.clock.forward(1)
        self.beat += 1
        work = int(self.each(len(self.leases)))
        measured = {
            lease.mailbox.mailbox_id: Measured(work=work, answers=5, append_ms=1000) for lease in self.leases.values()
        }
        leases = list(self.leases.values())
        words = self.store.attend("w", leases, extend=True, beat=self.beat, measured=measured)
        self.steering.turn()
        for lease, word in zip(leases, words, strict=True):
            if word is not Wish.RUN:
                self.store.release(lease, how="wait")
                self.store.leave(lease.holder, lease.mailbox.mailbox_id)
                del self.leases[lease.holder]

    def seconds(self, number: int) -> LanePlace:
        """Lets so many pass, and returns the destination."""
        for _ in range(number):
            self.second()
        return next(place for place in self.store.lane_places() if place.name == HOST)


def knee(lanes: int) -> Callable[[int], float]:
    """Returns a server whose total grows up to so many lanes."""
    return lambda there: ONE * min(there, lanes) / max(1, there)


@pytest.mark.parametrize("start_at", [4, 15])
def test_the_store_lets_in_what_the_server_is_good_for(start_at: int) -> None:
    busy = BusyLanes(knee(8), start_at)
    place = busy.seconds(200)
    assert place.search
    assert 7 <= place.search.kept <= 10
    assert place.search.reason in (Reason.NO_HELP, Reason.TRYING)
    assert abs(place.lanes - place.search.limit) <= 1, "the lanes that are too many went, and no others came"


def test_another_coordinator_goes_on_with_what_was_found() -> None:
    busy = BusyLanes(knee(100))
    found = busy.seconds(30).search
    assert found
    assert found.limit > 4
    busy.steering = LaneSteering(busy.store)
    later = busy.seconds(30).search
    assert later
    assert later.limit > found.limit


def test_while_other_lanes_are_missing_nothing_is_decided() -> None:
    busy = BusyLanes(knee(8))
    busy.store.set_limit("source_host", 2)
    assert busy.seconds(100).search is None
    assert len(busy.leases) == 2


@pytest.mark.parametrize("leave", [True, False])
def test_a_trial_that_nobody_can_judge_ends(leave: bool) -> None:
    busy = BusyLanes(knee(100))
    while (search := busy.seconds(1).search) is None or search.limit == search.kept:
        pass
    if leave:
        busy.clock.forward(61)
        busy.steering.turn()
    else:
        busy.store.set_limit("source_host", search.kept)
        busy.seconds(182)
    found = next(place.search for place in busy.store.lane_places() if place.name == HOST)
    assert found
    assert found.limit == found.kept == search.kept


def test_a_limit_of_a_person_is_the_most() -> None:
    busy = BusyLanes(knee(100))
    busy.store.set_limit("destination_host", 6)
    place = busy.seconds(40)
    assert (place.lanes, place.most) == (6, 6)
    busy.store.set_limit("destination_host", 12)
    assert busy.seconds(2).lanes == 12, "a change counts at once"


def test_without_steering_the_number_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that it is the steering which moves it (negative control)."""
    monkeypatch.setattr(lane_steering, "steered", lambda search, *_: search)
    assert BusyLanes(knee(8)).seconds(100).lanes == 4
