"""Tests that the documents name only what is there: modules, paths, other documents, targets of the Makefile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "bench" / "RESULTS.md"])
#: The history names what was there once.
TODAY = [page for page in PAGES if page.name != "CHANGELOG.md"]
_ROOMS = "producer|worker|shared|tests|bench|deploy|docs"
_MODULE = re.compile(rf"`((?:{_ROOMS})(?:\.[a-z_]\w*)+)(?:\.[A-Z]\w*)*`")
_PATH = re.compile(rf"`((?:{_ROOMS})/[\w./-]+)(?:::\w+)?`")
_LINK = re.compile(r"\]\(([^)#\s]+)")
_TARGET = re.compile(r"(?:^    |`)make ([a-z-]+)", re.MULTILINE)


def _is_module(name: str) -> bool:
    """Tells whether there is such a module, or such a name in a module."""
    parts = name.split(".")
    for depth in range(len(parts), 1, -1):
        place = ROOT.joinpath(*parts[:depth])
        source = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
        if source.is_file():
            rest = parts[depth:]
            return not rest or re.search(rf"\b{rest[0]}\b", source.read_text("utf-8")) is not None
    return ROOT.joinpath(*parts).is_dir()


def _wrong(text: str, folder: Path) -> Iterator[str]:
    """Yields what the text names and is not there."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    yield from (name for name in _MODULE.findall(text) if not name.endswith((".md", ".py")) and not _is_module(name))
    # The threat model names tests by their place below tests/.
    yield from (
        path
        for path in _PATH.findall(text)
        if "NAME" not in path and not any((ROOT / top / path).exists() for top in ("", "tests"))
    )
    yield from (link for link in _LINK.findall(text) if ":" not in link and not (folder / link).exists())
    yield from (f"make {name}" for name in _TARGET.findall(text) if name not in targets)


@pytest.mark.parametrize("page", TODAY, ids=[str(page.relative_to(ROOT)) for page in TODAY])
def test_page_names_only_what_is_there(page: Path) -> None:
    assert list(_wrong(page.read_text("utf-8"), page.parent)) == []


def test_what_is_not_there_would_be_found() -> None:
    text = (
        "`shared.attic.boxes` `shared.model.uids.UidSet` `docs/attic.md` [x](docs/web.md) [y](attic.md) `make nothing`"
    )
    assert list(_wrong(text, ROOT)) == ["shared.attic.boxes", "docs/attic.md", "attic.md", "make nothing"]
