"""Tests hand programs to other processes as text, which switch a protection off: each must name what the product has.

A program that names what is gone either fails for a reason of its own, or sets what nobody reads. Neither is a negative control.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from types import ModuleType

import pytest

from tests.house.rooms import ROOT

PRODUCT = re.compile(r"^\s*(?:from|import) (?:worker|producer|shared)\b", re.MULTILINE)
#: How the text of a program begins within a file.
AS_TEXT = re.compile(r"(?:\"\"\"\n|[\"'])(?:from|import) ")


def _programs(path: Path) -> Iterator[ast.Module]:
    text = path.read_text("utf-8")
    for node in ast.walk(ast.parse(text)) if AS_TEXT.search(text) and path != Path(__file__) else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and PRODUCT.search(node.value):
            try:
                yield ast.parse(node.value)
            except SyntaxError:  # words, or the beginning of a program
                continue


def unknown(program: ast.Module) -> Iterator[str]:
    """Yields the modules and names of the product that a program imports or sets, and that do not exist."""
    known: dict[str, object] = {}
    for node in ast.walk(program):
        names = node.names if isinstance(node, ast.Import | ast.ImportFrom) else ()
        module = getattr(node, "module", None)
        for one in names:
            if (module or one.name).split(".")[0] not in ("worker", "producer", "shared"):
                continue
            try:
                found: object = importlib.import_module(module or one.name)
                if module:
                    found = _attribute(found, one.name)
                elif not one.asname:
                    found = importlib.import_module(one.name.split(".")[0])
            except (ImportError, AttributeError):
                yield f"{module or ''} {one.name}"
            else:
                known[one.asname or (one.name if module else one.name.split(".")[0])] = found
    for node in ast.walk(program):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            for one in target.elts if isinstance(target, ast.Tuple) else (target,):
                path = ast.unparse(one).split(".")
                if isinstance(one, ast.Attribute) and path[0] in known:
                    try:
                        reduce(getattr, path[1:], known[path[0]])
                    except AttributeError:
                        yield ".".join(path)


def _attribute(module: object, name: str) -> object:
    try:
        return getattr(module, name)
    except AttributeError:
        assert isinstance(module, ModuleType)
        return importlib.import_module(f"{module.__name__}.{name}")


def test_a_program_that_a_test_hands_over_names_what_the_product_has() -> None:
    files = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("bench/**/*.py")]
    found = [f"{path.relative_to(ROOT)}: {one}" for path in files for each in _programs(path) for one in unknown(each)]
    assert not found


@pytest.mark.parametrize(
    "program",
    [
        "from worker import neighbours",
        "import worker.nowhere",
        "from worker import lane\nlane.Lane._nothing = None",
        "import worker.lane\nworker.lane.nothing, worker.lane.time = 1, 2",
    ],
)
def test_a_program_that_names_what_is_gone_is_found(program: str) -> None:
    assert len(list(unknown(ast.parse(program)))) == 1
