"""The early release of leases that dead processes of this machine held.

A lease expires by itself, but that takes a minute, since a silent worker on another machine may still be writing. The
owner of the embedded Redis is on one machine with all its workers, so it can check whether they live. Intents of the
dead remain, and the next holder searches for their copies.
"""

from __future__ import annotations

import contextlib
import time

from producer.cli.command_context import CommandContext
from shared.model.errors import StoreError
from shared.runtime.processes import is_dead

#: Seconds between two looks.
_LOOK_SECONDS = 0.5


class DeadWorkerReaper:
    """The regular check for dead processes. It does nothing with a Redis that other machines may use."""

    def __init__(self, context: CommandContext) -> None:
        self._context = context
        self._due = 0.0

    def look(self) -> None:
        """Releases the leases of dead processes, at most twice a second.

        If Redis does not answer, it tries again later.
        """
        if not self._context.owner or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _LOOK_SECONDS
        with contextlib.suppress(StoreError):
            store = self._context.store
            if dead := [process for process in store.processes() if is_dead(process)]:
                store.bury(dead)
