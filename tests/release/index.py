"""A package index as a folder: the locked files, and beside them newer versions of everything that is locked."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path

from tests.release.lock import ROOT, read_lock

#: The oldest pip that mailhaul supports: the one inside ensurepip of Python 3.11.0.
OLDEST_PIP = "22.3"


def locked_files(python: Path, lock: Path) -> Path:
    """Returns a folder with the files that a lock installs for this interpreter, and the oldest pip.

    They are downloaded once a lock, from the index that pip is configured to use.
    """
    stamp = hashlib.sha256(lock.read_bytes() + str(python.resolve()).encode()).hexdigest()[:16]
    folder = ROOT / ".tools" / f"index-{stamp}"
    if not (folder / ".whole").exists():
        fetch = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*fetch, "--require-hashes", "-r", lock], check=True)
        subprocess.run([*fetch, f"pip=={OLDEST_PIP}"], check=True)
        (folder / ".whole").touch()
    return folder


def newer_versions(folder: Path, names: Iterable[str]) -> None:
    """Writes an empty wheel of version 999 for each name.

    A package index offers new releases in this way after the day of the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        stem = f"{name.replace('-', '_')}-999.0"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 999.0\n")
            wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{stem}.dist-info/RECORD", "")


def index_with_newer_versions(python: Path, lock: Path, folder: Path) -> dict[str, str]:
    """Returns the environment variables with which pip sees the locked files and the newer versions.

    It sees no other index.
    """
    newer_versions(folder, read_lock(lock.read_text("utf-8")))
    return without_pip_settings() | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{locked_files(python, lock)} {folder}"}


def without_pip_settings() -> dict[str, str]:
    """Returns this process's environment without the variables that configure pip or mailhaul."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "MAILHAUL_"))}
    return kept | {"PIP_CONFIG_FILE": os.devnull}
