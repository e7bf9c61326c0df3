"""Tests how a worker uses the queue when the queue is away, and when the worker is to end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from dramatiq.brokers.redis import _RedisConsumer
from dramatiq.errors import ConnectionClosed

from shared.model import UnitKind
from shared.runtime import broker
from worker.actors import call_lane


def test_a_lane_goes_on_where_the_queue_is_away() -> None:
    def away(message: Any) -> None:
        raise ConnectionClosed("away")

    queue: Any = SimpleNamespace(enqueue=away)
    call_lane(queue, UnitKind.COPY, "i", "")
    with pytest.raises(ConnectionClosed):
        broker.ring(queue, UnitKind.COPY, "i", "")


@pytest.mark.parametrize("leaving", [True, False])
def test_a_consumer_of_a_process_that_ends_takes_no_job(monkeypatch: pytest.MonkeyPatch, leaving: bool) -> None:
    consumer = object.__new__(broker._Waiting)
    consumer.broker = SimpleNamespace(leaving=leaving, may_wait=False)
    consumer.message_cache = ["job"]
    monkeypatch.setattr(_RedisConsumer, "__next__", lambda self: "job")
    assert next(consumer) == (None if leaving else "job")
