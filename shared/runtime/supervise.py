"""Keeps child processes alive as long as this process lives, and not longer.

- A child runs in a session of its own: the terminal's Ctrl-C reaches this process, which stops its children in order.
- A child does not outlive this process even when that is killed outright: on Linux the kernel signals the child
  (`PR_SET_PDEATHSIG`). That signal is tied to the *thread* that forked, so one thread forks all children and lives
  until the end. It is set after the fork, so the child checks afterwards whether its parent is still there.
- A child that ends is started again, after a pause that doubles up to ten seconds while it keeps ending early.
- A child's log is kept below a size (`shared.runtime.log_files`), whatever the child writes.

On other systems than Linux, a child of a killed process lives on; stopping in order works everywhere.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import field
from pathlib import Path
from typing import Protocol

from shared.nouns import dataclass
from shared.runtime.early_child import EarlyChild
from shared.runtime.log_files import bound

_log = logging.getLogger(__name__)

#: A child that lived longer than this, in seconds, did not end early.
STEADY_SECONDS = 30.0
#: The first pause before a child is started again; doubled each time.
FIRST_PAUSE_SECONDS = 0.2
#: The longest such pause.
LONGEST_PAUSE_SECONDS = 10.0
#: Between two looks at the sizes of the logs, seconds.
LOG_LOOK_SECONDS = 1.0

# Runs as the child, and then becomes the command: a function between fork and exec could deadlock under threads.
_BECOME = """
import ctypes, os, sys
parent, death_signal, argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(1, death_signal, 0, 0, 0):
    sys.exit(f"PR_SET_PDEATHSIG: {os.strerror(ctypes.get_errno())}")
if os.getppid() != parent:
    sys.exit("the parent is gone")
try:
    os.execvp(argv[0], argv)
except OSError as error:
    sys.exit(f"{argv[0]}: {error.strerror}")
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A child to be kept running."""

    #: The name for logs, unique among the children of one supervisor.
    name: str
    #: Program and arguments; no shell reads them.
    argv: Sequence[str]
    #: The child's whole environment; None for this process's own.
    env: Mapping[str, str] | None = None
    #: File that the child's output is appended to; None lets it write to this process's standard error.
    log_path: Path | None = None
    #: Open files that the child inherits under the same numbers.
    pass_fds: tuple[int, ...] = ()
    #: The signal that the kernel sends the child when this process dies without having stopped it (Linux).
    death_signal: signal.Signals = signal.SIGKILL
    #: A child that was forked before and waits to be told; it is the first to run, and needs `env` and `log_path`.
    early: EarlyChild | None = None
    #: Seconds to wait before the child is started the first time.
    after_seconds: float = 0.0


class Process(Protocol):
    """A process that runs: `subprocess.Popen`, or an `EarlyChild`."""

    @property
    def pid(self) -> int:
        """Its number."""

    def wait(self) -> int:
        """Waits for its end, and returns how it ended: its code, or a signal's number below zero."""

    def send_signal(self, sig: signal.Signals, /) -> None:
        """Sends it a signal."""


def spawn(command: Command) -> subprocess.Popen[bytes]:
    """Starts the command in a session of its own; it dies with this process, whichever thread calls."""
    return _Spawner.shared().spawn(command)


class _Spawner(threading.Thread):
    """The one thread that forks.

    It ends with the process, so the kernel signals the children only when the process ends.
    """

    _instance: _Spawner | None = None
    _instance_lock = threading.Lock()

    def __init__(self) -> None:
        super().__init__(name="mailhaul-spawner", daemon=True)
        self._pid = os.getpid()
        self._requests: queue.SimpleQueue[tuple[Command, Future[subprocess.Popen[bytes]]]] = queue.SimpleQueue()

    @classmethod
    def shared(cls) -> _Spawner:
        with cls._instance_lock:
            # Threads do not survive a fork: a forked process needs its own.
            if cls._instance is None or cls._instance._pid != os.getpid():
                cls._instance = cls()
                cls._instance.start()
            return cls._instance

    def spawn(self, command: Command) -> subprocess.Popen[bytes]:
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._requests.put((command, answer))
        return answer.result()

    def run(self) -> None:
        while True:
            command, answer = self._requests.get()
            try:
                answer.set_result(_fork(command))
            except BaseException as error:  # every error goes to the caller
                answer.set_exception(error)
            del command, answer


def _fork(command: Command) -> subprocess.Popen[bytes]:
    become = [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid()), str(int(command.death_signal))]
    output: int | None = None
    if command.log_path is not None:
        command.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        output = os.open(command.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [*become, *command.argv],
            env=None if command.env is None else dict(command.env),
            stdin=subprocess.DEVNULL,
            # Never this process's standard output, which is for data.
            stdout=2 if output is None else output,
            stderr=output,
            start_new_session=True,
            pass_fds=command.pass_fds,
        )
    finally:
        if output is not None:
            os.close(output)


@dataclass(kw_only=True, slots=True)
class _Child:
    #: The command to run.
    command: Command
    #: The running process; None while there is none.
    process: Process | None = None
    #: When it was last started.
    started_at: float = 0.0
    #: When it is to be started again.
    due_at: float = 0.0
    #: The number of times in a row that the child ended early.
    early_ends: int = 0
    #: The number of times that the child ended at all.
    ends: int = 0
    #: Set when `process` has ended and was reaped.
    ended: threading.Event = field(default_factory=threading.Event)


