"""Tests that an import whose units never end leaves the other imports their share of the lanes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from shared.model import Endpoint, Import, Lease, Tls, UnitKind
from shared.model.lifecycle import Control, Disposition
from shared.store import Store
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import Clock, person, plan_of, request, run_out, start, take


def lanes(store: Store, count: int, first: int = 0) -> list[Lease]:
    return [take(store, f"lane{n}") for n in range(first, first + count)]


def by_import(leases: list[Lease]) -> Counter[str]:
    return Counter(lease.mailbox.import_id for lease in leases)


def rounds(store: Store, clock: Clock, leases: list[Lease], seconds: int) -> list[Lease]:
    """Attends once a second. Returns the leases that were told to give way, which go on holding their units."""
    paused = []
    for _ in range(seconds):
        clock.forward(1)
        words = store.attend("worker", leases, extend=True)
        paused += [one for one, word in zip(leases, words, strict=True) if word == "yield" and one not in paused]
    return paused


def copying(store: Store, mailboxes: int, name: str, spans: int = 1) -> Import:
    """Starts an import whose mailboxes are all planned, each with batches to copy."""
    whole, rows = start(store, mailboxes, name=name)
    for row in rows:
        planner = take(store, "planner", prefer=row.mailbox_id)
        store.plan_folders(planner, [(plan_of(row, "INBOX", *((n * 10 + 1, n * 10 + 10) for n in range(spans))), 1)])
        store.finish(planner)
        store.leave("planner", row.mailbox_id)
    return whole


def test_what_becomes_free_goes_to_the_import_that_has_less_than_its_share(store: Store) -> None:
    slow, _ = start(store, 20, name="slow")
    held = lanes(store, 6)
    quick, _ = start(store, 20, name="quick")
    held += lanes(store, 8, first=6)
    assert by_import(held) == {slow.import_id: 7, quick.import_id: 7}


@pytest.mark.parametrize("by", ["prefer", "hint"])
def test_a_lane_does_not_stay_with_an_import_that_has_more_than_its_share(store: Store, by: str) -> None:
    start(store, 20, name="slow")
    held = lanes(store, 6)
    quick, _ = start(store, 20, name="quick")
    store.release(held[0], how=Disposition.WAIT)
    told = {"prefer": held[0].mailbox.mailbox_id, "hint": held[0].unit.unit_id}
    assert take(store, held[0].holder, **{by: told[by]}).mailbox.import_id == quick.import_id


def test_an_import_alone_has_all_lanes(store: Store) -> None:
    start(store, 20)
    assert len(lanes(store, 12)) == 12


def test_lanes_at_units_that_do_not_end_give_way_one_after_the_other(store: Store, clock: Clock) -> None:
    slow = copying(store, 12, "slow")
    held = lanes(store, 6)
    quick, _ = start(store, 20, name="quick")
    assert rounds(store, clock, held, 4) == [], "a moment is nothing"
    (first,) = rounds(store, clock, held, 3)
    assert first == held[0], "the one that has been at its unit longest"
    assert rounds(store, clock, held, 10) == [first], "no other one before the first helped"
    store.release(first, how=Disposition.WAIT)
    held[0] = take(store, first.holder)
    assert held[0].mailbox.import_id == quick.import_id
    (second,) = rounds(store, clock, held, 4)
    assert second == held[1]
    store.release(second, how=Disposition.WAIT)
    held[1] = take(store, second.holder)
    (third,) = rounds(store, clock, held, 4)
    store.release(third, how=Disposition.WAIT)
    held[2] = take(store, third.holder)
    assert by_import(held) == {slow.import_id: 3, quick.import_id: 3}
    assert rounds(store, clock, held, 30) == [], "each has its share"


def test_nobody_is_stopped_again_where_it_was_in_vain(store: Store, clock: Clock) -> None:
    copying(store, 12, "slow")
    held = lanes(store, 6)
    start(store, 20, name="quick")
    assert len(rounds(store, clock, held, 40)) == 1
    assert len(rounds(store, clock, held[1:], 40)) == 0
    assert len(rounds(store, clock, held[1:], 40)) == 1


def test_that_it_was_in_vain_is_remembered_though_the_import_wants_nothing_for_a_moment(
    store: Store, clock: Clock
) -> None:
    copying(store, 12, "slow")
    held = lanes(store, 6)
    quick, _ = start(store, 20, name="quick")
    (first,) = rounds(store, clock, held, 30)
    held.remove(first)
    for _ in range(3):
        store.control(quick.import_id, None, Control.PAUSE)
        rounds(store, clock, held, 1)
        store.control(quick.import_id, None, Control.RUN)
        assert rounds(store, clock, held, 10) == []


def test_a_plan_that_takes_long_gives_way_where_no_lane_copies(store: Store, clock: Clock) -> None:
    start(store, 20, name="slow")
    held = lanes(store, 6)
    quick, _ = start(store, 20, name="quick")
    (first,) = rounds(store, clock, held, 20)
    assert first == held[0]
    store.release(first, how=Disposition.WAIT)
    assert take(store, first.holder).mailbox.import_id == quick.import_id


def test_a_lane_that_copies_gives_way_before_one_that_plans(store: Store, clock: Clock) -> None:
    start(store, 12, name="slow")
    held = lanes(store, 5)
    planner = take(store, "planner")
    store.plan_folders(planner, [(plan_of(planner.mailbox, "INBOX", (1, 10)), 1)])
    store.finish(planner)
    held.append(take(store, "planner", prefer=planner.mailbox.mailbox_id))
    assert held[-1].unit.kind is UnitKind.COPY
    start(store, 20, name="quick")
    assert rounds(store, clock, held, 20) == [held[-1]]


def verifying(store: Store, held: list[Lease], which: range) -> None:
    """Ends the plans of these lanes, which verify then."""
    for n in which:
        store.finish(held[n])
        held[n] = take(store, held[n].holder, prefer=held[n].mailbox.mailbox_id)
        assert held[n].unit.kind is UnitKind.VERIFY


def test_a_lane_that_verifies_gives_way_where_none_copies_or_plans(store: Store, clock: Clock) -> None:
    start(store, 4, name="slow")
    held = lanes(store, 4)
    verifying(store, held, range(4))
    quick, _ = start(store, 20, name="quick")
    (first,) = rounds(store, clock, held, 8)
    assert first == held[0]
    store.release(first, how=Disposition.WAIT)
    assert take(store, first.holder).mailbox.import_id == quick.import_id


def test_a_lane_that_plans_gives_way_before_one_that_verifies(store: Store, clock: Clock) -> None:
    start(store, 4, name="slow")
    held = lanes(store, 4)
    verifying(store, held, range(3))
    start(store, 20, name="quick")
    assert rounds(store, clock, held, 8) == [held[3]]


@pytest.mark.parametrize("limited", [True, False], ids=["limited", "control: not limited"])
def test_an_import_that_no_server_lets_in_takes_nobody_the_mailbox_that_is_open(store: Store, limited: bool) -> None:
    copying(store, 2, "slow", spans=4)
    held = lanes(store, 2)
    away = Endpoint(host="third.example", port=143, tls=Tls.NONE)
    quick = request("quick", destination=away)
    store.open_import(quick, [person(quick, row) for row in range(1, 4)], 14)
    store.submit(quick.import_id)
    if limited:
        store.hold(f"destination_host:{away.host}", 60, import_id=quick.import_id, why="busy")
    store.release(held[0], how=Disposition.WAIT)
    open_one = held[0].mailbox.mailbox_id
    found = take(store, held[0].holder, prefer=open_one, held=open_one)
    assert (found.mailbox.mailbox_id == open_one) is limited


@pytest.mark.parametrize(("order", "given"), [(1, 0), (0, 1)])
def test_an_import_that_goes_first_gives_nothing_to_one_behind_it(
    store: Store, clock: Clock, order: int, given: int
) -> None:
    copying(store, 12, "first")
    held = lanes(store, 6)
    later, _ = start(store, 20, name="later")
    store.set_wave(later.import_id, "", order=order)
    assert len(rounds(store, clock, held, 8)) == given


def test_the_share_of_an_import_goes_by_the_weight_of_its_waves(store: Store) -> None:
    heavy, _ = start(store, 30, name="heavy")
    store.set_wave(heavy.import_id, "", weight=3)
    light, _ = start(store, 30, name="light")
    held = by_import(lanes(store, 16))
    assert (held[heavy.import_id], held[light.import_id]) == (12, 4)


def test_all_is_served_in_the_end(store: Store) -> None:
    start(store, 5, name="slow")
    start(store, 5, name="quick")
    assert run_out(store) == 20


def test_what_another_version_left_of_the_count_of_lanes_is_put_right(store: Store) -> None:
    """Leaves what a version leaves that counts no lanes: an ended lease that is counted, and the count of a closed import."""
    if not isinstance(store, RedisStore):
        pytest.skip("the model counts nothing")
    whole, _ = start(store, 3)
    line, counts = f"{whole.import_id}:", f"{keys.PREFIX}lanes_of"
    held = lanes(store, 2)
    unit = f"{keys.PREFIX}unit:{held[0].unit.unit_id}"
    assert store._read("hget", counts, line) == b"2"
    store._read("zrem", f"{keys.PREFIX}leases", held[0].unit.unit_id)
    store._read("hset", unit, mapping={"state": "ready", "holder": ""})
    store._read("hdel", keys.HOLDERS, held[0].holder)
    store._read("zadd", f"{keys.PREFIX}mailbox:{held[0].mailbox.mailbox_id}:ready", {held[0].unit.unit_id: 0})
    again = take(store, held[0].holder, prefer=held[0].mailbox.mailbox_id)
    assert again.unit == replace(held[0].unit, attempts=2)
    assert store._read("hget", counts, line) == b"2", "each lease counts once"
    store._read("hset", counts, "gone:", 5)
    assert by_import(lanes(store, 1, first=2)) == {whole.import_id: 1}, "an import that is gone has no share"
    for lease in (again, held[1]):
        store.release(lease, how=Disposition.WAIT)
    run_out(store)
    store.reap(5)
    assert store._read("exists", counts) == (1 if store._read("exists", f"{keys.PREFIX}leases") else 0)
