"""Destination folders with another UIDVALIDITY each time that they are looked at: an import into them ends.

GNU Mailutils gives an empty folder another UIDVALIDITY each second.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import worker.copying.batch_folders
from shared.model.lifecycle import Outcome
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import Action, Fault
from tests.servers.faulty import Command
from worker.copying.batch_folders import BatchFolders
from worker.planning.folder_plan import FolderPlanner


def numbered_anew(wires: Wires, command: bytes, due: Callable[[int], bool]) -> None:
    """Gives `Work` another UIDVALIDITY at each of these commands, where its number of messages is `due`."""
    folder = wires.new.folder(b"Work")

    def looked(found: Command) -> bool:
        if re.match(command + rb' "?Work', found.text) and due(len(folder.uids)):
            folder.uidvalidity += 1
        return False

    wires.destination.faults.add(Fault(looked, Action.CLOSE, times=None))


@pytest.mark.parametrize("uidplus", [True, False])
def test_an_empty_folder_is_filled_whatever_its_uidvalidity(wires: Wires, uidplus: bool) -> None:
    if not uidplus:
        wires.destination.behaviour.capabilities.discard("UIDPLUS")
    numbered_anew(wires, rb"(?:STATUS|SELECT|EXAMINE)", lambda messages: not messages)
    wires.fill(4, b"Work")
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert (in_process.outcomes(), in_process.failures()) == ({"copied": 4}, [])
    wires.fill(2, b"Work", first=10)
    in_process.to_the_end()
    assert (in_process.outcomes(), in_process.failures()) == ({"copied": 6}, [])
    assert in_process.folders()["Work"].destination_uidvalidity == wires.new.folders[b"Work"].uidvalidity
    assert wires.bodies(b"Work") == wires.sent(b"Work")


def test_an_empty_folder_at_both_sides_is_no_trouble(wires: Wires) -> None:
    numbered_anew(wires, rb"(?:STATUS|SELECT|EXAMINE)", lambda messages: not messages)
    wires.old.folder(b"Work")
    wires.fill(3)
    in_process = InProcessImport(wires.source, wires.destination)
    for _ in range(6):
        in_process.to_the_end()
        assert (in_process.outcomes(), in_process.failures()) == ({"copied": 3}, [])
    wires.fill(4, b"Work", first=10)
    in_process.to_the_end()
    assert (in_process.outcomes(), in_process.failures()) == ({"copied": 7}, [])


def test_control_taken_for_another_folder_the_empty_one_is_never_filled(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BatchFolders, "_still_unused", lambda *seen: False)
    numbered_anew(wires, rb"(?:STATUS|SELECT|EXAMINE)", lambda messages: not messages)
    wires.fill(4, b"Work")
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    assert in_process.outcomes() == {"failed": 4}


@pytest.mark.parametrize("bounded", [True, False], ids=["bounded", "control: no bound"])
def test_a_folder_that_only_status_shows_unchanged_fails_by_name(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, bounded: bool
) -> None:
    """STATUS, which the plan goes by, always tells the same number, and SELECT another each time."""
    if not bounded:
        monkeypatch.setattr(FolderPlanner, "_blamed", lambda *seen: False)
    numbered_anew(wires, rb"(?:SELECT|EXAMINE)", lambda messages: True)
    wires.destination.faults.add(
        Fault(
            rb'STATUS "?Work',
            Action.REWRITE,
            times=None,
            spell=lambda answer: re.sub(rb"UIDVALIDITY \d+", b"UIDVALIDITY 7", answer),
        )
    )
    wires.new.folder(b"Work").add(plain(100))
    wires.fill(3)
    wires.fill(4, b"Work", first=10)
    in_process = InProcessImport(wires.source, wires.destination)
    if not bounded:
        with pytest.raises(AssertionError, match="not finished"):
            in_process.to_the_end(limit=60)
        return
    in_process.to_the_end(limit=60)
    assert in_process.tally()[Outcome.FAILED] == 4
    assert in_process.tally()[Outcome.COPIED] == 3
    assert {reason.partition(":")[0] for reason in in_process.noted("failed").values()} == {
        "Work is another folder each time it is opened (UIDVALIDITY)"
    }
    assert len(wires.destination.matching(rb'SELECT "?Work')) > worker.copying.batch_folders.MOST_REMADE
