"""File names of spooled messages: no way out of the folder, nothing odd, and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.spool.names import distinct, file_name, original

PLAIN = ["anna@example.org", "INBOX", "Входящие", "日本", "with space", "Work+2024_old-1", "Мой", "Entwürfe"]
ODD = [
    "..",
    ".",
    "../../etc/passwd",
    "/",
    "a/b",
    "C:\\x",
    "-rf",
    "nul\0",
    "new\nline",
    "~",
    "a.",
    " lead",
    "tail ",
    "100%",
    "e\u0301",
]


@pytest.mark.parametrize("text", PLAIN)
def test_a_plain_name_stays(text: str) -> None:
    assert file_name(text) == text


@pytest.mark.parametrize("text", ODD)
def test_an_odd_name_is_made_harmless(text: str) -> None:
    name = file_name(text)
    assert name != text
    assert name[0] not in ".-~ "
    assert not set(name) & set('/\\\0\n:*?"<>|~')
    assert original(name) == text


@given(st.text(min_size=1))
def test_every_name_can_be_read_back(text: str) -> None:
    name = file_name(text)
    assert original(name) == text
    assert not {"/", "\0"} & set(name)
    assert name not in (".", "..")


def test_names_that_a_system_may_take_for_one_are_told_apart() -> None:
    found = distinct({"aaaa": "Work", "bbbb": "work", "cccc": "WORK", "dddd": "x" * 400, "eeee": "ж" * 400, "ffff": ""})
    assert found["aaaa"] == "Work"
    assert len({name.casefold() for name in found.values()}) == 6
    assert all(len(name.encode()) <= 140 for name in found.values())
    assert found == distinct(
        {"aaaa": "Work", "bbbb": "work", "cccc": "WORK", "dddd": "x" * 400, "eeee": "ж" * 400, "ffff": ""}
    )
