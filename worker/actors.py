"""The Dramatiq actors: one for each queue; each only tells a lane that something may be runnable."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import iter_queue
from dramatiq.errors import BrokerConnectionError

from shared.model import UnitKind
from shared.model.jobs import PAYLOAD_VERSION, QUEUES
from shared.runtime.broker import ring, take_no_more
from worker.lane import Lane

_local = threading.local()


class LanesAtWork:
    """Counts the lanes that serve units now. Thread-safe."""

    def __init__(self) -> None:
        self._lanes = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._lanes += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._lanes -= 1
            self._changed.notify_all()

    def await_none(self, seconds: float) -> bool:
        """Waits until no lane serves, at most so long. Returns whether none does."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lanes, seconds)


def register(broker: RedisBroker, new_lane: Callable[[], Lane], serving: LanesAtWork) -> None:
    """Declares the actors on `broker`. Each worker thread gets a lane of its own, created when it is first needed."""

    def answer(v: int, import_id: str, batch_id: str) -> None:
        if v != PAYLOAD_VERSION:
            return
        with serving:
            if not hasattr(_local, "lane"):
                _local.lane = new_lane()
            _local.lane.serve(batch_id)

    for queue in QUEUES:
        dramatiq.actor(actor_name=queue, queue_name=queue, broker=broker)(answer)


def call_lane(broker: RedisBroker, kind: UnitKind, import_id: str, unit_id: str) -> None:
    """Rings for one lane more. Where the queue is away nobody hears it, and the coordinator rings again later."""
    with contextlib.suppress(redis.RedisError, BrokerConnectionError):
        ring(broker, kind, import_id, unit_id)


def leave(worker: dramatiq.Worker, serving: LanesAtWork, seconds: float) -> None:
    """Ends the threads of a process that was told to stop: waits for lanes at work, and puts back the jobs that none began.

    `Worker.stop` also waits for threads that only wait for a job. A job that one of them still takes is lost, and rung again.
    """
    take_no_more(worker.broker)  # else they would take what is put back below
    for thread in worker.workers:
        thread.stop()
    serving.await_none(seconds)
    left = defaultdict(list)
    for item in iter_queue(worker.work_queue):  # type: ignore[no-untyped-call]
        left[item.message.queue_name].append(item.message)
    for queue, messages in left.items():
        with contextlib.suppress(redis.RedisError, BrokerConnectionError):  # rung again
            worker.consumers[queue].requeue_messages(messages)
