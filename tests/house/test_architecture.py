"""The documents say what the code says."""

from __future__ import annotations

import ast
import imaplib
import poplib
from importlib.metadata import packages_distributions
from pathlib import Path

import imapclient
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


def _json_readers(text: str) -> int:
    return sum(
        isinstance(node, ast.Attribute) and ast.unparse(node) == "json.loads" for node in ast.walk(ast.parse(text))
    )


def test_json_is_read_by_the_function_that_bounds_it() -> None:
    """Finds `json.loads`: of a text that is nested without end it raises what nobody expects (`shared.content.json_text`)."""
    every = [path for room in ("producer", "worker", "shared") for path in (ROOT / room).rglob("*.py")]
    found = [str(path.relative_to(ROOT)) for path in every if _json_readers(path.read_text())]
    assert found == ["shared/content/json_text.py"]
    assert _json_readers("import json\njson.loads(x)\nlist(map(json.loads, y))") == 2


def test_no_front_end_hands_on_the_resources_of_operations() -> None:
    rooms = ("operations", "cli", "web", "show", "reports")
    trees = {
        str(path): ast.parse(path.read_text()) for room in rooms for path in (ROOT / "producer" / room).rglob("*.py")
    }
    assert _handed_on(trees) == []
    assert _handed_on({"new.py": ast.parse("def act(store, vault, ring): ...")}) == ["new.py: act"], "the control"


#: Names that imaplib, imapclient and poplib do not promise. The modules that use them say why; the list may only shrink.
FOREIGN_PRIVATE = {
    "shared/mail/imap/session.py": {"_MAXLINE", "_create_IMAP4", "_get_capabilities", "_log", "_set_read_timeout"},
    "shared/mail/pop3/pop3_signing_in.py": {
        "_debugging",
        "_getline",
        "_getresp",
        "_putline",
        "_shortcmd",
        "_tls_established",
    },
}


def _foreign_private(text: str) -> set[str]:
    """Returns the private names of mail libraries that a module uses or takes the place of."""
    tree = ast.parse(text)
    imported = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    if not imported & {"imaplib", "imapclient", "poplib"}:
        return set()
    client = imapclient.IMAPClient.__init__.__code__
    theirs = {*dir(imaplib), *dir(imaplib.IMAP4), *dir(imapclient.IMAPClient), *dir(poplib.POP3), *client.co_names}
    theirs |= {*imaplib.IMAP4.__init__.__code__.co_names, *poplib.POP3.__init__.__code__.co_names}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return {name for name in used & theirs if name.startswith("_") and not name.startswith("__")}


def test_private_names_of_mail_libraries_are_used_where_there_is_no_other_way() -> None:
    paths = [path for room in ("producer", "shared", "worker") for path in (ROOT / room).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): _foreign_private(path.read_text("utf-8")) for path in paths}
    assert {path: names for path, names in found.items() if names} == FOREIGN_PRIVATE
    assert _foreign_private("import imapclient\nclient._imap.state") == {"_imap"}, "the control"
