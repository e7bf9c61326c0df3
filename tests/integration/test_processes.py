"""Tests whether a process of this machine is known to be dead."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from shared.runtime.processes import is_dead, process_name


def _started(*words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", *words]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # it no longer runs this process's image
    return process


def _name(number: int, host: str = "") -> str:
    return f"{host or socket.gethostname()}.{number}.abc123"


def test_a_process_that_was_killed_is_dead_even_when_nobody_has_waited_for_it() -> None:
    process = _started("worker")
    assert not is_dead(_name(process.pid))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(_name(process.pid)), "its number is still there, and nobody behind it"
    process.communicate()
    assert is_dead(_name(process.pid))


def test_a_number_that_something_else_has_by_now_is_no_life() -> None:
    process = _started("something else")
    assert is_dead(_name(process.pid))
    process.kill()
    process.communicate()
    assert is_dead(_name(os.getpid())), "whoever asks is no worker"


@pytest.mark.parametrize(
    "name", ["lane", "", "a.b", _name(2**22 + 1, "another.host"), "..", f"{socket.gethostname()}.x.y"]
)
def test_of_what_another_machine_or_nobody_knows_nothing_is_certain(name: str) -> None:
    assert not is_dead(name)


def test_a_name_says_who_and_is_never_given_twice() -> None:
    name = process_name()
    assert name.startswith(f"{socket.gethostname()}.{os.getpid()}.")
    assert name != process_name()
