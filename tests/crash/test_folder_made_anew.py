"""Tests a folder that is made anew while several lanes write into it, and mail that they sent arrives late."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.store.memory import memory_plans
from shared.store.memory.memory_tables import UnitRow
from shared.testing.memory_mail import At, DeliveredLate
from tests.crash.interruption import MemoryImport
from tests.crash.test_several_writers import LOGIN, SINGLE, lives, staged, wrong
from tests.crash.together import Turns, live_together
from worker.decisions import failures

#: The settle time, and how long a turn lasts: a fault, the plans behind it and the late mail fall into one another.
SETTLE, TURN = 30.0, 0.01

_RULE = memory_plans.in_use_ms


def of_heads(batches: Sequence[UnitRow], planned_at: int, settle: int, now: int) -> int:
    """Waits as before: for what heads of the folder left since the plan was claimed, and not for what may still arrive."""
    return _RULE([one for one in batches if one.unit.state != "waiting"], planned_at, 0, now)


def never(batches: Sequence[UnitRow], planned_at: int, settle: int, now: int) -> int:
    """Does not wait."""
    return 0


def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parks a mailbox at once where mail of nobody known arrives: otherwise the next attempt hides what went wrong."""
    hasty = tuple(replace(row, attempts=1) if row.attempts else row for row in failures.TABLE)
    monkeypatch.setattr(failures, "TABLE", hasty)


class Late:
    """A server that breaks connections, delivers what was sent there at the end of the settle time, and is made anew.

    With `kills`, whoever loses a connection so dies at its next effect.
    """

    def __init__(self, seed: int, number: int, settle: float = SETTLE, *, kills: bool) -> None:
        self.in_process = staged(settle, **SINGLE)
        self.inbox = self.in_process.new.folder(LOGIN, b"INBOX")
        self.workers = [Turns(f"w{n}") for n in range(number)]
        self.spare = [Turns(f"s{n}") for n in range(1 if kills else 0)]
        self.delivered = 0
        self._settle, self._kills, self._seed = settle, kills, seed
        self._anew_at, self._due = 0.0, 0.0
        self._sent, self._left = itertools.count(), 1 if kills else 2
        self._steps = [0] * number
        self._later = self.in_process.later
        self.in_process.later = self.later  # type: ignore[method-assign]
        self.in_process.new.fault = self.fault

    @property
    def plans(self) -> int:
        """Counts the plans that were entered, or were to be."""
        return sum(worker.names.count("before plan_folders") for worker in (*self.workers, *self.spare))

    def later(self, seconds: float = 100.0) -> None:
        """Lets time pass; what is due on the way has arrived."""
        self._pass(seconds)
        self._later(0)

    def fault(self, name: str, at: At) -> None:
        """Takes the append of a message or two, and breaks the connection; the folder is made anew a moment later."""
        if name != "append" or next(self._sent) < 8 + self._seed % 7 or not self._left or self._anew_at < 0:
            return
        self._left -= 1
        now = self.in_process.time
        self._anew_at = self._anew_at or now + TURN * (1 + self._seed % 5)
        self._due = now + self._settle * 0.95
        if self._kills:
            (own,) = (w for w, steps in zip(self.workers, self._steps, strict=True) if w.steps > steps)
            own.kill_at = own.steps
        raise DeliveredLate("destination", "cut")

    def _pass(self, seconds: float) -> None:
        before, self.in_process.time = self.in_process.time, self.in_process.time + seconds
        if before < self._anew_at <= self.in_process.time:
            self.inbox.uidvalidity += 1
            self.inbox.messages.clear()
            self._anew_at = -1.0
        if self._due and self._due <= self.in_process.time:
            self.delivered += self.in_process.new.deliver_late()
            self._due = 0.0

    def live(self) -> bool:
        """Lets the workers live to the end. Returns whether a message is missing, or stands there twice."""

        def meanwhile(turn: int) -> None:
            self._pass(TURN)
            self._steps = [worker.steps for worker in self.workers]

        live_together(self.in_process, [*self.workers, *self.spare], self._seed, meanwhile=meanwhile)
        return wrong(self.in_process)


@pytest.mark.parametrize("kills", [False, True], ids=["cut off", "killed"])
@pytest.mark.parametrize("number", [2, 3])
def test_what_arrives_late_in_a_folder_that_is_planned_anew(
    number: int, kills: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that voids the folder waits until nothing that it would forget may arrive any more."""

    def broken(seeds: Sequence[int]) -> int:
        found = late = 0
        for seed in seeds:
            server = Late(seed, number, kills=kills)
            found += server.live()
            late += server.delivered
            assert server.plans <= 4, "it asks again and again"
        assert late > len(seeds) // 3
        return found

    assert broken(range(12)) == 0
    _hasty(monkeypatch)
    monkeypatch.setattr(memory_plans, "in_use_ms", of_heads)
    assert broken(range(12)) > 0


def test_a_folder_that_is_made_anew_under_several_lanes_is_filled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planned at once, it would lose the intents of what other lanes have on the wire."""

    def broken() -> int:
        found = 0
        for seed in range(12):
            in_process = staged(0.0, **SINGLE)

            def anew(turn: int, in_process: MemoryImport = in_process, at: int = 150 + 27 * seed) -> None:
                in_process.time += TURN
                if turn == at:
                    folder = in_process.new.folder(LOGIN, b"INBOX")
                    folder.uidvalidity += 1
                    folder.messages.clear()

            lives(in_process, [-1, -1, -1], seed, meanwhile=anew)
            found += wrong(in_process)
        return found

    assert broken() == 0
    _hasty(monkeypatch)
    monkeypatch.setattr(memory_plans, "in_use_ms", never)
    assert broken() > 0
