"""The rules of cutovers as docs/cutover.md shows them: `python -m tests.house.cutover_table` writes them anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from shared.model.cutover import RULES
from shared.model.lifecycle import CUTOVER, CutoverState, diagram

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "cutover.md"


def table() -> str:
    """Returns the rules as a table in Markdown: event, who sends it, what must be met."""
    lines = ["| event | from | to | by | guards |", "|---|---|---|---|---|"]
    for event, edges in CUTOVER.items():
        rule = RULES[event]
        before = ", ".join(str(state) if state in set(CutoverState) else "nothing" for state in edges)
        (after,) = set(edges.values())
        lines.append(f"| {event} | {before} | {after} | {rule.by} | {', '.join(rule.guards) or '–'} |")
    return "\n".join(lines)


def written(page: str) -> str:
    """Returns the page with the diagram and the table as they are now."""
    page = re.sub(r"(?<=```mermaid\n).*?(?=\n```)", diagram("cutover"), page, flags=re.DOTALL)
    return re.sub(r"(?<=cutover_table -->\n\n).*?(?=\n\n<!-- end -->)", table(), page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
