"""Tests rates over memory, Redis and Valkey.

Data that intents move is charged to the mailbox's accounts and hosts, and a lane that owes must wait.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.model import Failure, Lease
from shared.model.lifecycle import Control, Wish
from shared.model.rates import DAY_SECONDS, PATIENCE_SECONDS, RATES, Due
from shared.model.uids import UidSet
from shared.rules.batching import Worth
from shared.store import SCOPES, Store
from shared.store.memory.memory_store import MemoryStore
from shared.store.redis import scripts
from tests.contract.conftest import START_RATES, make_world
from tests.contract.store_kit import START, Clock, Twice, World, copied, intent, plan_of, start, take


def copying(store: Store, mailboxes: int = 1, folders: int = 3) -> list[str]:
    """Makes mailboxes, each with folders of one batch that can be claimed now."""
    _, rows = start(store, mailboxes)
    for _ in rows:
        lease = take(store, "planner")
        plans = [(plan_of(lease.mailbox, f"F{n}", (1, 100)), n) for n in range(folders)]
        store.plan_folders(lease, plans)
        store.finish(lease)
        store.leave("planner", lease.mailbox.mailbox_id)
    return [row.mailbox_id for row in rows]


def move(store: Store, lease: Lease, number: int, size_bytes: int, messages: int = 1) -> Due | None:
    """Writes an intent. Returns what is owed then."""
    said = store.progress(lease, intents=[intent(f"{lease.term}.{number}", UidSet.span(1, messages), 1, size_bytes)])
    assert said.word is Wish.RUN
    return said.due


def key_of(store: Store, mailbox_id: str, scope: str) -> str:
    return store.limits_of(mailbox_id)[scope]


def test_where_nothing_is_capped_nothing_is_counted_and_nobody_waits(store: Store) -> None:
    copying(store)
    lease = take(store)
    assert lease.due is None
    assert move(store, lease, 1, 10**12, 100) is None
    store.set_limit("source_account.bytes_per_day", 1000)
    assert store.progress(lease).due is None, "counted since it was set"


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("rate", RATES)
def test_a_rate_is_charged_with_the_intent_and_paid_by_waiting(
    store: Store, clock: Clock, scope: str, rate: str
) -> None:
    copying(store)
    name = f"{scope}.{rate}"
    store.set_limit(name, 10)
    assert store.limits() == {name: 10}
    lease = take(store)
    each = 35  # bytes, and messages
    due = move(store, lease, 1, each, each)
    wait = DAY_SECONDS if rate == "bytes_per_day" else 2.5
    assert due == Due(name=name, seconds=wait, until=START + wait, used=35, most=10), "large ones pass; then one waits"
    clock.forward(wait - 0.001)
    assert store.progress(lease).due is not None
    clock.forward(0.001)
    assert store.progress(lease).due is None
    assert store.claim("other") is not None


def test_a_burst_of_a_second_holds_nobody_up(store: Store, clock: Clock) -> None:
    copying(store)
    store.set_limit("source_account.bytes_per_second", 1000)
    lease = take(store)
    assert move(store, lease, 1, 600) is None
    assert move(store, lease, 2, 400) is None
    due = move(store, lease, 3, 1)
    assert due is not None
    assert due.seconds == 0.001
    clock.forward(3600)
    assert move(store, lease, 4, 1000) is None
    assert move(store, lease, 5, 1000) is not None, "what was not moved is not saved up"


def test_a_repeated_call_is_charged_once(store: Store) -> None:
    copying(store)
    store.set_limit("source_account.bytes_per_day", 1500)
    lease = take(store)
    twice: Store = Twice(store)  # type: ignore[assignment]
    assert move(twice, lease, 1, 1000) is None
    assert store.progress(lease).due is None
    due = move(twice, lease, 2, 600)
    assert due is not None
    assert due.used == 1600


def test_a_word_that_stops_charges_nothing(store: Store) -> None:
    copying(store)
    store.set_limit("source_account.bytes_per_day", 1000)
    lease = take(store)
    store.control(lease.mailbox.import_id, None, Control.PAUSE)
    assert store.progress(lease, intents=[intent("1", UidSet.of([1]), 1, 5000)]).word is Wish.PAUSE
    store.control(lease.mailbox.import_id, None, Control.RUN)
    assert store.progress(lease).due is None


def test_all_lanes_of_an_account_pay_into_one_meter_and_others_are_not_held_up(store: Store, clock: Clock) -> None:
    one, two = copying(store, 2)
    store.set_limit("source_account.bytes_per_day", 1000)
    first, second = take(store, "a", prefer=one), take(store, "b", prefer=one)
    assert first.mailbox.mailbox_id == second.mailbox.mailbox_id == one
    assert move(store, first, 1, 500) is None
    due = move(store, second, 1, 500)
    assert due is not None
    assert store.progress(first).due == due
    store.release(first, how="wait")
    store.leave("a", one)
    third = take(store, "a", prefer=one)
    assert third.mailbox.mailbox_id == two, "of the first nothing more is given"
    assert store.overview().owing == {f"source_account:{key_of(store, one, 'source_account')}": START + DAY_SECONDS}
    assert move(store, third, 1, 500) is None, "the other account has a meter of its own"
    clock.forward(DAY_SECONDS)
    store.release(third, how="wait")
    store.leave("a", two)
    assert store.overview().owing == {}
    assert take(store, "a", prefer=one).mailbox.mailbox_id == one


def test_a_debt_is_waited_for_by_who_is_there_and_keeps_newcomers_away(store: Store, clock: Clock) -> None:
    (mailbox,) = copying(store)
    store.set_limit("destination_account.messages_per_second", 10)
    lease = take(store, "a")
    due = move(store, lease, 1, 1, 10 + int(PATIENCE_SECONDS * 10))
    assert due is not None
    assert due.seconds == PATIENCE_SECONDS
    assert store.claim("b") is None, "no lane more"
    store.release(lease, how="wait")
    again = take(store, "a", prefer=mailbox, held=mailbox)
    assert again.due == due, "told with the lease: to be waited for first"
    assert move(store, again, 1, 1, 1) is not None
    store.release(again, how="wait")
    assert store.claim("a", prefer=mailbox, held=mailbox) is None, "longer than a lane waits"
    clock.forward(0.1)
    assert store.claim("a", prefer=mailbox, held=mailbox) is not None


@pytest.mark.parametrize("rate", RATES)
def test_a_changed_rate_counts_at_once_for_old_debt_too(store: Store, rate: str) -> None:
    (mailbox,) = copying(store)
    name = f"source_account.{rate}"
    store.set_limit(name, 10)
    lease = take(store)
    assert move(store, lease, 1, 100, 100) is not None
    assert store.claim("b") is None
    if rate == "bytes_per_day":
        assert len(store.overview().owing) == 1
    store.set_limit(f"{name}:{key_of(store, mailbox, 'source_account')}", 101)
    assert store.progress(lease).due is None
    assert store.claim("b") is not None
    assert store.overview().owing == {}
    store.set_limit(f"{name}:{key_of(store, mailbox, 'source_account')}", 20)
    assert store.progress(lease).due is not None, "and back"
    store.set_limit(f"{name}:{key_of(store, mailbox, 'source_account')}", 0)
    assert store.progress(lease).due is None, "0 is no cap"


def test_a_day_begins_with_its_first_byte(store: Store, clock: Clock) -> None:
    copying(store)
    store.set_limit("source_account.bytes_per_day", 1000)
    clock.forward(5000)
    lease = take(store)
    assert move(store, lease, 1, 999) is None
    clock.forward(80_000)
    due = move(store, lease, 2, 1)
    assert due is not None
    assert due.until == START + 5000 + DAY_SECONDS
    clock.forward(6400)
    assert move(store, lease, 3, 999) is None
    clock.forward(DAY_SECONDS - 1)
    assert move(store, lease, 4, 1) is not None, "of the second day"


def test_what_is_usual_and_what_was_set_and_the_settings(capped_world: World) -> None:
    """Uses settings with 1000 bytes a day for a source account (`START_RATES`)."""
    store = capped_world.store
    (mailbox,) = copying(store)
    name, key = "source_account.bytes_per_day", key_of(store, mailbox, "source_account")
    lease = take(store)

    def most() -> int:
        due = store.progress(lease).due
        return due.most if due else 0

    assert name in START_RATES
    assert move(store, lease, 1, 10**6) is not None
    assert most() == 1000
    usual = f"{name}:{lease.mailbox.source.endpoint.url}"
    store.set_usual({usual: 500, "source_account:imaps://x:993": 3})
    assert store.usual() == {usual: 500, "source_account:imaps://x:993": 3}
    assert most() == 500, "what is usual there goes before the settings"
    for everywhere, expected in ((700, 500), (300, 300), (0, 500)):
        store.set_limit(name, everywhere)
        assert most() == expected, "the lower of both"
    store.set_limit(f"{name}:{key}", 900)
    assert most() == 900, "set for just this one"
    store.set_limit(f"{name}:{key}", 0)
    assert most() == 0
    store.set_limit(f"{name}:{key}", None)
    store.set_limit(name, None)
    assert most() == 500


def test_what_is_planned_and_verified_is_let_through(store: Store) -> None:
    (mailbox,) = copying(store, folders=1)
    store.set_limit("source_account.bytes_per_day", 1000)
    lease = take(store)
    sent = replace(intent(f"{lease.term}.1", UidSet.span(1, 100)), size_bytes=5000)
    assert store.progress(lease, intents=[sent]).due is not None
    store.progress(lease, settled=[copied(UidSet.span(1, 100), 1, sent.intent_id)])
    following = store.follow(lease)
    assert following is not None
    assert following.unit.kind == "verify", "a mailbox whose last byte was the day's last is done today"
    assert following.due is None
    assert following.mailbox.mailbox_id == mailbox


def test_what_was_waited_for_is_no_trouble_any_more_when_it_goes_on(store: Store, clock: Clock) -> None:
    copying(store)
    store.set_limit("source_account.bytes_per_day", 1000)
    lease = take(store)
    assert move(store, lease, 1, 2000) is not None
    said = Failure(code="rate_waiting", sentence="waiting", at=START)
    store.release(lease, how="wait", failure=said)
    found = store.mailbox(lease.mailbox.mailbox_id)
    assert found is not None
    assert found.failure == said
    clock.forward(DAY_SECONDS)
    again = take(store)
    assert again.mailbox.failure is None
    store.release(again, how="wait", failure=replace(said, code="source_throttled"))
    assert take(store).mailbox.failure is not None, "other trouble is"


def test_without_its_gate_a_claim_would_go_on_whatever_is_owed(
    backend: str, worth: Worth, request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "memory":
        monkeypatch.setattr(MemoryStore, "_owed", lambda *given: None)
    else:
        real = scripts.sources()
        gate = "if not capping or state"
        assert gate in real["claim"]
        spoilt = {**real, "claim": real["claim"].replace(gate, "if true or state")}
        monkeypatch.setattr(scripts, "sources", lambda: spoilt)
    store = make_world(backend, request, lease_seconds=60, limits={}, worth=worth).store
    with pytest.raises(AssertionError):
        test_all_lanes_of_an_account_pay_into_one_meter_and_others_are_not_held_up(store, Clock())
