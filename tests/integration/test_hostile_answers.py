"""Tests a source that tries to waste a worker's memory or time: it fails, is reported, and harms no other mail."""

from __future__ import annotations

import re

import pytest

from shared.mail.answers import bounds
from shared.mail.transport import wire
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import rewrite


def ended(wires: Wires, **options: object) -> InProcessImport:
    """Returns a stage after at most twenty rounds, finished or not."""
    in_process = InProcessImport(wires.source, wires.destination, **options)  # type: ignore[arg-type]
    in_process.submit()
    for _ in range(20):
        in_process.work()
        if in_process.finished:
            break
        in_process.later()
    return in_process


def listed_too(line: bytes) -> object:
    return rewrite(rb'^LIST "" "\*"', lambda answer: line + answer)


@pytest.mark.parametrize("literal", [True, False])
def test_a_folder_name_without_measure_is_told_and_costs_the_others_nothing(wires: Wires, literal: bool) -> None:
    wires.fill(3)
    name = b"x" * 50_000
    spelled = b"{%d}\r\n%b" % (len(name) * 20, name * 20) if literal else b'"%b"' % name
    wires.source.faults.add(listed_too(b'* LIST () "/" %b\r\n' % spelled))  # type: ignore[arg-type]
    in_process = ended(wires)
    assert in_process.finished
    assert wires.bodies() == wires.sent()
    told = next(folder for folder in in_process.every_folder() if folder.unreadable)
    assert f"more than {bounds.NAME_BYTES} bytes" in told.note
    assert len(told.source_name) <= bounds.NAME_BYTES + 1


def test_folders_without_number_are_refused(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    wires.fill(3)
    monkeypatch.setattr("shared.mail.imap.imap_mailbox.MOST_FOLDERS", 50)
    lines = b"".join(b'* LIST () "/" f%d\r\n' % number for number in range(60))
    wires.source.faults.add(listed_too(lines))  # type: ignore[arg-type]
    in_process = ended(wires)
    assert "lists more than 50 folders" in str(in_process.failures())


def test_answers_that_mean_nothing_are_bounded_in_bytes(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names as literals that are thrown away, and words of the server that nobody asked for."""
    monkeypatch.setattr("shared.mail.transport.conversation.ANSWERS_BYTES", 100_000)
    wires.fill(3)
    wires.source.faults.add(listed_too(b"* OK [X] still listing\r\n" * 20_000))  # type: ignore[arg-type]
    in_process = ended(wires)
    assert "sent answers without end" in str(in_process.failures())


def test_three_thousand_folders_are_usual(wires: Wires) -> None:
    wires.fill(1)
    lines = b"".join(b'* LIST (\\Noselect) "/" "Projects/%04d"\r\n' % number for number in range(3000))
    wires.source.faults.add(listed_too(lines))  # type: ignore[arg-type]
    in_process = ended(wires)
    assert in_process.finished
    assert wires.bodies() == wires.sent()


@pytest.mark.parametrize("count", [4_000_000_000, 99_999_999_999])
def test_messages_without_number_cost_that_folder(wires: Wires, count: int) -> None:
    wires.fill(3)
    wires.old.folder(b"Work").add(plain(9))
    wires.source.faults.add(
        rewrite(rb"^EXAMINE .?INBOX", lambda answer: re.sub(rb"\* \d+ EXISTS", b"* %d EXISTS" % count, answer))
    )
    in_process = ended(wires)
    inbox = next(folder for folder in in_process.every_folder() if folder.source_name == b"INBOX")
    assert inbox.unreadable
    assert wires.bodies(b"Work") == wires.sent(b"Work")


def test_a_search_that_names_every_uid_there_can_be_is_refused(wires: Wires) -> None:
    wires.fill(3)
    wires.source.faults.add(
        rewrite(rb"^EXAMINE", lambda answer: re.sub(rb"\* \d+ EXISTS", b"* 4 EXISTS", answer), times=None)
    )
    everything = b"UID ALL 1:4294967295"
    wires.source.faults.add(
        rewrite(rb"^UID SEARCH", lambda answer: re.sub(rb"UID(?: ALL \S+)?\r", everything + b"\r", answer))
    )
    in_process = ended(wires)
    assert f"more than {bounds.MOST_MESSAGES} UIDs" in str(in_process.failures())


@pytest.mark.parametrize("literal", [b"{4294967295}\r\n", b"{3000000}\r\n"])
def test_a_body_far_larger_than_announced_is_not_waited_for(wires: Wires, literal: bytes) -> None:
    """Announces a body that would drip on for weeks: none of it is read, and the messages beside it arrive."""
    wires.fill(6)
    wires.source.faults.add(
        rewrite(
            rb"^UID FETCH .*BODY.PEEK\[\]",
            lambda answer: re.sub(rb"(UID 4 [^{]*)\{\d+\}\r\n(.|\n)*", rb"\1" + literal + b"beginning\r\n", answer),
        )
    )
    in_process = ended(wires)
    assert in_process.outcomes() == {"copied": 5, "failed": 1}
    assert "for a message of at most" in in_process.noted("failed")[4]


def test_a_body_that_takes_hours_is_given_up(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends each byte in time, but not the whole body."""
    monkeypatch.setattr(wire, "MESSAGE_SECONDS", 0.05)
    monkeypatch.setattr("shared.mail.imap.imap_source.WHOLE_BYTES", 100)
    wires.old.folder(b"INBOX").add(plain(1, text="x" * 3000))
    wires.source.faults.add(
        rewrite(rb"^UID FETCH .*BODY.PEEK\[\]", lambda answer: answer[: answer.index(b"}\r\n") + 600], times=None)
    )
    in_process = ended(wires)
    assert in_process.outcomes() == {"failed": 1}
    assert "no answer in time" in in_process.noted("failed")[1]


def test_answers_without_sense_are_not_read_without_end(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.mail.imap.imap_reading.UNREADABLE_ANSWERS", 5)
    wires.fill(2)
    wires.source.faults.add(
        rewrite(rb"^UID FETCH .*BODY.PEEK\[\]", lambda answer: b'* 1 FETCH (FLAGS (")\r\n' * 20 + answer)
    )
    in_process = ended(wires)
    assert "makes no sense" in str(in_process.failures())
