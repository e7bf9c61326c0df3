"""Tests that an import which enters another import's copies tells how they differ, as the other import did."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import Note, Options
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.imap_append import Incoming
from worker.copying import neighbours

FAR = b"01-Jan-2110 00:00:00 +0000"


def _far(message: Incoming) -> bytes | None:
    return b"date out of range" if message.internaldate and b"-2110 " in message.internaldate else None


def _imported(wires: Wires) -> InProcessImport:
    """Imports messages to a destination that refuses a date, has no keywords and changes NUL and final CR."""
    inbox = wires.old.folder(b"INBOX")
    inbox.add(plain(1))
    inbox.add(plain(2), internaldate=FAR)
    inbox.add(plain(3), (b"urgent",))
    inbox.add(plain(4) + b"a\0b\r\n")
    inbox.add(plain(5) + b"last\r")
    inbox.add(plain(6), internaldate=b"31-Feb-2020 00:00:00 +9900")
    wires.new.folder(b"INBOX").permanentflags = (b"\\Seen",)
    policy = wires.destination.behaviour.append
    policy.refuse, policy.alter_body = _far, lambda body: body.replace(b"\0", b"\x80").removesuffix(b"\r")
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 6}
    return in_process


def _another(in_process: InProcessImport, options: Options | None = None) -> InProcessImport:
    """Returns another import of the same mailbox, in the same store, when it is finished."""
    other = InProcessImport(in_process.source, in_process.destination, options=options)
    other.store, other.import_id, other.time = in_process.store, f"{in_process.import_id}2", in_process.time
    other.to_the_end()
    return other


def _said(in_process: InProcessImport) -> set[tuple[int, str, str]]:
    return {(note.uid, note.what, note.reason) for note in in_process.notes()}


def _whats(notes: list[Note]) -> set[tuple[int, str]]:
    return {(note.uid, note.what) for note in notes}


EVERY = {(2, "date_clamped"), (3, "keywords_lost"), (4, "altered"), (5, "normalised"), (6, "date_unusable")}


def test_the_notes_about_each_copy_are_those_of_the_other_import(wires: Wires) -> None:
    in_process = _imported(wires)
    other = _another(in_process)
    assert other.outcomes() == {"already_present": 6}
    assert _whats(other.notes()) >= EVERY
    assert _said(other) == _said(in_process)
    ours, theirs = other.tally(), in_process.tally()
    for counter in ("altered", "normalised", "keywords_lost", "dates_changed", "watched"):
        assert getattr(ours, counter) == getattr(theirs, counter), counter
    again = replace(in_process.options, verify="full")
    in_process.options = other.options = again
    other.to_the_end()
    assert _whats(other.notes()) >= EVERY, "a comparison byte by byte says the same"


@pytest.mark.parametrize("uids", [{2, 6}, {3, 4}, {5}])
def test_of_a_part_of_the_copies_only_theirs_are_taken(wires: Wires, uids: set[int]) -> None:
    """Removes the other messages from the source before the second import."""
    in_process = _imported(wires)
    inbox = wires.old.folder(b"INBOX")
    for message in list(inbox.messages):
        if message.uid not in uids:
            inbox.remove(message.uid)
    other = _another(in_process)
    assert other.outcomes() == {"already_present": len(uids)}
    assert {one for one in _whats(other.notes()) if one in EVERY} == {one for one in EVERY if one[0] in uids}


def test_without_their_notes_a_changed_date_is_untold(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: takes the copies over without what was noted about them."""
    monkeypatch.setattr(neighbours, "OF_COPIES", frozenset())
    assert not _whats(_another(_imported(wires)).notes()) & {(2, "date_clamped"), (3, "keywords_lost")}
