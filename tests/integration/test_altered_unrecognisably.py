"""Tests losses of the ledger where the destination makes of messages what cannot be recognised: it cuts them off.

Courier shows the first 300 parts of a message only, and mbox files of Dovecot end some messages at a line `From `.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import pytest

from shared.model.uids import UidSet
from tests.integration.in_process_import import InProcessImport, Wires
from tests.servers.faulty import FaultyServer
from worker.verifying import verify

DATE = b" 1-Jan-2015 00:00:00 +0000"
HEAD = b"From: x@example.org\r\nMessage-ID: <%d@k.example>\r\nDate: Thu, 01 Jan 2015 00:00:00 +0000\r\n\r\n"
SHORT = [HEAD % number + b"short\r\n" for number in range(3)]
LONG = HEAD % 7 + b"".join(b"line %d\r\n" % number for number in range(900))


def cut_off(body: bytes) -> bytes:
    """Returns the message as the destination keeps it."""
    return body[:4000]


@pytest.fixture
def wires() -> Iterator[Wires]:
    with FaultyServer() as source, FaultyServer() as destination:
        made = Wires(source, destination)
        for body in (*SHORT, LONG, LONG):
            made.old.folder(b"INBOX").add(body, internaldate=DATE)
        destination.behaviour.append.alter_body = cut_off
        yield made


def run(wires: Wires) -> InProcessImport:
    """Imports everything, with a ledger that knows nothing."""
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    return in_process


def test_after_each_loss_it_stands_there_once(wires: Wires) -> None:
    first = run(wires)
    assert first.outcomes() == {"copied": 5}
    held = wires.bodies()
    assert held == Counter(map(cut_off, (*SHORT, LONG, LONG)))
    for _ in range(3):
        again = run(wires)
        assert again.outcomes() == {"already_present": 3, "copied": 2}
        assert wires.bodies() == held
        assert again.noted("altered").keys() == first.noted("altered").keys() == {4, 5}
        assert again.noted("undone").keys() == {4, 5}


def test_without_the_look_it_comes_again(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    run(wires)
    monkeypatch.setattr(verify, "made_twice", lambda *_, **__: [])
    run(wires)
    assert wires.bodies()[cut_off(LONG)] == 4


def test_lines_of_mbox_make_no_other_message_of_it(wires: Wires) -> None:
    """GNU Mailutils writes other fields into each copy."""
    numbers = itertools.count(1)
    wires.destination.behaviour.append.alter_body = lambda body: b"X-UID: %d\r\n" % next(numbers) + cut_off(body)
    run(wires)
    held = len(wires.new.folder(b"INBOX").messages)
    run(wires)
    assert len(wires.new.folder(b"INBOX").messages) == held == 5


def test_the_flags_that_people_set_meanwhile_stay(wires: Wires) -> None:
    run(wires)
    for message in wires.new.folder(b"INBOX").messages:
        message.flags = [b"\\Flagged"]
    run(wires)
    assert [list(message.flags) for message in wires.new.folder(b"INBOX").messages] == [[b"\\Flagged"]] * 5


def test_what_else_the_folder_held_is_left(wires: Wires) -> None:
    """A message of other bytes, one of another date, and one too many, which its owner copied."""
    run(wires)
    inbox = wires.new.folder(b"INBOX")
    inbox.add(cut_off(LONG)[:-1] + b"x", internaldate=DATE)
    inbox.add(cut_off(LONG), internaldate=b" 2-Jan-2015 00:00:00 +0000")
    inbox.add(cut_off(LONG), internaldate=DATE)
    held = wires.bodies()
    run(wires)
    assert wires.bodies() == held


def test_where_no_record_was_lost_nothing_is_removed(wires: Wires) -> None:
    """A folder that held the same before the first import, and nothing else of it, may have been filled by anybody."""
    wires.new.folder(b"INBOX").add(cut_off(LONG), internaldate=DATE)
    run(wires)
    assert wires.bodies()[cut_off(LONG)] == 3


def test_a_server_that_cannot_remove_it_is_told_of(wires: Wires) -> None:
    run(wires)
    wires.destination.behaviour.capabilities.discard("UIDPLUS")
    again = run(wires)
    assert wires.bodies()[cut_off(LONG)] == 4
    assert "the server cannot remove single messages" in again.noted("doubled")[4]
    assert UidSet.of(again.noted("doubled")) == UidSet.of([4, 5])
