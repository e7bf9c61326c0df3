"""Starts `python -m MODULE` without loading its modules again: forked from a process that has loaded them once.

A fresh interpreter takes half a second of CPU until a command of mailhaul begins, and two until the API does. Here each
module has a parent of its own in the test process, which loads what the module needs, and forks. The child is a process
like any other: session, files, folder, environment, words and exit code are its own; only its modules were there before.

What needs an interpreter of its own gets one: other variables of Python's, another folder of code, a preloaded library.
MAILHAUL_TEST_FRESH_PROCESSES=1 starts all of them so. Also the parent's program: `python -m tests.servers.preloaded MODULE`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import importlib.util
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from tests.servers import process

ROOT = Path(__file__).resolve().parents[2]
#: Module → the packages that its parent loads, without those that stand behind "but".
_LOADS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "producer": (("shared", "worker", "producer"), ("producer.web", "producer.translations")),
    "producer.web": (("shared", "producer"), ()),
    "producer.coordinator": (("shared", "producer.coordinator", "producer.notices"), ()),
    "worker": (("shared", "worker"), ()),
}
#: Variables that an interpreter reads when it starts.
_OF_THE_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_")
_REQUEST_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1
_MOST_FILES = 4096


class Wanted(NamedTuple):
    """A child that is wanted."""

    #: The words behind the program's name.
    words: list[str]
    #: The folder that it runs in.
    folder: str
    #: Its environment.
    variables: dict[str, str]
    #: Whether it gets a session of its own, else only a process group.
    session: bool
    #: The signal that it gets when its parent dies; 0 for none.
    death_signal: int


class Ended(NamedTuple):
    """The end of a command."""

    #: Exit code.
    returncode: int
    #: Standard output.
    stdout: str
    #: Standard error.
    stderr: str


def can_preload(variables: Mapping[str, str]) -> bool:
    """Tells whether a child with this environment is the same whether or not its modules were loaded before."""

    def of_the_start(env: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in env.items() if name.startswith(_OF_THE_START) and name != "PYTHONPATH"}

    return (
        sys.platform == "linux"
        and not os.environ.get("MAILHAUL_TEST_FRESH_PROCESSES")
        and Path(variables.get("PYTHONPATH", "")).resolve() == ROOT
        and of_the_start(variables) == of_the_start(os.environ)
    )


def start(
    module: str,
    *words: str | Path,
    env: Mapping[str, str],
    cwd: str | Path = ROOT,
    **pipes: Any,
) -> subprocess.Popen[Any]:
    """Starts `python -m MODULE WORDS` in a session of its own; `pipes` are those of `subprocess.Popen`."""
    if can_preload(env):
        wanted = Wanted([str(word) for word in words], str(cwd), dict(env), session=True, death_signal=0)
        return _Preloaded(module, wanted, **pipes)
    command = [sys.executable, "-m", module, *map(str, words)]
    return subprocess.Popen(command, env=dict(env), cwd=cwd, start_new_session=True, **pipes)


def spawn(module: str, *, log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts `python -m MODULE` as `tests.servers.process.spawn` does: it ends with this process, and writes to `log`."""
    if not can_preload(env):
        return process.spawn([sys.executable, "-m", module], log=log, env=env)
    with log.open("ab") as out:
        wanted = Wanted([], str(Path.cwd()), dict(env), session=False, death_signal=signal.SIGTERM)
        return _Preloaded(module, wanted, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def run(module: str, *words: str | Path, env: Mapping[str, str], cwd: str | Path = ROOT, seconds: float = 240) -> Ended:
    """Runs `python -m MODULE WORDS` to its end."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with start(module, *words, env=env, cwd=cwd, **pipes) as running:
        try:
            out, said = running.communicate(timeout=seconds)
        except BaseException:
            running.kill()
            raise
    return Ended(running.returncode, out, said)


class _Preloaded(subprocess.Popen[Any]):
    """A child of the module's parent, which tells how it ended."""

    def __init__(self, module: str, wanted: Wanted, **pipes: Any) -> None:
        self._module, self._wanted = module, wanted
        super().__init__([module, *wanted.words], **pipes)

    def _execute_child(self, *given: Any) -> None:
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite = given[10:16]
        told, tell = os.pipe()
        files = [0 if p2cread == -1 else p2cread, 1 if c2pwrite == -1 else c2pwrite, 2 if errwrite == -1 else errwrite]
        try:
            _Parent.of(self._module).fork(self._wanted, [*files, tell])
        finally:
            os.close(tell)
        self._told = open(told, "rb", buffering=0)  # noqa: SIM115 - closed with the child
        self._word = select.poll()  # select() takes no descriptor above 1,023
        self._word.register(self._told, select.POLLIN)
        self.pid = _number(self._told)
        if not self.pid:
            raise RuntimeError(f"the process that loads {self._module} died")
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]

    def _try_wait(self, flags: int) -> tuple[int, int]:
        if self._told.closed:
            return self.pid, 0
        if flags & os.WNOHANG and not self._word.poll(0):
            return 0, 0
        with self._told:
            told = self._told.read(4)
        # Without a word its parent died: nobody knows how the child ended, which is no success.
        return self.pid, int.from_bytes(told, "little") if len(told) == 4 else signal.SIGKILL

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid and self.returncode is None:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


