"""The scripts declare what they touch, and touch only what the legend names."""

from __future__ import annotations

import ast
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from shared.store.redis import keys, redis_scripts, scripts
from shared.store.redis.redis_scripts import Scripts


def legend() -> set[str]:
    """Returns the first words of the keys in the table of `shared.store.redis.keys`."""
    rows = [line.split("|")[1] for line in (keys.__doc__ or "").splitlines() if line.startswith("| ")]
    return {name.strip().split(":")[0] for row in rows for name in row.split(",")}


@pytest.mark.parametrize("name", scripts.NAMES)
def test_every_script_opens_with_its_signature(name: str) -> None:
    text = (resources.files("shared.store") / "lua" / f"{name}.lua").read_text()
    assert text.startswith(f"-- {name}("), "the first line names the script and its arguments"


@pytest.mark.parametrize("name", scripts.NAMES)
def test_every_key_of_a_script_is_in_the_legend(name: str) -> None:
    for key in re.findall(r"P \.\. '([a-z]+(?:_[a-z]+)*)", scripts.sources()[name]):
        assert key in legend(), f"{name}.lua uses {key}"


def test_every_script_is_loaded() -> None:
    folder = resources.files("shared.store") / "lua"
    files = {entry.name.removesuffix(".lua") for entry in folder.iterdir() if entry.name.endswith(".lua")}
    assert files - set(scripts.SHARED) == set(scripts.NAMES)
    assert all(name.startswith("_") for name in scripts.SHARED)


@pytest.mark.parametrize("name", ["tell", "take_delivery"])
def test_what_waits_for_a_target_is_not_read_as_a_whole_each_time(name: str) -> None:
    """Reads the scripts. After an outage thousands of notices are due: a call that read them all would take ever longer."""
    text = (resources.files("shared.store") / "lua" / f"{name}.lua").read_text()
    reads = [line for line in text.splitlines() if "ZRANGEBYSCORE" in line]
    assert reads
    assert all("'LIMIT'" in line for line in reads)


def test_a_script_carries_the_definitions_that_it_uses_and_no_others() -> None:
    found = scripts.sources()
    assert all(f"local function {name}(" in found["claim"] for name in ("refresh", "wanted", "clock", "owed"))
    assert "local MACHINES" in found["finish"]
    assert not any(word in found["hold"] for word in ("MACHINES", "local function refresh", "\n-- Put before"))
    # What uses itself, or a name in several, is taken whole.
    for text in found.values():
        defined = re.findall(r"^local function (\w+)", text, re.MULTILINE)
        assert len(defined) == len(set(defined))
        assert text.startswith(("local P = ", "-- ")), "the prefix of all keys comes first"


def test_no_line_of_the_shared_definitions_is_lost() -> None:
    for name in scripts.SHARED:
        text = (resources.files("shared.store") / "lua" / f"{name}.lua").read_text()
        kept = "".join(one.text for one in scripts._definitions(text))
        assert kept.split() == [
            word for line in text.splitlines() if not line.startswith("--") for word in line.split()
        ]


#: A script that goes through all mailboxes of an import or of a wave.
_THROUGH_ALL = re.compile(r"ZRANGE',[^\n]*(?:':mailboxes'|members_key\([^)]*\)|\bmembers|\ball), 0, -1")


def test_no_change_goes_through_all_mailboxes_in_one_script() -> None:
    folder = resources.files("shared.store") / "lua"
    texts = {name: (folder / f"{name}.lua").read_text() for name in (*scripts.NAMES, *scripts.SHARED)}
    assert [name for name, text in texts.items() if _THROUGH_ALL.search(text)] == []
    all_at_once = re.compile(r"ZRANGE[^\n]* and -1\b")
    assert [name for name, text in texts.items() if all_at_once.search(text)] == []
    assert all_at_once.search("redis.call('ZRANGE', key, 0, piece == 0 and -1 or piece)"), "the control"
    assert _THROUGH_ALL.search("for _, m in ipairs(redis.call('ZRANGE', key .. ':mailboxes', 0, -1)) do"), "the control"
    assert _THROUGH_ALL.search("redis.call('ZRANGE', members_key(i, wave), 0, -1)"), "the control"


def _swept() -> set[str]:
    """Returns the scripts that take the number of mailboxes that follow (`sweep_on`); `gather` changes none of them."""
    return {name for name in scripts.NAMES if re.search(r"\bpiece\b", _signature(name))} - {"gather"}


def _signature(name: str) -> str:
    text = (resources.files("shared.store") / "lua" / f"{name}.lua").read_text()
    return text.partition("): ")[0]


class _Recorded(Scripts):
    """Notes the scripts that are run, and runs none."""

    def __init__(self) -> None:
        self.ran: list[tuple[Any, ...]] = []
        self._gathered = None

    def _run(self, *call: Any) -> Any:
        self.ran.append(call)
        return (0, 0)


def test_the_mailboxes_follow_in_pieces() -> None:
    store = _Recorded()
    store._run_sweep("control", "import", "", "pause", "")
    assert store.ran == [("control", "import", "", "pause", "", Scripts.piece)]
    assert Scripts.piece > 0


def test_the_mailboxes_follow_in_pieces_in_a_step_that_is_gathered_too() -> None:
    store = _Recorded()
    store._gathered = []
    store._run_sweep("control", "import", "", "pause", "")
    assert store.ran == [], "nothing is run before the step is decided"
    assert store._gathered == [
        ("control", ("import", "", "pause", "", Scripts.piece)),
        ("sweep", ("import", Scripts.piece)),
    ]


def test_nobody_else_runs_a_script_that_all_mailboxes_follow() -> None:
    assert _swept() >= {"control", "standing", "submit", "sweep", "wave"}
    callers = set()
    for path in Path(redis_scripts.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr=how), args=[ast.Constant(value=str(name)), *_]) if (
                    name in _swept()
                ):
                    callers.add((how, name))
    # `sweep` itself runs with the number of a piece.
    assert callers == {("_run", "sweep"), *(("_run_sweep", name) for name in _swept() - {"sweep"})}
