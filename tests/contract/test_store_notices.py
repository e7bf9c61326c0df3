"""Tests the outbox of notices: told once, spread to targets, tried for a day by one sender at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model.errors import LeaseLost
from shared.model.notices import Delivery, Notice
from shared.store import Store
from tests.contract.store_kit import Clock

RETRY = 30.0


def _notice(name: str = "one", **fields: object) -> Notice:
    return replace(Notice(notice_id=name, kind="state", at=1.5, values={"word": "complete", "n": 3}), **fields)  # type: ignore[arg-type]


def _sender(store: Store) -> int:
    term = store.lead("s", 100_000, "sender")
    assert term
    return term


def _taken(store: Store, term: int) -> Delivery:
    found = store.take_delivery(term, RETRY)
    assert found is not None
    return found


def test_something_is_told_once_until_its_time_is_over(store: Store, clock: Clock) -> None:
    first = _notice(import_id="i", name="office", wave="pilot", mailbox_ids=("m1", "m2"), target_id="t")
    assert store.tell(first, once="a", seconds=60)
    assert not store.tell(_notice("two"), once="a", seconds=60), "the same was told"
    assert store.tell(_notice("three"), once="b", seconds=60)
    assert store.notices() == [first, _notice("three")]
    clock.forward(60)
    assert store.tell(_notice("four"), once="a", seconds=60)


def test_under_a_mark_only_what_is_higher_is_told(store: Store, clock: Clock) -> None:
    assert store.tell(_notice("1"), once="a", seconds=60, mark="a", height=5)
    clock.forward(60)
    assert not store.tell(_notice("2"), once="a", seconds=60, mark="a", height=5), "nothing new"
    assert store.tell(_notice("3"), once="a", seconds=60, mark="a", height=5.5)
    assert not store.tell(_notice("4"), once="a", seconds=60, mark="a", height=9), "within its time"
    clock.forward(60)
    assert store.tell(_notice("5"), once="a", seconds=60, mark="a", height=9), "and it is not lost by that"


def test_a_notice_that_nobody_spreads_is_kept_for_a_day(store: Store, clock: Clock) -> None:
    store.tell(_notice("old"), once="a")
    clock.forward(86_401)
    store.tell(_notice("new"), once="b")
    assert [one.notice_id for one in store.notices()] == ["new"]


def test_a_notice_is_spread_once_and_each_target_has_its_delivery(store: Store) -> None:
    store.tell(_notice(), once="a")
    assert store.spread("one", ["t", "u"]) == 2
    assert store.spread("one", ["t", "u"]) == 0, "the answer was lost"
    assert [one.delivery_id for one in store.deliveries()] == ["one:t", "one:u"]
    assert store.notices() == []
    store.tell(_notice("two"), once="b")
    assert store.spread("two", []) == 0
    assert store.notices() == [], "nobody wants it"


def test_an_attempt_is_counted_before_it_is_made_and_the_next_waits_longer_each_time(
    store: Store, clock: Clock
) -> None:
    store.tell(_notice(), once="a")
    store.spread("one", ["t"])
    term = _sender(store)
    waits = []
    for attempt in range(1, 12):
        found = _taken(store, term)
        assert (found.attempts, found.notice) == (attempt, _notice())
        assert store.take_delivery(term, RETRY) is None, "it is not due again yet"
        assert store.settle_delivery(found, "failed", "nobody answers") == "due"
        wait = store.deliveries()[0].due_at - clock()
        waits.append(round(wait))
        clock.forward(wait)
    assert waits[:8] == [30, 60, 120, 240, 480, 960, 1920, 3600]
    assert store.deliveries()[0].why == "nobody answers"


def test_it_is_tried_for_a_day_and_then_told_as_not_delivered(store: Store, clock: Clock) -> None:
    store.tell(_notice(), once="a")
    store.spread("one", ["t"])
    for _ in range(60):
        found = store.take_delivery(_sender(store), RETRY)
        if found is None:
            break
        answer = store.settle_delivery(found, "failed", "nobody answers")
        if answer == "given up":
            break
        clock.forward(store.deliveries()[0].due_at - clock())
    assert clock() - found.first_at >= 86_400 if found else False
    assert store.deliveries() == []
    (lost,) = store.undelivered()
    assert (lost.delivery_id, lost.why) == ("one:t", "nobody answers")
    assert store.settle_delivery(lost, "anew") == "due"
    assert store.undelivered() == []
    again = _taken(store, _sender(store))
    assert (again.delivery_id, again.attempts) == ("one:t", 1), "with the id by which a repeat is dropped"
    assert store.settle_delivery(again, "sent") == "gone"
    assert store.deliveries() == []


def test_what_asks_to_wait_is_left_alone_so_long(store: Store, clock: Clock) -> None:
    store.tell(_notice(), once="a")
    store.spread("one", ["t"])
    found = _taken(store, _sender(store))
    store.settle_delivery(found, "failed", "slower", 500)
    assert store.deliveries()[0].due_at == pytest.approx(clock() + 500)


def test_an_attempt_that_is_not_the_last_one_changes_nothing_unless_it_was_sent(store: Store, clock: Clock) -> None:
    store.tell(_notice(), once="a")
    store.spread("one", ["t"])
    first = _taken(store, _sender(store))
    clock.forward(RETRY)
    second = _taken(store, _sender(store))
    assert store.settle_delivery(first, "never", "an old answer") == ""
    assert store.deliveries()[0].why == ""
    assert store.settle_delivery(first, "sent") == "gone"
    assert store.settle_delivery(second, "failed", "late") == ""


def test_there_is_one_sender_at_a_time(store: Store, clock: Clock) -> None:
    store.tell(_notice(), once="a")
    store.spread("one", ["t"])
    term = store.lead("a", 10, "sender")
    assert term
    assert store.lead("leader", 10) != term, "the coordinator's leadership is another post"
    assert store.lead("b", 10, "sender") == 0
    clock.forward(11)
    with pytest.raises(LeaseLost):
        store.take_delivery(term, RETRY)
    later = store.lead("b", 10, "sender")
    assert later > term
    with pytest.raises(LeaseLost):
        store.take_delivery(term, RETRY)
    assert _taken(store, later).delivery_id == "one:t"
    store.bury(["b"])
    assert store.lead("c", 10, "sender") > later, "a dead sender sends no longer"


def test_the_last_that_could_not_be_delivered_are_kept(store: Store, clock: Clock) -> None:
    for at in range(203):
        store.tell(_notice(f"n{at}"), once=str(at))
        store.spread(f"n{at}", ["t"])
        store.settle_delivery(_taken(store, _sender(store)), "never", "no such target")
        clock.forward(1)
    kept = [one.notice.notice_id for one in store.undelivered()]
    assert (len(kept), kept[0], kept[-1]) == (200, "n202", "n3")
    assert store.settle_delivery(store.undelivered()[0], "drop") == "gone"
    assert len(store.undelivered()) == 199
