"""Tests that an import whose units never end leaves the other imports their share of the lanes."""

from __future__ import annotations

from collections import Counter

import pytest

from shared.model import Lease
from shared.model.lifecycle import Disposition
from shared.store import Store
from tests.contract.store_kit import Clock, run_out, start, take


def lanes(store: Store, count: int, first: int = 0) -> list[Lease]:
    return [take(store, f"lane{n}") for n in range(first, first + count)]


def by_import(leases: list[Lease]) -> Counter[str]:
    return Counter(lease.mailbox.import_id for lease in leases)


def rounds(store: Store, clock: Clock, leases: list[Lease], seconds: int) -> list[Lease]:
    """Attends once a second. Returns the leases that were told to pause, which go on holding their units."""
    paused = []
    for _ in range(seconds):
        clock.forward(1)
        words = store.attend("worker", leases, extend=True)
        paused += [one for one, word in zip(leases, words, strict=True) if word == "pause" and one not in paused]
    return paused


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
    slow, _ = start(store, 20, name="slow")
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
    start(store, 20, name="slow")
    held = lanes(store, 6)
    start(store, 20, name="quick")
    assert len(rounds(store, clock, held, 40)) == 1
    assert len(rounds(store, clock, held[1:], 40)) == 0
    assert len(rounds(store, clock, held[1:], 40)) == 1


@pytest.mark.parametrize(("order", "given"), [(1, 0), (0, 1)])
def test_an_import_that_goes_first_gives_nothing_to_one_behind_it(
    store: Store, clock: Clock, order: int, given: int
) -> None:
    start(store, 20, name="first")
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
