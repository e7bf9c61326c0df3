"""Tests that a child forked early does what it is told, and nothing else: not its parent's work, and nothing after its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from producer.early_workers import _asked
from shared.runtime.early_child import can_fork
from shared.runtime.processes import FORKED_WORKER, is_dead
from shared.runtime.supervise import Command, Supervisor

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 180.0

#: What the child does once it is told: it says who it is, then waits for a signal.
_MODULE = """
import os, signal, sys
def main():
    name = open("/proc/self/comm").read().strip()
    files = sorted(int(n) for n in os.listdir("/proc/self/fd"))
    print("works as", name, os.environ.get("WORD"), os.environ.get("HOME"), os.getsid(0) == os.getpid(), files, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
    while True:
        signal.pause()
"""
_PARENT = """
import os, sys, time
from pathlib import Path
from shared.runtime.early_child import EarlyChild
held = os.open("/dev/null", os.O_RDONLY)
child = EarlyChild("told_module", "mailhaul-worker")
print(child.pid, flush=True)
for line in sys.stdin:
    word = line.strip()
    if word == "begin":
        child.begin({"WORD": "told", "PATH": os.environ["PATH"]}, Path(sys.argv[1]) / "logs" / "child.log")
    elif word == "dismiss":
        child.dismiss()
        print("dismissed", child.returncode, flush=True)
    elif word == "term":
        import signal
        child.send_signal(signal.SIGTERM)
        print("ended", child.wait(), flush=True)
"""


class _Parent:
    def __init__(self, place: Path) -> None:
        (place / "told_module.py").write_text(_MODULE)
        path = os.pathsep.join((str(ROOT), str(place)))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PARENT, str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.log = place / "logs" / "child.log"
        self.child = int(self.line())

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()


@pytest.fixture
def parent(tmp_path: Path) -> _Parent:
    if sys.platform != "linux":
        pytest.skip("children are forked early on Linux only")
    return _Parent(tmp_path)


def _until(what: str, seen: object) -> None:
    assert callable(seen)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not seen():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.01)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_told_it_works_with_the_environment_and_the_log_that_it_was_given(parent: _Parent) -> None:
    parent.tell("begin")
    _until("its words", lambda: parent.log.is_file() and parent.log.read_text().endswith("\n"))
    words = parent.log.read_text()
    assert words.startswith("works as mailhaul-worker told None True ")
    assert "[0, 1, 2, 3]" in words, "of its parent's files it has none: 3 is the listing of the folder itself"
    parent.tell("term")
    assert parent.line() == "ended 7"
    parent.process.communicate()


def test_told_nothing_it_ends_and_writes_nothing(parent: _Parent) -> None:
    parent.tell("dismiss")
    # The child may see the end of its pipe, and end by itself, before the signal comes.
    assert parent.line() in ("dismissed -9", "dismissed 0")
    assert not parent.log.exists()
    parent.process.communicate()


@pytest.mark.parametrize("told", [True, False])
def test_it_dies_with_its_parent(parent: _Parent, told: bool) -> None:
    if told:
        parent.tell("begin")
        _until("its words", lambda: parent.log.is_file() and parent.log.read_text())
    assert not _gone(parent.child)
    parent.process.kill()
    parent.process.communicate()
    _until("its end", lambda: _gone(parent.child))


def test_a_terminal_that_interrupts_the_parent_does_not_reach_it(parent: _Parent) -> None:
    assert os.getsid(parent.process.pid) != parent.child
    _until("its own session", lambda: os.getsid(parent.child) == parent.child)
    parent.tell("dismiss")
    parent.process.communicate()


def test_a_worker_that_was_forked_is_known_to_live_and_to_be_dead(parent: _Parent) -> None:
    import socket

    name = f"{socket.gethostname()}.{parent.child}.abc123"
    _until("its name", lambda: Path(f"/proc/{parent.child}/comm").read_text().strip() == FORKED_WORKER)
    assert not is_dead(name)
    os.kill(parent.child, signal.SIGKILL)
    _until("its end", lambda: _gone(parent.child))
    assert is_dead(name), "its number is still there, and nobody behind it"
    parent.process.communicate()


_BARE = """
import os, sys
from pathlib import Path
from shared.runtime.early_child import EarlyChild
closed = [int(word) for word in sys.argv[2:]]
for number in closed:
    os.close(number)
    setattr(sys, ("stdin", "stdout", "stderr")[number], None)
child = EarlyChild("told_module", "mailhaul-worker")
child.begin({"WORD": "told"}, Path(sys.argv[1]))
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="children are forked early on Linux only")
@pytest.mark.parametrize("closed", [(), (0,), (1,), (0, 1)])
def test_it_is_told_and_is_never_dumped_whatever_standard_file_is_closed(
    tmp_path: Path, closed: tuple[int, ...]
) -> None:
    """The pipe takes the numbers that are free, and the child gives the standard ones another meaning."""
    (tmp_path / "told_module.py").write_text(
        "import ctypes, os, resource\n"
        "def asked(): return ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE)\n"
        "ahead = asked()\n"  # before it is told
        "def main(): print(os.environ['WORD'], ahead, flush=True); return 0\n"
    )
    log = tmp_path / "child.log"
    command = [sys.executable, "-c", _BARE, str(log), *map(str, closed)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}
    done = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, timeout=240, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert log.read_text() == "told (0, (0, 0))\n"


