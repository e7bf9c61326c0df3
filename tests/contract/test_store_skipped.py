"""Tests messages that a request leaves out: counted in all sums, kept as ranges, and taken back when selected again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import FolderPlan, Lease, Mailbox
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.store import Store
from tests.contract.store_kit import Twice, batch, copied, copy, plan_of, run_out, start, sums_agree, take

OLD, READ = "before 2024-01-01", "read already"


def first(mailbox: Mailbox) -> FolderPlan:
    """Returns a plan of ten messages, of which six are left out."""
    plan = plan_of(mailbox, "INBOX", (7, 10), skipped="5 before 2024-01-01; 1 read already")
    skipped = {OLD: UidSet.span(1, 5), READ: UidSet.of([6])}
    return replace(plan, messages=10, size_bytes=10_000, skipped=skipped, skipped_bytes=6000)


def wider(mailbox: Mailbox) -> FolderPlan:
    """Returns a plan of the same folder: four of the six are selected now, and one of these exists already."""
    plan = replace(plan_of(mailbox), folder=replace(first(mailbox).folder, skipped="2 before 2024-01-01"))
    there = replace(copied(UidSet.of([6]), 90), outcome=Outcome.ALREADY_PRESENT)
    return replace(
        plan,
        batches=(batch(plan.folder, UidSet.span(3, 5)),),
        adopted=(there,),
        skipped={OLD: UidSet.span(1, 2)},
        skipped_bytes=-4000,
    )


def counts(store: Store, import_id: str) -> tuple[int, int, int, int, int]:
    tally = store.import_tally(import_id)[0]
    return tally.messages, tally[Outcome.SKIPPED], tally.pending, tally.size_bytes, tally.done_bytes


def again(store: Store, lease: Lease, mailbox: Mailbox) -> Lease:
    """Runs another pass of a complete mailbox. Returns its lease."""
    run_out(store)
    whole = store.import_(mailbox.import_id)
    assert whole is not None
    store.open_import(whole, [mailbox], 14)
    store.submit(mailbox.import_id)
    return take(store)


@pytest.mark.parametrize("twice", [False, True])
def test_what_is_left_out_is_counted_and_can_be_taken_back(store: Store, twice: bool) -> None:
    whole, (mailbox,) = start(store)
    if twice:
        store = Twice(store)  # type: ignore[assignment]
    lease = take(store)
    plan = first(mailbox)
    folder = plan.folder.folder_id
    store.plan_folders(lease, [(plan, 1)])
    assert counts(store, whole.import_id) == (10, 6, 4, 10_000, 6000)
    assert store.skipped(folder) == plan.skipped
    assert store.folders(mailbox.mailbox_id)[0][0].skipped == "5 before 2024-01-01; 1 read already"
    sums_agree(store, whole.import_id)

    store.finish(lease)
    lease = again(store, lease, mailbox)
    assert counts(store, whole.import_id)[:3] == (10, 6, 0)
    store.plan_folders(lease, [(wider(mailbox), 1)])
    assert counts(store, whole.import_id) == (10, 2, 3, 10_000, 7000)
    assert store.skipped(folder) == {OLD: UidSet.span(1, 2)}
    sums_agree(store, whole.import_id)
    store.finish(lease)
    copy(store, take(store), 200)
    tally = store.import_tally(whole.import_id)[0]
    assert tally.outcomes == {Outcome.COPIED: 7, Outcome.ALREADY_PRESENT: 1, Outcome.SKIPPED: 2}
    assert tally.pending == 0
    assert tally.done_bytes == tally.size_bytes


def test_entered_again_by_the_next_planner_it_counts_once(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    store.plan_folders(lease, [(first(mailbox), 1)])
    store.release(lease, how="again")
    lease = take(store, hint=f"{mailbox.mailbox_id}.plan")
    store.plan_folders(lease, [(first(mailbox), 1)])
    assert counts(store, whole.import_id) == (10, 6, 4, 10_000, 6000)
    assert run_out(store) == 3, "the plan, one batch, the verification"


def test_a_pass_that_says_nothing_of_it_leaves_it_as_it_was(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    plan = first(mailbox)
    store.plan_folders(lease, [(plan, 1)])
    more = replace(plan_of(mailbox, "INBOX", (11, 12)), folder=replace(plan.folder, uidnext=13))
    store.plan_folders(lease, [(more, 1)])
    assert counts(store, whole.import_id)[:3] == (12, 6, 6)
    assert store.skipped(plan.folder.folder_id) == plan.skipped


def test_two_adoptions_under_one_uidnext_are_both_in_the_ledger(store: Store) -> None:
    _, (mailbox,) = start(store)
    lease = take(store)
    plan = replace(first(mailbox), adopted=(replace(copied(UidSet.of([7]), 70), outcome=Outcome.ALREADY_PRESENT),))
    store.plan_folders(lease, [(replace(plan, batches=()), 1)])
    store.plan_folders(lease, [(wider(mailbox), 1)])
    ledger = store.ledger(plan.folder.folder_id)
    assert sorted(p for entry in ledger for r in entry.records for p in r.pairs()) == [(6, 90), (7, 70)]
    assert len({entry.name for entry in ledger}) == 2


def test_a_folder_planned_anew_forgets_what_was_left_out(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    store.plan_folders(lease, [(first(mailbox), 1)])
    anew = replace(plan_of(mailbox, "INBOX", (1, 3), uidvalidity=8), reset=True)
    store.plan_folders(lease, [(anew, 1)])
    assert counts(store, whole.import_id) == (3, 0, 3, 3000, 0)
    assert store.skipped(anew.folder.folder_id) == {}
    sums_agree(store, whole.import_id)
