"""Starts child processes of the tests until they are ready, ends them with the test process, and finds free ports.

A server must not outlive a test run that was itself killed, so each child asks the kernel to end it with its parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

#: Search path: `/usr/sbin`, where Dovecot is installed, is not on a normal user's PATH.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
#: Forks all children: the kernel ends them with the thread that forked, and this thread lives as long as the process.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
#: Ports below those that the kernel hands out itself (`ip_local_port_range`).
_LOWEST_PORT, _HIGHEST_PORT = 12_000, 32_000
#: Number of ports that a process takes at a time. One descriptor holds them, whatever number of servers it starts.
_BLOCK = 50
#: Sockets that hold the names of the blocks that this process took, until it ends.
_TAKEN: list[socket.socket] = []


class ServerDied(RuntimeError):
    """Raised when a server ended instead of becoming ready."""


def await_ready(check: Callable[[], bool], deadline_seconds: float = 180.0, what: str = "it") -> None:
    """Returns as soon as `check` is true; an OSError of it counts as false.

    Raises TimeoutError when the deadline passes first.
    """
    deadline = time.monotonic() + deadline_seconds
    pause = threading.Event()
    wait = 0.002
    while True:
        try:
            if check():
                return
        except OSError:
            pass
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what} was not ready within {deadline_seconds:g} s")
        pause.wait(wait)
        wait = min(wait * 1.5, 0.05)


def _ports(begin: int) -> Iterator[int]:
    """Yields the ports of blocks whose name this process binds, beginning at some block."""
    firsts = range(_LOWEST_PORT, _HIGHEST_PORT, _BLOCK)
    for number in range(len(firsts)):
        first = firsts[(begin + number) % len(firsts)]
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0mailhaul-tests-ports-{first}")
        except OSError:  # another test process has this block
            name.close()
            continue
        _TAKEN.append(name)
        yield from range(first, first + _BLOCK)


#: Each process begins at another block.
_PORTS = _ports(os.getpid() * 97)
_ONE_BY_ONE = threading.Lock()


def free_port() -> int:
    """Returns a free TCP port of loopback that this process hands out only once.

    It may take seconds until a server listens on it. The kernel meanwhile hands out the ports of its own range, to
    every client that connects or asks for any port. So these ports are below that range, and a block of them is held
    under a name that only one process of the machine can bind.
    """
    with _ONE_BY_ONE:
        for port in _PORTS:
            with socket.socket() as sock, contextlib.suppress(OSError):  # used by another server
                sock.bind(("127.0.0.1", port))
                return port
    raise RuntimeError("no port is free")


def greets(port: int) -> bool:
    """Tells whether a server on this port sends anything."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        return sock.recv(1) != b""


def refuses(port: int) -> bool:
    """Tells whether no server listens on this port any more."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def spawn(
    argv: Sequence[str | Path],
    *,
    log: Path,
    uid: int | None = None,
    gid: int | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a child in a process group of its own that ends with this process; its output goes to `log`."""

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen(
                [str(arg) for arg in argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=0,
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
                env=env,
                preexec_fn=_end_with_parent,
            )

    return _SPAWNER.submit(start).result()


def _end_with_parent() -> None:
    # Runs after the change of user, which would clear this setting.
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end(process: subprocess.Popen[bytes], *, sig: int = signal.SIGTERM, seconds: float = 10.0) -> None:
    """Signals the process and waits; the rest of its group is killed afterwards."""
    if process.poll() is None:
        process.send_signal(sig)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        _kill_group(process.pid)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Sends SIGKILL to the process and all of its group, as a power cut would end them."""
    _kill_group(process.pid)
    process.wait(60)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def until_greeting(process: subprocess.Popen[bytes], port: int, log: Path, deadline_seconds: float = 180.0) -> None:
    """Returns when the server on `port` greets. Raises `ServerDied`, with its log, when it ended."""

    def check() -> bool:
        if process.poll() is not None:
            text = log.read_text("utf-8", "replace") if log.exists() else ""
            raise ServerDied(f"ended with {process.returncode}: {text[-2000:]}")
        return greets(port)

    await_ready(check, deadline_seconds, f"the server on port {port}")