def test_a_process_with_threads_forks_nothing() -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    assert not can_fork()
    release.set()
    thread.join()


def test_a_child_that_died_before_it_was_told_is_replaced_by_one_that_is_started(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from shared.runtime.early_child import EarlyChild
from shared.runtime.supervise import Command, Supervisor
child = EarlyChild("json", "mailhaul-worker")
os.kill(child.pid, signal.SIGKILL)
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
log = Path(sys.argv[1])
argv = [sys.executable, "-c", "import signal; print('started', flush=True); signal.pause()"]
supervisor = Supervisor([Command(name="one", argv=argv, env=dict(os.environ), log_path=log, early=child)])
supervisor.start_thread()
while not (log.exists() and "started" in log.read_text()):
    signal.sigtimedwait([], 0.02)
supervisor.stop()
print("stopped")
"""
    log = tmp_path / "one.log"
    done = subprocess.run(
        [sys.executable, "-c", script, str(log)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "stopped\n", done.stderr


def test_a_command_may_be_started_late(tmp_path: Path) -> None:
    now = [0.0]
    early = Command(name="early", argv=[sys.executable, "-c", "import signal; signal.pause()"])
    late = Command(name="late", argv=early.argv, after_seconds=2.0)
    supervisor = Supervisor([early, late], clock=lambda: now[0])
    try:
        supervisor.start()
        supervisor.poll()
        assert set(supervisor.pids()) == {"early"}
        now[0] = 2.0
        supervisor.poll()
        assert set(supervisor.pids()) == {"early", "late"}
    finally:
        supervisor.stop()


def test_a_late_command_may_be_started_before_its_time(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import signal; signal.pause()"]
    supervisor = Supervisor([Command(name="late", argv=argv, after_seconds=2.0)], clock=lambda: 0.0)
    try:
        supervisor.start()
        assert supervisor.pids() == {}
        supervisor.start_now("late")
        first = supervisor.pids()
        supervisor.start_now("late")
        supervisor.poll()
        assert supervisor.pids() == first != {}, "once"
    finally:
        supervisor.stop()


@pytest.mark.parametrize(
    ("words", "variables", "number"),
    [
        (["a.csv"], {}, 1),
        (["a.csv"], {"MAILHAUL_WORKERS": "3"}, 3),
        (["a.csv", "--workers", "2"], {"MAILHAUL_WORKERS": "3"}, 2),
        (["a.csv", "--workers=0"], {}, 0),
        (["a.csv"], {"MAILHAUL_REDIS_URL": "redis://r"}, 0),
        (["a.csv", "--workers", "2"], {"MAILHAUL_REDIS_URL": "redis://r"}, 2),
        (["a.csv", "--workers", "many"], {}, 0),
        (["a.csv", "--workers"], {"MAILHAUL_WORKERS": "x"}, 0),
    ],
)
def test_as_many_are_forked_as_the_command_will_run(
    monkeypatch: pytest.MonkeyPatch, words: list[str], variables: dict[str, str], number: int
) -> None:
    for name in ("MAILHAUL_WORKERS", "MAILHAUL_REDIS_URL", "MAILHAUL_REDIS_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _asked(words) == number
