"""Writes the list of rooms in ARCHITECTURE.md: `python -m tests.house.rooms`."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "ARCHITECTURE.md"
_BEGIN, _END = "<!-- rooms -->\n", "<!-- /rooms -->\n"


def rooms(root: Path = ROOT) -> list[str]:
    """Returns a line for each package of the product: its depth as indent, its name, the first sentence of its docstring."""
    lines = []
    for top in ("producer", "worker", "shared"):
        for file in sorted((root / top).rglob("__init__.py")):
            depth = len(file.parent.relative_to(root).parts) - 1
            lines.append(f"{'  ' * depth}- `{file.parent.name}/`: {_first_line(file)}")
    return lines


def _first_line(file: Path) -> str:
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return text.partition("\n")[0]


def written(page: str, lines: list[str]) -> str:
    """Returns the page with these lines between its marks."""
    before, _, rest = page.partition(_BEGIN)
    after = rest.partition(_END)[2]
    return f"{before}{_BEGIN}" + "".join(f"{line}\n" for line in lines) + f"{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8"), rooms()), "utf-8")
