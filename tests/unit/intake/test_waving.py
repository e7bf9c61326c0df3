"""Tests the columns wave, priority and group, and the rule for rows without a wave."""

from __future__ import annotations

import pytest

from producer.intake.manifest import parse_manifest, template
from producer.intake.sheet import ManifestInvalid
from producer.intake.waving import of_wave, read_rules, wave_name
from shared.model.errors import UsageError
from shared.model.waves import is_name


@pytest.mark.parametrize("headings", ["wave,priority,group", "Волна,Приоритет,Группа", "Migration batch,Prio,Team"])
def test_the_columns_have_many_names(headings: str) -> None:
    rows = parse_manifest(f"login,password,{headings}\na,b,one,-3,sales\nc,d,,,\n".encode()).rows
    assert [(row.wave, row.priority, row.group) for row in rows] == [("one", -3, "sales"), ("", 0, "")]


@pytest.mark.parametrize("priority", ["high", "100", "1.5", "--1", "²"])
def test_a_priority_is_a_whole_number(priority: str) -> None:
    with pytest.raises(ManifestInvalid, match="row 2, priority: is not a whole number from -99 to 99"):
        parse_manifest(f"login,password,priority\na,b,{priority}\n".encode())


def test_a_name_is_short_and_printable() -> None:
    assert [is_name(text) for text in ("a", "x" * 64, "второй этап", "", "x" * 65, " a", "a\n", "a\0b")] == [
        True,
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]
    with pytest.raises(ManifestInvalid, match="row 2, group: must be at most 64"):
        parse_manifest(f"login,password,group\na,b,{'x' * 65}\n".encode())
    with pytest.raises(UsageError, match="--wave: must be 1 to 64"):
        wave_name("x" * 65)


def test_the_rule_is_for_rows_without_a_wave() -> None:
    rows = parse_manifest(b"login,password,wave\na,b,one\nc,d,\n").rows
    assert [row.wave for row in read_rules((), "rest").placed(rows)] == ["one", "rest"]
    assert read_rules(()).placed(rows) == rows
    assert [row.login for row in of_wave(rows, "one")] == ["a"]
    assert of_wave(rows, "") == rows
    with pytest.raises(UsageError, match="no row is of wave two"):
        of_wave(rows, "two")


def test_the_template_shows_them() -> None:
    (first, *_), columns = parse_manifest(template().encode()).rows, template().splitlines()[0].split(",")
    assert columns[-3:] == ["wave", "priority", "group"]
    assert (first.wave, first.priority, first.group) == ("pilot", 10, "sales")
