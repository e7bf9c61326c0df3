"""The documents say what the code says."""

from __future__ import annotations

import ast
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from shared.model.cutover import FORCIBLE, GUARDS, RULES
from shared.model.lifecycle import CUTOVER, MACHINES, CutoverState, diagram
from tests.house import rooms
from tests.house.cutover_table import PAGE, written

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("machine", MACHINES)
def test_each_state_diagram_is_drawn_from_its_table(machine: str) -> None:
    assert diagram(machine) in (ROOT / "ARCHITECTURE.md").read_text()


def test_the_page_of_cutovers_says_what_its_tables_say() -> None:
    page = PAGE.read_text()
    assert written(page) == page
    assert set(RULES) == set(CUTOVER)
    assert {guard for rule in RULES.values() for guard in rule.guards} == set(GUARDS)
    for guard in GUARDS:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{guard}` |")]
        assert row.endswith("| yes |") == (guard in FORCIBLE)
    reached = {after for edges in CUTOVER.values() for after in edges.values()}
    assert reached == set(CutoverState)


def test_the_list_of_rooms_is_the_tree() -> None:
    page = rooms.PAGE.read_text("utf-8")
    assert rooms.written(page, rooms.rooms()) == page, "run python -m tests.house.rooms"


def test_the_list_of_rooms_notices_a_new_one(tmp_path: Path) -> None:
    for top in ("producer", "worker", "shared/attic"):
        (tmp_path / top).mkdir(parents=True)
        (tmp_path / top / "__init__.py").write_text('"""What is kept."""\n')
    assert rooms.rooms(tmp_path)[-1] == "  - `attic/`: What is kept."


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


#: What `Operations` holds, so that nobody hands it on one by one.
RESOURCES = {"store", "vault", "ring", "settings", "retention_days"}


def _handed_on(trees: dict[str, ast.Module]) -> list[str]:
    """Returns the functions that take three or more resources as parameters."""
    return [
        f"{name}: {node.name}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and len(RESOURCES & {one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}) > 2
    ]


def test_no_front_end_hands_on_the_resources_of_operations() -> None:
    rooms = ("operations", "cli", "web", "show", "reports")
    trees = {
        str(path): ast.parse(path.read_text()) for room in rooms for path in (ROOT / "producer" / room).rglob("*.py")
    }
    assert _handed_on(trees) == []
    assert _handed_on({"new.py": ast.parse("def act(store, vault, ring): ...")}) == ["new.py: act"], "the control"
