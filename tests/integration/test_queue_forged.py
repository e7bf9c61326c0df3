"""Tests jobs of whoever may write to the queue: none does more than have a lane ask the store what may run."""

from __future__ import annotations

import json
import pickle
import threading
from typing import Any, cast

import dramatiq
import pytest
from redis import Redis

from shared.model import UnitKind
from shared.model.jobs import QUEUES, payload
from shared.runtime.broker import make_broker, ring
from tests.servers.redis_server import RedisServer
from worker.actors import LanesAtWork, register
from worker.lane import Lane


class _Lane:
    """A lane that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.honest = threading.Event()

    def serve(self, hint: str) -> int:
        self.told.append(hint)
        if hint == "honest":
            self.honest.set()
        return 0


class _Gadget:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit",))


def _job(actor: str = "copy", **fields: Any) -> bytes:
    usual = {
        "queue_name": "copy",
        "actor_name": actor,
        "args": [],
        "kwargs": payload("i", "forged"),
        "options": {},
        "message_id": "m",
        "message_timestamp": 1,
    }
    return json.dumps({**usual, **fields}).encode()


FORGED = {
    "pickle": pickle.dumps(_Gadget()),
    "no json": b"\xff{",
    "nested without end": b"[" * 100_000,
    "no object": b"[]",
    "no field": b"{}",
    "a megabyte": _job(kwargs={"v": 1, "import_id": "x" * 1_000_000, "batch_id": ""}),
    "another actor": _job("os.system", args=["id"]),
    "another version": _job(kwargs={**payload("i", "forged"), "v": 99}),
    "other arguments": _job(kwargs={"command": "id"}),
    "more arguments": _job(args=["id", "id", "id", "id"]),
    "a callback": _job(
        options={"on_failure": "os.system", "on_success": "os.system", "pipe_target": {"actor_name": "x"}}
    ),
    "retries": _job(options={"retries": -10_000, "max_retries": 10_000, "min_backoff": 0}),
}


def _push(client: Redis, number: int, job: bytes) -> None:
    client.hset("mailhaul:copy.msgs", f"forged-{number}", job)  # type: ignore[arg-type]
    client.rpush("mailhaul:copy", f"forged-{number}")


def test_a_forged_job_has_a_lane_ask_the_store_and_no_more(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, lane = cast(Any, make_broker(redis_server.url(0))), _Lane()
    begun: list[str] = []
    consume = broker.consume

    def counted(queue_name: str, *more: Any, **named: Any) -> Any:
        begun.append(queue_name)
        return consume(queue_name, *more, **named)

    monkeypatch.setattr(broker, "consume", counted)
    register(broker, lambda: cast(Lane, lane), LanesAtWork())
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=200)
    with redis_server.client(0) as client:
        for number, job in enumerate(FORGED.values()):
            _push(client, number, job)
    worker.start()
    try:
        ring(broker, UnitKind.COPY, "i", "honest")
        assert lane.honest.wait(180), "it is served all the same"
        # A lane is told a unit's id, which it may or may not get from the store: `claim` decides.
        assert set(lane.told) <= {"forged", "", "honest"}
        assert sorted(begun) == sorted(QUEUES), "no consumer had to begin again"
    finally:
        worker.stop(timeout=5000)
