"""Known faults of packages, from a file of advisories in the OSV format, for machines without the network. Pure.

The file is https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip, or a folder with its JSON files.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lock: str) -> dict[str, str]:
    """Package → version, from the text of a lock."""
    return {normal(name): version for name, version in _PINNED.findall(lock)}


def read_advisories(path: Path) -> Iterator[dict[str, Any]]:
    """All of a ZIP file or a folder. Raises OSError and ValueError."""
    if path.is_dir():
        for one in sorted(path.glob("*.json")):
            yield json.loads(one.read_text())
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield json.loads(archive.read(name))


def concerning(advisories: Iterable[Mapping[str, Any]], packages: Mapping[str, str]) -> dict[str, list[str]]:
    """Advisory → the packages ("name 1.2") that it is about in these versions."""
    found: dict[str, list[str]] = {}
    for advisory in advisories:
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected", ()):
            package = affected.get("package", {})
            name = normal(str(package.get("name", "")))
            if package.get("ecosystem") == "PyPI" and name in packages and _is_affected(affected, packages[name]):
                found.setdefault(str(advisory["id"]), []).append(f"{name} {packages[name]}")
    return found


def _is_affected(affected: Mapping[str, Any], version: str) -> bool:
    if version in affected.get("versions", ()):
        return True
    ranges = [one["events"] for one in affected.get("ranges", ()) if one.get("type") == "ECOSYSTEM"]
    return any(_within(events, Version(version)) for events in ranges)


def _within(events: Iterable[Mapping[str, str]], version: Version) -> bool:
    """Tells whether the last event that is not after this version says that it is affected (OSV, "Evaluation")."""
    within = False
    for kind, text in sorted((pair for event in events for pair in event.items()), key=lambda pair: _version(pair[1])):
        at = _version(text)
        if kind == "introduced" and version >= at:
            within = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            within = False
    return within


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")
