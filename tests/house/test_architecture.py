"""The documents say what the code says."""

from __future__ import annotations

from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from shared.lifecycle import MACHINES, diagram

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("machine", MACHINES)
def test_each_state_diagram_is_drawn_from_its_table(machine: str) -> None:
    assert diagram(machine) in (ROOT / "ARCHITECTURE.md").read_text()


def test_no_dependency_ships_a_package_with_one_of_our_names() -> None:
    owners = packages_distributions()
    for name in ("producer", "worker", "shared"):
        assert set(owners.get(name, ["mailhaul"])) <= {"mailhaul"}


def test_no_module_is_named_after_nothing_in_particular() -> None:
    banned = {"utils.py", "util.py", "helpers.py", "common.py", "manager.py", "misc.py"}
    found = [p for room in ("producer", "worker", "shared") for p in (ROOT / room).rglob("*.py") if p.name in banned]
    assert found == []


def test_no_module_is_over_six_hundred_lines() -> None:
    rooms = ("producer", "worker", "shared", "bench", "tests")
    long = [str(p) for room in rooms for p in (ROOT / room).rglob("*.py") if len(p.read_text().splitlines()) > 600]
    assert long == []
