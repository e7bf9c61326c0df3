"""A lock file read as packages, and the requirements that it leaves unmet for one interpreter and platform."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]

#: Lock file → extras of mailhaul that it was made for.
LOCKS: Mapping[Path, tuple[str, ...]] = {
    ROOT / "requirements.lock": ("demo", "dev"),
    ROOT / "deploy" / "requirements.lock": (),
}

#: Packages whose requirements this machine cannot know, since no interpreter here installs them. They have none.
_WITHOUT_REQUIREMENTS = frozenset({"async-timeout"})

_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?: ; (.+?))? \\$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Locked:
    """An entry of a lock."""

    #: Normalized name (PEP 503).
    name: str
    #: The only version that is installed.
    version: str
    #: The marker of where it is installed; None for everywhere.
    marker: Marker | None

    def applies(self, environment: Mapping[str, str]) -> bool:
        """Tells whether pip installs the package in this environment."""
        return self.marker is None or self.marker.evaluate(dict(environment))


def read_lock(text: str) -> dict[str, Locked]:
    """Parses a lock file, and returns name → entry."""
    entries = {}
    for name, version, marker in _ENTRY.findall(text):
        key = canonicalize_name(name)
        entries[key] = Locked(name=key, version=version, marker=Marker(marker) if marker else None)
    return entries


def project_requirements(extras: tuple[str, ...]) -> list[Requirement]:
    """Returns the requirements of pyproject.toml with these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


def environments() -> Iterator[dict[str, str]]:
    """Yields the marker environments of every supported interpreter on Linux and macOS."""
    for python in ("3.11.0", "3.11.7", "3.12.0", "3.13.0", "3.14.0"):
        for system, platform, machine in (
            ("Linux", "linux", "x86_64"),
            ("Linux", "linux", "aarch64"),
            ("Darwin", "darwin", "arm64"),
        ):
            yield {key: str(value) for key, value in default_environment().items()} | {
                "implementation_version": python,
                "python_full_version": python,
                "python_version": python.rpartition(".")[0],
                "platform_system": system,
                "sys_platform": platform,
                "platform_machine": machine,
            }


def unmet(lock: Mapping[str, Locked], wanted: list[Requirement], environment: Mapping[str, str]) -> list[str]:
    """Returns the requirements that the lock does not meet in the environment, each with the package that asks.

    The result is empty for a closed lock.

    Follows every requirement of every locked distribution with the extras that it is asked for, as a resolver would.
    """
    faults: list[str] = []
    done: set[tuple[str, str]] = set()
    waiting = [("mailhaul", requirement) for requirement in wanted]
    while waiting:
        asker, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        entry = lock.get(name)
        if entry is None or not entry.applies(environment):
            faults.append(f"{asker} requires {requirement}, which is not in the lock")
            continue
        if not requirement.specifier.contains(Version(entry.version), prereleases=True):
            faults.append(f"{asker} requires {requirement}, and the lock has {entry.version}")
        for extra in ("", *requirement.extras):
            if (name, extra) not in done:
                done.add((name, extra))
                waiting += [(f"{name}=={entry.version}", one) for one in _requirements(entry, extra, environment)]
    return faults


def _requirements(entry: Locked, extra: str, environment: Mapping[str, str]) -> list[Requirement]:
    """Returns what the distribution requires in the environment with one extra, "" for none."""
    if entry.name in _WITHOUT_REQUIREMENTS:
        return []
    found = metadata.distribution(entry.name)
    assert found.version == entry.version, f"{entry.name} {found.version} is installed: run ./mailhaul --prepare"
    asked = [Requirement(line) for line in found.requires or ()]
    here = dict(environment) | {"extra": extra}
    return [one for one in asked if one.marker is None or one.marker.evaluate(here)]
