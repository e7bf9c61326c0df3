"""Lets several workers live at once, one effect at a time, in an order that a seed decides.

Each worker is a thread that waits for its turn before each effect. So a run with the same seed is the same run, up to
the effect at which a worker is killed. Who is killed is buried at once: the others find what it left while they work.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

from tests.crash.interruption import LOOKS, Effects, Killed, MemoryImport
from worker.copying.copy import CopyRules
from worker.decisions.shares import Widening

#: Every folder is slow, and large enough for three writers.
WIDE = Widening(
    most=3, slow_seconds=0, lane_seconds=0, least_messages=0, probe_messages=4, probe_group=1, share_messages=5
)
IDLE = "idle"


class Turns(Effects):
    """The effects of one worker, which waits for its turn before each."""

    telling = Effects.telling - LOOKS

    def __init__(self, name: str, kill_at: int = -1) -> None:
        super().__init__(kill_at)
        self.name = name
        self.at = ""
        self.ended = False
        # Locks that another thread releases: a semaphore costs ten times as much, and there are half a million turns.
        self._go, self._came = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._came.acquire()

    def step(self, name: str) -> None:
        """Waits for the next turn, and lives on to the effect or dies."""
        self.at = name
        self._came.release()
        self._go.acquire()
        super().step(name)

    def turn(self) -> None:
        """Gives the worker its turn, and waits until it comes to its next effect."""
        self._go.release()
        self._came.acquire()

    def begin(self, thread: threading.Thread) -> None:
        """Starts the worker, and waits for its first effect."""
        thread.start()
        self._came.acquire()

    def end(self) -> None:
        """Tells that the worker is gone."""
        self.ended = True
        self._came.release()


def live_together(
    in_process: MemoryImport,
    workers: Sequence[Turns],
    seed: int,
    *,
    rules: CopyRules | None = None,
    meanwhile: Callable[[int], object] = lambda turn: None,
) -> None:
    """Lets these workers live until the import is finished, or all are dead. Time passes where all have nothing to do.

    `meanwhile` is called before each turn, with its number.
    """
    rules = rules or CopyRules(group_messages=1, outstanding=4, settle_seconds=in_process.settle_seconds, widening=WIDE)
    chosen, over = random.Random(seed), threading.Event()
    faults: list[BaseException] = []

    def live(effects: Turns) -> None:
        try:
            while not over.is_set() and in_process.work(effects, rules=rules, worker=effects.name):
                effects.step(IDLE)
        except Killed:
            pass
        except BaseException as fault:
            faults.append(fault)
        finally:
            effects.end()

    for effects in workers:
        effects.begin(threading.Thread(target=live, args=(effects,), daemon=True))
    buried: set[int] = set()
    idle = 0
    for turn in range(100_000):
        meanwhile(turn)
        alive = [worker for worker in workers if not worker.ended]
        for number, worker in enumerate(workers):
            if worker.dead and worker.ended and number not in buried:
                buried.add(number)
                in_process.store.bury([worker.name])
        if not alive or faults:
            break
        if all(worker.at == IDLE for worker in alive):
            found = in_process.store.import_(in_process.request.import_id)
            if found is not None and found.state == "finished":
                break
            idle += 1
            store, mailbox = in_process.store, in_process.mailbox_id
            assert idle < 3000, f"nothing goes on: {store.mailbox(mailbox)}, {store.failures(mailbox)}"
            if idle % 10 == 0:
                in_process.later(3)
        chosen.choice(alive).turn()
    over.set()
    for worker in workers:
        while not worker.ended:
            worker.turn()
    assert not faults, faults
