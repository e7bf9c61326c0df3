"""Tests that a mailbox which waits for mail that may still arrive is told among an import's waits."""

from __future__ import annotations

import pytest

from shared.model import UnitKind, Wait, WaitKind
from shared.model.lifecycle import Control
from shared.store import Store
from tests.contract.store_kit import Clock, copy, planned, start, take


@pytest.mark.parametrize("how", ["doubt", "late"])
def test_it_is_told_until_its_time_is_over(store: Store, clock: Clock, how: str) -> None:
    whole, _, _ = planned(store, (1, 10))
    copy(store, take(store), 1)
    verification = take(store)
    assert verification.unit.kind is UnitKind.VERIFY
    store.release(verification, how=how, delay_seconds=120)
    assert store.waits(whole.import_id) == [Wait(what=WaitKind.SETTLE, until=clock() + 120, mailboxes=1)]
    assert store.waits("no") == []
    clock.forward(119)
    assert store.waits(whole.import_id)
    clock.forward(1)
    assert store.waits(whole.import_id) == []


def test_several_are_told_together_until_the_last_ends(store: Store, clock: Clock) -> None:
    whole, _ = start(store, 3)
    for seconds in (60, 30):
        store.release(take(store, f"lane{seconds}"), how="doubt", delay_seconds=seconds)
    assert store.waits(whole.import_id) == [Wait(what=WaitKind.SETTLE, until=clock() + 60, mailboxes=2)]
    clock.forward(30)
    assert store.waits(whole.import_id) == [Wait(what=WaitKind.SETTLE, until=clock() + 30, mailboxes=1)]


def test_another_delay_is_no_such_wait(store: Store) -> None:
    """The negative control of the tests above."""
    whole, _ = start(store, 1)
    store.release(take(store), how="wait", delay_seconds=60)
    assert store.waits(whole.import_id) == []


def test_who_is_cancelled_waits_for_nothing(store: Store) -> None:
    whole, _ = start(store, 1)
    store.release(take(store), how="doubt", delay_seconds=60)
    assert store.waits(whole.import_id)
    store.control(whole.import_id, None, Control.CANCEL)
    assert store.waits(whole.import_id) == []
