"""Runs a server that `tests/install-servers` unpacked into `.tools`: its libraries, its owner, its life."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.process import ServerDied, free_port, kill, spawn, until_greeting

TOOLS = Path(__file__).resolve().parents[3] / ".tools"
_START_ATTEMPTS = 4


def environment(root: Path) -> dict[str, str]:
    """Returns the environment in which the programs below `root` find their own libraries."""
    folders = sorted({str(path.parent) for path in root.rglob("*.so*")})
    return {"PATH": os.environ.get("PATH", os.defpath), "LD_LIBRARY_PATH": ":".join(folders)}


def version(*command: str | Path, env: dict[str, str] | None = None) -> str:
    """Returns the first number with dots that the command prints; empty where it prints none."""
    done = subprocess.run(
        [str(part) for part in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    found = re.search(rb"\d+(\.\d+)+", done.stdout)
    return found[0].decode() if found else ""


class Unpacked:
    """A server in a folder of its own; a context manager. Accounts are added while it runs.

    As root it runs as `nobody`. A subclass starts its processes in `_run`.
    """

    host = "127.0.0.1"

    def __init__(self) -> None:
        self._owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        # Not in TMPDIR: the path of a Unix socket has at most 107 bytes, and Courier's 30.
        self.home = Path(tempfile.mkdtemp(prefix="real-", dir="/tmp"))
        self.home.chmod(0o755)
        self.port = self.pop3_port = 0
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for attempt in range(_START_ATTEMPTS):
            self.port, self.pop3_port = free_port(), free_port()
            try:
                self._run()
                break
            except ServerDied:
                self.kill()
                if attempt == _START_ATTEMPTS - 1:
                    raise  # otherwise another process took a port: try other ports
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def kill(self) -> None:
        """Ends all its processes at once."""
        while self._processes:
            kill(self._processes.pop())

    def add_user(self, login: str, password: str) -> None:
        """Creates the account."""
        raise NotImplementedError

    def _run(self) -> None:
        raise NotImplementedError

    def _spawn(
        self, *argv: str | Path, port: int = 0, env: dict[str, str] | None = None, privileged: bool = False
    ) -> None:
        """Starts a program and returns when it greets on `port`. Raises `ServerDied` when it ends before.

        Without a port it returns at once. A privileged program keeps the user who runs the tests.
        """
        self._own(self.home)
        drop = os.geteuid() == 0 and not privileged
        log = self.home / f"log-{port}"
        process = spawn(
            argv,
            log=log,
            uid=self._owner.pw_uid if drop else None,
            gid=self._owner.pw_gid if drop else None,
            env=env,
        )
        self._processes.append(process)
        if port:
            until_greeting(process, port, log)

    def _own(self, root: Path) -> None:
        """Gives this folder and all in it to the server's user."""
        if os.geteuid() == 0:
            for place in (root, *root.rglob("*")):
                os.chown(place, self._owner.pw_uid, self._owner.pw_gid)
