"""Tests the units for machines without containers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from shared.runtime.config import unknown_variables

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))


def read(path: Path) -> dict[str, list[str]]:
    """Returns the values of the section [Service], by name."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def verify(path: Path, home: Path) -> str:
    """Returns the complaints of systemd-analyze.

    The program that a unit starts is not installed here, so another one replaces it.
    """
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (Debian: systemd)")
    copy = home / path.name.replace("@", "@1")
    copy.write_text(path.read_text().replace("/opt/mailhaul/mailhaul", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)], text=True, capture_output=True
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "mailhaul" in line]
    return "\n".join(ours)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_finds_nothing_to_complain_of(path: Path, tmp_path: Path) -> None:
    assert verify(path, tmp_path) == ""


def test_a_wrong_line_is_found_out(tmp_path: Path) -> None:
    """The negative control: a wrong line is found."""
    wrong = tmp_path / "in" / "mailhaul-wrong.service"
    wrong.parent.mkdir()
    wrong.write_text(UNITS[0].read_text().replace("ProtectSystem=strict", "ProtectSistem=strict"))
    assert "ProtectSistem" in verify(wrong, tmp_path)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_each_runs_as_nobody_in_particular_and_gets_its_own_secrets(path: Path) -> None:
    service = read(path)
    role = {"mailhaul-worker@": "worker", "mailhaul-coordinator": "coordinator", "mailhaul-web": "producer"}[path.stem]
    assert service["DynamicUser"] == ["yes"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["CapabilityBoundingSet"] == [""]
    assert service["Restart"] == ["always"]
    assert service["LimitCORE"] == ["0"]
    files = {value.split(":")[1] for value in service["LoadCredential"]}
    wanted = {"redis-url", "secret-key"}
    wanted |= {"web-token"} if role == "producer" else set()
    assert files == {f"/etc/mailhaul/secrets/{role}/{name}" for name in wanted}
    given = {value.partition("=")[0]: value.partition("=")[2] for value in service["Environment"]}
    assert not unknown_variables(given)
    assert {f"%d/{name}" for name in wanted} <= set(given.values())


def test_the_variables_of_the_environment_file_are_settings() -> None:
    lines = [line for line in (FOLDER / "mailhaul.env").read_text().splitlines() if line and not line.startswith("#")]
    assert not unknown_variables(dict(line.split("=", 1) for line in lines))


@pytest.mark.parametrize("name", ["mailhaul-worker@", "mailhaul-web"])
def test_large_messages_are_kept_on_disk(name: str) -> None:
    """/tmp is memory on many machines; what is private of it is no larger."""
    service = read(FOLDER / f"{name}.service")
    assert "TMPDIR=/var/tmp" in service["Environment"]
    assert service["PrivateTmp"] == ["yes"]
