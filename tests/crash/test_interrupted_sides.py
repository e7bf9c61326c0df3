"""Tests the 81 cases of a later pass on the memory servers, interrupted before and after every effect.

What is right then is what `tests.integration.both_sides` says, and what the real servers of `test_both_sides` end with.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from shared.model.uids import Uid
from shared.testing.memory_folders import MemoryFolder
from shared.testing.memory_mail import MemoryServer
from tests.crash.interruption import LOGIN, Effects, MemoryImport, numbered
from tests.integration.both_sides import CHANGES, NEW_AT_DESTINATION, NEW_AT_SOURCE, expected

WHERE = ((1, b"Work"), (2, b"Work"), (3, b"Other"), (4, b"INBOX"))
NUMBERS = {numbered(number): number for number in range(1, 10)}
SEEN = ("\\Seen",)


def _folder(server: MemoryServer, name: bytes) -> MemoryFolder:
    """Returns a folder with a UIDVALIDITY of its own, as most servers give them."""
    fresh = name not in server.folders(LOGIN)
    folder = server.folder(LOGIN, name)
    if fresh:
        folder.uidvalidity = 100 + len(server.folders(LOGIN))
    return folder


def _flagged(folder: MemoryFolder, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> None:
    folder.highestmodseq += 1
    stored = folder.messages[Uid(1)]
    flags = tuple(flag for flag in stored.flags if flag not in remove) + add
    folder.messages[Uid(1)] = replace(stored, flags=flags, modseq=folder.highestmodseq)


def change(server: MemoryServer, what: str, *, source: bool) -> None:
    """Changes message 1, its folder, or what is beside it, as its user does."""
    folders = server.folders(LOGIN)
    work = folders[b"Work"]
    if what == "system flag":
        _flagged(work, add=("\\Flagged",)) if source else _flagged(work, remove=SEEN)
    elif what == "keyword":
        _flagged(work, add=("theirs" if source else "ours",))
    elif what in ("moved", "copied"):
        stored = work.messages[Uid(1)]
        into = _folder(server, b"Other" if source else b"Kept")
        into.add(stored.body, flags=stored.flags, internaldate=stored.internaldate)
    elif what == "folder renamed":
        name = b"Projects" if source else b"Mine"
        folders[name] = folders.pop(b"Work")
        folders[name].name = name
    elif what == "folder deleted":
        del folders[b"Work"]
    elif what == "new mail":
        number = NEW_AT_SOURCE if source else NEW_AT_DESTINATION
        work.add(numbered(number), flags=SEEN, internaldate=1_700_000_000 + number)
    if what in ("moved", "deleted"):
        del work.messages[Uid(1)]
        work.highestmodseq += 1


def _staged(there: str, here: str) -> MemoryImport:
    """Returns a stage after a first pass and the two changes, with the next pass opened."""
    in_process = MemoryImport()
    for number, name in WHERE:
        _folder(in_process.old, name).add(numbered(number), flags=SEEN, internaldate=1_700_000_000 + number)
        _folder(in_process.new, name)
    in_process.submit()
    in_process.to_the_end()
    change(in_process.old, there, source=True)
    change(in_process.new, here, source=False)
    in_process.submit()
    return in_process


def _assert_right(in_process: MemoryImport, there: str, here: str, *, killed: bool = False) -> None:
    right, _ = expected(there, here)
    held = [
        (name.decode(), stored)
        for name, folder in in_process.new.folders(LOGIN).items()
        for stored in folder.messages.values()
    ]
    assert Counter((name, NUMBERS[stored.body]) for name, stored in held) == Counter(right.places)
    if right.flags is not None:
        where = "Other" if there == "moved" else right.work
        (flags,) = [s.flags for name, s in held if name == where and NUMBERS[s.body] == 1]
        assert {flag.lower() for flag in flags} == right.flags
    tally = in_process.tally()
    assert (tally.pending, tally.missing) == (0, 0)
    told = [
        str(note.reason)
        for folder, _ in in_process.store.folders(in_process.mailbox_id)
        for note in in_process.store.notes(folder.folder_id)
        if note.what == "doubled"
    ]
    # What was sent again after a kill is told of where its user has it in a folder of their own: it may be the first copy.
    asked = killed and there == "copied" and here in ("moved", "copied")
    assert [reason for reason in told if not (asked and "it was sent again, and Kept (UID 1)" in reason)] == []
    assert tally.doubled == len(told) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("here", CHANGES)
@pytest.mark.parametrize("there", CHANGES)
def test_each_change_with_each_whenever_the_worker_dies(there: str, here: str) -> None:
    kill_at, killed = 0, True
    while killed:
        in_process = _staged(there, here)
        killed = not in_process.work(Effects(kill_at))
        in_process.later()
        in_process.to_the_end()
        _assert_right(in_process, there, here, killed=killed)
        in_process.submit()
        in_process.to_the_end()
        _assert_right(in_process, there, here, killed=killed)
        kill_at += 1
    assert kill_at > 20, "every pass has some effects"


def test_the_judge_sees_a_message_that_stands_twice() -> None:
    in_process = _staged("moved", "nothing")
    in_process.to_the_end()
    other = in_process.new.folder(LOGIN, b"Other")
    other.add(numbered(1), flags=SEEN)
    with pytest.raises(AssertionError):
        _assert_right(in_process, "moved", "nothing")
