"""Faults of the surroundings: clocks that are wrong, a full disk, and state folders that know nothing of each other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from bench.chaos.disks import resize
from bench.chaos.scene import Scene
from tests.integration.process_cluster import COORDINATOR, WORKER, Child, ProcessCluster

#: Sets the wall clock of a process off by the seconds that a file holds, whenever it is looked at.
_SHIFTED: Final = """
import os, time
_real, _real_ns = time.time, time.time_ns
def _off():
    with open(os.environ["CHAOS_CLOCK"]) as file:
        return float(file.read() or 0)
time.time = lambda: _real() + _off()
time.time_ns = lambda: _real_ns() + int(_off() * 1e9)
"""
HOUR: Final = 3_600
#: Room in bytes that a disk has left when it is nearly full.
_LITTLE: Final = 60_000


# -- clocks


def clock_jumps(scene: Scene) -> None:
    """Starts a worker anew and sets its wall clock an hour off while it is at work; later puts it right."""
    _restarted(scene, scene.chance.choice(scene.workers), WORKER, 0)


def coordinators_clock_jumps(scene: Scene) -> None:
    """Does the same to the coordinator, which leads."""
    _restarted(scene, scene.chance.choice(scene.coordinators), COORDINATOR, 0)


def clock_wrong_from_the_start(scene: Scene) -> None:
    """Starts a worker with a clock that is an hour off: it refuses to start until somebody puts it right."""
    _restarted(scene, scene.chance.choice(scene.workers), WORKER, scene.chance.choice([-HOUR, HOUR]))


def _restarted(scene: Scene, child: Child, program: str, off: int) -> None:
    clock = scene.office.redis.home / f"clock-{child.name}"
    _set(clock, off)
    child.kill()
    child.start(_SHIFTED + program, CHAOS_CLOCK=str(clock))
    if not off:
        scene.pause(1.0, 3.0)
        _set(clock, scene.chance.choice([-HOUR, HOUR]))
    scene.later(2.0, 6.0, lambda: _set(clock, 0))


def _set(clock: Path, off: int) -> None:
    new = clock.with_suffix(".new")
    new.write_text(str(off))
    new.rename(clock)


# -- disks


def disk_full(scene: Scene) -> None:
    """Leaves the destination's disk nearly no room, and gives it room again later."""
    if scene.disk is None:
        return
    disk = scene.disk
    # Mail may come between the look and the change.
    while not resize(disk, shutil.disk_usage(disk).used + _LITTLE):
        scene.pause(0.05, 0.05)
    scene.later(2.0, 6.0, lambda: resize(disk, 1 << 30))


# -- state folders


def other_state_folder(scene: Scene) -> None:
    """Gives the same command with another state folder, whose Redis and processes know nothing of these."""
    _at_work(scene, scene.another_office()).submit("chaos")


def copied_state_folder(scene: Scene) -> None:
    """Starts a copy of the state folder as it is now: the same import goes on twice."""
    other = scene.another_office()
    other.redis.kill()
    here, there = scene.office.redis.data / "appendonlydir", other.redis.data / "appendonlydir"
    shutil.rmtree(there)
    shutil.copytree(here, there)
    other.redis.start()
    _at_work(scene, other)


def _at_work(scene: Scene, office: ProcessCluster) -> ProcessCluster:
    office.start_worker()
    office.start_coordinator()
    scene.offices.append(office)
    return office
