"""Tests an outage of the queue's Redis under a listening worker: one log line each way, and the next job is taken."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker

import shared.runtime.broker
from shared.model import UnitKind
from shared.model.jobs import QUEUES
from shared.runtime.broker import _Outage, make_broker, ring
from shared.runtime.logs import configure_logging
from shared.runtime.redis_client import address_of
from tests.servers.redis_server import RedisServer


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Yields a Redis that has on disk what it answered.

    By itself it writes later than it answers while the disk is busy. Then a kill takes back what a worker did with a job, which is
    delivered twice, or never acknowledged.
    """
    with RedisServer(tmp_path, appendfsync="always") as server:
        yield server


@pytest.fixture
def logged(redis_server: RedisServer) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Yields a function that returns what was logged about this server, in the form that a process logs.

    A worker of an earlier test that did not end in time may speak of its own.
    """
    root, stream = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    configure_logging(log_format="json", stream=stream)
    here = address_of(redis_server.url(0))

    def entries() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in stream.getvalue().splitlines()]
        return [entry for entry in found if entry.get("where", here) == here]

    yield entries
    root.handlers[:] = before
    root.setLevel(level)


class Listening:
    """A worker of one thread that records its jobs, and how often it asked the queues."""

    def __init__(self, url: str, **changes: Any) -> None:
        self.broker = cast(Any, make_broker(url))
        for name, value in changes.items():
            setattr(self.broker, name, value.__get__(self.broker))
        self.heard: list[str] = []
        self.asked = 0
        wait: Callable[..., Any] = self.broker.client.blmove

        def counted(*arguments: Any) -> Any:
            self.asked += 1
            return wait(*arguments)

        self.broker.client.blmove = counted
        for queue in QUEUES:
            dramatiq.actor(actor_name=queue, queue_name=queue, broker=self.broker)(self._hear)
        self.worker = dramatiq.Worker(self.broker, worker_threads=1, worker_timeout=20)

    def _hear(self, **payload: Any) -> None:
        self.heard.append(payload["unit_id"] if "unit_id" in payload else str(payload))

    def __enter__(self) -> Listening:
        self.worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop(timeout=5000)


def _until(check: Callable[[], object], what: str) -> None:
    deadline, pause = time.monotonic() + 180, threading.Event()
    while not check():
        assert time.monotonic() < deadline, f"{what} did not come"
        pause.wait(0.01)


def _events(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["event"] for entry in entries if entry["logger"] == "mailhaul.queue" or entry["level"] != "info"]


def _said(logged: Callable[[], list[dict[str, Any]]], lines: int) -> bool:
    return len(_events(logged())) >= lines


def _more(listening: Listening, asked: int) -> bool:
    return listening.asked > asked


def _heard(listening: Listening, bells: int) -> bool:
    return len(listening.heard) == bells


def test_an_outage_is_two_lines_and_no_more(
    redis_server: RedisServer, logged: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.runtime.broker, "AWAY_SECONDS", 0.05)
    with Listening(redis_server.url(0)) as listening:
        ring(listening.broker, UnitKind.COPY, "i", "before")
        _until(lambda: listening.heard, "the first doorbell")
        for outage in (1, 2):
            redis_server.kill()
            _until(partial(_said, logged, 2 * outage - 1), "the word that it is away")
            _until(partial(_more, listening, listening.asked + 20), "some more looks, by each of three threads")
            redis_server.start()
            _until(partial(_said, logged, 2 * outage), "the word that it is back")
            ring(listening.broker, UnitKind.COPY, "i", f"after {outage}")
            _until(partial(_heard, listening, outage + 1), "the doorbell after that")
        assert _events(logged()) == ["queue_unreachable", "queue_reachable"] * 2
        away = logged()[0]
        assert (away["where"], away["level"], away["logger"]) == (
            address_of(redis_server.url(0)),
            "warning",
            "mailhaul.queue",
        )
        assert away["error"]


def test_a_doorbell_that_was_answered_while_it_was_away_is_acknowledged_afterwards(
    redis_server: RedisServer, logged: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.runtime.broker, "AWAY_SECONDS", 0.05)
    listening = Listening(redis_server.url(0))
    begun, over = threading.Event(), threading.Event()

    def busy(**_: Any) -> None:
        begun.set()
        over.wait(180)

    listening.broker.actors[UnitKind.COPY].fn = busy
    with listening:
        ring(listening.broker, UnitKind.COPY, "i", "u")
        assert begun.wait(180)
        redis_server.kill()
        over.set()
        _until(lambda: _events(logged()), "the word that it is away")
        redis_server.start()
        client = redis_server.client(0)
        _until(lambda: client.hlen(f"mailhaul:{UnitKind.COPY}.msgs") == 0, "the acknowledgement")
    assert _events(logged()) == ["queue_unreachable", "queue_reachable"]


def test_a_request_that_fails_later_than_another_was_answered_is_no_outage(
    redis_server: RedisServer, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    outage, error = _Outage(address_of(redis_server.url(0))), redis.ConnectionError("reset")
    sent = time.monotonic()
    outage.away(sent, error)
    outage.answered(time.monotonic())
    outage.away(sent, error)  # as of a thread that waited for its answer all the time
    assert _events(logged()) == ["queue_unreachable", "queue_reachable"]
    outage.away(time.monotonic(), error)
    assert _events(logged()) == ["queue_unreachable", "queue_reachable", "queue_unreachable"]


def test_control_dramatiq_alone_calls_it_critical(
    redis_server: RedisServer, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    with Listening(redis_server.url(0), consume=RedisBroker.consume) as listening:
        _until(lambda: listening.asked > 3, "the first looks")
        redis_server.kill()
        _until(lambda: [entry for entry in logged() if entry["level"] == "critical"], "what this is about")
