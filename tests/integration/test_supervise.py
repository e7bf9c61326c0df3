"""Tests that children are kept running, stop when told, and never outlive the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from shared.runtime import log_files, supervise
from shared.runtime.supervise import Command, Supervisor, spawn
from tests.servers.readable import readable

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 180.0

#: Writes its pid and its session to the given descriptor, then waits to be killed.
SAY_AND_WAIT = """
import os, signal, sys
out = int(sys.argv[1])
os.write(out, f"{os.getpid()} {os.getsid(0)}\\n".encode())
while True:
    signal.pause()
"""
#: Writes a line on SIGTERM before it ends; tests insert it into `SAY_AND_WAIT`.
SAY_GOODBYE = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: (os.write(out, b'bye\\n'), sys.exit()))\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


class Pipe:
    """A pipe with lines from children; its end proves that every process that held it is gone."""

    def __init__(self) -> None:
        self._read, self.write = os.pipe()
        self._kept = b""

    def line(self) -> str | None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while b"\n" not in self._kept:
            ready = readable([self._read], max(0.0, deadline - time.monotonic()))
            assert ready, "nothing was said in time"
            said = os.read(self._read, 4096)
            if not said:
                return None
            self._kept += said
        line, _, self._kept = self._kept.partition(b"\n")
        return line.decode()

    def close_write(self) -> None:
        if self.write >= 0:
            os.close(self.write)
            self.write = -1

    def close(self) -> None:
        self.close_write()
        os.close(self._read)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    with closing(Pipe()) as pipe:
        yield pipe


@contextmanager
def _running(*commands: Command, grace_seconds: float = DEADLINE_SECONDS) -> Iterator[Supervisor]:
    supervisor = Supervisor(commands, grace_seconds=grace_seconds)
    supervisor.start_thread()
    try:
        yield supervisor
    finally:
        supervisor.stop()


def _command(pipe: Pipe, text: str = SAY_AND_WAIT, name: str = "child") -> Command:
    return Command(name=name, argv=[sys.executable, "-c", text, str(pipe.write)], pass_fds=(pipe.write,))


def _pid(pipe: Pipe) -> int:
    return int((pipe.line() or "").split()[0])


def test_a_killed_child_is_started_again(pipe: Pipe) -> None:
    with _running(_command(pipe)) as supervisor:
        first = _pid(pipe)
        assert supervisor.pids() == {"child": first}
        os.kill(first, signal.SIGKILL)
        second = _pid(pipe)
        assert second != first
        assert supervisor.ends("child") == 1
        assert supervisor.pids() == {"child": second}


def test_a_child_has_a_session_of_its_own(pipe: Pipe) -> None:
    with _running(_command(pipe)):
        pid, session = (pipe.line() or "").split()
    assert pid == session != str(os.getsid(0))


def test_stopping_asks_first(pipe: Pipe) -> None:
    text = SAY_AND_WAIT.replace("os.write", SAY_GOODBYE + "os.write", 1)
    with _running(_command(pipe, text, "one"), _command(pipe, text, "two")) as supervisor:
        _pid(pipe), _pid(pipe)
        supervisor.stop()
        assert supervisor.pids() == {}
        pipe.close_write()
        assert (pipe.line(), pipe.line(), pipe.line()) == ("bye", "bye", None)
        supervisor.stop()


def test_who_does_not_listen_is_killed(pipe: Pipe) -> None:
    with _running(_command(pipe, DEAF + SAY_AND_WAIT), grace_seconds=0.05) as supervisor:
        _pid(pipe)
        supervisor.stop()
        pipe.close_write()
        assert pipe.line() is None


def test_pauses_double_up_to_ten_seconds_and_a_steady_child_starts_afresh() -> None:
    now = 1000.0
    supervisor = Supervisor([Command(name="false", argv=["false"])], clock=lambda: now)
    supervisor.start()
    for pause in (0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0):
        supervisor.poll(DEADLINE_SECONDS)
        assert supervisor.pids() == {}
        now += pause - 0.01
        supervisor.poll(0)
        assert supervisor.pids() == {}
        now += 0.02
        ends = supervisor.ends("false")
        supervisor.poll(0)
    now += supervise.STEADY_SECONDS + 1
    supervisor.poll(DEADLINE_SECONDS)
    assert supervisor.ends("false") == ends + 1
    now += supervise.FIRST_PAUSE_SECONDS + 0.01
    supervisor.poll(0)
    assert supervisor.wait_for_end("false", DEADLINE_SECONDS)
    assert supervisor.ends("false") == ends + 2
    supervisor.stop()


def test_a_thread_that_started_a_child_may_end(pipe: Pipe) -> None:
    # The kernel's signal is bound to the thread that forked.
    started: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: started.append(spawn(_command(pipe))))
    thread.start()
    thread.join()
    pid = _pid(pipe)
    child = started[0]
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.2)
    os.kill(pid, signal.SIGUSR1)
    assert child.wait(DEADLINE_SECONDS) == -signal.SIGUSR1


PARENT = """
import os, sys
from shared.runtime.supervise import Command, Supervisor
out = int(sys.argv[1])
argv = [sys.executable, "-c", sys.argv[2], str(out)]
supervisor = Supervisor([Command(name=str(n), argv=argv, pass_fds=(out,)) for n in range(3)])
supervisor.run()
"""


def test_a_killed_parent_leaves_no_orphan(pipe: Pipe) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(pipe.write), DEAF + SAY_AND_WAIT], pass_fds=(pipe.write,), cwd=ROOT
    )
    pipe.close_write()
    assert all(_pid(pipe) for _ in range(3))
    parent.kill()
    parent.wait(DEADLINE_SECONDS)
    assert pipe.line() is None


def test_a_child_whose_parent_died_before_it_could_ask_does_not_run() -> None:
    another = str(os.getppid())
    argv = [sys.executable, "-c", supervise._BECOME, another, str(int(signal.SIGKILL)), "echo", "ran"]
    ended = subprocess.run(argv, capture_output=True, timeout=DEADLINE_SECONDS)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"the parent is gone" in ended.stderr


def test_output_goes_to_the_log_file(tmp_path: Path) -> None:
    command = Command(name="echo", argv=["echo", "said"], log_path=tmp_path / "logs" / "echo.log", env={"PATH": "/bin"})
    assert spawn(command).wait(DEADLINE_SECONDS) == 0
    assert spawn(command).wait(DEADLINE_SECONDS) == 0
    assert (tmp_path / "logs" / "echo.log").read_text() == "said\nsaid\n"


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    command = Command(name="none", argv=["/no/such/program"], log_path=tmp_path / "log")
    assert spawn(command).wait(DEADLINE_SECONDS) == 1
    assert "/no/such/program: No such file or directory" in (tmp_path / "log").read_text()


#: Writes to its log without end, in lines of 1,000 bytes, and says when it has written enough for ten logs.
FLOOD = """
import os, signal, sys
for n in range(500):
    os.write(2, b"%06d" % n + b"x" * 993 + b"\\n")
