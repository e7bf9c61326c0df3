"""Tests messages larger than the destination takes.

They are neither fetched nor sent, but reported; the others go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import worker.copying.copy
from producer.operations.control import _retried
from producer.operations.finding import RETRIED
from shared.mail import FolderStatus, MailSource
from shared.model.uids import UidSet
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faulty import FaultyServer
from worker.copying.inflight import InFlight

LIMIT = 1_000_000
LARGE = plain(50, text="x" * 3_000_000)


@pytest.fixture
def wires() -> Iterator[Wires]:
    with FaultyServer() as source, FaultyServer() as destination:
        wires = Wires(source, destination)
        wires.fill(3)
        wires.old.folder(b"INBOX").add(LARGE)
        wires.fill(3, first=10)
        yield wires


def fetched(source: FaultyServer) -> UidSet:
    """Returns the UIDs whose bodies were fetched."""
    found = [re.match(rb"UID FETCH (\S+) .*BODY\.PEEK\[\]", command.text) for command in source.commands]
    return UidSet.parse(",".join(match[1].decode() for match in found if match))


def imported(wires: Wires) -> InProcessImport:
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    return in_process


def test_above_the_servers_limit_nothing_is_fetched(wires: Wires) -> None:
    wires.destination.behaviour.capabilities.add(f"APPENDLIMIT={LIMIT}")
    in_process = imported(wires)
    assert in_process.outcomes() == {"copied": 6, "refused": 1}
    assert str(fetched(wires.source)) == "1:3,5:7"
    note = next(note for note in in_process.notes() if note.what == "refused")
    assert note.reason == f"larger than the destination takes (limit {LIMIT} bytes)"
    assert (note.uid, note.message_id, note.size_bytes) == (4, "<50@example.org>", len(LARGE))
    assert in_process.mailbox().state == "complete"


def test_without_the_look_at_sizes_it_is_fetched(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above: the message is fetched, but still not sent."""

    def all_of_them(source: MailSource, opened: FolderStatus, flight: InFlight, uids: UidSet) -> UidSet:
        return uids

    monkeypatch.setattr(worker.copying.copy, "set_aside", all_of_them)
    wires.destination.behaviour.capabilities.add(f"APPENDLIMIT={LIMIT}")
    assert imported(wires).outcomes() == {"copied": 6, "refused": 1}
    assert 4 in fetched(wires.source)
    assert not any(size > LIMIT for c in wires.destination.commands for size in (*c.waited, *c.hurried))


@pytest.mark.parametrize("folder_limit", [LIMIT, None])
def test_a_folder_may_have_a_limit_of_its_own(wires: Wires, folder_limit: int | None) -> None:
    """Follows RFC 7889 §3.2: a bare APPENDLIMIT means that STATUS reports the limit."""
    wires.destination.behaviour.capabilities.add("APPENDLIMIT")
    wires.new.folder(b"INBOX").append_limit_bytes = folder_limit
    in_process = imported(wires)
    assert in_process.outcomes() == ({"copied": 6, "refused": 1} if folder_limit else {"copied": 7})
    assert (4 in fetched(wires.source)) == (folder_limit is None)


def test_a_limit_that_is_only_told_by_refusing_is_reported_in_its_words(wires: Wires) -> None:
    """Acts like a Dovecot with quota_mail_size, which reports no limit beforehand."""
    wires.destination.behaviour.append.limit_bytes = LIMIT
    in_process = imported(wires)
    assert in_process.outcomes() == {"copied": 6, "refused": 1}
    assert "Message is too large" in in_process.noted("refused")[4]


def test_when_the_limit_is_raised_a_retry_brings_it(wires: Wires) -> None:
    wires.destination.behaviour.capabilities.add(f"APPENDLIMIT={LIMIT}")
    in_process = imported(wires)
    wires.destination.behaviour.capabilities.discard(f"APPENDLIMIT={LIMIT}")
    wires.destination.behaviour.capabilities.add(f"APPENDLIMIT={LIMIT * 10}")
    batches = list(_retried(in_process.store, in_process.mailbox(), RETRIED))
    assert in_process.store.retry(in_process.import_id, in_process.mailbox_id, batches)
    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"copied": 7}
    assert wires.bodies() == wires.sent()
