"""The negative controls: without each protection of folders, the damage that it prevents happens."""

from __future__ import annotations

import re

import pytest

import worker.copying.batch_folders
import worker.planning.folder_making
import worker.verifying.verify
from shared.folders.places import Places
from shared.folders.tree import Tree
from shared.model.messages import Owner
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import Action, Fault, reply
from tests.servers.faulty import Command
from worker.copying.batch_folders import BatchFolders


def removed_at(wires: Wires, command: bytes, *, times: int) -> None:
    """Removes `Work` at the destination when these commands come."""
    left = [times]

    def due(found: Command) -> bool:
        if not left[0] or not re.match(command + rb'"?Work"?', found.text):
            return False
        left[0] -= 1
        wires.new.folders.pop(b"Work", None)
        return True

    wires.destination.faults.add(reply(due, b"NO [TRYCREATE] there is no such folder", times=None))


@pytest.mark.parametrize("protected", [True, False])
def test_what_others_share(wires: Wires, monkeypatch: pytest.MonkeyPatch, protected: bool) -> None:
    if not protected:
        monkeypatch.setattr(Tree, "owner", lambda self, name: Owner.PERSONAL)
    wires.old.namespace = wires.new.namespace = b'(("" "/")) (("shared/" "/")) (("Public/" "/"))'
    for number, name in enumerate((b"shared/bob", b"Work")):
        wires.old.folder(name).add(plain(number))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert (b"shared/bob" in wires.new.folders) is not protected
    assert (in_process.mailbox().other_folders == 1) is protected


@pytest.mark.parametrize("protected", [True, False])
def test_a_place_among_what_others_share(wires: Wires, monkeypatch: pytest.MonkeyPatch, protected: bool) -> None:
    if not protected:
        monkeypatch.setattr(Places, "_is_ours", lambda self, path: True)
    wires.new.namespace = b'(("" "/")) NIL (("Public/" "/"))'
    wires.old.folder(b"Public/News").add(plain(1))
    InProcessImport(wires.source, wires.destination).to_the_end()
    assert (b"Public/News" in wires.new.folders) is not protected
    assert (b"Public_/News" in wires.new.folders) is protected


@pytest.mark.parametrize("protected", [True, False])
def test_a_refused_name(wires: Wires, monkeypatch: pytest.MonkeyPatch, protected: bool) -> None:
    if not protected:
        monkeypatch.setattr(worker.planning.folder_making, "MOST_ROUNDS", 1)
    wires.fill(3, b"v1.2")
    wires.fill(2, b"R&-D")
    wires.destination.faults.add(reply(rb"^CREATE .*[.]", b"NO [CANNOT] no dots", times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    assert in_process.outcomes() == ({"copied": 5} if protected else {"copied": 2, "failed": 3})
    assert set(wires.new.folders) == {b"INBOX", b"R&-D"} | ({b"v1_2"} if protected else set())


@pytest.mark.parametrize("protected", [True, False])
def test_a_folder_that_is_removed(wires: Wires, monkeypatch: pytest.MonkeyPatch, protected: bool) -> None:
    if not protected:
        monkeypatch.setattr(BatchFolders, "refused", lambda self, error: error)
        monkeypatch.setattr(BatchFolders, "_opened_there", lambda self, name: (self._destination.open(name), False))
        monkeypatch.setattr(BatchFolders, "refused", lambda self, error: error)
        # Verification would make the folder again as well.
        monkeypatch.setattr(worker.verifying.verify, "_is_another", lambda *seen: False)
    wires.fill(4, b"Work")
    removed_at(wires, rb"^APPEND ", times=1)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    assert in_process.outcomes() == ({"copied": 4} if protected else {"failed": 4})


def numbered_anew(wires: Wires) -> None:
    """The source gives the folder another UIDVALIDITY each time that it is opened."""
    folder = wires.old.folder(b"Work")

    def opened(command: Command) -> bool:
        if re.match(rb'EXAMINE "?Work', command.text):
            folder.uidvalidity += 1
        return False

    wires.source.faults.add(Fault(opened, Action.CLOSE))


@pytest.mark.parametrize("most", [3, 6])
def test_a_source_that_numbers_a_folder_anew_at_each_opening_fails_it(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Each time of so many it is planned anew; with no bound there would be no end."""
    monkeypatch.setattr(worker.copying.batch_folders, "MOST_REMADE", most)
    wires.fill(3)
    wires.fill(4, b"Work")
    numbered_anew(wires)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    assert in_process.outcomes() == {"copied": 3, "failed": 4}
    assert "numbered anew" in next(iter(in_process.noted("failed").values()))
    assert len(wires.source.matching(rb'EXAMINE "?Work')) > most


@pytest.mark.parametrize("most", [3, 6])
def test_a_folder_that_is_removed_at_each_message_fails(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Each time of so many it is planned anew, in one go: with no bound that would never end."""
    monkeypatch.setattr(worker.copying.batch_folders, "MOST_REMADE", most)
    wires.fill(4, b"Work")
    removed_at(wires, rb"^APPEND ", times=1_000_000)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    assert in_process.outcomes() == {"failed": 4}
    assert len(wires.destination.matching(rb'CREATE "?Work')) > most