os.write(int(sys.argv[1]), b"done\\n")
while True:
    signal.pause()
"""


@pytest.mark.parametrize("bounded", [True, False])
def test_a_log_is_bounded_while_its_child_writes(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bounded: bool
) -> None:
    """The control: without the bound all of it stays."""
    log = tmp_path / "child.log"
    monkeypatch.setattr(supervise, "LOG_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(supervise, "bound", lambda path: bounded and log_files.bound(path, 50_000))
    argv = [sys.executable, "-c", FLOOD, str(pipe.write)]
    with _running(Command(name="child", argv=argv, pass_fds=(pipe.write,), log_path=log)):
        assert pipe.line() == "done"
        if bounded:
            deadline = time.monotonic() + DEADLINE_SECONDS
            while log.stat().st_size > 50_000:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert (tmp_path / "child.log.1").stat().st_size <= 50_000
            assert (tmp_path / "child.log.1").stat().st_mode & 0o077 == 0
        else:
            assert log.stat().st_size == 500_000


def test_a_log_that_cannot_be_kept_is_emptied_all_the_same(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"x" * 1000)
    (tmp_path / "a.log.1").mkdir()  # as when the disk is full: it cannot be written
    assert log_files.bound(log, 999)
    assert log.stat().st_size == 0
    assert not log_files.bound(log, 999)
    assert not log_files.bound(tmp_path / "none.log", 999)


def test_the_newest_part_of_a_log_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"old" * 100 + b"new")
    assert log_files.bound(log, 3)
    assert (tmp_path / "a.log.1").read_bytes() == b"new"
