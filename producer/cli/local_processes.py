"""The child processes of the command: a coordinator, workers, and perhaps the API. They end with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Self

import producer
from shared.model.errors import MailhaulError
from shared.runtime.early_child import EarlyChild
from shared.runtime.supervise import Command, Supervisor

#: Seconds in which workers may append and record the groups in progress before they are killed.
GRACE_SECONDS = 20.0
#: Ends of a child with an error message of its own (bad settings, no key) after which the command gives up.
HOPELESS_ENDS = 3
#: The name of the coordinator among the children.
COORDINATOR = "coordinator"
_OWN_WORDS = ("mailhaul worker: ", "mailhaul coordinator: ", "mailhaul web: ")


def python_module(module: str) -> list[str]:
    """Returns the command that starts a part of mailhaul. -P keeps the current folder out of the import path."""
    return [sys.executable, "-P", "-m", module]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Returns our environment plus `extra`.

    PYTHONPATH begins with the folder that this code came from, since a checkout need not be installed.
    """
    root = str(Path(producer.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **extra}


class LocalProcesses:
    """The coordinator and the workers, and the API if asked for. `with` starts and stops them."""

    def __init__(
        self,
        settings: Mapping[str, str],
        log_dir: Path,
        *,
        workers: int,
        coordinator_port: int | None,
        web: bool = False,
        early: Sequence[EarlyChild] = (),
        coordinator_after_seconds: float = 0.0,
    ) -> None:
        """Prepares the processes. The first workers are those that were forked `early`."""
        self._log_dir = log_dir
        base = environment(settings)
        port = {} if coordinator_port is None else {"MAILHAUL_COORDINATOR_PORT": str(coordinator_port)}
        names = [f"worker-{n}" for n in range(1, workers + 1)]
        commands = [
            self._command(name, "worker", base, early=child)
            for name, child in zip_longest(names, early[:workers], fillvalue=None)
            if name
        ]
        coordinator = self._command(COORDINATOR, "producer.coordinator", {**base, **port})
        commands.append(replace(coordinator, after_seconds=coordinator_after_seconds))
        if web:
            commands.append(self._command("web", "producer.web", base))
        self._names = [command.name for command in commands]
        self._supervisor = Supervisor(commands, grace_seconds=GRACE_SECONDS)

    def _command(self, name: str, module: str, env: Mapping[str, str], early: EarlyChild | None = None) -> Command:
        path = self._log_dir / f"{name}.log"
        return Command(name=name, argv=python_module(module), env=env, log_path=path, early=early)

    def __enter__(self) -> Self:
        self._supervisor.start_thread()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supervisor.stop()

    def check(self) -> None:
        """Raises `MailhaulError` if a child says that it cannot run.

        A child that crashed or was killed is restarted without limit, so that no import ends because of it.
        """
        running = self._supervisor.pids()
        for name in self._names:
            if name not in running and self._supervisor.ends(name) >= HOPELESS_ENDS:
                path = self._log_dir / f"{name}.log"
                if (words := last_line(path)).startswith(_OWN_WORDS):
                    raise MailhaulError(f"{name} ends as soon as it starts: {words} (its log is {path})")

    def start_coordinator(self) -> None:
        """Starts the coordinator before its time; once it runs, changes nothing."""
        self._supervisor.start_now(COORDINATOR)

    def pids(self) -> dict[str, int]:
        """Returns the process ids of the children that run now, by name."""
        return self._supervisor.pids()


def last_line(path: Path) -> str:
    """Returns the last line of a log."""
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "it left no log"
    return lines[-1][:500] if lines else "its log is empty"
