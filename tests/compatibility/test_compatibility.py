"""Tests the contract over the servers that every test run has, its judge, and the page that it writes."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.compatibility.contract import play
from tests.compatibility.document import CASES
from tests.compatibility.judge import compare
from tests.compatibility.mailbox import Message
from tests.mail import CORPUS_VARIABLE
from tests.servers.real.registry import BY_NAME, KINDS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
BODY = b"Message-ID: <%d@example.org>\r\nSubject: s\r\n\r\ntext %d\r\n"
MAIL = [
    Message(folder, number, BODY % (number, number), frozenset({"\\seen"}), 1_000_000_000 + number)
    for number, folder in enumerate([b"INBOX", b"INBOX", b"Work", b"Work"], start=1)
]


@pytest.mark.parametrize(("name", "direction"), [("Cyrus", "destination"), ("pymap", "source")])
def test_the_contract_holds_for_a_few_messages(name: str, direction: str) -> None:
    kind, peer = BY_NAME[name], KINDS[0]
    for end in (kind, peer):
        if reason := end.missing():
            pytest.skip(f"needs {end.name}: {reason}")
    result = play(kind, peer, direction, limit=40, killed=False)
    assert result.faults == []
    assert result.messages >= (40 if CORPUS_VARIABLE in os.environ else 15)
    assert result.exact + sum(result.altered.values()) + result.refused == result.messages


def test_a_copy_is_a_copy_wherever_its_folder_went() -> None:
    moved = [replace(message, folder=b"INBOX." + message.folder) for message in MAIL]
    verdict = compare(MAIL, moved)
    assert (verdict.exact, verdict.lost, verdict.extra) == (4, frozenset(), frozenset())
    assert verdict.folders == {b"INBOX": b"INBOX.INBOX", b"Work": b"INBOX.Work"}


def test_the_judge_sees_each_difference() -> None:
    first, *others = MAIL
    assert compare(MAIL, others).lost == {(b"INBOX", 1)}
    assert compare(MAIL, [*MAIL, replace(first, uid=9)]).extra == {(b"INBOX", 9)}
    assert compare(MAIL, [replace(first, body=first.body.replace(b"\r\n", b"\n")), *others]).altered == {(b"INBOX", 1)}
    assert compare(MAIL, [replace(first, flags=frozenset()), *others]).flags_lost == {"\\seen": 1}
    assert compare(MAIL, [replace(first, instant=1), *others]).redated == {(b"INBOX", 1)}
    assert compare(MAIL, [replace(first, body=BODY % (1, 7)), *others]).lost == {(b"INBOX", 1)}


def test_a_message_that_the_server_cuts_off_is_altered_and_neither_lost_nor_twice() -> None:
    first, *others = MAIL
    cut, empty = replace(first, body=first.body[:-6]), replace(first, body=b"\r\n\r\n")
    for copy in (cut, empty):
        verdict = compare(MAIL, [copy, *others])
        assert (verdict.altered, verdict.lost, verdict.extra) == ({(b"INBOX", 1)}, frozenset(), frozenset())
        assert verdict.alterations == {"cut off": 1}
    assert compare(MAIL, [cut, replace(empty, uid=9), *others]).extra == {(b"INBOX", 9)}
    other = compare(MAIL, [replace(first, body=b"another text"), *others])
    assert (other.lost, other.extra) == ({(b"INBOX", 1)}, {(b"INBOX", 1)})


def faults(text: str) -> list[str]:
    """Returns the cases that are missing, and the named tests that do not exist."""
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if re.match(r"\| (\d+|vendor) ", line)]
    numbers = [row[0].strip() for row in rows]
    wanted = [str(n) for n in range(1, 136)] + [f"{n:02} (script)" for n in (1, 2, 3, 4, 5, 6, 7, 9, 12, 18)]
    found = [f"no row for {number}" for number in wanted if numbers.count(number) != 1]
    for row in rows:
        named = re.findall(r"`([^`]+\.py)::(test_\w+)`", row[-1])
        if not named and row[-1].strip() != "not tested":
            found.append(f"{row[0]}: neither a test nor 'not tested'")
        for path, name in named:
            file = ROOT / "tests" / path
            if not (file.is_file() and re.search(rf"^ *(async )?def {name}\(", file.read_text(), re.MULTILINE)):
                found.append(f"{row[0]}: no test {path}::{name}")
    return found


def test_every_case_has_a_row_and_the_tests_exist() -> None:
    assert faults(CASES.read_text()) == []
    assert CASES.read_text() in PAGE.read_text(), "write the page again: python -m tests.compatibility --page"


def test_a_case_without_its_test_is_found() -> None:
    """The control."""
    text = CASES.read_text()
    assert faults(text.replace("| 17 |", "| 1700 |")) == ["no row for 17"]
    name = re.search(r"::(test_\w+)`", text)
    assert name
    assert len(faults(text.replace(f"{name[1]}`", f"{name[1]}_x`"))) == text.count(f"{name[1]}`")


def test_the_page_has_every_server_and_is_found() -> None:
    page = PAGE.read_text()
    for kind in KINDS:
        assert f"| {kind.name} |" in page, kind.name
    assert "(docs/compatibility.md)" in (ROOT / "README.md").read_text()
