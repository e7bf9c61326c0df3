"""The health of a worker: when it calls itself well, and when ready."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

from worker.worker_health import DEAF_SECONDS, STUCK_SECONDS, WorkerHealth


def thread(*, alive: bool) -> threading.Thread:
    return cast(threading.Thread, SimpleNamespace(name="t", is_alive=lambda: alive))


def at(now: float, *, turned: float = 0.0, answered: float = 0.0) -> WorkerHealth:
    return WorkerHealth(cast(Any, SimpleNamespace(turned=turned, answered=answered)), lambda: now)


def test_before_it_begins_it_is_alive_and_says_what_it_waits_for() -> None:
    health = at(1e6)
    health.complain("waiting for Redis h:6379")
    assert health.health() == (True, "waiting for Redis h:6379")
    assert health.ready() == (False, "waiting for Redis h:6379")


def test_a_thread_that_ended_is_a_reason_to_restart_it() -> None:
    health = at(1.0)
    health.begin([thread(alive=True), thread(alive=False)])
    assert health.health() == (False, "1 of 2 threads ended")


def test_a_store_that_is_away_is_none() -> None:
    health = at(DEAF_SECONDS + 1, turned=DEAF_SECONDS)
    health.begin([thread(alive=True)])
    assert health.health()[0]
    assert not health.ready()[0]


def test_leases_that_nobody_looks_after_are_one() -> None:
    health = at(STUCK_SECONDS + 1)
    health.begin([thread(alive=True)])
    assert not health.health()[0]


def test_one_that_stops_is_alive_and_takes_nothing_new() -> None:
    health = at(1.0)
    health.begin([thread(alive=False)])
    health.end()
    assert health.health()[0]
    assert not health.ready()[0]
