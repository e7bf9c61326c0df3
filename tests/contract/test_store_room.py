"""Tests that a mailbox parked for want of room goes on by itself at the set moment."""

from __future__ import annotations

import pytest

from shared.model import Failure, UnitKind
from shared.model.lifecycle import Control, ImportState, MailboxState
from shared.store import Store
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import Clock, World, copy, planned, take

FULL = Failure(code="destination_over_quota", sentence="full", times=2)


def _parked(store: Store, again_seconds: float = 60) -> tuple[str, str]:
    """Returns (import id, mailbox id) of a finished import whose one mailbox is full."""
    whole, mailbox, _ = planned(store, (1, 10))
    store.seal(whole.import_id, {(mailbox.mailbox_id, "source"): b"x"})
    store.release(take(store), how="park", failure=FULL, again_seconds=again_seconds)
    assert _states(store, whole.import_id, mailbox.mailbox_id) == (ImportState.FINISHED, MailboxState.PARKED)
    return whole.import_id, mailbox.mailbox_id


def _states(store: Store, import_id: str, mailbox_id: str) -> tuple[ImportState, MailboxState]:
    whole, mailbox = store.import_(import_id), store.mailbox(mailbox_id)
    assert whole is not None
    assert mailbox is not None
    return whole.state, mailbox.state


def _again_at(store: Store, mailbox_id: str) -> float:
    found = store.mailbox(mailbox_id)
    assert found is not None
    return found.again_at


def test_it_is_queued_again_after_its_time_and_the_finished_import_runs(store: Store, clock: Clock) -> None:
    import_id, mailbox_id = _parked(store)
    assert _again_at(store, mailbox_id) == clock() + 60
    clock.forward(59)
    store.reap(5)
    assert _states(store, import_id, mailbox_id) == (ImportState.FINISHED, MailboxState.PARKED)
    assert store.claim("lane") is None
    clock.forward(1)
    store.reap(5)
    assert _states(store, import_id, mailbox_id) == (ImportState.RUNNING, MailboxState.QUEUED)
    found = store.mailbox(mailbox_id)
    assert found is not None
    assert found.failure == FULL, "kept, so that the next wait is longer"
    assert _again_at(store, mailbox_id) == 0
    plan = take(store)
    assert plan.unit.kind is UnitKind.PLAN
    store.finish(plan)
    lease = take(store)
    assert lease.unit.attempts == 1, "no attempt was spent"
    copy(store, lease, 1)
    store.finish(take(store))
    assert _states(store, import_id, mailbox_id) == (ImportState.FINISHED, MailboxState.COMPLETE)


def test_without_a_moment_it_waits_for_a_person(store: Store, clock: Clock) -> None:
    import_id, mailbox_id = _parked(store, again_seconds=0)
    clock.forward(86_400)
    store.reap(5)
    assert _states(store, import_id, mailbox_id) == (ImportState.FINISHED, MailboxState.PARKED)


@pytest.mark.parametrize("why", ["retried", "cancelled"])
def test_a_person_who_acts_before_takes_the_moment_away(store: Store, clock: Clock, why: str) -> None:
    import_id, mailbox_id = _parked(store)
    if why == "retried":
        assert store.retry(import_id, mailbox_id, [])
        store.finish(take(store))
        store.release(take(store), how="park")
    else:
        store.control(import_id, mailbox_id, Control.CANCEL)
    assert _again_at(store, mailbox_id) == 0
    before = _states(store, import_id, mailbox_id)
    clock.forward(61)
    store.reap(5)
    assert _states(store, import_id, mailbox_id) == before


@pytest.mark.parametrize("why", ["mailbox", "import", "forgotten"])
def test_what_is_paused_or_cannot_sign_in_stays_parked_and_is_looked_at_later(
    store: Store, clock: Clock, why: str
) -> None:
    import_id, mailbox_id = _parked(store)
    if why == "forgotten":
        store.forget(import_id)
    else:
        store.control(import_id, mailbox_id if why == "mailbox" else None, Control.PAUSE)
    clock.forward(61)
    store.reap(5)
    assert _states(store, import_id, mailbox_id) == (ImportState.FINISHED, MailboxState.PARKED)
    store.seal(import_id, {(mailbox_id, "source"): b"x"})
    store.control(import_id, mailbox_id, Control.RUN)
    store.control(import_id, None, Control.RUN)
    clock.forward(60)
    store.reap(5)
    assert _states(store, import_id, mailbox_id) == (ImportState.RUNNING, MailboxState.QUEUED)


def test_going_on_by_itself_keeps_passwords_no_longer(world: World) -> None:
    """Keeps passwords for 14 days after the operator last started the mailbox, however often it is tried by itself."""
    store = world.store
    import_id, mailbox_id = _parked(store)
    if isinstance(store, RedisStore):
        key = keys.import_(import_id, "credentials")
        kept = store._redis.ttl(key)
        store._redis.expire(key, 1000)  # some of the time has passed
        assert kept > 1000
    world.clock.forward(60)
    store.reap(5)
    plan = take(store)
    store.finish(plan)
    store.release(take(store), how="park", failure=FULL, again_seconds=60)
    assert _states(store, import_id, mailbox_id) == (ImportState.FINISHED, MailboxState.PARKED)
    if isinstance(store, RedisStore):
        assert 0 < store._redis.ttl(key) <= 1000
        store.retry(import_id, mailbox_id, [])
        assert store._redis.ttl(key) == -1, "a person acted"
    else:
        world.clock.forward(14 * 86400 - 60)
        assert store.sealed(import_id, mailbox_id, "source") is None
