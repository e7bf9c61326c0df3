"""Tests a plan of many folders whose lane is wanted elsewhere again and again, and that is killed in between."""

from __future__ import annotations

import pytest

from shared.model import UnitKind
from shared.model.lifecycle import MailboxState
from tests.crash.interruption import LOGIN, Effects, MemoryImport, numbered
from worker import unit_work
from worker.planning import folder_turns
from worker.sessions import ends

FOLDERS = 24


def staged() -> MemoryImport:
    """Returns an import of many folders, every third of them empty."""
    in_process = MemoryImport()
    for number in range(FOLDERS):
        folder = in_process.old.folder(LOGIN, b"Folder %02d" % number if number else b"INBOX")
        for one in range(number % 3):
            folder.add(numbered(100 * number + one), internaldate=1_700_000_000 + one)
    in_process.submit()
    return in_process


def planning(in_process: MemoryImport) -> bool:
    """Tells whether a lane holds the mailbox's plan."""
    rows = in_process.store._rows
    return any(rows.units[one].unit.kind is UnitKind.PLAN for one in rows.leases)


def life(in_process: MemoryImport, folders: int, kill_at: int = -1) -> tuple[bool, int]:
    """Lets a worker live that is to give way once it planned so many folders. Returns whether it died, and what it opened."""
    effects, told = Effects(kill_at), False

    def opened() -> int:
        return effects.names.count("after open")

    def stopping() -> bool:
        nonlocal told
        told = told or (planning(in_process) and opened() >= folders)
        return told

    alive = in_process.work(effects, stopping=stopping)
    return not alive, opened()


@pytest.mark.parametrize("gives_way", [True, False], ids=["gives way", "control: goes on"])
def test_it_stops_between_two_folders_and_goes_on_behind_them(gives_way: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not gives_way:
        monkeypatch.setattr(folder_turns, "stop_on", lambda wish: None)
    in_process = staged()
    _, opened = life(in_process, 5)
    assert (opened == 5) is gives_way
    lives, every = 1, opened
    while in_process.tally().messages < FOLDERS and gives_way:
        planned = len(in_process.store.folders(in_process.mailbox_id))
        assert planned == every, "each folder was opened once"
        every += life(in_process, 5)[1]
        lives += 1
        assert lives < FOLDERS
    assert not gives_way or lives == 5
    in_process.to_the_end()
    in_process.assert_exactly_once()


def test_wanted_elsewhere_at_once_it_gets_on_by_one_folder() -> None:
    in_process = staged()
    for number in range(1, FOLDERS):
        life(in_process, 0)
        assert len(in_process.store.folders(in_process.mailbox_id)) >= number
    in_process.to_the_end()
    in_process.assert_exactly_once()


def test_killed_at_every_effect_of_two_slices_it_ends_the_same() -> None:
    for kill_at in range(200):
        in_process = staged()
        died = life(in_process, 4, kill_at)[0]
        in_process.later()
        died = life(in_process, 4, kill_at // 2)[0] or died
        in_process.later()
        in_process.to_the_end()
        in_process.assert_exactly_once()
        if not died:
            break
    assert not died


@pytest.mark.parametrize("checks", [True, False], ids=["checks", "control: nothing is due"])
def test_it_gives_no_way_before_it_knows_that_both_sides_are_two_mailboxes(
    checks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt knows folders of the first, and takes the check for done."""
    monkeypatch.setattr(ends, "may_be_one", lambda *_: True)
    if not checks:
        monkeypatch.setattr(unit_work, "Ends", lambda *_: None)
    in_process = MemoryImport()
    in_process.new = in_process.old
    for number in range(9):
        in_process.old.folder(LOGIN, b"Folder %d" % number if number else b"INBOX")
    in_process.old.folder(LOGIN, b"Folder 8").add(numbered(1))
    in_process.submit()
    life(in_process, 2)
    mailbox = in_process.store.mailbox(in_process.mailbox_id)
    assert mailbox is not None
    assert (mailbox.state is MailboxState.PARKED) is checks
    assert (len(in_process.store.folders(in_process.mailbox_id)) == 0) is checks
