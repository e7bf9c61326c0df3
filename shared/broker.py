"""The RedisBroker with its middleware, spelled out, and the doorbell.

Dramatiq on Redis loses, strands and doubles jobs (measured); it is transport only. No retries, no time limits, no
delays, no results: those live in the state store.
"""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware, Retries
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.jobs import QUEUES, payload
from shared.model import UnitKind
from shared.redis_client import open_redis

#: A process that was silent for this long is dead for Dramatiq's maintenance (ms).
HEARTBEAT_MS = 60_000


def make_broker(url: str, *middleware: Middleware) -> RedisBroker:
    """A broker on `url` (Dramatiq's own database). redis-py's blind retries are off: dispatch.lua is not idempotent."""
    client = open_redis(
        url,
        socket_timeout=15,
        socket_connect_timeout=5,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 0),
        max_connections=200,
    )
    broker: RedisBroker = RedisBroker(  # type: ignore[no-untyped-call]
        client=client,
        namespace="mailhaul",
        heartbeat_timeout=HEARTBEAT_MS,
        maintenance_chance=10_000,
        middleware=[Retries(max_retries=0), *middleware],
    )
    for queue in QUEUES:
        broker.declare_queue(queue)
    # Nothing is ever delayed here: a worker's consumer threads for it would only poll, as often as all the others do.
    broker.delay_queues.clear()
    return broker


def ring(broker: RedisBroker, kind: UnitKind, import_id: str, unit_id: str) -> None:
    """One doorbell. A failure to ring is no failure: the coordinator's rescue rings again."""
    message: dramatiq.Message[None] = dramatiq.Message(
        queue_name=kind, actor_name=kind, args=(), kwargs=payload(import_id, unit_id), options={}
    )
    broker.enqueue(message)
