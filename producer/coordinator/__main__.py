"""Runs one coordinator process: `python -m producer.coordinator`. Any number may run; one leads, the others stand by.

SIGTERM or SIGINT ends the process after the current turn. While Redis is down it keeps asking, and goes on with the
first answer.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import DramatiqError

from producer.coordinator.cutover_loop import CutoverLoop
from producer.coordinator.tick import LEAD_SECONDS, Coordinator
from shared.model import UnitKind
from shared.model.errors import MailhaulError, StoreError
from shared.model.jobs import QUEUES
from shared.runtime.broker import make_broker, ring
from shared.runtime.config import Settings, load_settings, redis_urls
from shared.runtime.core_dumps import forbid_core_dumps
from shared.runtime.interrupts import let_in
from shared.runtime.logs import configure_logging, get_logger
from shared.runtime.processes import process_name
from shared.runtime.redis_condition import await_redis, read_condition
from shared.store.redis.redis_store import RedisStore, connect

if TYPE_CHECKING:  # loaded where metrics are served
    from shared.metrics import CoordinatorMetrics

#: Pause between two turns, in seconds.
TURN_SECONDS = 0.5
#: A loop without a turn for this long is stuck. It is longer than the store's client waits for a server that restarts.
STUCK_SECONDS = 90.0


class DramatiqJobQueue:
    """An implementation of `producer.coordinator.tick.JobQueue` on Dramatiq's Redis."""

    def __init__(self, broker: RedisBroker) -> None:
        self._broker = broker

    def depths(self) -> dict[UnitKind, int]:
        """Returns the numbers of jobs in the ready queues.

        This does not use `do_qsize`, which counts jobs being worked on too. It would count those of killed processes
        for another minute, and no job would be sent for their units meanwhile.
        """
        return {kind: int(self._broker.client.llen(f"{self._broker.namespace}:{kind}")) for kind in QUEUES}

    def unacked(self) -> dict[UnitKind, int]:
        """Returns the numbers of jobs that were taken and are not done.

        These are all jobs that have a body, less those that lie ready.
        """
        client, name = self._broker.client, self._broker.namespace
        return {kind: max(0, int(client.hlen(f"{name}:{kind}.msgs")) - n) for kind, n in self.depths().items()}

    def dead(self) -> dict[UnitKind, int]:
        """Returns the numbers of dead letters."""
        return {kind: int(self._broker.client.zcard(f"{self._broker.namespace}:{kind}.XQ")) for kind in QUEUES}

    def ring(self, kind: UnitKind, import_id: str, unit_id: str) -> None:
        """Sends one job."""
        ring(self._broker, kind, import_id, unit_id)

    def maintain(self) -> None:
        """Runs Dramatiq's maintenance now.

        Any command to a queue may run its maintenance by chance; asking its size does nothing else.
        """
        chance, self._broker.maintenance_chance = self._broker.maintenance_chance, 1_000_000
        try:
            for queue in QUEUES:
                self._broker.do_qsize(queue)
                self._broker.do_qsize(f"{queue}.DQ")
        finally:
            self._broker.maintenance_chance = chance


class CoordinatorHealth:
    """The health of the loop, for /healthz and /readyz."""

    def __init__(self) -> None:
        self._turned = time.monotonic()
        self._store = "not asked yet"

    def beat(self, complaint: str = "") -> None:
        """Notes the end of a turn, and what went wrong in it."""
        self._turned = time.monotonic()
        self._store = complaint

    def health(self) -> tuple[bool, str]:
        """Tells whether the loop turns. A Redis that is down is no reason to restart the process."""
        silent = time.monotonic() - self._turned
        return silent < STUCK_SECONDS, f"last turn {silent:.1f} s ago"

    def ready(self) -> tuple[bool, str]:
        """Tells whether the last turn reached the store and the queue."""
        silent = time.monotonic() - self._turned
        return not self._store and silent < LEAD_SECONDS, self._store or f"last turn {silent:.1f} s ago"


class _Unmeasured:
    """Takes the place of `CoordinatorMetrics` where nobody asked for them."""

    def __getattr__(self, name: str) -> Any:
        return _leave_out


def _leave_out(*_: object, **__: object) -> None:
    """Publishes nothing."""


def main() -> int:
    """Runs the process until it is told to stop. Returns the exit code."""
    forbid_core_dumps()
    # structlog would load it for tracebacks in colour; those of a coordinator stand in a log, as plain text.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    try:
        settings = load_settings()
        configure_logging(level=settings.log_level, log_format=settings.log_format, addresses=settings.log_addresses)
        return run(settings)
    except MailhaulError as error:
        print(f"mailhaul coordinator: {error}", file=sys.stderr)
        return 2


def run(settings: Settings) -> int:
    """Runs one coordinator process with these settings. Returns the exit code."""
    log = get_logger("mailhaul.coordinator")
    broker_url, state_url = redis_urls(settings, None)
    served = bool(settings.coordinator_port)
    metrics, health, stop = _metrics(served=served), CoordinatorHealth(), threading.Event()
    client = connect(state_url)
    observe = metrics.observe_script if served else None
    store = RedisStore(
        client,
        lease_seconds=settings.lease_seconds,
        limits=settings.limits,
        most_lanes=settings.most_lanes,
        observe=observe,
        edits=False,
    )
    holder = process_name()
    coordinator = Coordinator(
        store=store,
        queue=DramatiqJobQueue(make_broker(broker_url)),
        holder=holder,
        threads=settings.worker_threads,
        metrics=metrics,
        condition=lambda: read_condition(client),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    let_in()
    if served:
        from shared.metrics import start_http

        try:
            start_http(
                metrics.registry,
                settings.coordinator_port,
                settings.listen_host,
                health=health.health,
                ready=health.ready,
            )
        except OSError as error:
            # Imports matter more than their metrics, so the process goes on without them.
            where = f"{settings.listen_host}:{settings.coordinator_port}"
            log.error("metrics_not_served", where=where, error=error.strerror, advice="set MAILHAUL_COORDINATOR_PORT")
    if not await_redis((broker_url, state_url), stop, "mailhaul.coordinator", health.beat):
        return 0
    log.info("coordinator_started", holder=holder)
    leading = threading.Event()
    cutovers = CutoverLoop(settings, store, metrics, leading.is_set)
    cutovers.start()
    led = False
    while not stop.is_set():
        try:
            leads = coordinator.turn()
            health.beat()
            (leading.set if leads else leading.clear)()
            if leads != led:
                log.info("leads" if leads else "stands_by", holder=holder)
                led = leads
        except (StoreError, redis.RedisError, DramatiqError) as error:
            health.beat(str(error))
            leading.clear()
            metrics.publish_store(False)
            log.warning("store_unreachable", error=str(error))
        stop.wait(TURN_SECONDS)
    leading.clear()
    cutovers.stop()
    log.info("coordinator_stopped", holder=holder)
    return 0


def _metrics(*, served: bool) -> CoordinatorMetrics:
    if not served:
        return cast("CoordinatorMetrics", _Unmeasured())
    from shared.metrics import CoordinatorMetrics

    return CoordinatorMetrics()


if __name__ == "__main__":
    sys.exit(main())
