"""Tests what flags copies get that are found at the destination, and that a destination which refuses them delays no mail."""

from __future__ import annotations

import pytest

from shared.model.uids import NO_UIDS, UidSet
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import reply
from worker.copying import flag_completion
from worker.copying.neighbours import Neighbours
from worker.following import flag_sync

ALL = (b"\\Seen", b"\\Flagged", b"\\Deleted", b"work")


def recognised(wires: Wires) -> InProcessImport:
    """Imports a message that stands at the destination without the flags that it has at the source."""
    wires.old.folder(b"INBOX").add(plain(1), ALL)
    wires.new.folder(b"INBOX").add(plain(1))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.submit()
    for _ in range(8):
        in_process.work()
        in_process.later()
    return in_process


def flags(wires: Wires) -> set[bytes]:
    message = wires.new.folder(b"INBOX").get(1)
    assert message is not None
    return set(message.flags)


@pytest.mark.parametrize("never", [True, False], ids=["never", "control: as any other"])
def test_no_copy_is_marked_as_deleted(wires: Wires, monkeypatch: pytest.MonkeyPatch, never: bool) -> None:
    if not never:
        monkeypatch.setattr(flag_completion, "_NEVER_SET", frozenset())
    assert recognised(wires).outcomes() == {"already_present": 1}
    assert flags(wires) == set(ALL) - ({b"\\Deleted"} if never else set())


@pytest.mark.parametrize("kept", [(b"\\SEEN",), (b"\\seen", b"\\*"), ()])
def test_only_flags_that_the_folder_keeps_are_sent(wires: Wires, kept: tuple[bytes, ...]) -> None:
    wires.new.folder(b"INBOX").permanentflags = kept
    assert recognised(wires).outcomes() == {"already_present": 1}
    said = b" ".join(command.text for command in wires.destination.matching(b"UID STORE"))
    assert (b"\\Seen" in said, b"work" in said) == (bool(kept), b"\\*" in kept)
    assert b"\\Flagged" not in said


@pytest.mark.parametrize("answer", [b"[READ-ONLY] opened read-only", b"no"])
@pytest.mark.parametrize("held_back", [False, True], ids=["", "control: it counts"])
def test_a_destination_that_takes_no_flags_holds_no_mail_back(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, answer: bytes, held_back: bool
) -> None:
    if held_back:
        monkeypatch.setattr(flag_sync, "ServerRefused", LookupError)
        monkeypatch.setattr(flag_sync, "FolderRefused", LookupError)
    wires.destination.faults.add(reply(b"^UID STORE", b"NO " + answer, times=None))
    in_process = recognised(wires)
    assert bool(in_process.failures()) is held_back
    assert in_process.outcomes() == ({} if held_back else {"already_present": 1})


def test_a_destination_that_asks_for_less_is_heeded(wires: Wires) -> None:
    fault = wires.destination.faults.add(reply(b"^UID STORE", b"NO [LIMIT] too many commands, slow down", times=1))
    in_process = recognised(wires)
    assert fault.struck
    assert in_process.outcomes() == {"already_present": 1}
    assert flags(wires) == set(ALL) - {b"\\Deleted"}, "asked once more"


@pytest.mark.parametrize("minded", [True, False], ids=["minded", "control: forgotten"])
def test_what_people_cleared_since_another_import_stays_cleared(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, minded: bool
) -> None:
    """The source was moved to another machine since, so that the other import's ledger has other UIDs of it."""
    inbox = wires.old.folder(b"INBOX")
    inbox.add(plain(1), (b"\\Seen",))
    first = InProcessImport(wires.source, wires.destination)
    first.to_the_end()
    wires.new.folder(b"INBOX").change(1, ())
    inbox.uidvalidity += 1
    if not minded:
        monkeypatch.setattr(Neighbours, "held", lambda *_: NO_UIDS)
    other = InProcessImport(wires.source, wires.destination)
    other.store, other.import_id, other.time = first.store, f"{first.import_id}2", first.time
    other.submit()
    for _ in range(4):
        other.work()
        first.later()
    assert other.outcomes() == {"already_present": 1}
    assert flags(wires) == (set() if minded else {b"\\Seen"})
    assert UidSet.of(other.pairs().values()) == UidSet.span(1, 1)