class Supervisor:
    """Keeps the commands running. Drive it by `poll()` in a loop of your own, by `run()`, or by `start_thread()`."""

    def __init__(
        self,
        commands: Sequence[Command],
        *,
        grace_seconds: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        now = clock()
        self._children = {
            command.name: _Child(command=command, due_at=now + command.after_seconds if command.after_seconds else 0.0)
            for command in commands
        }
        if len(self._children) != len(commands):
            raise ValueError("two commands have the same name")
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._lock = threading.RLock()
        self._stopping = False
        self._thread: threading.Thread | None = None
        #: Names of children that ended; None wakes the loop.
        self._ended: queue.SimpleQueue[tuple[str, Process] | None] = queue.SimpleQueue()

    def start(self) -> None:
        """Starts every child that is not running and is to run by now."""
        for child in self._children.values():
            if not child.command.after_seconds or child.due_at <= self._clock():
                self._start(child)

    def start_thread(self) -> None:
        """Starts the children, and keeps them running from a thread until `stop()`."""
        self.start()
        self._thread = threading.Thread(target=self.run, name="mailhaul-supervisor", daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Starts the children and keeps them running until another thread or a signal handler calls `stop()`."""
        self.start()
        logged = any(child.command.log_path for child in self._children.values())
        while not self._stopping:
            self.poll(LOG_LOOK_SECONDS if logged else None)

    def poll(self, timeout_seconds: float | None = 0.0) -> None:
        """Waits for a child to end or to be due, at most this long (None: without end).

        Then it starts the children that are due, and bounds the logs.
        """
        now = self._clock()
        pauses = [child.due_at - now for child in self._children.values() if child.process is None]
        waits = [wait for wait in (timeout_seconds, min(pauses, default=None)) if wait is not None]
        try:
            ended = self._ended.get(timeout=max(0.0, min(waits))) if waits else self._ended.get()
            while ended is not None:
                self._note_end(*ended)
                ended = self._ended.get_nowait()
        except queue.Empty:
            pass
        for child in self._children.values():
            if child.process is None and child.due_at <= self._clock():
                self._start(child)
            if child.command.log_path:
                bound(child.command.log_path)

    def start_now(self, name: str) -> None:
        """Starts a child whose time to start has not come; one that started or ended already is left alone."""
        child = self._children[name]
        if child.process is None and not child.ends:
            self._start(child)

    def let_end(self) -> None:
        """Starts no child any more; those that run are left alone."""
        with self._lock:
            self._stopping = True

    def stop(self) -> None:
        """Sends SIGTERM to all children, waits for the grace, and sends SIGKILL to those that are left.

        No child is started any more. Safe to repeat.
        """
        with self._lock:
            self._stopping = True
            running = [child for child in self._children.values() if child.process is not None]
        self._ended.put(None)
        for child in running:
            self._signal(child, signal.SIGTERM)
        deadline = time.monotonic() + self._grace_seconds
        for child in running:
            if not child.ended.wait(max(0.0, deadline - time.monotonic())):
                _log.warning("%s did not stop within %.0f s and is killed", child.command.name, self._grace_seconds)
                self._signal(child, signal.SIGKILL)
                child.ended.wait()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def pids(self) -> dict[str, int]:
        """Returns name → process number of the children that run now."""
        running = {name: child.process for name, child in self._children.items() if not child.ended.is_set()}
        return {name: process.pid for name, process in running.items() if process is not None}

    def ends(self, name: str) -> int:
        """Returns how often this child ended since the supervisor was made."""
        return self._children[name].ends

    def wait_for_end(self, name: str, timeout_seconds: float) -> bool:
        """Waits until the child that runs now has ended; returns False when it still runs after that time."""
        return self._children[name].ended.wait(timeout_seconds)

    def _start(self, child: _Child) -> None:
        with self._lock:
            if self._stopping or child.process is not None:
                return
            child.ended = ended = threading.Event()
            child.process = process = _first(child) or spawn(child.command)
            child.started_at = self._clock()
        _log.debug("%s started as process %d", child.command.name, process.pid)

        def wait() -> None:
            process.wait()
            child.ends += 1
            ended.set()
            self._ended.put((child.command.name, process))

        threading.Thread(target=wait, name=f"mailhaul-wait-{child.command.name}", daemon=True).start()

    def _note_end(self, name: str, process: Process) -> None:
        child, now = self._children[name], self._clock()
        if child.process is not process:
            return
        child.process = None
        if now - child.started_at > STEADY_SECONDS:
            child.early_ends = 0
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**child.early_ends)
        child.early_ends += 1
        child.due_at = now + pause
        if not self._stopping:
            code = process.wait()  # it has ended, so this only tells how
            how = f"signal {-code}" if code < 0 else f"code {code}"
            _log.warning("%s ended with %s; it is started again in %.1f s", name, how, pause)

    @staticmethod
    def _signal(child: _Child, number: signal.Signals) -> None:
        process = child.process  # the loop's thread may set it to None meanwhile
        if process is not None and not child.ended.is_set():
            process.send_signal(number)


def _first(child: _Child) -> Process | None:
    """Returns the early child of a command that never ran, after telling it to begin."""
    command = child.command
    if command.early is None or child.started_at or command.env is None or command.log_path is None:
        return None
    command.early.begin(command.env, command.log_path)
    return command.early
