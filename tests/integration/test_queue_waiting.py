"""Tests that an idle worker waits in Redis for a job instead of asking, and asks where it may not wait."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import dramatiq
import pytest
from redis.exceptions import NoPermissionError

import shared.runtime.broker
from shared.model import UnitKind
from shared.model.jobs import QUEUES
from shared.runtime.broker import make_broker, ring
from tests.servers.redis_server import RedisServer


class _Worker:
    """A worker of one thread that notes when it heard each job, and how often it fetched."""

    def __init__(self, url: str) -> None:
        self.broker = cast(Any, make_broker(url))
        self.heard = threading.Event()
        self.fetched = 0
        fetch = self.broker.do_fetch

        def counted(*arguments: Any) -> Any:
            self.fetched += 1
            return fetch(*arguments)

        self.broker.do_fetch = counted
        for queue in QUEUES:
            dramatiq.actor(actor_name=queue, queue_name=queue, broker=self.broker)(lambda **_: self.heard.set())
        self.worker = dramatiq.Worker(self.broker, worker_threads=1, worker_timeout=200)


def _waiting(server: RedisServer) -> int:
    with server.client(0) as client:
        return int(client.info("clients")["blocked_clients"])


def test_an_idle_worker_fetches_nothing_until_a_job_comes(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.runtime.broker, "WAIT_SECONDS", 60.0)
    listening = _Worker(redis_server.url(0))
    listening.worker.start()
    try:
        deadline = time.monotonic() + 180
        while _waiting(redis_server) < len(QUEUES):
            assert time.monotonic() < deadline, "not every queue is waited for"
            threading.Event().wait(0.01)
        before = listening.fetched
        ring(listening.broker, UnitKind.COPY, "i", "u")
        assert listening.heard.wait(180), "a job wakes it, although it waits for another minute"
        # Only the queue with the job was asked: with Dramatiq's own looks, all of them are, many times over.
        assert listening.fetched - before <= 2
        with redis_server.client(0) as client:
            assert client.llen("mailhaul:copy") == 0, "the job is taken, not left behind by the waiting"
    finally:
        for thread in listening.worker.consumers.values():
            thread.stop()
        with redis_server.client(0) as client:
            for queue in QUEUES:  # wakes those that wait, so that they see that they are to end
                client.rpush(f"mailhaul:{queue}", "none")
        listening.worker.stop(timeout=5000)


def test_where_the_user_may_not_wait_it_asks(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    listening = _Worker(redis_server.url(0))

    def forbidden(*_: Any) -> None:
        raise NoPermissionError("this user has no permissions to run the 'blmove' command")

    monkeypatch.setattr(listening.broker.client, "blmove", forbidden)
    listening.worker.start()
    try:
        ring(listening.broker, UnitKind.COPY, "i", "u")
        assert listening.heard.wait(180)
        assert listening.broker.may_wait is False
    finally:
        listening.worker.stop(timeout=5000)
