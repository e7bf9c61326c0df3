"""Tests a destination that loses what is appended to the folder which the same connection has open (GNU Mailutils)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from shared.mail.imap.imap_appending import AppendSession
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import reply
from tests.servers.faulty import Command, FaultyServer

MESSAGES = 12


@pytest.fixture
def wires() -> Iterator[Wires]:
    with FaultyServer() as source, FaultyServer() as destination:
        made = Wires(source, destination)
        made.fill(MESSAGES)
        offered = destination.behaviour.capabilities
        offered -= {"UIDPLUS", "MULTIAPPEND"}
        offered.add("UNSELECT")

        def lost(command: Command) -> bool:
            if command.name != b"APPEND":
                return False
            earlier = [one for one in destination.commands if one.connection == command.connection]
            moved = [one for one in earlier if one.name in (b"SELECT", b"EXAMINE", b"UNSELECT", b"CLOSE")]
            return moved[-1].name == b"SELECT"

        destination.faults.add(reply(lost, b"OK APPEND completed", times=None))
        yield made


def test_everything_arrives_once(wires: Wires) -> None:
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES}
    assert wires.bodies() == wires.sent()


def test_with_the_folder_open_it_is_lost_and_told(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(AppendSession, "_step_out", lambda _: None)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"failed": MESSAGES}


def test_a_server_that_refuses_to_close_it_gets_the_mail_all_the_same(wires: Wires) -> None:
    wires.destination.faults.clear()
    for answer in (b"NO not now", b"BAD what?"):
        wires.destination.faults.add(reply(rb"^UNSELECT", answer))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES}
    assert wires.bodies() == wires.sent()


def test_a_refused_message_costs_no_other(wires: Wires) -> None:
    """The folder is opened again before it is looked at, also where the last APPEND was refused."""
    refused = wires.old.folder(b"INBOX").messages[-1]
    size = re.compile(rb"\{%d\+?\}" % len(refused.body))
    last = [one for one in wires.old.folder(b"INBOX").messages if len(one.body) == len(refused.body)]
    wires.destination.faults.add(
        reply(lambda c: c.name == b"APPEND" and size.search(c.text) is not None, b"NO not this one", times=None)
    )
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES - len(last), "refused": len(last)}


@pytest.mark.parametrize("empty", [False, True])
def test_where_uids_are_told_a_folder_that_holds_mail_stays_open(wires: Wires, empty: bool) -> None:
    """An empty one is left once, behind its first group (`tests/integration/test_mbox_files.py`)."""
    wires.destination.faults.clear()
    wires.destination.behaviour.capabilities.add("UIDPLUS")
    if not empty:
        wires.new.folder(b"INBOX").add(plain(98), internaldate=b" 1-Jan-2020 00:00:00 +0000")
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES}
    assert len(wires.destination.matching(rb"^UNSELECT")) == (1 if empty else 0)


#: Messages of which the destination keeps neither header nor size: without any header, or with a header field ahead.
UNLIKE = [b"no header at all\r\n", b"neither this one\r\n" * 3, plain(99)]


def renamed_fields(body: bytes) -> bytes:
    """Returns the message as a server keeps it that writes header fields of its own where it finds none of a message."""
    return b"X-UID: 1\r\nStatus: RO\r\n\r\n" + body


def test_copies_that_nothing_tells_are_known_by_their_order(wires: Wires) -> None:
    for body in UNLIKE:
        wires.old.folder(b"INBOX").add(body, internaldate=b" 1-Jan-2015 00:00:00 +0000")
    wires.destination.behaviour.append.alter_body = renamed_fields
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES + len(UNLIKE)}
    assert in_process.noted("altered").keys() == set(range(1, MESSAGES + len(UNLIKE) + 1))


def test_where_one_more_came_nothing_is_taken_for_ours(wires: Wires) -> None:
    """The control: what somebody else delivers meanwhile is no copy, and what cannot be told is not called copied."""
    wires.old.folder(b"INBOX").add(UNLIKE[0], internaldate=b" 1-Jan-2015 00:00:00 +0000")
    inbox = wires.new.folder(b"INBOX")

    def delivered_beside(body: bytes) -> bytes:
        if body != UNLIKE[0]:
            return body
        inbox.add(b"Subject: new\r\n\r\nmail\r\n", internaldate=b" 1-Jan-2020 00:00:00 +0000")
        return renamed_fields(body)

    wires.destination.behaviour.append.alter_body = delivered_beside
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES, "failed": 1}
