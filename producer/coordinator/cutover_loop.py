"""Runs the turns of cutovers in a thread of the coordinator, so that a slow switch or DNS server delays nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import redis

from shared.model.errors import MailhaulError
from shared.runtime.config import Settings
from shared.runtime.credentials import Vault, key_file
from shared.runtime.logs import get_logger
from shared.store import Store
from shared.store.records.cutovers import Cutovers

if TYPE_CHECKING:  # what moves cutovers is loaded with the first of them
    from producer.cutover.driver import CutoverDriver
    from shared.metrics import CoordinatorMetrics

#: The shortest pause between two turns, seconds.
PAUSE_SECONDS: Final = 2.0
#: A turn takes at most this part of the time, however many mailboxes there are, unless people wait for a switch.
_PART: Final = 0.2
#: Seconds between two warnings that there is no key.
_WARN_SECONDS: Final = 600.0


class CutoverLoop:
    """The thread that moves cutovers on while this process leads."""

    def __init__(
        self, settings: Settings, store: Store, metrics: CoordinatorMetrics, leads: Callable[[], bool]
    ) -> None:
        self._settings, self._store, self._metrics, self._leads = settings, store, metrics, leads
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cutovers", daemon=True)
        self._driver: CutoverDriver | None = None
        self._log = get_logger("mailhaul.cutover")
        self._warned = float("-inf")

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Ends the thread; waits so long for an effect that is under way. What is not done is done by the next coordinator."""
        self._stop.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        pause = PAUSE_SECONDS
        while not self._stop.wait(pause):
            began = time.monotonic()
            try:
                self._turn()
            except (MailhaulError, redis.RedisError) as error:
                self._log.warning("cutover_turn_failed", error=str(error))
            except Exception:
                # The next turn begins with what the store has. Without it people would wait for ever.
                self._log.exception("cutover_turn_failed")
            pause = pause_after(time.monotonic() - began, hurried=self._driver is not None and self._driver.hurried)
        if self._driver:
            self._driver.close()

    def _turn(self) -> None:
        if not self._leads():
            self._metrics.publish_cutovers([], [], time.time())
            return
        driver = self._driver = self._driver or self._opened()
        if driver is None:
            return
        from producer.cutover.acts import refused

        views = driver.turn()
        readings = [
            (view.cutover, {name: (guard.met, guard.number) for name, guard in view.guards.items()}) for view in views
        ]
        self._metrics.publish_cutovers(readings, [refused(view) for view in views], time.time())

    def _opened(self) -> CutoverDriver | None:
        """Returns the driver; None while there is no cutover, or this process has no key to know a row by."""
        if not any(self._store.cutover_rows(import_.import_id) for import_ in self._store.imports()):
            return None
        if self._settings.secret_key is None and not key_file(self._settings).exists():
            if time.monotonic() - self._warned > _WARN_SECONDS:
                self._warned = time.monotonic()
                self._log.warning("cutover_no_key", advice="give the coordinator MAILHAUL_SECRET_KEY: docs/cutover.md")
            return None
        from producer.cutover.driver import CutoverDriver
        from producer.cutover.effects import LiveCutoverEffects

        vault = Vault.from_settings(self._settings)
        cutovers = Cutovers(self._store, vault)
        world = LiveCutoverEffects(self._settings, self._store, vault, time.time)
        return CutoverDriver(self._store, cutovers, world, leads=lambda: self._leads() and not self._stop.is_set())


def pause_after(seconds: float, *, hurried: bool) -> float:
    """Returns the pause after a turn that took so long, seconds: the shortest one when its time was up before its work."""
    return PAUSE_SECONDS if hurried else max(PAUSE_SECONDS, seconds * (1 / _PART - 1))
