"""On one machine nobody waits for the dead: what their lanes held goes back as soon as they are seen to be gone.

A lease runs out by itself, but that takes a minute, since from far away a worker that is silent may still be writing. Who
owns the embedded Redis is on one machine with all who work on it, and can look. What the dead were about to append stays
noted, and is looked for by whoever goes on.
"""

from __future__ import annotations

import contextlib
import time

from producer.cli.ground import Ground
from shared.errors import StoreError
from shared.processes import is_dead

#: Between two looks.
_LOOK_SECONDS = 0.5


class Undertaker:
    """Call `look` as often as you like. It does nothing with a Redis that other machines may use."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._due = 0.0

    def look(self) -> None:
        """One look; a Redis that is away is looked at again later."""
        if not self._ground.owner or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _LOOK_SECONDS
        with contextlib.suppress(StoreError):
            store = self._ground.store
            if dead := [process for process in store.processes() if is_dead(process)]:
                store.bury(dead)
