"""Tests that a row of a table fits the terminal, and that nothing of it is cut."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from producer.cli import verb
from producer.cli.verb import fitted

ROW = (
    "1a2b3c4d  people-of-the-office  incomplete  17/40 mailboxes  1,234/5,678 messages  imaps://mail.old.example:993 → "
    "imaps://mail.new.example:993  archived"
)
NAME = "a-name-that-is-longer-than-the-terminal-and-has-to-be-copied"


@pytest.mark.parametrize("width", [20, 40, 80, 100, 500])
@pytest.mark.parametrize(
    "row", [ROW, f"  row 17  {NAME}  queued  nothing counted yet", "", "   ", f"{NAME}  {NAME}", "one cell"]
)
def test_nothing_is_cut_and_no_line_is_wider(row: str, width: int) -> None:
    lines = list(fitted(row, width))
    assert " ".join(" ".join(lines).split()) == " ".join(row.split())
    for line in lines:
        assert len(line) <= width or len(line.split()) == 1
    for cell in filter(None, (one.strip() for one in row.split("  "))):
        assert len(cell) > width - 6 or any(cell in line for line in lines), "a cell that fits is not broken"


@pytest.mark.parametrize(("terminal", "lines"), [(True, 3), (False, 1)])
def test_the_full_width_is_used_where_nobody_looks(
    terminal: bool, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("COLUMNS", "80")
    show: Callable[[str], None] = verb.show
    show(ROW)
    assert len(capsys.readouterr().out.splitlines()) == lines
