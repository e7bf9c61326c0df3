"""Tests messages that were moved at the source, and whose copies went at the destination since the same pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

import worker.following.remainders
from shared.model.uids import NO_UIDS
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.integration.test_missing import exit_code
from tests.integration.test_moves import move, told


@pytest.fixture
def in_process(wires: Wires) -> InProcessImport:
    """Returns a stage on which thirty messages of INBOX and two of Work were copied."""
    wires.fill(30)
    wires.fill(2, b"Work", first=50)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    return in_process


def delete(wires: Wires, *uids: int) -> None:
    """Deletes copies of INBOX at the destination."""
    for one in uids:
        wires.new.folder(b"INBOX").remove(one)


def again(in_process: InProcessImport, wires: Wires) -> int:
    """Runs a pass and a second one that changes nothing; returns how many messages the destination has more of Work."""
    before = wires.bodies(b"Work").total()
    in_process.to_the_end()
    after = wires.bodies(b"Work").total()
    in_process.to_the_end()
    assert wires.bodies(b"Work").total() == after
    assert exit_code(in_process) == 0
    assert in_process.tally().missing == 0
    return after - before


def test_a_row_of_deleted_messages_stays_away(in_process: InProcessImport, wires: Wires) -> None:
    wires.fill(5, b"Work", first=70)
    move(wires, 4, 5, 6, 9)
    wires.fill(5, b"Work", first=80)
    delete(wires, 4, 5, 6, 9)
    assert again(in_process, wires) == 10, "new mail, before and behind them, comes"
    assert told(in_process) == {"deleted": 4, "removed": 4}
    assert "4 moved or removed by its user at the destination" in in_process.folders()["Work"].skipped


def test_what_was_moved_on_both_sides_stays_where_its_user_put_it(in_process: InProcessImport, wires: Wires) -> None:
    move(wires, 3, 7, 5, 11)  # in no order, and others went beside them
    wires.old.folder(b"INBOX").remove(20)
    for one in (3, 5, 7, 11):
        message = wires.new.folder(b"INBOX").get(one)
        assert message is not None
        wires.new.folder(b"Kept").add(message.body, message.flags, message.internaldate)
    delete(wires, 3, 5, 7, 11, 20)
    wires.fill(1, b"Work", first=70)
    assert again(in_process, wires) == 1
    assert wires.bodies(b"Kept").total() == 4


@pytest.mark.parametrize("planned", [False, True])
def test_what_stood_elsewhere_before_is_not_what_its_user_moved(
    in_process: InProcessImport, wires: Wires, planned: bool
) -> None:
    """Two messages went from both sides and left no mark of their own; a third one came, of which there is a copy.

    It may be the same to the second only in a folder that the import does not have.
    """
    wires.new.folder(b"Other").add(plain(80), (), b" 1-Mar-2022 10:20:30 +0100")
    wires.old.folder(b"Work").add(plain(80), (), b"%2d-Mar-2022 10:20:30 +0100" % (1 if planned else 2))
    if planned:
        wires.fill(2, b"Other", first=90)  # no verification saw it
    for one in (5, 8):
        wires.old.folder(b"INBOX").remove(one)
    delete(wires, 5, 8)
    assert again(in_process, wires) == 1


def test_a_second_message_of_the_batch_in_a_later_pass(in_process: InProcessImport, wires: Wires) -> None:
    """The digest of the batch is without what was moved or removed before."""
    in_process.options = replace(in_process.options, deletions="follow")
    move(wires, 3, 4)
    in_process.to_the_end()
    wires.old.folder(b"INBOX").remove(5)
    in_process.to_the_end()
    assert in_process.tally().moved_at_source == 2
    assert not wires.new.folder(b"INBOX").get(5), "its deletion was followed"
    for one in (9, 12):
        move(wires, one)
        delete(wires, one)
        assert again(in_process, wires) == 0


def test_a_message_that_was_moved_before(in_process: InProcessImport, wires: Wires) -> None:
    move(wires, 3)
    in_process.to_the_end()
    for server in (wires.old, wires.new):
        moved = server.folder(b"Work").messages[-1]
        server.folder(b"Work").remove(moved.uid)
        if server is wires.old:
            server.folder(b"Other").add(moved.body, moved.flags, moved.internaldate)
    in_process.to_the_end()
    assert wires.bodies(b"Other").total() == 0


@pytest.mark.parametrize("what", ["new mail", "another date", "two of which one was deleted", "no Message-ID"])
def test_what_is_not_proved_to_be_the_one_is_copied(in_process: InProcessImport, wires: Wires, what: str) -> None:
    work = wires.old.folder(b"Work")
    if what == "new mail":
        wires.old.folder(b"INBOX").remove(5)
        wires.fill(1, b"Work", first=70)
    elif what == "another date":
        wires.old.folder(b"INBOX").remove(5)
        work.add(plain(5), (), b" 1-Mar-2022 10:20:30 +0100")
    elif what == "no Message-ID":
        wires.old.folder(b"INBOX").add(b"Subject: x\r\n\r\none\r\n", (), b" 1-Mar-2022 10:20:30 +0100")
        in_process.to_the_end()
        wires.old.folder(b"INBOX").remove(31)
        delete(wires, 31)
        work.add(b"Subject: x\r\n\r\nONE\r\n", (), b" 1-Mar-2022 10:20:30 +0100")
    else:
        move(wires, 5)
        wires.old.folder(b"INBOX").remove(6)
        delete(wires, 6)
    delete(wires, 5)
    assert again(in_process, wires) == 1


def test_a_destination_without_move_does_not_get_them_back_either(in_process: InProcessImport, wires: Wires) -> None:
    wires.destination.behaviour.capabilities.discard("MOVE")
    move(wires, 3, 4)
    delete(wires, 3)
    assert again(in_process, wires) == 1, "the copy of the other stays, and it comes in its new folder"
    assert not [command for command in wires.destination.commands if command.name == b"UID MOVE"]


def test_a_destination_whose_uidnext_went_back_gets_them_again(in_process: InProcessImport, wires: Wires) -> None:
    """A restored backup lost them: their user took nothing away."""
    move(wires, 30)
    delete(wires, 30)
    wires.new.folder(b"INBOX").announced_uidnext = 30
    in_process.to_the_end()
    assert wires.bodies(b"Work").total() == 3


def test_without_remainders_they_would_come_back(
    in_process: InProcessImport, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    monkeypatch.setattr(worker.following.remainders.Remainders, "among", lambda *_: NO_UIDS)
    with pytest.raises(AssertionError):
        test_a_row_of_deleted_messages_stays_away(in_process, wires)
