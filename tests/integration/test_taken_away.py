"""Tests copies that are gone at the destination: moved or removed by their user, or lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

import worker.verifying.verify
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, Wires
from tests.integration.test_delta import BODY, Both
from tests.integration.test_missing import exit_code, lose


@pytest.fixture
def both(dovecot_pair: DovecotPair) -> Both:
    return Both(dovecot_pair.source, dovecot_pair.destination, dovecot_pair.account(), dovecot_pair.password)


def gone(in_process: InProcessImport) -> tuple[int, int, int]:
    """Returns how many messages are missing, moved and removed."""
    tally = in_process.tally()
    return tally.missing, tally.moved, tally.removed


def test_moved_is_told_apart_from_removed(both: Both) -> None:
    both.at(
        both.destination,
        b"CREATE Kept",
        b"SELECT INBOX",
        b"MOVE 1:3 Kept",
        b"MOVE 1:2 Work",
        b"STORE 1:4 +FLAGS.SILENT (\\Deleted)",
        b"EXPUNGE",
    )
    for _ in range(2):
        both.again()
        assert gone(both.in_process) == (0, 5, 4)
        assert exit_code(both.in_process) == 0
        assert both.in_process.told.count(BODY) == 0
    moved = both.in_process.noted("moved")
    assert sorted(moved) == [1, 2, 3, 4, 5]
    assert "it is in Kept (UID 1)" in moved[1]
    assert "it is in Work (UID 31)" in moved[4]
    assert both.in_process.noted("removed").keys() == {6, 7, 8, 9}
    assert both.in_process.held("destination").total() == 110 - 4, "nothing comes back, and nothing twice"


@pytest.mark.parametrize("mode", ["anew", "full"])
def test_a_thorough_pass_says_the_same(both: Both, mode: str) -> None:
    both.at(both.destination, b"SELECT INBOX", b"MOVE 1:2 Work", b"STORE 1 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    both.again()
    both.in_process.options = replace(both.in_process.options, verify=mode)
    both.again()
    assert gone(both.in_process) == (0, 2, 1)


def test_uidnext_that_went_back_is_a_loss(in_process: InProcessImport, wires: Wires) -> None:
    lose(in_process, wires, [11, 12])
    for _ in range(2):
        assert gone(in_process) == (2, 0, 0)
        assert exit_code(in_process) == 3
        in_process.to_the_end()


def test_without_that_look_a_loss_would_pass(
    in_process: InProcessImport, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: not asked for UIDNEXT, a loss would count as a user's act."""
    monkeypatch.setattr(worker.verifying.verify, "counts_on", lambda *_: True)
    lose(in_process, wires, [11, 12])
    assert (gone(in_process), exit_code(in_process)) == ((0, 0, 2), 0)


def test_what_was_never_seen_at_the_destination_is_a_loss(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.copying.copy.BatchCopy._read_back", lambda *_: False)
    wires.fill(12)
    in_process = InProcessImport(wires.source, wires.destination)
    verify = worker.verifying.verify.MailboxVerification.run

    def after_the_loss(*args: object) -> None:
        wires.new.folder(b"INBOX").remove(4)
        verify(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(worker.verifying.verify.MailboxVerification, "run", after_the_loss)
    in_process.to_the_end()
    assert (gone(in_process), exit_code(in_process)) == ((1, 0, 0), 3)


def test_what_is_removed_beside_a_loss_later_is_told_apart(in_process: InProcessImport, wires: Wires) -> None:
    lose(in_process, wires, [12])
    wires.new.folder(b"INBOX").remove(in_process.pairs()[3])
    in_process.to_the_end()
    assert gone(in_process) == (1, 0, 1)


def test_a_known_departure_costs_no_second_look(in_process: InProcessImport, wires: Wires) -> None:
    wires.new.folder(b"INBOX").remove(in_process.pairs()[3])
    in_process.to_the_end()
    wires.fill(1, first=100)
    before = len(wires.source.commands)
    in_process.to_the_end()
    assert gone(in_process) == (0, 0, 1)
    fetched = [c for c in wires.source.commands[before:] if c.name == b"UID FETCH" and b"HEADER" in c.text]
    assert not fetched, "only the bytes of the new message are read"
