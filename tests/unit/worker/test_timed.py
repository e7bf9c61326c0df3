"""Timed sessions: they do what the sessions do, and timing costs next to nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from shared.mail import Appended, MailDestination, MailSource
from shared.metrics import IMAP_COMMANDS, WorkerMetrics
from shared.model.events import CommandEnded, Event, GroupSettled, SessionEnded, SignedIn
from shared.model.uids import UidSet
from worker.sessions.timed import COMMANDS, timed


class Clock:
    """A clock that moves one second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


class Source:
    closed = False

    def open(self, name: bytes) -> str:
        if name == b"gone":
            raise KeyError(name)
        return "status"

    def fetch(self, uids: UidSet, *, size_bytes: int = 0) -> Iterator[int]:
        try:
            yield from uids
        finally:
            self.closed = True


class Destination:
    def send(self, group: Any, flags: Any, token: object) -> None:
        self.token = token

    def answers(self, *, outstanding: int = 0) -> Iterator[Appended]:
        yield Appended(token=self.token, stored=(), uids=None, uidvalidity=None, refused={})


def test_commands_are_told_with_their_side_and_time_whether_they_succeed_or_not() -> None:
    told: list[Event] = []
    source = timed(cast(MailSource, Source()), "source", told.append, Clock())
    assert cast(Any, source.open(b"INBOX")) == "status"
    with pytest.raises(KeyError):
        source.open(b"gone")
    assert told == [CommandEnded(side="source", command="select", seconds=1.0)] * 2


def test_fetch_is_timed_to_its_first_message_and_passes_the_rest_on() -> None:
    told: list[Event] = []
    inner = Source()
    source = timed(cast(MailSource, inner), "source", told.append, Clock())
    assert cast(Any, list(source.fetch(UidSet.parse("1:4")))) == [1, 2, 3, 4]
    assert told == [CommandEnded(side="source", command="fetch", seconds=1.0)]
    assert list(source.fetch(UidSet.parse(""))) == []


def test_leaving_a_fetch_early_reaches_the_session() -> None:
    inner = Source()
    messages = timed(cast(MailSource, inner), "source", lambda _: None).fetch(UidSet.parse("1:4"))
    next(messages)
    assert not inner.closed
    messages.close()  # type: ignore[attr-defined]
    assert inner.closed


def test_append_is_timed_from_the_first_byte_to_the_answer() -> None:
    told: list[Event] = []
    destination = timed(cast(MailDestination, Destination()), "destination", told.append, Clock())
    destination.send([], [], "3.1")
    assert [answer.token for answer in destination.answers()] == ["3.1"]
    assert told == [CommandEnded(side="destination", command="append", seconds=1.0)]


def test_every_command_has_its_series() -> None:
    assert {*COMMANDS.values(), "fetch", "append"} == set(IMAP_COMMANDS)


def test_connections_are_counted_up_and_down() -> None:
    metrics = WorkerMetrics()
    metrics(SignedIn(side="source", result="ok", seconds=0.1))
    metrics(SignedIn(side="source", result="AuthenticationRefused", seconds=0.1))
    assert metrics.registry.get_sample_value("mailhaul_imap_connections", {"side": "source"}) == 1
    metrics(SessionEnded(side="source"))
    assert metrics.registry.get_sample_value("mailhaul_imap_connections", {"side": "source"}) == 0


def test_what_a_group_costs_is_far_below_what_it_takes() -> None:
    """Bounds the cost of timing.

    A group of 100 messages takes some ten milliseconds; all events about it together take microseconds.
    """
    metrics = WorkerMetrics()
    group = (
        CommandEnded(side="source", command="fetch", seconds=0.01),
        CommandEnded(side="destination", command="append", seconds=0.01),
        GroupSettled(outcome="copied", messages=100, size_bytes=400_000),
    )
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(200):
            for event in group:
                metrics(event)
            metrics.observe_script("progress", 0.001)
        best = min(best, (time.perf_counter() - began) / 200)
    assert best < 200e-6, f"{best * 1e6:.1f} µs a group"
