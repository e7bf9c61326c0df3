"""Tests an import with hours: outside of them no unit is served, and nothing counts as failed or paused."""

from __future__ import annotations

import pytest

from shared.model import Failure, Wait, WaitKind
from shared.model.lifecycle import Control
from shared.store import Store
from tests.contract.store_kit import Clock, copied, copy, intent, planned, start, take

HOURS = "20:00-06:00 Europe/Berlin"


def test_outside_of_its_hours_nothing_is_claimed(store: Store, clock: Clock) -> None:
    whole, mailbox, _ = planned(store, (1, 10), (11, 20))
    now = clock()
    assert store.set_window(whole.import_id, HOURS, now + 100, now + 200)
    found = store.import_(whole.import_id)
    assert found is not None
    assert (found.window, found.opens_at, found.shuts_at, found.control) == (HOURS, now + 100, now + 200, Control.RUN)
    assert store.claim("lane") is None
    assert store.claim("lane", prefer=mailbox.mailbox_id) is None
    assert store.ready_mailboxes() == {}
    assert store.waits(whole.import_id) == [Wait(what=WaitKind.WINDOW, until=now + 100, why=HOURS)]
    other, _ = start(store, name="another")
    assert take(store, "b").mailbox.import_id == other.import_id, "others go on"
    store.control(other.import_id, None, Control.CANCEL)
    clock.forward(99.999)
    store.reap(5)
    assert store.claim("lane") is None
    clock.forward(0.001)
    store.reap(5)
    assert store.waits(whole.import_id) == []
    copy(store, take(store), 1)
    clock.forward(100)
    assert store.claim("lane") is None, "by the store's clock, without anybody's tick"
    assert store.ready_mailboxes() == {}
    assert store.waits(whole.import_id) == [Wait(what=WaitKind.WINDOW, why=HOURS)], (
        "until somebody says when it opens next"
    )
    assert store.set_window(whole.import_id, HOURS, now + 300, now + 400, renew=True)
    clock.forward(100)
    store.reap(5)
    assert take(store)


def test_who_is_at_work_when_they_end_is_told_to_pause(store: Store, clock: Clock) -> None:
    whole, _, _ = planned(store, (1, 10))
    now = clock()
    store.set_window(whole.import_id, HOURS, now, now + 10)
    lease = take(store)
    uids = lease.unit.uids
    assert store.attend("worker", [lease], extend=False) == ["run"]
    assert store.progress(lease, intents=[intent("1", uids.take(4)[0])]).word == "run"
    clock.forward(10)
    assert store.attend("worker", [lease], extend=False) == ["pause"]
    first, rest = uids.take(4)
    assert store.progress(lease, settled=[copied(first, 1, "1")], intents=[intent("2", rest, 5)]).word == "pause"
    store.release(lease, how="wait")
    assert store.claim("lane") is None
    store.set_window(whole.import_id, "")
    again = take(store)
    assert not again.intents, "what was not to be sent was not announced"
    assert again.unit.attempts == 1


def test_a_pause_is_independent_of_hours(store: Store, clock: Clock) -> None:
    whole, _, _ = planned(store, (1, 10))
    now = clock()
    store.set_window(whole.import_id, HOURS, now + 10, now + 20)
    store.control(whole.import_id, None, Control.PAUSE)
    clock.forward(10)
    store.reap(5)
    assert store.claim("lane") is None
    store.control(whole.import_id, None, Control.RUN)
    assert take(store)
    clock.forward(10)
    store.control(whole.import_id, None, Control.RUN)
    assert store.claim("other") is None, "resuming does not open the hours"


def test_other_hours_given_meanwhile_are_not_overwritten(store: Store, clock: Clock) -> None:
    whole, _, _ = planned(store, (1, 10))
    now = clock()
    store.set_window(whole.import_id, HOURS, now + 10, now + 20)
    store.set_window(whole.import_id, "Sat-Sun UTC", now + 50, now + 60)
    assert not store.set_window(whole.import_id, HOURS, now, now + 20, renew=True)
    assert store.claim("lane") is None
    assert not store.set_window("no", HOURS, now, now + 1)


@pytest.mark.parametrize("scope", ["source_account", "source_host"])
def test_a_hold_is_told_with_its_words_to_whom_it_concerns(store: Store, clock: Clock, scope: str) -> None:
    whole, mailbox, _ = planned(store, (1, 10))
    twin, _ = start(store, name="twin")
    key = store.limits_of(mailbox.mailbox_id)[scope]
    failure = Failure(code="source_throttled", sentence="source: asked to wait", detail="[THROTTLED] slow: down")
    store.release(
        take(store, prefer=mailbox.mailbox_id), how="wait", failure=failure, hold=f"{scope}:{key}", hold_seconds=60
    )
    wait = Wait(
        what=scope, key=key, until=clock() + 60, why="[THROTTLED] slow: down", mailboxes=int("account" in scope)
    )
    assert store.waits(whole.import_id) == [wait]
    assert store.waits(twin.import_id) == ([wait] if scope == "source_host" else [])
    assert store.waits("no") == []
    store.hold(f"{scope}:{key}", 30, import_id=whole.import_id, why="less")
    assert store.waits(whole.import_id) == [wait], "never shortened"
    store.hold(f"{scope}:{key}", 90, import_id=whole.import_id, why="more")
    assert store.waits(whole.import_id)[0].why == "more"
    clock.forward(90)
    store.reap(5)
    assert store.waits(whole.import_id) == []


def test_full_mailboxes_are_told_together(store: Store, clock: Clock) -> None:
    whole, _ = start(store, 3)
    for seconds in (60, 30):
        store.release(take(store, f"lane{seconds}"), how="park", again_seconds=seconds)
    assert store.waits(whole.import_id) == [Wait(what=WaitKind.ROOM, until=clock() + 30, mailboxes=2)]
