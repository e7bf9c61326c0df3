"""Tests what is kept of messages that were deleted or moved at the source: the counts stand in every sum, as they are now."""

from __future__ import annotations

from dataclasses import replace

from shared.model import Audit, Moving
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.store import Store
from tests.contract.store_kit import copied, other, plan_of, planned, start, sums_agree, take


def test_they_are_counted_as_they_are_now(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (1, 500))

    def counted() -> list[int]:
        ((_, own),) = store.mailboxes(whole.import_id)
        ((folder, tally),) = store.folders(mailbox.mailbox_id)
        every = [
            tally.deleted_at_source,
            own.deleted_at_source,
            store.import_tally(whole.import_id)[0].deleted_at_source,
        ]
        return [len(folder.deleted), *every]

    # Repeated, grown, shrunk, planned by an earlier holder (the same UIDNEXT), and void.
    scattered = UidSet.of(range(1, 500, 2))
    for uids in (UidSet.span(3, 4), UidSet.span(3, 4), scattered, UidSet.span(4, 4), UidSet()):
        store.plan_folders(lease, [(replace(plan, folder=replace(plan.folder, deleted=uids)), 1)])
        assert counted() == [len(uids)] * 4
        ((folder, _),) = store.folders(mailbox.mailbox_id)
        assert folder.deleted == uids
    store.plan_folders(lease, [(replace(plan, folder=replace(plan.folder, deleted=scattered)), 1)])
    store.plan_folders(lease, [(replace(plan, reset=True), 1)])
    assert counted() == [0] * 4
    assert store.import_tally(whole.import_id)[0].messages == 500


def test_copies_that_were_moved_are_ours_and_counted(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX")
    placed = replace(plan, messages=2, adopted=(copied(UidSet.span(1, 2), 101),))
    placed = replace(placed, folder=replace(plan.folder, uidnext=3, followed=UidSet.span(7, 9)))
    for _ in range(2):
        store.plan_folders(lease, [(placed, 1)])
        ((entry,),) = (store.ledger(plan.folder.folder_id),)
        assert entry.name == "followed.3"
        tally, _ = store.import_tally(whole.import_id)
        assert (tally[Outcome.COPIED], tally.messages, tally.moved_at_source) == (2, 2, 3)
        ((folder, _),) = store.folders(mailbox.mailbox_id)
        assert folder.released == UidSet.span(7, 9)
        sums_agree(store, whole.import_id)
    found = replace(copied(UidSet.span(3, 3), 103), outcome=Outcome.ALREADY_PRESENT)
    mixed = replace(placed, messages=2, adopted=(copied(UidSet.span(4, 4), 104), found))
    store.plan_folders(lease, [(replace(mixed, folder=replace(placed.folder, uidnext=5)), 1)])
    assert {entry.name for entry in store.ledger(plan.folder.folder_id)} == {"followed.3", "adopted.5"}


def test_the_note_of_moves_stays_until_it_is_replaced(store: Store) -> None:
    _, mailbox, folder = planned(store, (1, 5))
    again = plan_of(mailbox, "Sent")
    moving = (Moving(folder_id=again.folder.folder_id, destination_uidnext=7, messages=((1, 2, 3), (4, 5, 6))),)
    lease = take(store)
    store.set_moving(lease, folder.folder_id, moving)
    found = store.folder(folder.folder_id)
    assert found is not None
    assert found.moving == moving
    store.set_moving(lease, folder.folder_id, ())
    store.set_moving(lease, folder.folder_id, ())
    found = store.folder(folder.folder_id)
    assert found is not None
    assert found.moving == ()


def test_what_was_deleted_too_stays_until_the_folder_is_planned_as_another(store: Store) -> None:
    _, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (1, 5))
    store.plan_folders(lease, [(plan, 1)])

    def known() -> UidSet:
        ((folder, _),) = store.folders(mailbox.mailbox_id)
        return folder.deleted_too

    scattered = UidSet.of(range(1, 500, 2))
    for uids in (UidSet.span(2, 3), UidSet.span(2, 3), scattered):
        store.set_deleted_too(lease, plan.folder.folder_id, uids)
        assert known() == uids
    store.plan_folders(lease, [(replace(plan, folder=replace(plan.folder, uidnext=9)), 1)])
    assert known() == scattered, "a later pass leaves it"
    store.plan_folders(lease, [(replace(plan, reset=True), 1)])
    assert known() == UidSet()


def test_a_folder_that_was_mixed_stays_so_until_it_is_planned_as_another(store: Store) -> None:
    _, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (1, 5))
    store.plan_folders(lease, [(plan, 1)])
    for _ in range(2):
        store.note_mixed(lease, plan.folder.folder_id)
    store.plan_folders(lease, [(replace(plan, folder=replace(plan.folder, uidnext=9)), 1)])
    ((folder, _),) = store.folders(mailbox.mailbox_id)
    assert folder.mixed
    store.plan_folders(lease, [(replace(plan, reset=True), 1)])
    ((folder, _),) = store.folders(mailbox.mailbox_id)
    assert not folder.mixed


def test_a_folder_from_which_copies_are_about_to_go_is_to_be_looked_at(store: Store) -> None:
    _, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (1, 5))
    store.plan_folders(lease, [(plan, 1)])
    store.audit(lease, [Audit(folder_id=plan.folder.folder_id, verified="7:6/9:6:5")])
    store.set_deleted_too(lease, plan.folder.folder_id, UidSet.span(2, 3))
    ((folder, _),) = store.folders(mailbox.mailbox_id)
    assert folder.verified == ""


def test_a_plan_puts_the_digests_of_entries_right(store: Store) -> None:
    _, mailbox, folder = planned(store)
    lease = take(store)
    placed = replace(plan_of(mailbox), messages=2, adopted=(copied(UidSet.span(1, 2), 101, digest=700),))
    placed = replace(placed, folder=replace(placed.folder, uidnext=3))
    store.plan_folders(lease, [(placed, 1)])
    for checked, digest in (("followed.3",), 600), ((), 500):
        store.audit(lease, [Audit(folder_id=folder.folder_id, verified="1", checked=checked)])
        less = replace(placed, adopted=(), messages=0, digests={"followed.3": digest})
        for _ in range(2):
            store.plan_folders(lease, [(replace(less, folder=replace(less.folder, source_messages=digest)), 1)])
            (entry,) = store.ledger(folder.folder_id)
            assert (entry.digest, entry.checked) == (digest, True)


def test_what_is_shown_again_is_taken_up_with_the_plan_that_saw_it(store: Store) -> None:
    """Its UIDNEXT need not grow; a repeat changes nothing, and neither does the same said by a later plan."""
    whole, mailbox, folder = planned(store, (1, 5))
    lease = take(store)
    store.progress(lease, settled=[copied(UidSet.of((1, 5)), 11), other(Outcome.VANISHED, UidSet.span(2, 4))])
    plan = replace(plan_of(mailbox, "INBOX", (3, 4)), folder=folder, messages=2, shown_again=UidSet.span(3, 4))
    size = store.import_tally(whole.import_id)[0].size_bytes
    for again in (plan, plan, replace(plan, folder=replace(folder, source_messages=9))):
        store.plan_folders(lease, [(replace(again, size_bytes=0), 1)])
        tally, _ = store.import_tally(whole.import_id)
        assert (tally[Outcome.VANISHED], tally.messages, tally.size_bytes) == (1, 5, size)
        assert [note.uid for note in store.notes(folder.folder_id)] == [2]
        sums_agree(store, whole.import_id)
