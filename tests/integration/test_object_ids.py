"""Tests folders that are told by their MAILBOXID (RFC 8474): renamed at a source that gives them another UIDVALIDITY."""

from __future__ import annotations

import pytest

from tests.integration.in_process_import import InProcessImport, Wires
from tests.integration.test_missing import exit_code


def _renamed(wires: Wires, object_id: bytes, after: bytes, of_inbox: bytes = b"F0") -> InProcessImport:
    """Returns a stage after a first pass, on which Work was renamed to Job, and its UIDs count anew."""
    wires.fill(3)
    wires.fill(5, b"Work", first=50)
    wires.old.folder(b"INBOX").object_id = of_inbox
    wires.old.folder(b"Work").object_id = object_id
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    old = wires.old.folders.pop(b"Work")
    new = wires.old.folder(b"Job")
    new.uidvalidity, new.object_id = old.uidvalidity + 7, after
    for message in old.messages:
        new.add(message.body, message.flags, message.internaldate)
    in_process.to_the_end()
    return in_process


def test_a_folder_with_the_same_id_was_renamed(wires: Wires) -> None:
    in_process = _renamed(wires, b"F1-a", b"F1-a")
    assert sorted(wires.new.folders) == [b"INBOX", b"Job"]
    assert wires.bodies(b"Job") == wires.sent(b"Job")
    assert exit_code(in_process) == 0
    wires.fill(1, b"Job", first=90)
    in_process.to_the_end()
    assert wires.bodies(b"Job") == wires.sent(b"Job")


@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b"F1", b"F2"), (b"", b"F1"), (b"F0", b"F0")])
def test_one_with_another_id_is_another_folder(wires: Wires, before: bytes, after: bytes) -> None:
    """The last one has an id that INBOX has too."""
    _renamed(wires, before, after)
    assert sorted(wires.new.folders) == [b"INBOX", b"Job", b"Work"]
    assert wires.bodies(b"Job") == wires.sent(b"Job")


@pytest.mark.parametrize("uidnext", [4, 6, 9])
def test_an_id_that_another_folder_got_loses_no_mail(wires: Wires, uidnext: int) -> None:
    """Its UIDs are those of other messages, although they count as before: none of them was copied."""
    wires.fill(5, b"Work", first=50)
    wires.old.folder(b"Work").object_id = b"F1"
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    old = wires.old.folders.pop(b"Work")
    wires.fill(uidnext - 1, b"Job", first=70)
    new = wires.old.folder(b"Job")
    new.uidvalidity, new.object_id = old.uidvalidity, b"F1"
    in_process.to_the_end()
    assert wires.bodies(b"Job") == wires.sent(b"Job")
    assert exit_code(in_process) == 0
