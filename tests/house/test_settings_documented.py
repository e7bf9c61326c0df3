"""Prose is part of the build: a setting that is not in `docs/settings.md` fails here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.runtime.config import SECRET_SETTINGS, SETTINGS, variable_name
from shared.runtime.setting_kinds import about

ROWS = {
    row[1]: row[0]
    for row in re.finditer(
        r"^\| `(\w+)` \|.*$", (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8"), re.MULTILINE
    )
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_has_its_line_with_its_default(setting: str) -> None:
    row = ROWS[variable_name(setting)]
    default = SETTINGS[setting].default
    if isinstance(default, str | int | float):
        assert f"| `{default}` |" in row
    assert ("*secret*" in row) == (setting in SECRET_SETTINGS)


def test_every_line_is_of_a_setting() -> None:
    assert set(ROWS) == {variable_name(setting) for setting in SETTINGS}


def test_every_setting_says_what_it_is() -> None:
    assert all(about(one) for one in SETTINGS.values())
