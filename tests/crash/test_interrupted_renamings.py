"""Tests an import that finds a folder which another import copied under an earlier name, interrupted before and after each effect.

Whatever dies, each message stands once, and both imports know it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from shared.model import import_id, mailbox_id
from shared.model.lifecycle import Outcome
from shared.testing.memory_mail import MemoryServer
from tests.crash.interruption import LOGIN, Effects, MemoryImport, numbered
from tests.crash.test_interrupted_sides import _folder
from worker.planning.neighbour_folders import FoundBeside, NeighbourFolders

COUNTS = {b"INBOX": 3, b"Work": 9, b"Other": 2}


def rename(server: MemoryServer, old: bytes, new: bytes) -> None:
    folders = server.folders(LOGIN)
    folders[new] = folders.pop(old)
    folders[new].name = new


def another(in_process: MemoryImport, name: str) -> None:
    """Opens an import of another name of the same mailbox; from now on it is the one that is worked on."""
    request = in_process.request
    whole = import_id(name, request.source, request.destination)
    in_process.request = replace(request, import_id=whole, name=name)
    in_process.mailbox_id = mailbox_id(whole, LOGIN, LOGIN)
    in_process.submit()


def staged(case: str) -> MemoryImport:
    """Returns a stage after a first import, a renaming, and one new message, with another import opened."""
    in_process = MemoryImport()
    number = 0
    for name, count in COUNTS.items():
        _folder(in_process.new, name)
        for _ in range(count):
            number += 1
            _folder(in_process.old, name).add(numbered(number), internaldate=1_700_000_000 + number)
    in_process.submit()
    in_process.to_the_end()
    if case in ("at the source", "at both sides", "and another made"):
        rename(in_process.old, b"Work", b"Job")
    if case in ("at the destination", "at both sides"):
        rename(in_process.new, b"Work", b"Mine")
    if case == "and another made":
        _folder(in_process.old, b"Work").add(numbered(100), internaldate=1_700_000_100)
        in_process.old.folder(LOGIN, b"Work").uidvalidity = 999
    where = b"Work" if case == "at the destination" else b"Job"
    in_process.old.folder(LOGIN, where).add(numbered(101), internaldate=1_700_000_101)
    another(in_process, "second")
    return in_process


CASES = ("at the source", "at the destination", "at both sides", "and another made")


def assert_once(in_process: MemoryImport, case: str) -> None:
    theirs, ours = (
        Counter((name, m.body) for name, folder in server.folders(LOGIN).items() for m in folder.messages.values())
        for server in (in_process.old, in_process.new)
    )
    named = {"at the destination": (b"Work", b"Mine"), "at both sides": (b"Job", b"Mine")}.get(case)
    if named:
        theirs = Counter((named[1] if name == named[0] else name, body) for name, body in theirs.elements())
    assert ours == theirs, f"lost {theirs - ours}, twice {ours - theirs}"
    tally = in_process.tally()
    assert tally.pending == 0
    assert tally[Outcome.COPIED] + tally[Outcome.ALREADY_PRESENT] == tally.messages == theirs.total()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_whenever_the_worker_dies(case: str) -> None:
    kill_at, killed = 0, True
    while killed:
        in_process = staged(case)
        first = in_process.request
        killed = not in_process.work(Effects(kill_at))
        in_process.later()
        in_process.to_the_end()
        assert_once(in_process, case)
        for name in ("crash", "second"):
            another(in_process, name)
            in_process.to_the_end()
            assert_once(in_process, case)
        assert in_process.request.import_id == first.import_id
        kill_at += 1
    assert kill_at > 20


@pytest.mark.parametrize("case", CASES)
def test_without_it_the_folder_stands_twice(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(NeighbourFolders, "find", lambda self, planned, own, there, **_: FoundBeside(own=own))
    in_process = staged(case)
    in_process.to_the_end()
    with pytest.raises(AssertionError, match="twice"):
        assert_once(in_process, case)
