"""Runs one worker process (`python -m worker`). The process is stateless: all it knows is in Redis.

SIGTERM or SIGINT drains the process: it finishes and records the groups that are on their way, gives its leases back,
and exits with 0. SIGKILL loses nothing either: the leases expire and the coordinator makes their units runnable again.
"""

from __future__ import annotations

import signal
import sys
import threading

import dramatiq

from shared.metrics import WorkerMetrics, start_http
from shared.model.errors import MailhaulError
from shared.runtime.broker import make_broker, ring
from shared.runtime.config import Settings, load_settings, redis_urls
from shared.runtime.core_dumps import forbid_core_dumps
from shared.runtime.credentials import Vault
from shared.runtime.logs import configure_logging, get_logger
from shared.runtime.processes import process_name
from shared.runtime.redis_condition import await_redis
from shared.store import SCOPES
from shared.store.redis.redis_store import RedisStore, connect
from worker.accounts import AccountServices
from worker.actors import register
from worker.copy import CopyRules
from worker.dial import NetworkDialer
from worker.lane import Lane, Workplace
from worker.lease_keeper import LeaseKeeper
from worker.plan import PlanRules
from worker.shares import Widening
from worker.worker_health import WorkerHealth

#: Seconds that groups may take to be finished after SIGTERM, before the sessions are shut. The next holder looks for
#: what this leaves in doubt.
DRAIN_SECONDS = 5.0

#: Number of ports from `MAILHAUL_WORKER_METRICS_PORT` on; each worker of a host takes the first free one.
WORKER_PORTS = 32

#: Milliseconds between two looks of an idle thread for a job.
POLL_MS = 200


def main() -> int:
    """Runs until told to stop, and returns the exit code."""
    forbid_core_dumps()
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
    limits = {scope: getattr(settings, f"{scope}_connections") for scope in SCOPES}
    metrics = WorkerMetrics()
    store = RedisStore(
        connect(state_url),
        lease_seconds=settings.lease_seconds,
        limits=limits,
        rates=settings.rates,
        observe=metrics.observe_script,
    )
    broker = make_broker(broker_url)
    stop = threading.Event()
    vault = Vault.from_settings(settings)
    lease_keeper = LeaseKeeper(store, name, lease_seconds=settings.lease_seconds, renew_seconds=settings.renew_seconds)
    place = Workplace(
        store=store,
        dialer=NetworkDialer(store, vault, settings),
        lease_keeper=lease_keeper,
        tell=metrics,
        ring=lambda kind, import_id, unit_id: ring(broker, kind, import_id, unit_id),
        stopping=stop.is_set,
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
    register(broker, lambda: Lane(place, f"{name}/{threading.get_ident()}"))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    health = WorkerHealth(lease_keeper)
    metrics.watch_lanes(settings.worker_threads, lease_keeper.busy)
    if settings.worker_metrics_port:
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
    worker.stop(timeout=int(settings.command_timeout_seconds * 1000))
    lease_keeper.stop()
    log.info("worker_stopped", worker=name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
