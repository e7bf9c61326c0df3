"""Tests what a pass that finds nothing new costs: flights to each server, and no count twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import worker.planning.counted
import worker.unit_work
import worker.verifying.verify
from shared.mail import FolderStatus, KnownStatus
from shared.mail.transport import tls
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport
from tests.mail import make_mailbox, populate
from tests.servers.relay import Relay
from tests.servers.wire import Wire
from worker.planning.counted import GOOD_SECONDS, CountedFolders, counted_again
from worker.planning.plan import MailboxPlan

COUNTS = {"INBOX": 5, **{f"Folder{n}": 3 for n in range(1, 8)}}
#: Signing in, the listings with the numbers; and LOGOUT, whose answer nobody waits for.
ROUND_TRIPS, GOODBYE = 2, 1


class _Both:
    """Two servers behind relays, after a first pass over eight folders."""

    def __init__(self, pair: DovecotPair) -> None:
        self.login, self.password = pair.account(), pair.password
        self.servers = pair.source, pair.destination
        self.relays = tuple(Relay(server.port, wire_seconds=0.01) for server in self.servers)
        place = pair.source.host, pair.source.port, self.login, self.password
        populate(*place, make_mailbox(1, {name: count + 1 for name, count in COUNTS.items()}))
        # One more was in each folder: were all numbers those of the destination, it would be asked once more whether it is
        # another mailbox.
        with Wire(*place) as wire:
            for name in COUNTS:
                for command in (b"SELECT " + name.encode(), b"STORE 1 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE"):
                    wire.command(command)
        self.in_process = InProcessImport(*self.relays, logins=(self.login,), password=self.password)
        self.again()
        assert self.in_process.outcomes() == {"copied": sum(COUNTS.values())}

    def again(self) -> None:
        for relay in self.relays:
            relay.clear()
        self.in_process.later(3600)
        self.in_process.to_the_end()

    def flights(self) -> list[int]:
        return [len(relay.asked) for relay in self.relays]


@pytest.fixture
def both(dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Both]:
    # A server that is slow to greet is looked at by another connection, which is counted, too.
    monkeypatch.setattr(tls, "_SILENT_SECONDS", 60.0)
    both = _Both(dovecot_pair)
    yield both
    for relay in both.relays:
        relay.close()


def test_eight_quiet_folders_cost_two_round_trips_a_side(both: _Both) -> None:
    seen = list[list[int]]()
    for _ in range(5):
        both.again()
        assert [relay.connections for relay in both.relays] == [1, 1]
        seen.append(both.flights())
    # A busy machine may write one flight in two pieces, and never two in one. LOGOUT may not have passed the relay yet.
    assert all(ROUND_TRIPS <= min(flights) <= ROUND_TRIPS + GOODBYE for flights in zip(*seen, strict=True)), seen
    assert both.in_process.outcomes() == {"copied": sum(COUNTS.values())}


def test_what_was_copied_is_counted_afterwards(both: _Both) -> None:
    """Shows, as the negative control, that only a pass without work goes by what planning counted."""
    source = both.servers[0]
    with Wire(source.host, source.port, both.login, both.password) as wire:
        wire.command(b"SELECT INBOX")
        wire.command(b"COPY 1 INBOX")
    both.again()
    assert both.in_process.outcomes() == {"copied": sum(COUNTS.values()) + 1}
    assert both.flights()[1] > ROUND_TRIPS + GOODBYE


def test_a_message_that_vanished_at_the_destination_is_found_by_a_quiet_pass(both: _Both) -> None:
    destination = both.servers[1]
    with Wire(destination.host, destination.port, both.login, both.password) as wire:
        for command in (b"SELECT INBOX", b"STORE 1 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE"):
            wire.command(command)
    both.again()
    assert both.in_process.tally().removed == 1


@pytest.mark.parametrize(("lasted", "again"), [(0.0, False), (GOOD_SECONDS + 1, True)])
def test_the_numbers_are_as_old_as_the_plan(
    both: _Both, monkeypatch: pytest.MonkeyPatch, lasted: float, again: bool
) -> None:
    plan, passed = MailboxPlan.run, [0.0]

    def slow(self: MailboxPlan, *args: Any) -> int:
        lanes = plan(self, *args)
        passed[0] += lasted
        return lanes

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0])
    monkeypatch.setattr(MailboxPlan, "run", slow)
    monkeypatch.setattr(worker.unit_work, "time", clock)
    monkeypatch.setattr(worker.verifying.verify, "time", clock)
    asked: list[Any] = []
    count = worker.planning.counted.known_statuses
    monkeypatch.setattr(worker.planning.counted, "known_statuses", lambda *told: asked.append(told) or count(*told))
    both.again()
    assert len(asked) == again


class _Destination:
    """A destination that counts how often it is asked."""

    def __init__(self) -> None:
        self.commands, self.asked = 7, 0

    def statuses(self, names: list[bytes], **_: bool) -> list[FolderStatus | Exception]:
        self.asked += 1
        return [FolderStatus(messages=2, uidnext=3, uidvalidity=1) for _ in names]


_NOW = 100.0
_KNOWN = KnownStatus(messages=1, uidnext=2, uidvalidity=1)


def _counted(**changes: Any) -> CountedFolders:
    given = {"mailbox_id": "m", "numbers": {b"INBOX": _KNOWN}, "commands": 7, "at": _NOW}
    return CountedFolders(**{**given, **changes})


def test_numbers_that_are_good_are_not_asked_for_again() -> None:
    destination: Any = _Destination()
    assert counted_again(destination, [b"INBOX"], _counted(), "m", _NOW + GOOD_SECONDS) == [_KNOWN]
    assert destination.asked == 0


@pytest.mark.parametrize(
    ("counted", "names", "now"),
    [
        (None, [b"INBOX"], _NOW),
        (_counted(mailbox_id="another"), [b"INBOX"], _NOW),
        (_counted(commands=6), [b"INBOX"], _NOW),
        (_counted(commands=-1), [b"INBOX"], _NOW),
        (_counted(), [b"INBOX", b"Other"], _NOW),
        (_counted(), [b"INBOX"], _NOW + GOOD_SECONDS + 0.1),
    ],
    ids=["none", "another mailbox", "something was sent", "at several times", "a folder more", "too old"],
)
def test_numbers_that_may_have_changed_are_asked_for(
    counted: CountedFolders | None, names: list[bytes], now: float
) -> None:
    destination: Any = _Destination()
    assert [one.messages for one in counted_again(destination, names, counted, "m", now)] == [2] * len(names)  # type: ignore[union-attr]
    assert destination.asked == 1
