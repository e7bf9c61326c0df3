"""The locks are closed: nothing that a locked distribution requires is missing, for any supported interpreter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.release.lock import LOCKS, ROOT, environments, project_requirements, read_lock, unmet

_PLACE = "{python_full_version}-{sys_platform}-{platform_machine}"
_CASES = [
    pytest.param(path, extras, where, id=f"{path.parent.name}-{_PLACE.format(**where)}")
    for path, extras in LOCKS.items()
    for where in environments()
]


@pytest.mark.parametrize(("path", "extras", "where"), _CASES)
def test_a_lock_is_closed_under_markers_and_extras(path: Path, extras: tuple[str, ...], where: dict[str, str]) -> None:
    assert unmet(read_lock(path.read_text("utf-8")), project_requirements(extras), where) == []


def test_a_lock_without_what_only_an_extra_names_is_not_closed() -> None:
    lock = read_lock((ROOT / "requirements.lock").read_text("utf-8"))
    del lock["email-validator"]  # scim2-models requires pydantic[email]
    (fault,) = unmet(lock, project_requirements(("demo", "dev")), next(environments()))
    assert "email-validator" in fault


def test_a_lock_with_a_version_that_is_too_old_is_not_closed() -> None:
    lock = read_lock((ROOT / "requirements.lock").read_text("utf-8"))
    wanted = [Requirement("redis>=99")]
    assert unmet(lock, wanted, next(environments())) == [
        f"mailhaul requires redis>=99, and the lock has {lock['redis'].version}"
    ]


def test_every_entry_of_a_lock_is_read() -> None:
    for path in LOCKS:
        text = path.read_text("utf-8")
        assert len(read_lock(text)) == len(re.findall(r"^[^\s#].*==", text, re.MULTILINE))


def test_whoever_installs_a_lock_resolves_nothing_and_checks_the_result() -> None:
    """Checks every place that installs a lock: each call of pip says --no-deps, and the file goes on to `pip check`."""
    places = [ROOT / "mailhaul", ROOT / "Dockerfile", ROOT / "Makefile", ROOT / "tests" / "install-servers"]
    places += [
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*.md"),
        *(ROOT / "deploy").rglob("*"),
        *(ROOT / "bench").rglob("*"),
    ]
    installing = []
    for path in places:
        text = path.read_text("utf-8", "replace").replace("\\\n", " ") if path.is_file() else ""
        calls = [line for line in text.splitlines() if re.search(r"pip\b.* install\b.*-r ", line)]
        assert all("--no-deps" in line and "--require-hashes" in line for line in calls), (path, calls)
        if calls:
            assert re.search(r"pip\b.* check\b", text), path
            installing.append(path.name)
    assert set(installing) >= {"mailhaul", "Dockerfile"}
