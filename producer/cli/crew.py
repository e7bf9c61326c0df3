"""The child processes of this one: a coordinator and workers, kept running as long as we do and no longer."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import producer
from shared.errors import MailhaulError
from shared.supervise import Command, Supervisor

#: Time for groups that are on their way to be appended and recorded.
GRACE_SECONDS = 20.0
#: A child that ended this often with a sentence of its own (bad settings, no key) will not do better.
HOPELESS_ENDS = 3
_OWN_WORDS = ("mailhaul worker: ", "mailhaul coordinator: ", "mailhaul web: ")


def python_module(module: str) -> list[str]:
    """How a part of mailhaul is started; -P: never from the folder one happens to be in."""
    return [sys.executable, "-P", "-m", module]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Ours, plus `extra`, and with the folder that we ourselves came from (a checkout need not be installed)."""
    root = str(Path(producer.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **extra}


class Crew:
    """Coordinator and workers, and where asked for the API. `with` starts and stops them."""

    def __init__(
        self,
        settings: Mapping[str, str],
        log_dir: Path,
        *,
        workers: int,
        coordinator_port: int | None,
        web: bool = False,
    ) -> None:
        self._log_dir = log_dir
        base = environment(settings)
        port = {} if coordinator_port is None else {"MAILHAUL_COORDINATOR_PORT": str(coordinator_port)}
        commands = [self._command("coordinator", "producer.coordinator", {**base, **port})]
        commands += [self._command(f"worker-{n}", "worker", base) for n in range(1, workers + 1)]
        if web:
            commands.append(self._command("web", "producer.web", base))
        self._names = [command.name for command in commands]
        self._supervisor = Supervisor(commands, grace_seconds=GRACE_SECONDS)

    def _command(self, name: str, module: str, env: Mapping[str, str]) -> Command:
        path = self._log_dir / f"{name}.log"
        return Command(name=name, argv=python_module(module), env=env, log_path=path)

    def __enter__(self) -> Self:
        self._supervisor.start_thread()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supervisor.stop()

    def check(self) -> None:
        """Raises `MailhaulError` when a child says that it cannot run. One that was killed, or that crashes, is started
        again for ever: nobody's import ends because of that."""
        running = self._supervisor.pids()
        for name in self._names:
            if name not in running and self._supervisor.ends(name) >= HOPELESS_ENDS:
                path = self._log_dir / f"{name}.log"
                if (words := last_line(path)).startswith(_OWN_WORDS):
                    raise MailhaulError(f"{name} ends as soon as it starts: {words} (its log is {path})")

    def pids(self) -> dict[str, int]:
        """Who runs now."""
        return self._supervisor.pids()


def last_line(path: Path) -> str:
    """Of a log."""
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "it left no log"
    return lines[-1][:500] if lines else "its log is empty"
