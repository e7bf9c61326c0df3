"""Tests that the preview of a list shows no password, also where a row is of another width."""

from __future__ import annotations

import pytest

from producer.web.pages.sheet import DOTS, _shown

FIELDS = ("login", "password", "new_login")


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (["anna", "s3cret", "anna2"], ["anna", DOTS, "anna2"]),
        (["anna", "s3cret", "anna2", ""], ["anna", DOTS, "anna2"]),
        (["anna", "s3cret", "anna2", "more"], ["anna", DOTS, DOTS]),
        (["s3cret", "anna2"], [DOTS, DOTS, ""]),
        (["s3cret"], [DOTS, "", ""]),
    ],
)
def test_a_row_that_is_too_short_shows_nothing(cells: list[str], shown: list[str]) -> None:
    assert _shown(cells, FIELDS) == shown
