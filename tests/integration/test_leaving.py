"""Tests that a command that ends at once leaves nothing undone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_RUN = """
import atexit, os, sys, threading
import producer.__main__ as program
class Taken:
    def __del__(self): os.write(2, b"taken apart ")
kept = Taken()
kept.itself = kept
atexit.register(lambda: print("told", file=sys.stderr))
def main():
{body}
program.command = main
program.run()
"""


def _ended(body: str, out: str = "") -> subprocess.CompletedProcess[str]:
    text = _RUN.format(body="".join(f"    {line}\n" for line in body.splitlines()))
    with open(out or "/dev/null", "w") as file:
        return subprocess.run(
            [sys.executable, "-c", text],
            stdout=file if out else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=240,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin"},
        )


@pytest.mark.parametrize("code", [0, 3])
def test_all_is_printed_and_the_code_stays(code: int) -> None:
    done = _ended(f"print('a' * 100_000)\nsys.exit({code})")
    assert (done.returncode, len(done.stdout), done.stderr) == (code, 100_001, "told\n")


def test_what_is_no_exit_code_is_printed_by_python() -> None:
    done = _ended("sys.exit('no such thing')")
    assert (done.returncode, done.stderr.startswith("no such thing\ntold\n")) == (1, True)


def test_a_thread_that_still_works_is_awaited() -> None:
    done = _ended("threading.Timer(0.1, lambda: print('done')).start()\nsys.exit(0)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "told\ntaken apart "), "as Python ends"


def test_what_cannot_be_written_is_said() -> None:
    done = _ended("print('a')\nsys.exit(0)", "/dev/full")
    assert done.returncode == 120
    assert "No space left" in done.stderr
