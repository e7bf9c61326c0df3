"""Every supported Python that this machine has: a checkout prepares itself, the demo runs, and the unit tests pass.

docs/installing.md names the interpreters on the machines of this project, and those that could not be had.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.release.checkout import copy_of_the_checkout, prepare
from tests.release.lock import ROOT

pytestmark = pytest.mark.slow

SUPPORTED = ("3.11", "3.12", "3.13", "3.14")


def _interpreters() -> dict[str, Path]:
    """Returns version → interpreter, of PATH and of pyenv, beside the one that runs these tests."""
    found: dict[str, Path] = {}
    for version in SUPPORTED:
        places = [
            shutil.which(f"python{version}"),
            *Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"),
        ]
        for place in filter(None, places):
            said = subprocess.run(
                [place, "-c", "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
            )
            if said.returncode == 0 and said.stdout.strip() == version:
                found[version] = Path(place)
    found.pop(f"{sys.version_info.major}.{sys.version_info.minor}", None)
    return found


@pytest.mark.parametrize(
    ("version", "python"),
    _interpreters().items() or [pytest.param("", None, marks=pytest.mark.skip("this machine has one Python"))],
)
def test_a_checkout_works_with_this_python(version: str, python: Path, tmp_path: Path) -> None:
    checkout = copy_of_the_checkout(tmp_path / "checkout")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python3").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    (tools / "python3").chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MAILHAUL_")}
    environment = kept | {"PATH": f"{tools}:{os.environ['PATH']}"}
    done = prepare(checkout, environment)
    assert done.returncode == 0, done.stderr
    used = subprocess.run([checkout / ".venv/bin/python", "--version"], capture_output=True, text=True, check=True)
    assert used.stdout.startswith(f"Python {version}.")
    demo = subprocess.run(
        [checkout / "mailhaul", "demo"], env=environment, cwd=checkout, capture_output=True, text=True
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    # Of the crash tests, which take minutes, one module: what they prove does not depend on the interpreter.
    parts = ("tests/unit", "tests/crash/test_interrupted.py")
    units = subprocess.run(
        [checkout / ".venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *parts],
        env=environment,
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    assert units.returncode == 0, units.stdout[-4000:]


def test_the_launcher_and_the_metadata_say_the_same_versions() -> None:
    launcher = (ROOT / "mailhaul").read_text("utf-8")
    assert re.findall(r"python(3\.\d+)", launcher) == list(reversed(SUPPORTED))
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project) == list(SUPPORTED)
    assert 'requires-python = ">=3.11,<3.15"' in project
