"""Tests units at work: leases, terms, the ledger, and batches that are given back or halved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.model import Audit, Failure, Lease, Moving, UnitKind
from shared.model.errors import LeaseLost, StoreError
from shared.model.lifecycle import Control, ImportState, MailboxState, Outcome
from shared.model.uids import UidSet
from shared.store import Store
from tests.contract.store_kit import (
    START,
    Clock,
    batch,
    copied,
    copy,
    everything,
    intent,
    plan_of,
    planned,
    run_out,
    start,
    take,
)

Write = Callable[[Store, Lease], object]

MOVING = (Moving(folder_id="other", destination_uidnext=7, messages=((1, 2, 3), (4, 5, 6))),)

WRITES: dict[str, Write] = {
    "progress": lambda s, le: s.progress(le, settled=[copied(UidSet.span(1, 2), 50)]),
    "finish": lambda s, le: s.finish(le),
    "release": lambda s, le: s.release(le, how="park"),
    "split": lambda s, le: s.split(le, []),
    "plan_folders": lambda s, le: s.plan_folders(le, [(plan_of(le.mailbox, "new", (1, 2)), 1)]),
    "audit": lambda s, le: s.audit(le, [Audit(folder_id=le.unit.folder_id, verified="x", altered=3)]),
    "note_left_out": lambda s, le: s.note_left_out(le, 1, 2),
    "set_moving": lambda s, le: s.set_moving(le, le.unit.folder_id, MOVING),
    "note_mixed": lambda s, le: s.note_mixed(le, le.unit.folder_id),
    "set_deleted_too": lambda s, le: s.set_deleted_too(le, le.unit.folder_id, UidSet.span(1, 3)),
    "set_flags": lambda s, le: s.set_flags(le, le.unit.folder_id, 77, {"\\Seen": UidSet.span(1, 2)}),
}


# -- fencing


def _lost_to_the_reaper(store: Store, clock: Clock, lease: Lease) -> None:
    clock.forward(61)
    assert store.reap(0) == [lease.unit.unit_id]


def _lost_to_another(store: Store, clock: Clock, lease: Lease) -> None:
    _lost_to_the_reaper(store, clock, lease)
    assert take(store, "another").unit.unit_id == lease.unit.unit_id


def _lost_to_itself(store: Store, clock: Clock, lease: Lease) -> None:
    assert take(store, lease.holder).term > lease.term


@pytest.mark.parametrize("lose", [_lost_to_the_reaper, _lost_to_another, _lost_to_itself])
@pytest.mark.parametrize("write", sorted(WRITES))
def test_who_lost_the_lease_writes_nothing(
    store: Store, clock: Clock, write: str, lose: Callable[[Store, Clock, Lease], None]
) -> None:
    whole, _, _ = planned(store, (1, 10), (11, 20))
    lease = take(store)
    lose(store, clock, lease)
    before = everything(store, [whole.import_id])
    with pytest.raises(LeaseLost):
        WRITES[write](store, lease)
    assert everything(store, [whole.import_id]) == before
    assert store.attend("worker", [lease], extend=True) == ["lost"]


@pytest.mark.parametrize("write", ["finish", "release", "split"])
def test_what_closes_a_unit_closes_it_once(store: Store, write: str) -> None:
    whole, _, folder = planned(store, (1, 10))
    lease = take(store)
    uids = lease.unit.uids
    if write == "finish":
        copy(store, lease, 1)
    elif write == "release":
        store.release(lease, how="again", failure=Failure(code="x", sentence="X."))
    else:
        store.split(lease, [(batch(folder, UidSet.span(1, 5)), []), (batch(folder, UidSet.span(6, 10)), [])])
    before = everything(store, [whole.import_id])
    with pytest.raises(LeaseLost):
        WRITES[write](store, lease)
    assert everything(store, [whole.import_id]) == before
    assert uids


def test_terms_grow_with_every_claim(store: Store) -> None:
    planned(store, (1, 10))
    terms = []
    for _ in range(5):
        lease = take(store)
        terms.append(lease.term)
        store.release(lease, how="wait")
    assert terms == sorted(set(terms))


# -- leases


def test_a_lease_that_is_renewed_does_not_run_out(store: Store, clock: Clock) -> None:
    planned(store, (1, 10))
    lease = take(store)
    for _ in range(3):
        clock.forward(40)
        assert store.attend("worker", [lease], extend=True) == ["run"]
        assert store.reap(0) == []
    clock.forward(40)
    store.attend("worker", [lease], extend=False)
    clock.forward(30)
    assert store.reap(15) == [], "grace: the holder may still be shutting its sockets"
    clock.forward(6)
    assert store.reap(15) == [lease.unit.unit_id]
    assert take(store, "another").unit.attempts == 2, "a crash counts"


def test_the_deadline_counts_from_before_the_claim(store: Store) -> None:
    import time

    planned(store, (1, 10))
    before = time.monotonic()
    lease = take(store)
    assert before + 60 <= lease.deadline <= time.monotonic() + 60


# -- a claim whose answer was lost


def test_a_claim_by_the_same_lane_gives_back_what_it_still_has(store: Store) -> None:
    planned(store, (1, 10))
    lost = take(store)
    lease = take(store)
    assert lease.unit.unit_id == lost.unit.unit_id
    assert lease.unit.attempts == 1, "an answer that never came was no attempt"
    assert lease.term > lost.term
    with pytest.raises(LeaseLost):
        store.finish(lost)
    assert store.overview().leased_units == 1


def test_an_attempt_under_which_something_was_done_counts_even_when_its_lane_claims_again(store: Store) -> None:
    planned(store, (1, 10))
    lease = take(store)
    store.attend("worker", [lease], extend=False)
    assert take(store).unit.attempts == 2, "the lane died and another took its name"


def test_what_a_lane_gives_back_may_go_to_another(store: Store) -> None:
    whole, rows = start(store, 2)
    lost = take(store)
    store.control(whole.import_id, lost.mailbox.mailbox_id, Control.PAUSE)
    lease = take(store)
    assert lease.mailbox.mailbox_id != lost.mailbox.mailbox_id
    store.control(whole.import_id, lost.mailbox.mailbox_id, Control.RUN)
    assert take(store, "another").mailbox.mailbox_id == lost.mailbox.mailbox_id
    assert len(rows) == 2


def test_who_finished_or_released_gives_nothing_back(store: Store) -> None:
    planned(store, (1, 10), (11, 20))
    copy(store, take(store), 1)
    lease = take(store, "b")
    assert store.claim("lane") is None
    assert store.attend("worker", [lease], extend=False) == ["run"]


# -- the ledger


# -- control of work under way


@pytest.mark.parametrize("word", [Control.PAUSE, Control.CANCEL])
@pytest.mark.parametrize("whole_import", [True, False])
def test_pause_and_cancel_let_what_was_sent_be_entered_and_nothing_be_begun(
    store: Store, word: Control, whole_import: bool
) -> None:
    whole, mailbox, _ = planned(store, (1, 10), (11, 20))
    lease = take(store)
    store.progress(lease, intents=[intent("1", UidSet.span(1, 5))])
    assert store.control(whole.import_id, None if whole_import else mailbox.mailbox_id, word) == 1
    assert store.attend("worker", [lease], extend=True) == [word]
    sent, following = copied(UidSet.span(1, 5), 1, "1"), intent("2", UidSet.span(6, 10))
    assert store.progress(lease, settled=[sent], intents=[following]).word == word
    store.release(lease, how="wait")
    assert store.claim("lane") is None
    assert store.claim("lane", prefer=mailbox.mailbox_id, hint=lease.unit.unit_id) is None
    assert store.import_tally(whole.import_id)[0][Outcome.COPIED] == 5
    found = store.import_(whole.import_id)
    assert found is not None
    if word is Control.PAUSE:
        assert found.state is ImportState.RUNNING
        assert store.control(whole.import_id, None, Control.RUN) == 1
    else:
        assert found.state is ImportState.FINISHED
        assert store.import_tally(whole.import_id)[1] == {MailboxState.CANCELLED: 1}
        assert store.control(whole.import_id, None, Control.CANCEL) == 1
        assert store.retry(whole.import_id, mailbox.mailbox_id, []) is True
        plan = take(store)
        assert plan.unit.kind is UnitKind.PLAN
        store.finish(plan)
    again = take(store)
    assert again.unit.unit_id == lease.unit.unit_id
    assert (again.unit.attempts, again.intents) == (1, ())
    store.progress(again, settled=[copied(UidSet.span(6, 10), 6)])
    store.finish(again)
    run_out(store)
    assert store.import_tally(whole.import_id)[1] == {MailboxState.COMPLETE: 1}


def test_resuming_one_mailbox_of_a_paused_import_changes_nothing(store: Store) -> None:
    whole, mailbox, _ = planned(store, (1, 10))
    store.control(whole.import_id, None, Control.PAUSE)
    store.control(whole.import_id, mailbox.mailbox_id, Control.RUN)
    assert store.claim("lane") is None


def test_a_cancelled_mailbox_costs_the_others_nothing(store: Store) -> None:
    whole, rows = start(store, 3)
    store.control(whole.import_id, rows[1].mailbox_id, Control.CANCEL)
    assert run_out(store) == 4, "two plans, two verifications"
    found = store.import_(whole.import_id)
    assert found is not None
    assert found.state is ImportState.FINISHED
    assert store.import_tally(whole.import_id)[1] == {MailboxState.COMPLETE: 2, MailboxState.CANCELLED: 1}


def test_a_plan_that_outlives_cancel_and_retry_is_not_left_behind(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    store.control(whole.import_id, mailbox.mailbox_id, Control.CANCEL)
    assert store.retry(whole.import_id, mailbox.mailbox_id, []) is True
    store.plan_folders(lease, [(plan_of(mailbox, "INBOX", (1, 5)), 1)])
    store.finish(lease)
    assert run_out(store) == 2
    assert store.import_tally(whole.import_id)[1] == {MailboxState.COMPLETE: 1}


# -- giving back


def test_a_delayed_unit_becomes_due(store: Store, clock: Clock) -> None:
    planned(store, (1, 10))
    lease = take(store)
    store.release(lease, how="again", delay_seconds=30)
    assert store.overview().delayed_units == 1
    clock.forward(29.999)
    assert store.claim("lane") is None
    clock.forward(0.001)
    again = take(store)
    assert again.unit.unit_id == lease.unit.unit_id
    store.release(again, how="wait", delay_seconds=30)
    clock.forward(30)
    assert store.reap(0) == [], "the reaper wakes it, too, without taking anything"
    assert store.overview().ready_units == 1


@pytest.mark.parametrize(("how", "counted"), [("again", 1), ("wait", 0), ("park", 0), ("replan", 0)])
def test_only_again_counts_the_attempt(store: Store, how: str, counted: int) -> None:
    whole, mailbox, _ = planned(store, (1, 10))
    lease = take(store)
    store.release(lease, how=how)
    if how == "park":
        store.retry(whole.import_id, mailbox.mailbox_id, [])
    again = take(store, hint=lease.unit.unit_id)
    assert again.unit.unit_id == lease.unit.unit_id, "exactly the unit that rang"
    assert again.unit.attempts == counted + 1


def test_failures_are_kept_newest_first_and_not_for_ever(store: Store) -> None:
    _, mailbox, _ = planned(store, (1, 10))
    for n in range(53):
        said = Failure(code="net", sentence=f"Lost {n}.", detail="ü", advice="Wait.", at=1.5, folder="INBOX", times=n)
        store.release(take(store), how="wait", failure=said)
    kept = store.failures(mailbox.mailbox_id)
    assert [failure.times for failure in kept] == list(range(52, 2, -1))
    found = store.mailbox(mailbox.mailbox_id)
    assert found is not None
    assert found.failure == kept[0]
    assert found.failure.detail == "ü"
    run_out(store)
    found = store.mailbox(mailbox.mailbox_id)
    assert found is not None
    assert (found.state, found.failure) == (MailboxState.COMPLETE, None)


def test_a_parked_mailbox_waits_for_a_person_and_the_import_goes_on(store: Store) -> None:
    whole, rows = start(store, 2)
    lease = take(store)
    store.release(lease, how="park", failure=Failure(code="source_auth_refused", sentence="No."))
    parked = lease.mailbox.mailbox_id
    assert run_out(store) == 2
    found = store.import_(whole.import_id)
    assert found is not None
    assert found.state is ImportState.FINISHED
    assert store.import_tally(whole.import_id)[1] == {MailboxState.COMPLETE: 1, MailboxState.PARKED: 1}
    mailbox = store.mailbox(parked)
    assert mailbox is not None
    assert mailbox.failure is not None
    assert store.retry(whole.import_id, parked, []) is True
    mailbox = store.mailbox(parked)
    assert mailbox is not None
    assert (mailbox.state, mailbox.failure) == (MailboxState.QUEUED, None)
    assert run_out(store) == 2
    assert store.import_tally(whole.import_id)[1] == {MailboxState.COMPLETE: 2}
    assert len(rows) == 2


@pytest.mark.parametrize("kind", [UnitKind.PLAN, UnitKind.COPY, UnitKind.VERIFY])
@pytest.mark.parametrize("how", ["park", "replan"])
def test_whatever_is_parked_or_planned_anew_comes_to_its_end(store: Store, how: str, kind: UnitKind) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    if kind is not UnitKind.PLAN:
        store.plan_folders(lease, [(plan_of(mailbox, "INBOX", (1, 5), (6, 9)), 1)])
        store.finish(lease)
        lease = take(store)
    if kind is UnitKind.VERIFY:
        copy(store, lease, 1)
        copy(store, take(store), 6)
        lease = take(store)
    assert lease.unit.kind is kind
    store.release(lease, how=how, delay_seconds=0)
    if how == "park":
        store.retry(whole.import_id, mailbox.mailbox_id, [])
    assert run_out(store) == {UnitKind.PLAN: 2, UnitKind.COPY: 4, UnitKind.VERIFY: 2}[kind]
    assert store.import_tally(whole.import_id)[1] == {MailboxState.COMPLETE: 1}


# -- halves


def test_a_split_batch_keeps_its_ledger_and_hands_its_intents_on(store: Store) -> None:
    whole, _, folder = planned(store, (1, 10), (11, 12))
    lease = take(store)
    store.progress(lease, intents=[intent("1", UidSet.span(1, 4)), intent("2", UidSet.span(5, 8))])
    store.progress(lease, settled=[copied(UidSet.span(1, 4), 101, "1")])
    store.release(lease, how="again")
    lease = take(store)
    first, second = batch(folder, UidSet.span(5, 7)), replace(batch(folder, UidSet.span(8, 10)), attempts=2)
    (left,) = lease.intents
    with pytest.raises(StoreError):
        store.split(lease, [(first, [left])])
    store.split(
        lease, [(first, [replace(left, uids=UidSet.span(5, 7))]), (second, [replace(left, uids=UidSet.of([8]))])]
    )
    assert store.import_tally(whole.import_id)[0].pending == 8
    lease = take(store)
    assert (lease.unit.unit_id, lease.unit.attempts) == (first.unit_id, 1)
    assert (lease.intents[0].uids, lease.intents[0].at) == (UidSet.span(5, 7), START)
    store.progress(lease, settled=[copied(UidSet.span(5, 7), 105, "2")])
    store.finish(lease)
    lease = take(store)
    assert (lease.unit.unit_id, lease.unit.attempts) == (second.unit_id, 3)
    assert lease.intents[0].uids == UidSet.of([8])
    store.progress(lease, withdrawn=["2"])
    copy(store, lease, 108)
    assert take(store).unit.uids == UidSet.span(11, 12), "what stood behind stands behind the halves"
    names = {entry.name: len(entry.records) for entry in store.ledger(folder.folder_id)}
    assert len(names) == 3


def test_a_batch_that_is_done_already_is_split_into_nothing(store: Store) -> None:
    whole, _, _ = planned(store, (1, 10))
    lease = take(store)
    store.progress(lease, settled=[copied(UidSet.span(1, 10), 1)])
    store.split(lease, [])
    assert take(store).unit.kind is UnitKind.VERIFY
    assert whole
