"""Tests the one stylesheet of the page: type, spacing and colours come from its scales, and no page has a style of its own."""

from __future__ import annotations

import re
from pathlib import Path

import producer.web

_PAGE = Path(producer.web.__file__).parent
_TOKENS, _, _RULES = (_PAGE / "static" / "page.css").read_text().partition("\n* {")
#: A value of a margin, a padding or a gap: a step of the scale, a hairline, or what the browser reckons.
_STEP = re.compile(r"0|auto|[12]px|-[12]px|var\(--s[1-6]\)|calc\(-1 \* var\(--s[1-6]\)\)")


def _values(name: str) -> list[str]:
    return [found.strip() for found in re.findall(rf"(?<![\w-])(?:{name}): ([^;}}]+)", _RULES)]


def test_sizes_of_type_and_steps_of_space_come_from_the_scales() -> None:
    sizes = set(_values("font-size"))
    assert sizes <= {"inherit", "var(--small)", "var(--usual)", "var(--lead)", "var(--title)"}
    spaces = _values(r"(?:margin|padding|gap|row-gap|column-gap)(?:-(?:top|bottom|left|right))?")
    parts = {part for one in spaces for part in re.findall(r"calc\([^)]*\)\)|var\([^)]*\)|[^\s()]+", one)}
    assert [part for part in parts if not _STEP.fullmatch(part)] == []
    assert len(spaces) > 100, "the control: the rules were read"


def test_colours_stand_among_the_tokens_and_both_schemes_have_each() -> None:
    light, _, dark = _TOKENS.partition("prefers-color-scheme: dark")
    coloured = [set(re.findall(r"(--[\w-]+): #", part)) for part in (light, dark)]
    assert coloured[0] == coloured[1]
    screen = _RULES.partition("@media print")[0]
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl", screen) == []


def test_no_page_has_a_style_of_its_own() -> None:
    own = [
        path.name for path in (_PAGE / "templates").glob("*.html") if re.search(r"<style|\sstyle=", path.read_text())
    ]
    assert own == []
    assert [path.name for path in (_PAGE / "static").glob("*.css")] == ["page.css"]
