"""Tests which wave a row gets by the rules."""

from __future__ import annotations

import pytest

from producer.intake.manifest_row import Row
from producer.intake.waving import read_rules
from shared.runtime.secret import Secret
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
        (["b=group:*"], "rest", ["own", "b", "b", "rest", "rest"]),
        (["one = ?ve@*"], "", ["own", "", "", "", "one"]),
    ],
)
def test_the_first_rule_that_fits_decides(rules: list[str], rest: str, found: list[str]) -> None:
    assert waves(rules, rest) == found


def test_a_row_says_whether_it_named_its_wave() -> None:
    people = rows(("ann", "own", ""), ("bob", "", ""), ("cyd", "", ""))
    placed = read_rules(["a=bob"], "rest").placed(people)
    assert [(row.wave, row.wave_by_rule) for row in placed] == [("own", False), ("a", True), ("rest", True)]


def test_what_is_added_has_no_first_rows() -> None:
    assert read_rules(["a=x", "pilot=first:2"]).rules[1].most == 2
    with pytest.raises(FaultsFound) as refused:
        read_rules(["a=x", "pilot=first:2"], added=True)
    (fault,) = refused.value.faults
    assert (fault.code, fault.fields) == ("wave_rule_first", ("wave_rule",))


@pytest.mark.parametrize(
    "rule", ["pilot", "=x", "pilot=", "pilot=first:0", "pilot=first:x", "pilot=group:", f"{'x' * 65}=y"]
)
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(FaultsFound, match="is no rule"):
        read_rules([rule])
