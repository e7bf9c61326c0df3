"""Kills a coordinator and a worker in every state of the cutovers, and starts them again a moment later, as a supervisor does."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from shared.model.lifecycle import CutoverState
from shared.store.records.cutovers import states
from tests.integration.process_cluster import Child, ProcessCluster

#: Seconds between two looks at the states, and between a kill and the new process.
_LOOK_SECONDS = 0.05
_DEAD_SECONDS = 1.0
#: How long a kill in a state that lasts waits for a moment at which work is under way, seconds.
_WORK_SECONDS = 20.0


@dataclass
class Strikes:
    """Kills in every state `times` times; a context manager."""

    #: The processes and their store.
    office: ProcessCluster
    #: The import whose cutovers are struck.
    import_id: str
    #: How often both are killed in each state.
    times: int
    #: (state, kind of process) → how often one was killed in it.
    killed: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: How many of the killed workers had work in their hands.
    at_work: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _failed: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)
        if self._failed:
            raise self._failed[0]

    @property
    def missing(self) -> list[str]:
        """The states in which nobody was killed."""
        kinds = ("coordinator", "worker")
        return [str(state) for state in CutoverState if not all(self.killed[str(state), kind] for kind in kinds)]

    def _run(self) -> None:
        try:
            self._strike()
        except BaseException as error:
            self._failed.append(error)

    def _strike(self) -> None:
        seen: dict[str, tuple[str, float]] = {}
        while not self._stop.wait(_LOOK_SECONDS):
            for wave, state in states(self.office.store, self.import_id).items():
                if seen.get(wave, ("", 0.0))[0] != state:
                    seen[wave] = (state, time.monotonic())
                count = self.killed[state, "coordinator"]
                if count >= self.times:
                    continue
                # The first kill comes at once, since some states pass within seconds; later ones, while something is copied.
                if count and not self.office.leased() and time.monotonic() - seen[wave][1] < _WORK_SECONDS:
                    continue
                self._kill(wave, state)

    def _kill(self, wave: str, state: str) -> None:
        coordinator = self._some("coordinator")[0]
        workers = self._some("worker")
        worker = workers[self.killed[state, "worker"] % len(workers)]
        coordinator.kill()
        busy = bool(self.office.leased())
        worker.kill()
        # Without a coordinator a person alone moves it on: whoever did in this instant makes the kill one in no state.
        if states(self.office.store, self.import_id).get(wave) == state:
            self.killed[state, "coordinator"] += 1
            self.killed[state, "worker"] += 1
            self.at_work += busy
        self._stop.wait(_DEAD_SECONDS)
        coordinator.start()
        worker.start()

    def _some(self, kind: str) -> Sequence[Child]:
        return [child for child in self.office.children if child.name.startswith(kind)]
