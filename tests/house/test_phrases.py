"""Tests that sentences for people have a code and parameters (`shared.wording.phrases`): the counts of others may only shrink."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Package → errors of usage that are raised with a text. Each is to become a `Phrase`.
STILL_WITHOUT_A_CODE = {"shared": 68}
#: Places that put a field's name in the place of an option in a text that is finished.
STILL_REPLACED: dict[str, int] = {}


def _errors(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name(id="UsageError")) as call):
                yield call


def _replacements(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("replace", "sub"):
            words = [
                one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            if any(word.startswith(("--", r"--")) and len(word) > 2 for word in words):
                yield node


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for package in ("producer", "shared", "worker"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield package, ast.parse(path.read_text("utf-8"))


def test_what_has_no_code_yet_only_shrinks() -> None:
    found: Counter[str] = Counter()
    for package, tree in _trees():
        found[package] += len(list(_errors(tree)))
    assert +found == Counter(STILL_WITHOUT_A_CODE), "give new ones a Phrase; of those that got one, lower the count"


def test_names_of_fields_are_put_into_finished_texts_in_fewer_and_fewer_places() -> None:
    found: Counter[str] = Counter()
    for package, tree in _trees():
        found[package] += len(list(_replacements(tree)))
    assert +found == Counter(STILL_REPLACED)


def test_an_error_without_a_code_would_be_counted() -> None:
    tree = ast.parse('raise UsageError("--name: no")\nraise NAME.error("name")\ntold.replace("--name", "name")')
    assert (len(list(_errors(tree))), len(list(_replacements(tree)))) == (1, 1)
