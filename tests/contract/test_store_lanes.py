"""Tests how many lanes accounts and hosts let in where that is searched for, and what is measured there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.model import Lease
from shared.model.lanes import LanePlace, LaneSearch, Measured, Reason
from shared.rules.batching import Worth
from shared.store import Store
from tests.contract.conftest import make_world
from tests.contract.store_kit import World, plan_of, start, take

HOST = "destination_host:new.example"


@pytest.fixture
def world(backend: str, worth: Worth, request: Any) -> World:
    """Returns an empty store: 4 lanes a host, and up to 8 where more helps."""
    limits = {"source_host": 9, "destination_host": 4}
    most = {"source_host": 9, "destination_host": 8}
    return make_world(backend, request, lease_seconds=60, limits=limits, most_lanes=most, worth=worth)


@pytest.fixture
def store(world: World) -> Store:
    return world.store


def lanes(store: Store, number: int) -> list[Lease]:
    """Claims with lanes "0", "1", …, as far as they are let in."""
    return [lease for n in range(number) if (lease := store.claim(str(n)))]


def at(store: Store, name: str = HOST) -> LanePlace:
    """Returns a place."""
    return next(place for place in store.lane_places() if place.name == name)


def tell(store: Store, leases: Sequence[Lease], beat: int, **measured: int) -> list[str]:
    """Sends a heartbeat with the same measurements of each lease's mailbox."""
    found = {lease.mailbox.mailbox_id: Measured(**measured) for lease in leases}
    return [str(word) for word in store.attend("w", leases, extend=True, beat=beat, measured=found)]


def test_what_workers_measure_is_summed_once_a_beat(store: Store) -> None:
    start(store, 3)
    leases = lanes(store, 2)
    assert store.lane_places() == [], "nothing was told"
    for beat in (1, 1, 2):
        tell(store, leases, beat, work=10, answers=2, append_ms=30, source_refused=1)
    place = at(store)
    assert (place.lanes, place.start, place.most, place.search) == (2, 4, 8, None)
    assert (place.work, place.answers, place.append_ms, place.refused) == (40, 8, 120, 0)
    there = at(store, "source_host:old.example")
    assert (there.work, there.append_ms, there.refused) == (40, 0, 4)
    assert {place.name.partition(":")[0] for place in store.lane_places()} == {"source_host", "destination_host"}


def test_claims_go_by_what_was_found_within_the_limits(store: Store) -> None:
    start(store, 12)
    leases = lanes(store, 9)
    assert len(leases) == 4, "nobody searched yet"
    found = LaneSearch(
        limit=6, kept=6, reason=Reason.MORE_HELPS, most=8, rate=12.5, version=1, again_at=1_700_000_001.5
    )
    assert store.steer(HOST, 0, found)
    assert not store.steer(HOST, 0, replace(found, limit=2)), "somebody else was quicker, or the answer was lost"
    assert at(store).search == found
    assert len(lanes(store, 9)) == 6
    for scope, most in (("destination_host", 5), (HOST, 3)):
        store.set_limit(scope, most)
        assert at(store).most == at(store).start == most, "what a person sets is the most"
        assert store.claim("later") is None
    store.set_limit(HOST, 7)
    later = take(store, "later")
    assert tell(store, [later], 1) == ["run"], "found under another limit: the new one counts at once"


def test_lanes_that_are_too_many_go_and_only_they(store: Store) -> None:
    _, rows = start(store, 6)
    for row in rows:
        planner = take(store, "planner", prefer=row.mailbox_id)
        store.plan_folders(planner, [(plan_of(row, "INBOX", (1, 10)), 1)])
        store.finish(planner)
        store.leave("planner", row.mailbox_id)
    leases = lanes(store, 4)
    assert tell(store, leases, 1, work=1) == ["run"] * 4
    store.steer(HOST, 0, LaneSearch(limit=2, kept=2, most=8, version=1))
    words = tell(store, leases, 2)
    assert words == tell(store, leases, 3), "whoever asks, the same ones go"
    assert words == ["run", "run", "leave", "leave"]
    for lease in leases[2:]:
        store.release(lease, how="wait")
        assert store.claim(lease.holder, prefer=lease.mailbox.mailbox_id, held=lease.mailbox.mailbox_id) is None
        store.leave(lease.holder, lease.mailbox.mailbox_id)
    assert tell(store, leases[:2], 4) == ["run", "run"]
    store.release(leases[0], how="wait")
    assert store.claim("0", prefer=leases[0].mailbox.mailbox_id, held=leases[0].mailbox.mailbox_id), "it stays"
    assert store.claim("new") is None


