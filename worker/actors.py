"""The Dramatiq actors: one for each queue; each only tells a lane that something may be runnable."""

from __future__ import annotations

import threading
from collections.abc import Callable

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from shared.model.jobs import PAYLOAD_VERSION, QUEUES
from worker.lane import Lane

_local = threading.local()


def register(broker: RedisBroker, new_lane: Callable[[], Lane]) -> None:
    """Declares the actors on `broker`. Each worker thread gets a lane of its own, created when it is first needed."""

    def answer(v: int, import_id: str, batch_id: str) -> None:
        if v != PAYLOAD_VERSION:
            return
        if not hasattr(_local, "lane"):
            _local.lane = new_lane()
        _local.lane.serve(batch_id)

    for queue in QUEUES:
        dramatiq.actor(actor_name=queue, queue_name=queue, broker=broker)(answer)
