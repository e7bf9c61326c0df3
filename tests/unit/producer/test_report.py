"""The report's cells: none is a formula, whatever a folder or a server is called."""

from __future__ import annotations

import pytest

from producer.show.report import safe_cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        "  =1",
        "\u00a0=cmd|' /C calc'!A0",
        "|x",
    ],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["INBOX", "Отправленные", "a=b", "<1@x>", "", "row 1: a, b"])
def test_what_is_only_text_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


def test_our_own_numbers_stay_numbers() -> None:
    assert safe_cell(-1) == "-1"
    assert safe_cell(None) == ""