def test_one_connection_too_many_is_no_failure(store: Store, world: World) -> None:
    _, rows = start(store, 6)
    leases = lanes(store, 4)
    last = leases[-1]
    store.release(last, how="wait", delay_seconds=60, hold=HOST, hold_seconds=60, crowded=True)
    search = at(store).search
    assert search
    assert (search.limit, search.ceiling, search.reason) == (3, 4, Reason.REFUSED)
    assert store.claim("new") is None, "three are in, and no more are let in"
    assert not store.overview().holds
    assert all(not store.failures(row.mailbox_id) for row in rows)
    store.leave("0", leases[0].mailbox.mailbox_id)
    world.clock.forward(2)
    assert store.claim("new", prefer=last.mailbox.mailbox_id)
    assert store.claim("other") is None


def test_the_last_connection_that_is_refused_holds_as_ever(store: Store) -> None:
    start(store, 2)
    lease = take(store, "a")
    store.release(lease, how="wait", delay_seconds=60, hold=HOST, hold_seconds=60, crowded=True)
    assert list(store.overview().holds) == [HOST]
    assert store.claim("b") is None


def test_a_server_that_asks_for_less_has_half_of_its_lanes_afterwards(store: Store, world: World) -> None:
    start(store, 6)
    leases = lanes(store, 4)
    for _ in range(2):  # the answer may be lost
        store.hold(HOST, 30, import_id=leases[0].mailbox.import_id, why="slow down")
    search = at(store).search
    assert search
    assert (search.limit, search.reason) == (2, Reason.ASKED)
    for lease in leases:
        store.release(lease, how="wait")
        store.leave(lease.holder, lease.mailbox.mailbox_id)
    world.clock.forward(31)
    assert len(lanes(store, 6)) == 2


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("found", [0, 4])
def test_half_of_those_let_in_or_fewer_that_are_asked_for_less_say_nothing_of_how_many(
    store: Store, number: int, found: int
) -> None:
    start(store, 6)
    if found:
        store.steer(HOST, 0, LaneSearch(limit=found, kept=found, most=8, version=1))
    store.release(lanes(store, number)[0], how="wait", hold=HOST, hold_seconds=30)
    assert list(store.overview().holds) == [HOST]
    limits = [place.search.limit for place in store.lane_places() if place.search]
    assert limits == ([1] if number == 3 else [found] if found else []), "the others may be on their way"


def test_lanes_at_work_are_told_of_however_many_places_are_quiet(store: Store, world: World) -> None:
    for n in range(1_000):
        store.steer(f"destination_host:{n}.example", 0, LaneSearch(limit=1, kept=1, most=8, version=1))
    world.clock.forward(1)
    start(store, 3)
    tell(store, lanes(store, 2), 1, work=5)
    first, second, *quiet = [place.name for place in store.lane_places()]
    assert {first, second} == {HOST, "source_host:old.example"}
    assert len(quiet) == 998, "no call is longer than that"


@pytest.mark.parametrize("tried", [2, 7])
def test_a_number_that_was_being_tried_when_the_lanes_left_is_not_handed_on(
    store: Store, world: World, tried: int
) -> None:
    start(store, 12)
    leases = lanes(store, 4)
    tell(store, leases, 1, work=5)
    store.steer(HOST, 0, LaneSearch(limit=tried, kept=5, reason=Reason.TRYING, most=8, version=1))
    for lease in leases:
        store.release(lease, how="wait")
        store.leave(lease.holder, lease.mailbox.mailbox_id)
    world.clock.forward(60)
    leases = lanes(store, 9)
    assert len(leases) == tried, "as long as lanes told something in the last minute, it is still being tried"
    for lease in leases:
        store.release(lease, how="wait")
        store.leave(lease.holder, lease.mailbox.mailbox_id)
    world.clock.forward(1)
    assert len(lanes(store, 9)) == 5


def test_what_was_found_is_forgotten_after_an_hour(store: Store, world: World) -> None:
    start(store, 6)
    leases = lanes(store, 4)
    tell(store, leases, 1, work=5)
    store.steer(HOST, 0, LaneSearch(limit=1, kept=1, most=8, version=1))
    world.clock.forward(3599)
    assert at(store).search
    world.clock.forward(1)
    assert store.lane_places() == []
    store.reap(0)
    assert len(lanes(store, 6)) == 4
    tell(store, [], 2)
    assert store.steer(HOST, 0, LaneSearch(limit=3, kept=3, most=8, version=1)), "from the beginning"
    assert at(store).work == 0
