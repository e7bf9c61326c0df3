"""Tests messages that verification missed: the operator accepts that, or has them copied again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from shared.model import Audit, Folder, Import, Mailbox, Note, UnitKind
from shared.model.lifecycle import Outcome
from shared.model.uids import Record, UidSet
from shared.store import Store
from tests.contract.store_kit import (
    batch,
    copied,
    copy,
    ledger_is_bijection,
    plan_of,
    planned,
    run_out,
    start,
    sums_agree,
    take,
)


def _with_missing(store: Store, gone: UidSet, *, adopted: bool = False) -> tuple[Import, Mailbox, Folder]:
    """Returns a complete mailbox of ten messages, of which verification misses these.

    The source UIDs are 1 to 10, the destination UIDs 101 to 110.
    """
    if adopted:
        whole, (mailbox,) = start(store)
        found = copied(UidSet.span(1, 10), 101)
        plan = replace(
            plan_of(mailbox, "INBOX"), messages=10, adopted=(replace(found, outcome=Outcome.ALREADY_PRESENT),)
        )
        lease = take(store)
        store.plan_folders(lease, [(plan, 1)])
        store.finish(lease)
        folder = plan.folder
    else:
        whole, mailbox, folder = planned(store, (1, 10))
        copy(store, take(store), 101)
    notes = tuple(Note(uid=uid, what="missing", reason="gone", size_bytes=7) for uid in gone)
    lease = take(store)
    assert lease.unit.kind is UnitKind.VERIFY
    store.audit(lease, [Audit(folder_id=folder.folder_id, verified="all", missing=len(gone), notes=notes)])
    store.finish(lease)
    return whole, mailbox, folder


def test_what_is_missing_may_be_accepted(store: Store) -> None:
    whole, mailbox, folder = _with_missing(store, UidSet.parse("2,5:7"))
    accept = partial(store.accept_missing, whole.import_id, mailbox.mailbox_id)
    assert accept(folder.folder_id, UidSet.parse("1:2,6:7")) == 3
    kept = store.folder(folder.folder_id)
    assert kept is not None
    assert kept.accepted == UidSet.parse("2,6:7")
    assert store.import_tally(whole.import_id)[0].missing == 1
    assert [(note.uid, note.what) for note in store.notes(folder.folder_id)] == [
        (2, "accepted"),
        (5, "missing"),
        (6, "accepted"),
        (7, "accepted"),
    ]
    assert accept(folder.folder_id, UidSet.span(5, 9)) == 1
    assert accept(folder.folder_id, UidSet.span(1, 9)) == 0
    assert accept("another", UidSet.span(1, 9)) == 0
    kept = store.folder(folder.folder_id)
    assert kept is not None
    assert kept.accepted == UidSet.parse("2,5:7")
    assert store.import_tally(whole.import_id)[0][Outcome.COPIED] == 10
    sums_agree(store, whole.import_id)


def test_nothing_is_accepted_while_the_mailbox_is_at_work(store: Store) -> None:
    whole, mailbox, folder = planned(store, (1, 10))
    copy(store, take(store), 101)
    lease = take(store)
    notes = (Note(uid=4, what="missing", reason="gone"),)
    store.audit(lease, [Audit(folder_id=folder.folder_id, verified="all", missing=1, notes=notes)])
    assert store.accept_missing(whole.import_id, mailbox.mailbox_id, folder.folder_id, UidSet.of([4])) == 0
    assert store.retry(whole.import_id, mailbox.mailbox_id, [(batch(folder, UidSet.of([4])), notes)])
    assert [entry.records for entry in store.ledger(folder.folder_id)] == [(Record.parse("1:10 101:110"),)]
    assert store.import_tally(whole.import_id)[0].missing == 1


@pytest.mark.parametrize("adopted", [False, True])
@pytest.mark.parametrize("gone", ["2,5:7", "1:10"])
def test_what_is_missing_may_be_copied_anew(store: Store, gone: str, adopted: bool) -> None:
    whole, mailbox, folder = _with_missing(store, UidSet.parse(gone), adopted=adopted)
    uids = UidSet.parse(gone)
    notes = store.notes(folder.folder_id)
    assert store.retry(whole.import_id, mailbox.mailbox_id, [(batch(folder, uids, 7 * len(uids)), notes)])
    tally = store.import_tally(whole.import_id)[0]
    before = Outcome.ALREADY_PRESENT if adopted else Outcome.COPIED
    assert (tally.missing, tally.pending, tally[before]) == (0, len(uids), 10 - len(uids))
    assert not store.notes(folder.folder_id)
    left = [pair for entry in store.ledger(folder.folder_id) for record in entry.records for pair in record.pairs()]
    assert left == [(uid, uid + 100) for uid in range(1, 11) if uid not in uids]
    sums_agree(store, whole.import_id)
    lease = take(store)
    assert lease.unit.kind is UnitKind.PLAN
    store.finish(lease)
    lease = take(store)
    assert lease.unit.uids == uids
    copy(store, lease, 201)
    ledger_is_bijection(store, folder.folder_id)
    store.finish(take(store))
    tally = store.import_tally(whole.import_id)[0]
    assert (tally.pending, tally[Outcome.COPIED] + tally[Outcome.ALREADY_PRESENT]) == (0, 10)
    run_out(store)
