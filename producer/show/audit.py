"""Prints the audit log: a table for a terminal, CSV for a spreadsheet, JSON lines for a program. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from producer.show.report import safe_cell
from shared.runtime.logs import clean

#: Columns of the CSV. `detail` holds the other fields of an act as JSON.
COLUMNS: Final = ("time", "id", "who", "from", "what", "import_id", "detail")
_OWN: Final = ("from", "import_id")


def csv_lines(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields CSV lines with a header.

    Names and logins come from people, so each cell is made safe: a spreadsheet takes none for a formula.
    """
    yield _row(COLUMNS)
    for entry in entries:
        detail = entry["detail"]
        rest = json.dumps(_rest(detail), ensure_ascii=False) if _rest(detail) else ""
        place, about = (detail.get(name, "") for name in _OWN)
        yield _row((_time(entry), entry["id"], entry["who"], place, entry["what"], about, rest))


def json_lines(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields one JSON document for each entry, as the API gives them."""
    for entry in entries:
        yield json.dumps(entry, ensure_ascii=False) + "\n"


def table_lines(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields one line for each entry, for people; without line ends."""
    for entry in entries:
        detail = entry["detail"]
        about = [f"{name}={value}" for name, value in _rest(detail).items() if value not in ("", None, False)]
        if import_id := detail.get("import_id"):
            about.insert(0, f"import {import_id[:8]}")
        place = detail.get("from", "")
        who = entry["who"] if place in ("", "command line") else f"{entry['who']} from {place}"
        yield clean("  ".join((_time(entry), who, entry["what"], *about)))


def _rest(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if name not in _OWN}


def _time(entry: Mapping[str, Any]) -> str:
    return datetime.fromtimestamp(entry["at"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(cells: Iterable[object]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow([safe_cell(cell) for cell in cells])
    return text.getvalue()
