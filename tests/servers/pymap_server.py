"""Runs a pymap of our own: a second, quite different IMAP server, which keeps odd bytes and dates exactly as sent.

Its mail is in memory: a restart loses it. It speaks without TLS, on loopback.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import pymap_main
from tests.servers.process import ServerDied, end, free_port, kill, spawn, until_greeting

_START_ATTEMPTS = 4


class PymapServer:
    """A pymap server; a context manager. Accounts are added while it runs."""

    host = "127.0.0.1"

    def __init__(self, root: Path | None = None) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="pymap-", dir=root))
        self.port = 0
        self._users: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def add_user(self, login: str, password: str) -> None:
        """Creates the account, or changes its password."""
        self._users[login] = password
        self._write_users()

    def start(self) -> None:
        """Starts the server and returns when it greets. A restart keeps the port."""
        self._write_users()
        for attempt in range(_START_ATTEMPTS):
            fresh = self.port == 0
            self.port = self.port or free_port()
            log = self.home / "log"
            argv: list[str | Path] = [sys.executable, pymap_main.__file__, self.home / "users.json"]
            self._process = spawn([*argv, "--host", self.host, "--port", str(self.port), "--no-tls"], log=log)
            try:
                return until_greeting(self._process, self.port, log)
            except ServerDied:
                if not fresh or attempt == _START_ATTEMPTS - 1:
                    raise
                self.port = 0  # another process took the port: try another one

    def stop(self) -> None:
        """Stops the server in order; its mail is lost."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def kill(self) -> None:
        """Kills the server; its mail is lost."""
        if self._process is not None:
            kill(self._process)
            self._process = None

    def restart(self) -> None:
        """Restarts the server with the same accounts on the same port, without mail."""
        self.kill()
        self.start()

    def _write_users(self) -> None:
        fresh = self.home / "users.json.new"
        fresh.write_text(json.dumps(self._users), "utf-8")
        fresh.rename(self.home / "users.json")
