"""What verification enters: second copies, and how far a comparison byte by byte is."""

from __future__ import annotations

import pytest

from shared.errors import LeaseLost
from shared.model import Audit, Note
from shared.store import Store
from tests.contract.store_kit import copy, planned, sums_agree, take


def test_second_copies_are_counted_as_they_stand_and_those_removed_once(store: Store) -> None:
    whole, _, folder = planned(store, (1, 10))
    lease = take(store)
    copy(store, lease, 1)
    lease = take(store)
    removed = tuple(Note(uid=uid, what="undone", reason="removed") for uid in (1, 2))
    found = Audit(
        folder_id=folder.folder_id,
        verified="x",
        doubled=1,
        notes=(Note(uid=4, what="doubled", reason="left"), *removed),
    )
    for _ in range(2):
        store.audit(lease, [found])
        tally, _ = store.import_tally(whole.import_id)
        assert (tally.doubled, tally.undone) == (1, 2)
        sums_agree(store, whole.import_id)
    store.audit(lease, [Audit(folder_id=folder.folder_id, verified="x", notes=removed[:1])])
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.doubled, tally.undone) == (0, 2)
    assert {(note.uid, note.what) for note in store.notes(folder.folder_id)} == {(1, "undone"), (2, "undone")}
    sums_agree(store, whole.import_id)


def test_how_far_a_comparison_is_until_the_mailbox_is_opened_again(store: Store) -> None:
    whole, mailbox, folder = planned(store, (1, 10))
    lease = take(store)
    copy(store, lease, 1)
    lease = take(store)

    def known() -> tuple[int, ...]:
        ((one, own),) = store.mailboxes(whole.import_id)
        again = store.mailbox(mailbox.mailbox_id)
        assert again is not None
        return store.import_tally(whole.import_id)[0].compared, own.compared, one.compared, again.compared

    assert known() == (0, 0, 0, 0)
    for number in (3, 3, 10, 4):  # it is begun anew by another worker
        store.compared(lease, number)
        assert known() == (number,) * 4
    store.audit(lease, [Audit(folder_id=folder.folder_id, verified="x")])
    store.finish(lease)
    with pytest.raises(LeaseLost):
        store.compared(lease, 5)
    assert known() == (4, 4, 4, 4)
    store.open_import(whole, [mailbox], 1)
    assert known() == (0, 0, 0, 0)
