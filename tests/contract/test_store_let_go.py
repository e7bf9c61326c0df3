"""Tests a destination folder that its user removed: its ledger is let go, and its messages count as removed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import LEFT_ALONE, Audit, Note
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.store import Store
from tests.contract.store_kit import Twice, batch, copied, copy, plan_of, planned, run_out, start, sums_agree, take


@pytest.mark.parametrize("twice", [False, True])
def test_a_ledger_that_is_let_go_frees_its_destination_uids_and_keeps_its_counts(store: Store, twice: bool) -> None:
    whole, mailbox, folder = planned(store, (1, 10))
    copy(store, take(store), 1)
    lease = take(store)
    notes = (
        Note(uid=4, what="moved", reason=""),
        Note(uid=5, what="missing", reason=""),
        Note(uid=6, what="altered", reason=""),
    )
    store.audit(
        lease, [Audit(folder_id=folder.folder_id, verified="7:11/9:11:9", moved=1, missing=1, altered=1, notes=notes)]
    )
    store.finish(lease)
    store.open_import(whole, [mailbox], 14)
    store.submit(whole.import_id)
    if twice:
        store = Twice(store)  # type: ignore[assignment]
    lease = take(store)
    gone = replace(
        plan_of(mailbox, "INBOX", (1, 10)).folder,
        taken_away=UidSet.span(1, 10),
        destination_uidvalidity=0,
        note=LEFT_ALONE,
    )
    plan = replace(plan_of(mailbox), folder=gone, let_go=True)
    store.plan_folders(lease, [(plan, 1)])
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.messages, tally[Outcome.COPIED], tally.pending) == (10, 10, 0)
    assert (tally.removed, tally.moved, tally.missing, tally.altered) == (10, 0, 0, 0)
    assert store.ledger(folder.folder_id) == []
    assert store.notes(folder.folder_id) == []
    kept = store.folder(folder.folder_id)
    assert kept is not None
    assert (kept.taken_away, kept.unchecked, kept.verified) == (UidSet.span(1, 10), 0, "7:11/9:11:9")
    assert kept.left_alone
    sums_agree(store, whole.import_id)
    # New mail gets the same destination UIDs, in the folder that was made anew.
    anew = replace(gone, uidnext=13, destination_uidvalidity=10, note="")
    more = replace(
        plan, folder=anew, let_go=False, batches=(batch(anew, UidSet.span(11, 12)),), messages=2, size_bytes=2000
    )
    store.plan_folders(lease, [(more, 1)])
    store.finish(lease)
    assert copy(store, take(store), 1) == 3, "the next free UID"
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.messages, tally[Outcome.COPIED], tally.removed) == (12, 12, 10)
    run_out(store)
    sums_agree(store, whole.import_id)


def test_a_folder_that_is_reset_forgets_what_was_taken_away(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (1, 3))
    store.plan_folders(lease, [(replace(plan, batches=(), adopted=(copied(UidSet.span(1, 3), 1),)), 1)])
    gone = replace(plan.folder, taken_away=UidSet.span(1, 3), destination_uidvalidity=0)
    store.plan_folders(lease, [(replace(plan_of(mailbox), folder=gone, let_go=True), 1)])
    store.plan_folders(lease, [(replace(plan, reset=True), 1)])
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.messages, tally.pending, tally.removed) == (3, 3, 0)
    kept = store.folder(plan.folder.folder_id)
    assert kept is not None
    assert not kept.taken_away
    sums_agree(store, whole.import_id)
