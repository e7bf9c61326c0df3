"""Plays one trial: a seed's mail and faults, the import's way through them, and the result."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.chaos.faults import FORGETTING, Fault, kinds_of
from bench.chaos.oracle import Verdict
from bench.chaos.scene import Scene, stage
from tests.integration.process_cluster import WORKER

#: Longest time in seconds that a trial waits for its import to come as far as the next fault wants it.
PATIENCE_SECONDS: Final = 4.0
#: Most commands that the operator gives again where a fault needs that.
AGAIN: Final = 3


@dataclass(frozen=True)
class Script:
    """The plan that a seed decides."""

    seed: int
    messages: int
    #: Faults in their order, each with the share of the messages that have an outcome when it strikes.
    faults: tuple[tuple[float, Fault], ...]

    @property
    def again(self) -> bool:
        """Tells whether the same command must be given again at the end."""
        return any(fault.again for _, fault in self.faults)


@dataclass(frozen=True)
class Result:
    """The result of a trial."""

    seed: int
    faults: tuple[str, ...]
    #: Faults that struck before the import had ended.
    struck: int
    lost: int
    doubled: int
    #: Messages with other flags or another date of which nobody is told, and those that the report names.
    changed: int
    told: int
    #: Commands that the operator gave afterwards: the same command again, then verifications.
    commands: int
    seconds: float
    #: The first differences, or another error; "" for nothing.
    wrong: str = ""
    outcomes: dict[str, int] = field(default_factory=dict)


def script(seed: int, messages: int, faults: int | None = None, kinds: Sequence[Fault] = ()) -> Script:
    """Draws the faults of a seed: five to ten, or `faults`."""
    chance = random.Random(f"script/{seed}")
    count = faults or chance.randint(5, 10)
    kinds = kinds or kinds_of(seed)
    chosen = chance.choices(kinds, [fault.weight for fault in kinds], k=count)
    marks = sorted(chance.uniform(0.0, 0.95) for _ in chosen)
    return Script(seed, messages, tuple(zip(marks, chosen, strict=True)))


def run(script: Script, *, program: str = WORKER) -> Result:
    """Plays a script. `program` is the workers' code: one without a protection, for a negative control."""
    began = time.monotonic()
    names = {fault.name for _, fault in script.faults}
    with stage(script.seed, script.messages, program=program, disk="disk_full" in names) as scene:
        scene.forgets = bool(names & FORGETTING)
        scene.submit()
        struck = _strike(scene, script)
        scene.quiet()
        verdict, commands = _end(scene, script)
        outcomes: dict[str, int] = {}
        unended: list[str] = []
        if scene.import_ is not None:
            scene.office.assert_books(scene.import_, changed=bool(scene.changes))
            outcomes = {str(name): n for name, n in scene.office.tally(scene.import_).outcomes.items() if n}
            # No fault here is a message's own: a person would have to give `mailhaul retry`.
            unended = scene.unended() + [
                f"{outcomes[name]} {name}" for name in ("refused", "failed") if name in outcomes
            ]
        return Result(
            script.seed,
            tuple(fault.name for _, fault in script.faults),
            struck,
            verdict.lost_messages,
            verdict.doubled,
            verdict.changed,
            verdict.told,
            commands,
            round(time.monotonic() - began, 1),
            "; ".join(([] if verdict.clean else [str(verdict)]) + unended),
            outcomes,
        )


def _strike(scene: Scene, script: Script) -> int:
    """Lets each fault strike when the import is as far as it wants, or after a while.

    Returns how many struck while the import was running.
    """
    struck = 0
    for mark, fault in script.faults:
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until and scene.done() < mark * script.messages:
            scene.pause(0.02, 0.02)
        struck += not scene.finished
        scene.supervise()
        fault.act(scene)
    return struck


def _end(scene: Scene, script: Script) -> tuple[Verdict, int]:
    """Waits for the end of the import.

    Where a fault needs it, gives the same command again and then asks for verifications. Returns the verdict and the
    number of commands.
    """
    commands = 0
    if scene.offices:
        scene.await_finished()
        scene.one_office()
    if script.again:
        scene.submit()
        commands += 1
    scene.await_finished()
    verdict = scene.judge()
    while script.again and not verdict.clean and commands < AGAIN:
        commands += 1
        if scene.import_ is not None:
            scene.office.operations.verify(scene.import_, full=False)
        scene.await_finished()
        verdict = scene.judge()
    return verdict, commands
