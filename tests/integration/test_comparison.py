"""Tests the progress of a comparison byte by byte: the worker reports it to the store while it reads both sides."""

from __future__ import annotations

from typing import Any

import pytest

import worker.verifying.comparison
import worker.verifying.verify
from shared.model import Lease, Options
from shared.model.lifecycle import MailboxState
from tests.integration.in_process_import import InProcessImport, Wires, plain


def _told(in_process: InProcessImport, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Records each reported number of compared messages, with the mailbox's state at that time."""
    told: list[tuple[int, str]] = []
    own = in_process.store.compared

    def compared(lease: Lease, messages: int) -> None:
        own(lease, messages)
        told.append((in_process.store.import_tally(in_process.import_id)[0].compared, in_process.mailbox().state))

    monkeypatch.setattr(in_process.store, "compared", compared)
    return told


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
def test_the_store_is_told_how_many_messages_were_read_on_both_sides(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(worker.verifying.comparison, "_TOLD_SECONDS", seconds)
    for number in range(20):
        wires.old.folder(b"INBOX").add(plain(number))
    for number in range(20, 30):
        wires.old.folder(b"Work").add(plain(number))
    in_process = InProcessImport(wires.source, wires.destination, options=Options(verify="full"))
    told = _told(in_process, monkeypatch)
    in_process.to_the_end()
    numbers = [number for number, _ in told]
    # The control: without reports in between, the last one still has the whole number.
    assert numbers == (list(range(1, 31)) if seconds == 0.0 else [30])
    assert {state for _, state in told} == {MailboxState.VERIFYING}
    assert in_process.tally().compared == 30

    in_process.options = Options(verify="default")
    told.clear()
    in_process.to_the_end()
    assert told == [], "who only compares numbers tells nothing"
    assert in_process.tally().compared == 0, "the next pass has compared nothing yet"


def test_a_message_that_is_gone_does_not_count_as_compared(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        wires.old.folder(b"INBOX").add(plain(number))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    wires.new.folder(b"INBOX").remove(in_process.pairs()[2])
    wires.new.folder(b"INBOX").remove(in_process.pairs()[3])
    in_process.options = Options(verify="full")
    told = _told(in_process, monkeypatch)
    in_process.to_the_end()
    numbers: list[Any] = [number for number, _ in told]
    assert numbers == [3], "two were read on one side only"


@pytest.mark.parametrize("stop_at", [3, 10, 17])
def test_a_pause_stops_the_comparison_at_the_next_message(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """Stops while one side of a single ledger entry is read (3), between the sides (10) and in the other side (17)."""
    monkeypatch.setattr(worker.verifying.comparison, "_TOLD_SECONDS", 0.0)
    for number in range(20):
        wires.old.folder(b"INBOX").add(plain(number))
    in_process = InProcessImport(wires.source, wires.destination, options=Options(verify="full"))
    told = _told(in_process, monkeypatch)
    in_process.stopping = lambda: bool(told) and told[-1][0] == stop_at
    in_process.submit()
    in_process.work()
    assert [number for number, _ in told] == list(range(1, stop_at + 1))
    assert in_process.mailbox().state == MailboxState.VERIFYING

    in_process.stopping = lambda: False
    told.clear()
    in_process.to_the_end(submit=False)
    assert told[-1][0] == 20
    assert in_process.outcomes() == {"copied": 20}


def test_without_the_question_it_reads_on_to_the_end_of_the_entry(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the test above."""
    monkeypatch.setattr(worker.verifying.comparison, "_TOLD_SECONDS", 0.0)
    monkeypatch.setattr(worker.verifying.verify, "while_wanted", lambda wish, read: read)
    for number in range(20):
        wires.old.folder(b"INBOX").add(plain(number))
    in_process = InProcessImport(wires.source, wires.destination, options=Options(verify="full"))
    told = _told(in_process, monkeypatch)
    in_process.stopping = lambda: bool(told) and told[-1][0] == 3
    in_process.submit()
    in_process.work()
    assert told[-1][0] == 20
