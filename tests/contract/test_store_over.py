"""Tests trouble that is over: a mailbox that makes progress keeps its last failure, with the moment when it ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import Failure, UnitKind
from shared.store import Store
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import Clock, copy, planned, take

AWAY = Failure(code="destination_unreachable", sentence="destination: nobody answers", at=1.0, since=1.0)


def _over(store: Store, mailbox_id: str) -> float:
    found = store.mailbox(mailbox_id)
    assert found is not None
    return found.over_at


def test_a_failure_is_over_when_the_mailbox_gets_on_and_not_before(store: Store, clock: Clock) -> None:
    _, mailbox, _ = planned(store, (1, 10), (11, 20))
    assert _over(store, mailbox.mailbox_id) == 0
    store.release(take(store), how="wait", failure=AWAY)
    clock.forward(5)
    assert _over(store, mailbox.mailbox_id) == 0
    lease = take(store)
    assert _over(store, mailbox.mailbox_id) == 0, "a claim is no success"
    copy(store, lease, 1)
    since = _over(store, mailbox.mailbox_id)
    assert since == pytest.approx(clock())
    # It fails again: the new failure is shown, which is not over.
    clock.forward(5)
    store.release(take(store), how="wait", failure=replace(AWAY, at=2.0))
    assert _over(store, mailbox.mailbox_id) == 0


@pytest.mark.parametrize(("folder", "over"), [("INBOX", False), ("", True)])
def test_a_plan_ends_its_own_trouble_and_not_that_of_a_copy(
    store: Store, clock: Clock, folder: str, over: bool
) -> None:
    """Plans the mailbox again, which does not show whether a full one has room."""
    whole, mailbox, _ = planned(store, (1, 10))
    store.seal(whole.import_id, {(mailbox.mailbox_id, "source"): b"x"})
    store.release(take(store), how="park", failure=replace(AWAY, folder=folder), again_seconds=60)
    clock.forward(61)
    store.reap(5)
    lease = take(store)
    assert lease.unit.kind is UnitKind.PLAN
    store.finish(lease)
    assert bool(_over(store, mailbox.mailbox_id)) is over
    copy(store, take(store), 1)
    assert _over(store, mailbox.mailbox_id)


def test_a_store_that_takes_writes_says_so(store: Store) -> None:
    assert store.refusing() == ""


def test_a_store_without_memory_says_so(store: Store) -> None:
    if not isinstance(store, RedisStore):
        pytest.skip("memory takes every write")
    store._redis.config_set("maxmemory", "1")
    try:
        assert "out of memory" in store.refusing()
    finally:
        store._redis.config_set("maxmemory", "0")
