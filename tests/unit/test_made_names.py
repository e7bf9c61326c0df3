"""Tests what is learned of a destination that makes folders under other names than it was asked for."""

from __future__ import annotations

import pytest

from shared.folders.made_names import MadeNames
from shared.folders.mapping import NameRules
from tests.unit.test_folders import listing

LONG = "a long name of a folder that is cut"


@pytest.mark.parametrize(
    ("asked", "made", "rules"),
    [
        ("A B", "A_B", NameRules(forbidden=" ")),
        ("A:B/C*", "A_B/C_", NameRules(forbidden="*:")),
        ("Work", "WORK", NameRules(case_insensitive=True)),
        ("A ", "A", NameRules(odd_spaces=False)),
        (f"{LONG} short", LONG, NameRules(longest_octets=len(LONG))),
        ("Work", "Mailbox 1", NameRules()),
        ("A_B", "A-B", NameRules()),
    ],
)
def test_a_rule_is_learned_from_one_name(asked: str, made: str, rules: NameRules) -> None:
    names = MadeNames(listing("INBOX"), listing("INBOX", made))
    assert names.made_of(asked.encode(), [asked.encode()]) == made.encode()
    assert names.learned(NameRules(), asked.encode(), made.encode()) == rules


@pytest.mark.parametrize(("asked", "listed"), [("Work", "Workshop"), ("Workshop", "Work"), ("***", "---")])
def test_another_folder_is_not_taken_for_it(asked: str, listed: str) -> None:
    there = listing("INBOX", listed)
    assert MadeNames(there, there).made_of(asked.encode(), [asked.encode()]) == b""


def test_what_was_there_before_stands_for_nothing_that_is_spelled_otherwise() -> None:
    names = MadeNames(listing("INBOX", "Other"), listing("INBOX", "Other"))
    assert names.made_of(b"Work", [b"Work"]) == b""
    assert names.lists(b"inbox")
    assert not names.lists(b"Work")
