"""The health of a worker process, for /healthz and /readyz."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from worker.lease_keeper import LeaseKeeper

#: Seconds of silence after which the lease keeper is stuck: more than the store's client waits for a server that restarts.
STUCK_SECONDS = 90.0
#: Seconds without an answer of the store after which nothing can be claimed.
DEAF_SECONDS = 10.0


class WorkerHealth:
    """The health of the process.

    It is "not ready" until `begin`; a Redis that is away is no reason to restart the process.
    """

    def __init__(self, lease_keeper: LeaseKeeper, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease_keeper, self._clock = lease_keeper, clock
        self._threads: tuple[threading.Thread, ...] = ()
        self._begun = self._ending = False
        self._complaint = "starting"

    def complain(self, complaint: str) -> None:
        """Notes what the process is waiting for."""
        self._complaint = complaint

    def begin(self, threads: Iterable[threading.Thread]) -> None:
        """Notes that these threads work from now on."""
        self._threads, self._begun = tuple(threads), True

    def end(self) -> None:
        """Notes that the process was told to stop: it is alive, and takes nothing new."""
        self._ending = True

    def health(self) -> tuple[bool, str]:
        """Tells whether the working threads and the thread that keeps leases alive are running."""
        if not self._begun or self._ending:
            return True, "stopping" if self._ending else self._complaint
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        if dead:
            return False, f"{len(dead)} of {len(self._threads)} threads ended"
        silent = self._clock() - self._lease_keeper.turned
        return silent < STUCK_SECONDS, f"leases were last looked after {silent:.1f} s ago"

    def ready(self) -> tuple[bool, str]:
        """Tells whether the process can claim units."""
        if not self._begun or self._ending:
            return False, "stopping" if self._ending else self._complaint
        deaf = self._clock() - self._lease_keeper.answered
        return deaf < DEAF_SECONDS, f"the store answered {deaf:.1f} s ago"
