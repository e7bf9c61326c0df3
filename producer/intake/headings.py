"""The headings that a manifest may have, from `headings.toml`. Pure."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

_TABLES: Final[Mapping[str, Any]] = tomllib.loads((resources.files(__package__) / "headings.toml").read_text("utf-8"))

#: Other names of each column.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {column: tuple(names) for column, names in _TABLES["columns"].items()}


def plain(heading: str) -> str:
    """Returns a heading without the parts that do not count: case, spaces, marks between words, apostrophes."""
    return re.sub(r"[\s_.\-'’ʼ`()/]+", "", unicodedata.normalize("NFKC", heading).casefold())


#: Column of each `plain` heading.
COLUMN_OF: Final = {plain(alias): column for column, names in NAMES.items() for alias in (column, *names)}
#: `plain` headings that are left out. Where a heading is in both tables, the column counts.
NO_COLUMN: Final = frozenset(map(plain, _TABLES["left_out"])) - COLUMN_OF.keys()
