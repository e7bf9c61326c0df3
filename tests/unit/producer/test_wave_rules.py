"""Tests which wave a row gets by the rules."""

from __future__ import annotations

import pytest

from producer.intake.manifest import Row
from producer.intake.waving import read_rules
from shared.runtime.credentials import Secret
from shared.wording.phrases import FaultsFound


def rows(*people: tuple[str, str, str]) -> list[Row]:
    """Returns rows with (login, wave, group)."""
    empty = Secret("")
    return [
        Row(line=line, login=login, password=empty, new_login=login, new_password=empty, wave=wave, group=group)
        for line, (login, wave, group) in enumerate(people, start=2)
    ]


def waves(rules: list[str], rest: str = "") -> list[str]:
    people = rows(
        ("ann@a.example", "own", "board"),
        ("bob@A.Example", "", "sales"),
        ("cyd@b.example", "", "Board"),
        ("dan@b.example", "", ""),
        ("eve@c.example", "", ""),
    )
    return [row.wave for row in read_rules(rules, rest).placed(people)]


@pytest.mark.parametrize(
    ("rules", "rest", "found"),
    [
        ([], "", ["own", "", "", "", ""]),
        ([], "rest", ["own", "rest", "rest", "rest", "rest"]),
        (["a=*@a.example"], "", ["own", "a", "", "", ""]),
        (["b=group:board", "b=*@b.example"], "rest", ["own", "rest", "b", "b", "rest"]),
        (["first=first:2", "b=*@b.example"], "", ["own", "first", "first", "b", ""]),
        (["b=*@b.example", "first=first:1"], "rest", ["own", "first", "b", "b", "rest"]),
        (["one = ?ve@*"], "", ["own", "", "", "", "one"]),
    ],
)
def test_the_first_rule_that_fits_decides(rules: list[str], rest: str, found: list[str]) -> None:
    assert waves(rules, rest) == found


@pytest.mark.parametrize(
    "rule", ["pilot", "=x", "pilot=", "pilot=first:0", "pilot=first:x", "pilot=group:", f"{'x' * 65}=y"]
)
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(FaultsFound, match="is no rule"):
        read_rules([rule])
