"""Runs one worker process (`python -m worker`). The process is stateless: all it knows is in Redis.

SIGTERM or SIGINT drains the process: it finishes and records the groups that are on their way, gives its leases back,
and exits with 0. SIGKILL loses nothing either: the leases expire and the coordinator makes their units runnable again.
"""

from __future__ import annotations

import signal
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import dramatiq

from shared.model.errors import MailhaulError
from shared.runtime.broker import make_broker
from shared.runtime.config import Settings, load_settings, redis_urls
from shared.runtime.core_dumps import forbid_core_dumps
from shared.runtime.credentials import Vault
from shared.runtime.interrupts import let_in
from shared.runtime.logs import configure_logging, get_logger
from shared.runtime.processes import process_name
from shared.runtime.redis_condition import await_redis
from shared.sign_in.removals import may_remove
from shared.store.redis.redis_store import RedisStore, connect
from worker.actors import LanesAtWork, call_lane, leave, register
from worker.copying.copy import CopyRules
from worker.decisions.shares import Widening
from worker.lane import Lane
from worker.lane_meter import LaneMeter
from worker.lease_keeper import LeaseKeeper
from worker.planning.batch_planner import PlanRules
from worker.sessions.account_making import AccountServices
from worker.sessions.dial import NetworkDialer
from worker.worker_health import WorkerHealth
from worker.workplace import Workplace

if TYPE_CHECKING:  # loaded where metrics are served
    from shared.metrics import WorkerMetrics
    from shared.model.events import Event

#: Seconds that groups may take to be finished after SIGTERM, before the sessions are shut. The next holder looks for
#: what this leaves in doubt.
DRAIN_SECONDS = 5.0

#: Number of ports from `MAILHAUL_WORKER_METRICS_PORT` on; each worker of a host takes the first free one.
WORKER_PORTS = 32

#: Milliseconds between two looks of an idle thread for a job.
POLL_MS = 200


def load_ahead() -> None:
    """Loads what `main` will load, for a worker that was forked early: it does so while it waits to be told.

    structlog would load rich for tracebacks in colour; those of a worker stand in a log, as plain text.
    """
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    import encodings.idna  # noqa: F401  (the first connection)

    import cryptography.fernet  # noqa: F401  (the first password)
    import structlog  # noqa: F401

    import shared.runtime.log_folding  # noqa: F401


def main() -> int:
    """Runs until told to stop, and returns the exit code."""
    forbid_core_dumps()
    load_ahead()
    try:
        settings = load_settings()
        configure_logging(level=settings.log_level, log_format=settings.log_format, addresses=settings.log_addresses)
        return run(settings)
    except MailhaulError as error:
        print(f"mailhaul worker: {error}", file=sys.stderr)
        return 2


def run(settings: Settings) -> int:
    """Runs one worker process with these settings and returns its exit code."""
    log = get_logger("mailhaul.worker")
    name = process_name()
    # Without a Redis URL this is a usage error: `mailhaul up` and `import` give theirs to their children.
    broker_url, state_url = redis_urls(settings, None)
    metrics = _metrics() if settings.worker_metrics_port else None
    store = RedisStore(
        connect(state_url),
        lease_seconds=settings.lease_seconds,
        limits=settings.limits,
        most_lanes=settings.most_lanes,
        rates=settings.rates,
        observe=metrics.observe_script if metrics else None,
        held=True,
        edits=False,
    )
    broker = make_broker(broker_url)
    stop = threading.Event()
    vault = Vault.from_settings(settings)
    meter = LaneMeter()
    lease_keeper = LeaseKeeper(
        store,
        name,
        lease_seconds=settings.lease_seconds,
        renew_seconds=settings.renew_seconds,
        measured=meter.take,
    )
    place = Workplace(
        store=store,
        dialer=NetworkDialer(store, vault, settings),
        lease_keeper=lease_keeper,
        tell=metrics or _unmeasured,
        meter=meter,
        ring=lambda kind, import_id, unit_id: call_lane(broker, kind, import_id, unit_id),
        stopping=stop.is_set,
        may_remove=partial(may_remove, store, vault),
        accounts=AccountServices(store, vault, settings.accounts_per_minute),
        copy_rules=CopyRules(
            group_messages=settings.group_messages,
            group_bytes=settings.group_bytes,
            settle_seconds=settings.settle_seconds,
            widening=Widening(most=settings.folder_writers),
        ),
        plan_rules=PlanRules(batch_messages=settings.batch_messages, batch_bytes=settings.batch_bytes),
        slice_seconds=settings.slice_seconds,
    )
    serving = LanesAtWork()
    register(broker, lambda: Lane(place, f"{name}/{threading.get_ident()}"), serving)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    let_in()
    health = WorkerHealth(lease_keeper)
    if metrics:
        from shared.metrics import start_http

        metrics.watch_lanes(settings.worker_threads, lease_keeper.busy)
        try:
            start_http(
                metrics.registry,
                settings.worker_metrics_port,
                settings.listen_host,
                health=health.health,
                ready=health.ready,
                ports=WORKER_PORTS,
            )
        except OSError as error:
            where = f"{settings.listen_host}:{settings.worker_metrics_port}"
            log.error("metrics_not_served", where=where, error=str(error), advice="set MAILHAUL_WORKER_METRICS_PORT")
    if not await_redis((broker_url, state_url), stop, "mailhaul.worker", health.complain):
        return 0
    lease_keeper.start()
    worker = dramatiq.Worker(broker, worker_threads=settings.worker_threads, worker_timeout=POLL_MS)
    # As many jobs as threads: a job fetched beyond that would only wait here while another worker is idle.
    worker.queue_prefetch = settings.worker_threads
    worker.start()
    health.begin(worker.workers)
    log.info("worker_started", worker=name, threads=settings.worker_threads)
    stop.wait()
    health.end()
    hurry = threading.Timer(DRAIN_SECONDS, lease_keeper.hurry)
    hurry.daemon = True
    hurry.start()
    leave(worker, serving, settings.command_timeout_seconds)
    lease_keeper.stop()
    log.info("worker_stopped", worker=name)
    return 0


def _metrics() -> WorkerMetrics:
    from shared.metrics import WorkerMetrics

    return WorkerMetrics()


def _unmeasured(event: Event) -> None:
    """Listens to events where nobody asked for metrics."""


if __name__ == "__main__":
    sys.exit(main())
