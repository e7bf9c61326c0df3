"""Tests the streams of a command: closed by its caller, and on a disk without room."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PIPE = """
import contextlib, os, sys
from producer.__main__ import command

sys.argv = ["mailhaul", "--version"]
with contextlib.suppress(SystemExit):
    command()
raise SystemExit(0 if min(os.pipe()) > 2 else 1)
"""

_PRINTS = """
import typer
from producer.cli.verb import verb

@verb
def told() -> int:
    print("line", flush=True)
    return 0

try:
    told()
except typer.Exit as ended:
    raise SystemExit(ended.exit_code)
"""


def test_a_closed_stream_gives_its_number_to_nothing_else() -> None:
    for closed in ("<&-", ">&- 2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, _PIPE], check=False)
        assert done.returncode == 0, closed


def test_output_without_room_is_a_sentence_and_no_internal_error() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", _PRINTS], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == (
        "mailhaul: what this command prints cannot be written (No space left on device): "
        "make room there, then run the same command again\n"
    )
