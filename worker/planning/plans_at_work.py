"""Lets few plans of very many folders into one worker process at a time: each holds all its folders in memory.

A server may list as many folders as `MOST_FOLDERS`, of each account that it is asked for. Sixteen lanes at such a server would take
more memory than a worker has as it is shipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition
from typing import Final

from shared.mail.answers.bounds import MOST_FOLDERS
from shared.model.lifecycle import Wish
from worker.copying.inflight import stop_on
from worker.decisions.closing import SettleLater

#: A plan of no more folders never waits.
FEW_FOLDERS: Final = 2_000
#: The most folders of the plans that are let in together, those with few not counted.
_TOGETHER: Final = 2 * MOST_FOLDERS
#: Seconds for which a lane waits for room; then the plan is put back for as long.
_PATIENCE_SECONDS: Final = 60.0
#: Seconds between two looks at what is wanted of the lane.
_LOOK_SECONDS: Final = 0.2


class PlansAtWork:
    """The plans of many folders in this process. Thread-safe."""

    def __init__(self) -> None:
        self._folders = 0
        self._changed = Condition()

    @contextmanager
    def turn(self, folders: int, wish: Callable[[], Wish]) -> Iterator[bool]:
        """Waits until there is room for so many folders, and holds it. Yields whether it had to wait.

        Raises `ControlRequested` where the lane is to stop or to give way meanwhile, and `SettleLater` after a minute.
        """
        wide = folders if folders > FEW_FOLDERS else 0
        waited = bool(wide) and self._take(wide, wish)
        try:
            yield waited
        finally:
            if wide:
                with self._changed:
                    self._folders -= wide
                    self._changed.notify_all()

    def _take(self, folders: int, wish: Callable[[], Wish]) -> bool:
        until, waited = time.monotonic() + _PATIENCE_SECONDS, False
        while not self._has_room(folders):
            waited = True
            stop_on(wish())
            if time.monotonic() > until:
                raise SettleLater(_PATIENCE_SECONDS)
        return waited

    def _has_room(self, folders: int) -> bool:
        """Takes the room if it is there, or soon."""
        with self._changed:
            free = self._changed.wait_for(
                lambda: not self._folders or self._folders + folders <= _TOGETHER, _LOOK_SECONDS
            )
            self._folders += folders if free else 0
        return free
