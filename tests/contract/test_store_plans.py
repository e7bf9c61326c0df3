"""Tests the plans of folders: read back, written again, adopted, reset."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import Note, Settled, UnitKind
from shared.model.errors import LeaseLost, LedgerConflict
from shared.model.lifecycle import MailboxState, Outcome
from shared.model.uids import Record, UidSet
from shared.store import Store
from tests.contract.store_kit import (
    Clock,
    copied,
    copy,
    everything,
    folder_of,
    intent,
    other,
    plan_of,
    planned,
    run_out,
    start,
    sums_agree,
    take,
)


def test_a_planned_folder_reads_back_with_every_byte_of_its_name(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    raw = bytes(range(256))
    most = 4_294_967_295
    folder = replace(folder_of(mailbox), source_name=raw, destination_name=raw[::-1], display="Körbe/\u2028", note="x")
    folder = replace(folder, uidnext=most, highestmodseq=2**63 - 1, source_messages=3, destination_uidnext=most)
    folder = replace(folder, uidvalidity=most, destination_uidvalidity=most - 1)
    store.plan_folders(lease, [(replace(plan_of(mailbox), folder=folder), 1)])
    assert store.folder(folder.folder_id) == folder
    assert [f for f, _ in store.folders(mailbox.mailbox_id)] == [folder]
    store.finish(lease)
    assert store.import_tally(whole.import_id)[1] == {MailboxState.VERIFYING: 1}, "nothing to copy: verified at once"


def test_half_a_surrogate_pair_in_a_name_does_not_stop_the_plan(backend: str, store: Store) -> None:
    _, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (1, 3))
    store.plan_folders(lease, [(replace(plan, folder=replace(plan.folder, display="x\ud800y", note="\udc00")), 1)])
    found = store.folder(plan.folder.folder_id)
    assert found is not None
    assert found.display.startswith("x")


def test_folders_stand_in_the_order_of_the_plan(store: Store) -> None:
    _, (mailbox,) = start(store)
    lease = take(store)
    for order, name in ((3, "c"), (1, "INBOX"), (2, "a")):
        store.plan_folders(lease, [(plan_of(mailbox, name, (1, 2)), order)])
    assert [f.display for f, _ in store.folders(mailbox.mailbox_id)] == ["INBOX", "a", "c"]
    store.finish(lease)
    served = []
    for lane in "abc":
        lease = take(store, lane)
        assert lease.folder is not None
        served.append(lease.folder.display)
    assert served == ["INBOX", "a", "c"]


def test_planning_after_a_crash_of_the_planner_adds_only_what_is_new(store: Store, clock: Clock) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (1, 5))
    store.plan_folders(lease, [(plan, 1)])
    clock.forward(61)
    assert store.reap(0) == [lease.unit.unit_id]
    with pytest.raises(LeaseLost):
        store.plan_folders(lease, [(plan_of(mailbox, "more", (1, 5)), 2)])
    lease = take(store, hint=f"{mailbox.mailbox_id}.plan")
    assert lease.unit.kind is UnitKind.PLAN
    assert lease.unit.attempts == 2
    store.plan_folders(lease, [(plan, 1)])
    later = plan_of(mailbox, "INBOX", (6, 9))
    store.plan_folders(lease, [(later, 1)])
    store.plan_folders(lease, [(later, 1)])
    store.finish(lease)
    assert store.import_tally(whole.import_id)[0].messages == 9
    assert run_out(store) == 3
    assert store.import_tally(whole.import_id)[0][Outcome.COPIED] == 9


def test_adopted_messages_are_in_the_ledger_under_a_name_of_their_own(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (5, 6))
    adopted = tuple(replace(copied(UidSet.of([n]), 100 - n, digest=n), outcome=Outcome.ALREADY_PRESENT) for n in (1, 2))
    adopted += (other(Outcome.SKIPPED, UidSet.of([3, 4])),)
    plan = replace(plan, adopted=adopted, messages=6)
    store.plan_folders(lease, [(plan, 1)])
    store.plan_folders(lease, [(plan, 1)])
    (entry,) = store.ledger(plan.folder.folder_id)
    assert entry.name == "adopted.7"
    assert entry.digest == 3
    assert sorted(pair for record in entry.records for pair in record.pairs()) == [(1, 99), (2, 98)]
    store.finish(lease)
    tally, _ = store.import_tally(whole.import_id)
    assert tally.outcomes == {Outcome.ALREADY_PRESENT: 2, Outcome.SKIPPED: 2}
    assert tally.pending == 2
    lease = take(store)
    with pytest.raises(LedgerConflict):
        store.progress(lease, settled=[copied(lease.unit.uids, 98)])
    copy(store, lease, 200)
    sums_agree(store, whole.import_id)


def test_a_plan_that_gives_a_destination_uid_away_twice_writes_nothing(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (5, 6))
    before = everything(store, [whole.import_id])
    twice = tuple(Settled(records=(Record(UidSet.of([n]), UidSet.of([50])),), digest=1) for n in (1, 2))
    with pytest.raises(LedgerConflict):
        store.plan_folders(lease, [(replace(plan, adopted=twice, messages=4), 1)])
    assert everything(store, [whole.import_id]) == before


def test_a_reset_folder_forgets_its_ledger_and_its_counts_and_fences_its_writer(store: Store) -> None:
    whole, mailbox, folder = planned(store, (1, 10), (11, 20))
    copy(store, take(store), 1)
    writer = take(store, "writer")
    store.progress(writer, intents=[intent("1", UidSet.span(11, 15))], doubts=UidSet.span(11, 15))
    altered = Note(uid=16, what="altered", reason="x")
    store.progress(writer, settled=[replace(copied(UidSet.of([16]), 90), notes=(altered,))])
    other_lane = take(store, "writer")  # gives the batch back and takes it again
    assert other_lane.unit.unit_id == writer.unit.unit_id
    store.release(other_lane, how="replan")
    found = store.mailbox(mailbox.mailbox_id)
    assert found is not None
    assert found.state is MailboxState.QUEUED
    lease = take(store, "planner")
    assert lease.unit.kind is UnitKind.PLAN
    writer = take(store, "writer")
    assert writer.unit.kind is UnitKind.COPY
    plan = plan_of(mailbox, "INBOX", (1, 4), (5, 8), uidvalidity=8)
    plan = replace(plan, reset=True)
    store.plan_folders(lease, [(plan, 1)])
    with pytest.raises(LeaseLost):
        store.progress(writer, settled=[copied(UidSet.span(12, 13), 500)])
    first = take(store, "writer")
    assert first.unit.uids == UidSet.span(1, 4)
    copy(store, first, 1)  # destination UIDs that the old ledger knew
    store.plan_folders(lease, [(plan, 1)])  # the answer was lost: messages copied since are kept
    store.finish(lease)
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.messages, tally[Outcome.COPIED], tally.altered, tally.pending) == (8, 4, 0, 4)
    fresh = store.folder(folder.folder_id)
    assert fresh is not None
    assert (fresh.uidvalidity, fresh.doubts, store.notes(folder.folder_id)) == (8, UidSet(), [])
    run_out(store)
    tally, states = store.import_tally(whole.import_id)
    assert (tally.pending, states) == (0, {MailboxState.COMPLETE: 1})
    sums_agree(store, whole.import_id)


def test_ten_thousand_folders_are_planned(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    for n in range(10_000):
        store.plan_folders(lease, [(plan_of(mailbox, f"f{n}", (1, 3)), n)])
    store.finish(lease)
    assert store.import_tally(whole.import_id)[0].messages == 30_000
    assert len(store.folders(mailbox.mailbox_id)) == 10_000
    lease = take(store)
    assert lease.folder is not None
    assert lease.folder.display == "f0"
