"""The RedisBroker with its middleware, spelled out, and the enqueueing of jobs.

Dramatiq on Redis loses, strands and doubles jobs (measured), so it is transport only. Retries, time limits, delays and
results live in the state store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.middleware import Middleware, Retries
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.model import UnitKind
from shared.model.jobs import QUEUES, payload
from shared.runtime.logs import get_logger
from shared.runtime.redis_client import address_of, open_redis

#: For Dramatiq's maintenance, a process without a heartbeat for this long is dead (ms).
HEARTBEAT_MS = 60_000
#: The time for which a consumer waits in Redis for a job; it says that it lives (`HEARTBEAT_MS`) at least as often.
WAIT_SECONDS = 1.0
#: The pause between two tries to reach a queue.
AWAY_SECONDS = 1.0

_AWAY = (ConnectionClosed, redis.ConnectionError, redis.TimeoutError)


class _Outage:
    """Logs once that the queue is away, and once that it is back, however many threads listen."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._since: float | None = None
        #: The time at which the last request was sent that was answered.
        self._answered = 0.0
        self._lock = threading.Lock()
        self._log = get_logger("mailhaul.queue")

    def away(self, asked: float, error: Exception) -> None:
        """Notes that a request sent at `asked` was not answered; one that was sent later was perhaps answered meanwhile."""
        with self._lock:
            known = self._since is not None or asked < self._answered
            if not known:
                self._since = time.monotonic()
        if not known:
            self._log.warning("queue_unreachable", where=self._where, error=str(error))

    def answered(self, asked: float) -> None:
        """Notes that the queue answered a request sent at `asked`; an outage that began later goes on."""
        with self._lock:
            self._answered = max(self._answered, asked)
            since = self._since
            if since is None or asked <= since:
                return
            self._since = None
        self._log.info("queue_reachable", where=self._where, seconds=round(time.monotonic() - since, 1))


class _Patient(dramatiq.Consumer):
    """A consumer that waits while Redis is away.

    Dramatiq would log "critical", end the consumer and begin another, for each queue every three seconds, although
    Redis comes back by itself and no job matters meanwhile.
    """

    def __init__(self, consumer: dramatiq.Consumer, outage: _Outage) -> None:
        self._consumer, self._outage = consumer, outage

    def __next__(self) -> Any:
        asked = time.monotonic()
        try:
            found = next(self._consumer)
        except _AWAY as error:
            self._outage.away(asked, error)
            time.sleep(AWAY_SECONDS)
            return None  # as when there is no job: Dramatiq checks whether to stop, and asks again
        self._outage.answered(asked)
        return found

    def ack(self, message: Any) -> None:
        """Acknowledges the job, and repeats that until Redis hears it.

        Jobs that are done and not acknowledged would fill the queue in time.
        """
        while True:
            asked = time.monotonic()
            try:
                self._consumer.ack(message)
            except _AWAY as error:
                self._outage.away(asked, error)
                time.sleep(AWAY_SECONDS)
            else:
                return self._outage.answered(asked)

    def nack(self, message: Any) -> None:
        """Rejects the job. Jobs do not fail: what became of a unit stands in the store."""
        self._consumer.nack(message)

    def requeue(self, messages: Iterable[Any]) -> None:
        """Puts back, at the end, the jobs that were not begun."""
        self._consumer.requeue(messages)

    def close(self) -> None:
        """Closes the consumer at the end."""
        self._consumer.close()


class _Waiting(_RedisConsumer):
    """A consumer that waits in Redis until there is a job, instead of asking again and again.

    BLMOVE from the list to its own end waits for a job and leaves it where it is; fetching it is up to Dramatiq's script. Where an
    older list of rights forbids the command, it asks every so often, as Dramatiq does.
    """

    def __next__(self) -> Any:
        if not self.message_cache and self.outstanding_message_count < self.prefetch and self.broker.may_wait:
            key = f"{self.broker.namespace}:{self.queue_name}"
            try:
                self.broker.client.blmove(key, key, WAIT_SECONDS, "RIGHT", "RIGHT")
            except redis.exceptions.NoPermissionError:
                self.broker.may_wait = False
            self.misses = 0
        if self.broker.leaving:
            return None  # also where the process was told to stop while this waited
        try:
            return super().__next__()  # type: ignore[no-untyped-call]
        except DecodeError:
            # Dramatiq would log the whole of it, and begin another consumer after three seconds, for each of them.
            get_logger("mailhaul.queue").warning("job_unreadable", queue=self.queue_name)
            return None


class _PatientBroker(RedisBroker):
    #: Whether the user may wait for a job.
    may_wait = True
    #: Whether the process is to end: no job is taken any more.
    leaving = False

    def __init__(self, where: str, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._outage = _Outage(where)

    @property
    def consumer_class(self) -> type[_Waiting]:
        return _Waiting

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> dramatiq.Consumer:
        return _Patient(super().consume(queue_name, prefetch, timeout), self._outage)


def make_broker(url: str, *middleware: Middleware) -> RedisBroker:
    """Makes a broker on `url` (Dramatiq's own database).

    The blind retries of redis-py are off: dispatch.lua is not idempotent.
    """
    client = open_redis(
        url,
        socket_timeout=15,
        socket_connect_timeout=5,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 0),
        max_connections=200,
    )
    broker = _PatientBroker(
        address_of(url),
        client=client,
        namespace="mailhaul",
        heartbeat_timeout=HEARTBEAT_MS,
        maintenance_chance=10_000,
        middleware=[Retries(max_retries=0), *middleware],
    )
    for queue in QUEUES:
        broker.declare_queue(queue)
    # No job is ever delayed here: a worker's consumer threads for delayed jobs would only poll, as often as all the
    # others do.
    broker.delay_queues.clear()
    return broker


def take_no_more(broker: dramatiq.Broker) -> None:
    """Has the consumers of this process leave all jobs in the queue from now on."""
    if isinstance(broker, _PatientBroker):
        broker.leaving = True


def ring(broker: RedisBroker, kind: UnitKind, import_id: str, unit_id: str) -> None:
    """Enqueues one job. A failure to enqueue is no failure: the coordinator's rescue enqueues again."""
    message: dramatiq.Message[None] = dramatiq.Message(
        queue_name=kind, actor_name=kind, args=(), kwargs=payload(import_id, unit_id), options={}
    )
    broker.enqueue(message)
