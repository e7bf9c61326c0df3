"""Tests that errors for people have a code and parameters (`shared.wording.phrases`)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _errors(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="UsageError")) as call:
                yield call


def _replacements(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("replace", "sub"):
            words = [
                one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            if any(word.startswith(("--", r"--")) and len(word) > 2 for word in words):
                yield node


@cache
def _trees() -> list[ast.Module]:
    rooms = ("producer", "shared", "worker")
    return [ast.parse(path.read_text("utf-8")) for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


def test_every_error_of_usage_has_a_code() -> None:
    assert [ast.unparse(call) for tree in _trees() for call in _errors(tree)] == [], "give it a Phrase"


def test_no_name_of_a_field_is_put_into_a_finished_text() -> None:
    assert [ast.unparse(call) for tree in _trees() for call in _replacements(tree)] == []


def test_an_error_without_a_code_would_be_counted() -> None:
    tree = ast.parse('raise UsageError("--name: no")\nraise NAME.error("name")\ntold.replace("--name", "name")')
    assert (len(list(_errors(tree))), len(list(_replacements(tree)))) == (1, 1)
