"""Updates docs/scaling.md: its prose is written by hand, and each run replaces the tables between marks."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """The results of one part."""

    #: Name of the section's marks in the page.
    name: str
    #: Title for people.
    title: str
    #: Lines of Markdown.
    lines: tuple[str, ...]
    #: Figures that must not exceed a limit.
    facts: dict[str, float] = field(default_factory=dict)


def number(size_bytes: float) -> str:
    """Words a number of bytes for people."""
    return f"{size_bytes / 1e6:,.1f} MB" if abs(size_bytes) >= 1e5 else f"{size_bytes / 1e3:,.1f} kB"


def put(section: Section, page: Path = PAGE) -> None:
    """Replaces the section that the last run of this part wrote.

    Raises ValueError when the page has no place for it.
    """
    begin, end = f"<!-- measured: {section.name} -->", f"<!-- end: {section.name} -->"
    day = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    load = os.getloadavg()[0]
    where = f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}"
    said = f"*Written by `python -m bench.scale --only {section.name}` on {day}: {where}.*"
    text = page.read_text()
    if begin not in text or end not in text:
        raise ValueError(f"{page.name} has no place for {section.name}: write {begin} and {end} into it")
    body = "\n".join([begin, said, "", *section.lines, end])
    page.write_text(re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: body, text, flags=re.DOTALL))
    print(f"## {section.title}\n\n" + "\n".join(section.lines) + f"\n{json.dumps(section.facts)}\n", flush=True)
