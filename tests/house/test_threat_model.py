"""The threat model names a test for each threat, and an answer for each finding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()


def section(title: str, page: str = PAGE) -> str:
    found = re.search(rf"^## {title}[^\n]*\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    """Cells of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def missing_tests(of: str, cell: str) -> list[str]:
    """Returns what is wrong with the tests that a cell names: it names none, or one that does not exist."""
    named = re.findall(r"`([^`]+)::(\w+)`", cell)
    found = [f"{of}: no test"] * (not named)
    for path, name in named:
        file = ROOT / "tests" / path
        if not (file.is_file() and re.search(rf"^ *(async )?def {name}\(", file.read_text(), re.MULTILINE)):
            found.append(f"{of}: no test {path}::{name}")
    return found


def faults(page: str) -> list[str]:
    """Threats and findings without a test, tests that do not exist, and assets or actors that nobody introduced."""
    found = []
    assets = {row[0] for row in rows(section("Assets", page))}
    actors = {row[0] for row in rows(section("Actors", page))}
    for asset, actor, threat, control, tests in rows(section("Threats and controls", page)):
        found += [f"{threat}: no asset {name}" for name in asset.split() if name not in assets]
        found += [f"{threat}: no actor {name}" for name in re.findall(r"\bW\d+\b", actor) if name not in actors]
        found += [f"{threat}: no control"] * (not control) + missing_tests(threat, tests)
    for finding, _, control, tests in rows(section("Findings", page)):
        found += [f"{finding}: no control"] * (not control) + missing_tests(finding, tests)
    return found


def test_every_threat_has_a_control_and_tests_that_exist() -> None:
    assert faults(PAGE) == []


def test_a_test_that_does_not_exist_is_found() -> None:
    """The control."""
    name = re.search(r"::(test_\w+)`", PAGE)
    assert name
    assert len(faults(PAGE.replace(f"::{name[1]}`", f"::{name[1]}_x`"))) == PAGE.count(f"::{name[1]}`")
    assert faults(re.sub(r"`[^`]+::\w+`", "", PAGE)) != []


def test_every_asset_and_actor_is_met() -> None:
    threats = section("Threats and controls")
    for title in ("Assets", "Actors"):
        for name, *_ in rows(section(title)):
            assert re.search(rf"\b{name}\b", threats), name


def test_every_finding_has_an_answer() -> None:
    found = list(rows(section("Findings")))
    assert [int(row[0].split()[0]) for row in found] == list(range(1, 21))
    answers = {row[0] for row in rows(section("What is not promised"))}
    threats = {(row[0], row[1]) for row in rows(section("Threats and controls"))}
    for finding, answer, *_ in found:
        assert answer.startswith(("mended: ", "answered: ")), finding
        assert set(re.findall(r"\bN\d+\b", answer)) <= answers, finding
        for asset, actor in re.findall(r"\b(A\d+(?: A\d+)*) by (W\d+(?: W\d+)*)", answer):
            assert (asset, actor) in threats, f"{finding}: no threat is {asset} by {actor}"
    assert all(len(row) == 3 and all(row) for row in rows(section("What is not promised")))


def test_it_is_reached_from_the_front_page() -> None:
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text()
    assert "(docs/threat-model.md)" in (ROOT / "SECURITY.md").read_text()
