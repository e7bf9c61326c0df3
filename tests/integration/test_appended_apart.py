"""Tests a destination that loses what is appended to the folder which the same connection has open (GNU Mailutils)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from shared.mail.imap.imap_appending import AppendSession
from tests.integration.in_process_import import InProcessImport, Wires
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


def test_where_uids_are_told_the_folder_stays_open(wires: Wires) -> None:
    wires.destination.faults.clear()
    wires.destination.behaviour.capabilities.add("UIDPLUS")
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES}
    assert not wires.destination.matching(rb"^UNSELECT")
