"""Tests that no process leaves an image of its memory: each is started as an operator does, and checked at its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks prctl")

#: Code that each process starts with. At its end it writes its limit and whether it may be dumped (PR_GET_DUMPABLE).
ASKS = """
import atexit, ctypes, json, os, resource
def _tell():
    told = [resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)]
    with open(os.environ["TOLD"], "w") as file:
        json.dump(told, file)
atexit.register(_tell)
"""
#: Code that disables the protection, for the negative control.
UNPROTECTED = "import shared.runtime.core_dumps\nshared.runtime.core_dumps.forbid_core_dumps = lambda: None\n"

#: Commands that end at once: there is no Redis, or nothing to do.
STARTS = [
    ["-m", "worker"],
    ["-m", "producer.coordinator"],
    ["-m", "producer.web"],
    ["-m", "producer", "list"],
    ["-c", "from producer.cli import main; main()", "list"],
]


def told_by(arguments: list[str], home: Path, text: str) -> object:
    """Runs the process and returns what it wrote about itself."""
    (home / "sitecustomize.py").write_text(text)
    told = home / "told.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
    environment |= {"PYTHONPATH": f"{home}:{ROOT}", "TOLD": str(told), "MAILHAUL_STATE_DIR": str(home / "state")}
    subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, timeout=240, check=False
    )
    return json.loads(told.read_text())


@pytest.mark.parametrize("arguments", STARTS, ids=lambda arguments: arguments[1].split(";")[0])
def test_none_can_be_dumped(arguments: list[str], tmp_path: Path) -> None:
    assert told_by(arguments, tmp_path, ASKS) == [[0, 0], 0]


def test_one_without_the_protection_could_be(tmp_path: Path) -> None:
    """The negative control: without the protection a process may be dumped."""
    assert told_by(["-m", "worker"], tmp_path, ASKS + UNPROTECTED)[1] == 1  # type: ignore[index]
