"""Tests the marks of a mailbox's destination: kept whole, replaced by later ones, gone with the mailbox, and small."""

from __future__ import annotations

from shared.model import FolderMark, SwitchMarks
from shared.model.lifecycle import Control
from shared.store import Store
from shared.store.redis import codec
from tests.contract.store_kit import copied, intent, person, planned, request, take

MARKS = SwitchMarks(
    at=1_700_000_000.25,
    folders=(
        FolderMark(name=b"INBOX", uidvalidity=1_700_000_000, uidnext=20_001),
        FolderMark(name="Gesendet/Über".encode(), uidvalidity=0, uidnext=1),
        FolderMark(name=b"\xff\x00 odd \n", uidvalidity=4_294_967_295, uidnext=4_294_967_295),
    ),
)


def test_marks_are_kept_replaced_and_gone_with_the_mailbox(store: Store) -> None:
    whole = request()
    anna = person(whole, 1)
    assert not store.mark_switch(anna.mailbox_id, MARKS), "nothing is kept of a mailbox that is not there"
    assert store.switch_marks(anna.mailbox_id) is None
    store.open_import(whole, [anna], 14)
    assert store.switch_marks(anna.mailbox_id) is None
    for marks in (MARKS, MARKS, SwitchMarks(at=2.0)):
        assert store.mark_switch(anna.mailbox_id, marks)
        assert store.switch_marks(anna.mailbox_id) == marks
    store.close(whole.import_id)
    assert store.switch_marks(anna.mailbox_id) is None


def test_twenty_folders_take_less_than_half_a_kilobyte() -> None:
    folders = tuple(
        FolderMark(
            name=f"Projects/2026/Folder {number}".encode(), uidvalidity=1_700_000_000 + number, uidnext=977 * number + 1
        )
        for number in range(20)
    )
    assert len(codec.encode_marks(SwitchMarks(at=1_700_000_000.25, folders=folders))) < 512


def test_a_mailbox_is_in_doubt_while_an_intent_is_open(store: Store) -> None:
    whole, mailbox, _ = planned(store, (1, 3))
    lease = take(store)
    assert not store.in_doubt(mailbox.mailbox_id)
    store.progress(lease, intents=[intent("1", lease.unit.uids)])
    assert store.in_doubt(mailbox.mailbox_id)
    store.control(whole.import_id, None, Control.CANCEL)
    assert store.in_doubt(mailbox.mailbox_id), "a cancel settles nothing"
    assert not store.in_doubt("nobody")
    store.progress(lease, settled=[copied(lease.unit.uids, 1, "1")])
    assert not store.in_doubt(mailbox.mailbox_id)
