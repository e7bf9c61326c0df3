"""Tests what a plan knows of the numbers of folders."""

from __future__ import annotations

import pytest

from shared.folders.mapping import MappedFolder
from shared.mail import KnownStatus
from shared.testing.memory_mail import MemoryServer
from worker.planning.folder_counts import INBOX, FolderCounts

LOGIN = "ivan"


def _mapped(name: bytes, into: bytes) -> MappedFolder:
    return MappedFolder(source_name=name, destination_name=into, display=name.decode(), exists=True)


@pytest.mark.parametrize("there", [True, False], ids=["control: it is there", "it has to be made"])
def test_an_inbox_that_was_refused_is_asked_for_once_it_is_made(there: bool) -> None:
    new = MemoryServer()
    if not there:
        del new.folders(LOGIN)[INBOX]
    destination = new.destination(LOGIN)
    numbers = FolderCounts(MemoryServer().source(LOGIN), destination, alone=False)
    numbers.of_inbox()
    assert (INBOX in numbers.here) is there
    destination.create([INBOX])
    (told,) = numbers.at_destination([_mapped(INBOX, INBOX)], ())
    assert isinstance(told, KnownStatus)
    assert told.messages == 0


def test_a_folder_into_which_two_go_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    new = MemoryServer()
    destination = new.destination(LOGIN)
    destination.create([b"Both"])
    asked: list[bytes] = []
    statuses = destination.statuses
    monkeypatch.setattr(destination, "statuses", lambda names, **more: asked.extend(names) or statuses(names, **more))
    numbers = FolderCounts(MemoryServer().source(LOGIN), destination, alone=False)
    told = numbers.at_destination([_mapped(b"A", b"Both"), _mapped(b"B", b"Both")], ())
    assert [isinstance(one, KnownStatus) for one in told] == [True, True]
    assert asked == [b"Both"]