def _number(pipe: Any) -> int:
    """Reads a number; 0 when none comes, since the parent died."""
    return int.from_bytes(pipe.read(4), "little")


class _Parent:
    """The process that has loaded a module, as the tests see it."""

    _all: ClassVar[dict[str, _Parent]] = {}
    _lock = threading.Lock()

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_BYTES)
        with theirs:
            # It ends when the socket does, with the test process. Its words say what its children are (`shared.runtime.processes`).
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.preloaded", module, str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._socket = ours

    @classmethod
    def of(cls, module: str) -> _Parent:
        with cls._lock:
            if module not in cls._all:
                cls._all[module] = cls(module)
            return cls._all[module]

    def fork(self, wanted: Wanted, files: list[int]) -> None:
        socket.send_fds(self._socket, [json.dumps(wanted).encode("utf-8", "surrogateescape")], files)


# -- the parent


def _load(module: str) -> None:
    packages, but = _LOADS[module]
    for package in packages:
        importlib.import_module(package)
        for found in pkgutil.walk_packages(sys.modules[package].__path__, f"{package}."):
            of_another = found.name.endswith("__main__") and found.name != f"{module}.__main__"
            if not of_another and not any(found.name == one or found.name.startswith(f"{one}.") for one in but):
                importlib.import_module(found.name)


def _serve(control: socket.socket) -> Wanted:
    """Forks what it is asked for, and tells how each ended. Returns in the children only."""
    children: dict[int, int] = {}
    wake, woken = socket.socketpair()
    for end in (wake, woken):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    while True:
        ready = select.select([control, wake], [], [])[0]
        if wake in ready:
            wake.recv(4096)
            _tell_of_the_dead(children)
        if control in ready:
            request, files, *_ = socket.recv_fds(control, _REQUEST_BYTES, 4)
            if not request:
                sys.exit(0)
            wanted = Wanted(*json.loads(request.decode("utf-8", "surrogateescape")))
            became, becomes = os.pipe()
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for one in (control, wake, woken):
                    one.detach()  # closed with all other files, by their numbers
                _become(wanted, files[:3])
                return wanted
            for file in (*files[:3], becomes):
                os.close(file)
            # The child closes its end once it leads its group: whoever kills the group before that misses it.
            os.read(became, 1)
            os.close(became)
            children[pid] = files[3]
            _tell(files[3], pid)


def _tell_of_the_dead(children: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            if (told := children.pop(found[0], None)) is not None:
                _tell(told, found[1])
                os.close(told)


def _tell(pipe: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(pipe, number.to_bytes(4, "little"))


def _become(wanted: Wanted, files: list[int]) -> None:
    """Makes this process what a fresh one would be."""
    if wanted.session:
        os.setsid()
    else:
        os.setpgid(0, 0)
    if wanted.death_signal:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, wanted.death_signal)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, _MOST_FILES)
    os.chdir(wanted.folder)
    os.environ.clear()
    os.environ.update(wanted.variables)
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc]  # noqa: SIM115
    tty = os.isatty(1)
    sys.stdout = sys.__stdout__ = open(1, "w", buffering=1 if tty else -1, closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # type: ignore[misc]  # noqa: SIM115


def _main() -> None:
    module, number = sys.argv[1], int(sys.argv[2])
    _load(module)
    gc.collect()
    gc.freeze()
    wanted = _serve(socket.socket(fileno=number))
    spec: Any = importlib.util.find_spec(f"{module}.__main__")
    program, names = spec.loader.get_code(spec.name), vars(sys.modules["__main__"])
    sys.argv = [spec.origin, *wanted.words]
    for name in [name for name in names if not name.startswith("__")]:
        del names[name]
    names |= {"__file__": spec.origin, "__spec__": spec, "__doc__": None}
    exec(program, names)


if __name__ == "__main__":
    _main()
