"""A copy of the checkout in a separate folder, as after `git clone`, and its commands."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.release.lock import ROOT


def copy_of_the_checkout(folder: Path) -> Path:
    """Copies every file that git knows of (or would add), and nothing else."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
            (folder / name).chmod((ROOT / name).stat().st_mode)
    return folder


def prepare(
    checkout: Path, environment: Mapping[str, str], around: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Runs `./mailhaul --prepare` there; `around` is a command that runs it."""
    return subprocess.run(
        [*around, str(checkout / "mailhaul"), "--prepare"],
        env=dict(environment),
        cwd=checkout,
        capture_output=True,
        text=True,
    )
