"""The language of the code: docstrings that begin with a verb or a noun, and one class of a name.

The lists of what is still to be rewritten may only shrink: each count is exact.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("producer", "worker", "shared", "bench", "deploy", "tests")
#: The rooms of the product.
PRODUCT = ("producer", "worker", "shared")
#: A pronoun, preposition or conjunction, by which a docstring has no subject and no verb.
HEADLESS = re.compile(
    r"(What|Who|Whose|Whom|Which|As|Of|With|From|By|To|Whether|That|Those|These|How|One|The same|So|Up|For|In|On|At|Where|When|It|"
    r"If|There|Then|Both|And|Not|No|Why|Until|After|Before|Only)\b"
)
#: Folder → docstrings that are still headless.
STILL_HEADLESS: dict[str, int] = {}


@cache
def _trees() -> dict[Path, ast.Module]:
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return {path.relative_to(ROOT): ast.parse(path.read_text("utf-8")) for path in paths}


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    found: Counter[str] = Counter()
    for path, tree in _trees().items():
        found["/".join(path.parts[:2])] += sum(1 for text in _docstrings(tree) if HEADLESS.match(text))
    assert +found == Counter(STILL_HEADLESS), "rewrite the new ones; of what was rewritten, lower the count"


def _public_classes(trees: dict[Path, ast.Module]) -> dict[str, list[Path]]:
    """Returns the public classes of the product by name, with the files that define them."""
    places: defaultdict[str, list[Path]] = defaultdict(list)
    for path, tree in trees.items():
        if path.parts[0] in PRODUCT:
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(path)
    return places


def _doubled(trees: dict[Path, ast.Module]) -> dict[str, list[Path]]:
    return {name: where for name, where in _public_classes(trees).items() if len(where) > 1}


def test_no_two_public_classes_have_one_name() -> None:
    assert _doubled(_trees()) == {}


def test_a_second_public_class_of_one_name_would_be_found() -> None:
    trees = {Path("worker/one.py"): ast.parse("class Row: ..."), Path("shared/two.py"): ast.parse("class Row: ...")}
    assert list(_doubled(trees)) == ["Row"]


def test_a_headless_docstring_would_be_counted() -> None:
    tree = ast.parse('"""Whether it is so."""\ndef one() -> None:\n    """Returns what there is."""')
    assert [bool(HEADLESS.match(text)) for text in _docstrings(tree)] == [True, False]
