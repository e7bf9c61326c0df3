"""Tests a source that breaks the connection at SEARCH, and shows neither header nor text of a message (go-imap)."""

from __future__ import annotations

import pytest

from tests.integration.in_process_import import InProcessImport, Wires
from tests.servers.faults import close, reply
from tests.servers.faulty import FaultyServer
from worker.copying.outcomes import MessageOutcomes


def run(source: FaultyServer, destination: FaultyServer) -> InProcessImport:
    """Imports one message that the source lists by its size alone."""
    Wires(source, destination).fill(1)
    source.faults.add(reply(rb"^UID FETCH .*BODY", b"OK done", times=None))
    source.faults.add(close(rb"^UID SEARCH", times=None))
    in_process = InProcessImport(source, destination)
    in_process.submit()
    in_process.work()
    return in_process


def test_the_message_is_told_without_a_search() -> None:
    with FaultyServer() as source, FaultyServer() as destination:
        in_process = run(source, destination)
        assert in_process.outcomes() == {"failed": 1}
        assert in_process.noted("failed") == {1: "the source lists the message but gives no body"}
        assert not source.matching(rb"^UID SEARCH")


def test_asked_by_search_it_holds_the_import_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: nothing counts as listed that is not shown."""
    monkeypatch.setattr(MessageOutcomes, "listed_by_size", lambda *_: set())
    with FaultyServer() as source, FaultyServer() as destination:
        assert run(source, destination).outcomes() == {"pending": 1}
        assert source.matching(rb"^UID SEARCH")
