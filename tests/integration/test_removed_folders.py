"""A folder that the source no longer shows: what was copied of it stays, and that is said."""

from __future__ import annotations

from producer.show.naming import naming_lines
from shared.model import REMOVED, Options
from shared.model.lifecycle import Outcome
from tests.integration.in_process_import import InProcessImport, Wires


def _rename(wires: Wires, name: bytes, other: bytes) -> None:
    folder = wires.old.folders.pop(name)
    folder.name = other
    wires.old.folders[other] = folder


def _said(in_process: InProcessImport) -> list[str]:
    return list(naming_lines(in_process.store, in_process.store.mailboxes(in_process.import_id)))


def test_a_renamed_folder_comes_under_its_new_name_and_the_old_one_is_told(wires: Wires) -> None:
    """Uses `moves="copy"`: by default the folder is renamed at the destination too."""
    wires.fill(2)
    wires.fill(3, b"Old", first=10)
    in_process = InProcessImport(wires.source, wires.destination, options=Options(moves="copy"))
    in_process.to_the_end()
    assert _said(in_process) == []
    _rename(wires, b"Old", b"New")
    for _ in range(2):  # it is told by each later pass
        in_process.to_the_end()
        assert in_process.finished
        assert {name: folder.note for name, folder in in_process.folders().items()} == {
            "INBOX": "",
            "Old": REMOVED,
            "New": "",
        }
        assert _said(in_process) == [
            "note: 1 folder is no longer at the source (row 1 Old): what was copied stays; a renamed one came under its new name"
        ]
        assert in_process.tally()[Outcome.COPIED] == 8
        assert wires.bodies(b"Old") == wires.bodies(b"New")
    # It comes back: nothing is copied again, and nothing is told.
    _rename(wires, b"New", b"Old")
    in_process.to_the_end()
    assert in_process.folders()["Old"].note == ""
    assert in_process.folders()["New"].note == REMOVED
    assert in_process.tally()[Outcome.COPIED] == 8


def test_a_folder_that_is_left_out_now_is_not_called_removed(wires: Wires) -> None:
    wires.fill(1)
    wires.fill(1, b"Work", first=10)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    in_process.options = in_process.options.__class__(exclude=("Work",))
    in_process.to_the_end()
    assert in_process.folders()["Work"].note == ""
