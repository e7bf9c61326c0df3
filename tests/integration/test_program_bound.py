"""Tests that a program of the administrator's, a switch's hook or an account's, ends with the process that asked it."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shared.accounts.program import run
from shared.runtime.secret import Secret
from tests.servers.process import await_ready

ASKS = """
import sys
from shared.accounts.program import run
from shared.runtime.secret import Secret
run([sys.argv[1]], b"{}", Secret(""), 600)
"""


def _script(home: Path, *lines: str) -> Path:
    path = home / "hook"
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def _alive(pid: int) -> bool:
    """Tells whether the process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _killed_while_it_runs(script: Path, pids: Path, count: int) -> list[int]:
    """Kills the process that asks the program, and returns the program's processes."""
    asking = subprocess.Popen([sys.executable, "-c", ASKS, script], cwd=Path(__file__).parents[2])
    try:
        await_ready(lambda: pids.exists() and len(pids.read_text().split()) == count, 180, "the program")
    finally:
        asking.kill()
        asking.wait()
    return [int(pid) for pid in pids.read_text().split()]


def test_it_dies_with_all_that_it_started_when_who_asked_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = _script(tmp_path, f"sleep 500 & echo $! >> {pids}", f"echo $$ >> {pids}", "wait")
    for pid in _killed_while_it_runs(script, pids, 2):
        await_ready(lambda pid=pid: not _alive(pid), 180, "its end")  # type: ignore[misc]


def test_only_what_moves_itself_into_another_session_escapes(tmp_path: Path) -> None:
    pids, moved = tmp_path / "pids", tmp_path / "moved"
    # The program names itself only after the other has its own session: a kill before that ends both.
    moves = f"setsid sh -c 'echo $$ > {moved}; exec sleep 500' &"
    script = _script(tmp_path, moves, f"until [ -s {moved} ]; do sleep 0.01; done", f"echo $$ >> {pids}", "wait")
    (program,) = _killed_while_it_runs(script, pids, 1)
    escaped = int(moved.read_text())
    try:
        await_ready(lambda: not _alive(program), 180, "its end")
        assert _alive(escaped)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(escaped, signal.SIGKILL)


def test_it_has_its_input_its_own_environment_and_its_exit_code(tmp_path: Path) -> None:
    script = _script(tmp_path, "cat; env >&2; exit 20")
    code, out, said = run([str(script)], b'{"a": 1}', Secret("word"), 30)
    assert (code, out) == (20, b'{"a": 1}')
    names = {line.partition("=")[0] for line in said.splitlines()}
    assert names <= {
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "MAILHAUL_HOOK_SECRET",
        "PWD",
        "SHLVL",
        "_",
        "OLDPWD",
    }


def test_what_cannot_be_started_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run([str(tmp_path / "nothing")], b"", Secret(""), 30)
    script = _script(tmp_path, "exit 0")
    script.chmod(0o600)
    with pytest.raises(PermissionError):
        run([str(script)], b"", Secret(""), 30)


def test_a_broken_pipe_ends_it_as_any_program(tmp_path: Path) -> None:
    script = _script(tmp_path, "(while :; do echo x; done; echo survived >&2) | head -n 1")
    assert run([str(script)], b"", Secret(""), 30)[1:] == (b"x\n", "")
