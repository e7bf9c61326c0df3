"""Runs rounds of passes with kills for some minutes (`make soak MINUTES=30`); prints each round, then a table.

The exit code is 1 if a message was lost, doubled or changed, or if a measure grew beyond its allowance.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from bench.chaos.faults import coordinator_killed, source_gets_mail, worker_killed
from bench.chaos.scene import Scene, stage
from bench.soak.flat import Growth, growths
from shared.store.redis import keys
from tests.integration.process_cluster import COORDINATOR, WORKER
from tests.servers.process import await_ready, free_port

#: Messages at the source when the run begins.
MESSAGES = 1_200
#: Deliveries of mail before each pass.
DELIVERIES = 4


class Soak:
    """A scene with one worker and one coordinator that are never killed, and what they hold after each round."""

    def __init__(self, scene: Scene) -> None:
        """Starts the two processes; those that the scene has already are the ones that are killed."""
        self._scene = scene
        self._ports = {"worker": free_port(), "coordinator": free_port()}
        office = scene.office
        self._mortal = list(office.children)
        self._children = {
            "worker": office.start_worker(WORKER, MAILHAUL_WORKER_METRICS_PORT=str(self._ports["worker"])),
            "coordinator": office.start_coordinator(
                COORDINATOR, MAILHAUL_COORDINATOR_PORT=str(self._ports["coordinator"])
            ),
        }
        for kind in self._ports:
            await_ready(lambda kind=kind: self._series(kind) > 0, 180, f"the metrics of the {kind}")  # type: ignore[misc]
        self._logged = 0

    def round(self) -> dict[str, float]:
        """Delivers mail, opens the import again, kills somebody and waits for the end. Returns the measures."""
        scene, chance = self._scene, self._scene.chance
        before = scene.done()
        for _ in range(DELIVERIES):
            source_gets_mail(scene)
        scene.submit()
        scene.pause(0.1, 1.5)
        kill: Callable[[Scene], None] = chance.choice([worker_killed, worker_killed, coordinator_killed])
        office, everybody = scene.office, scene.office.children
        office.children = self._mortal
        try:
            kill(scene)
        finally:
            office.children = everybody
        scene.await_finished()
        return self._measured() | {"delivered": float(scene.done() - before)}

    def _measured(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for kind, child in self._children.items():
            if not child.running:
                raise AssertionError(f"the {kind} ended")
            found[f"{kind}_memory"], found[f"{kind}_threads"] = _status(child.pid)
            found[f"{kind}_files"] = len(list(Path(f"/proc/{child.pid}/fd").iterdir()))
            found[f"{kind}_series"] = self._series(kind)
        logged = sum(child.log.stat().st_size for child in self._children.values())
        found["log_bytes_a_round"], self._logged = logged - self._logged, logged
        with self._scene.office.redis.client(1) as client:
            found["keys"] = client.dbsize()
            found["leases"] = client.zcard(keys.LEASES)
            used = int(client.info("memory")["used_memory"])
        found["redis_memory_less_ledger"] = used - self._ledger()
        return found

    def _ledger(self) -> int:
        """Returns the bytes of all ledgers in Redis."""
        with self._scene.office.redis.client(1) as client:
            names = [name for part in ("ledger", "taken") for name in client.scan_iter(keys.folder("*", part), 1000)]
            return sum(int(client.memory_usage(name) or 0) for name in names)

    def _series(self, kind: str) -> int:
        """Returns the number of series of a process's /metrics; 0 while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[kind]}/metrics", timeout=10) as answer:
                return sum(not line.startswith(b"#") for line in answer)
        except OSError:
            return 0


def _status(pid: int) -> tuple[float, float]:
    """Returns the resident bytes and the number of threads of a process."""
    rows = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return float(rows["VmRSS"].split()[0]) * 1024, float(rows["Threads"])


def soak(minutes: float, seed: int, tell: Callable[[dict[str, float]], object], *, least: int = 3) -> list[Growth]:
    """Runs rounds until the time is over, at least `least`. Returns the growths.

    Raises AssertionError when a message was lost, doubled or changed.
    """
    until, rounds = time.monotonic() + 60 * minutes, list[dict[str, float]]()
    with stage(seed, MESSAGES) as scene:
        scene.submit()
        soaked = Soak(scene)
        scene.await_finished()
        while time.monotonic() < until or len(rounds) < least:
            rounds.append(soaked.round())
            tell(rounds[-1])
        verdict = scene.judge()
        assert verdict.clean, str(verdict)
    return growths(rounds)


def main() -> int:
    """Runs the command. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    count = 0

    def tell(measures: dict[str, float]) -> None:
        nonlocal count
        count += 1
        print(json.dumps({"round": count} | measures), flush=True)

    found = soak(a.minutes, a.seed, tell)
    print("\n| measure | second third | last third | |\n|---|--:|--:|---|")
    for one in found:
        print(f"| {one.name} | {one.before:,.0f} | {one.after:,.0f} | {'GROWS' if one.leaks else 'flat'} |")
    print(f"\n{count} rounds in {a.minutes:g} minutes, each with a kill; no message lost, twice or changed")
    return 1 if any(one.leaks for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
