"""A child process that is forked while this process is young, loads its modules meanwhile, and is told later what to do.

A module that a worker needs takes a third of a second to load from nothing. A child that is forked at once does it beside its
parent, and begins with what the parent had loaded by then. Rules that make it safe:

- Only a process with one thread forks so (`can_fork`): no lock can be held by a thread that the child does not have.
- The child keeps no file of its parent but standard error and the pipe by which it is told; without a word it ends.
- It runs in a session of its own, and on Linux the kernel kills it when its parent dies (`shared.runtime.supervise` says why).
- It bears a name of its own in the list of processes, since its command line stays its parent's (`shared.runtime.processes`).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from shared.content.json_text import read_json
from shared.runtime.core_dumps import forbid_core_dumps

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_MOST_FILES: Final = 1024


def can_fork() -> bool:
    """Tells whether this process may fork a child that goes on in Python: on Linux, with no other thread."""
    return sys.platform == "linux" and threading.active_count() == 1 and _threads() == 1


def _threads() -> int:
    """Returns how many threads the kernel knows, since a library may have some of its own."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 2


class EarlyChild:
    """The child as its parent sees it; `subprocess.Popen` in what `shared.runtime.supervise` needs of one."""

    def __init__(self, module: str, title: str) -> None:
        """Forks. The child loads `module` and calls its `load_ahead`, if it has one; once it is told, it calls its `main`.

        `title` has at most 15 letters.
        """
        told, self._tell = map(_above_standard, os.pipe())
        parent = os.getpid()
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None where it is closed
            stream.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _live(module, title, told, parent)
        os.close(told)
        #: Its exit status, as `subprocess` says it; None while nobody has waited for its end.
        self.returncode: int | None = None
        self._reaping = threading.Lock()  # between the end of the child and its number going to another process

    def begin(self, env: Mapping[str, str], log_path: Path) -> None:
        """Tells the child its environment and its log, and lets it begin. One that has died meanwhile is waited for as usual."""
        log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(BrokenPipeError), os.fdopen(self._tell, "wb") as pipe:
            self._tell = -1
            pipe.write(json.dumps({"env": dict(env), "log": str(log_path)}).encode("utf-8", "surrogateescape"))

    def dismiss(self) -> None:
        """Ends a child that was told nothing; others are left alone."""
        if self._tell >= 0:
            os.close(self._tell)
            self._tell = -1
            self.send_signal(signal.SIGKILL)
            self.wait()

    def wait(self) -> int:
        """Waits for the end of the child, and returns how it ended."""
        if self.returncode is None:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            if self.returncode is None:
                self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal, unless somebody has waited for the child's end: its number may be another's by now."""
        with self._reaping:
            if self.returncode is None:
                os.kill(self.pid, number)


def _above_standard(file: int) -> int:
    """Returns the file under a number above the standard three, which may be free: the child gives them another meaning."""
    if file > 2:
        return file
    moved = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(file)
    return moved


def _live(module: str, title: str, told: int, parent: int) -> NoReturn:
    """The life of the child. It never returns into what its parent was doing."""
    code = 1
    try:
        _settle(title, told, parent)
        code = _told_to_work(module, told)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _settle(title: str, told: int, parent: int) -> None:
    forbid_core_dumps()
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    libc.prctl(_PR_SET_NAME, title.encode(), 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # never the parent's standard output, which is for data
    os.closerange(3, told)
    os.closerange(told + 1, _MOST_FILES)


def _told_to_work(module: str, told: int) -> int:
    loaded = importlib.import_module(module)
    getattr(loaded, "load_ahead", int)()
    gc.freeze()  # what is loaded stays: nobody need look for garbage in it
    with os.fdopen(told, "rb") as pipe:
        word = pipe.read()
    if not word:
        return 0
    asked = read_json(word.decode("utf-8", "surrogateescape"))
    os.environ.clear()
    os.environ.update(asked["env"])
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    if sys.stdout is None:  # its parent's was closed
        sys.stdout = open(1, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
    return int(loaded.main())
