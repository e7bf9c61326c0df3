"""Texts written into commands can never become more than they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.answers.bounds import KEYWORDS_BYTES
from shared.mail.answers.grammar import clean_flags, clean_text, flag_list, is_keyword, quoted_folder, quoted_string

_STRING = re.compile(rb'"(?:[^"\\\r\n\x00]|\\["\\])*"')
_FLAGS = re.compile(rb'\((?:\\?[^\s(){%*"\\\]\x00-\x1f\x7f-\xff]+(?: (?!\)))?)*\)')


@given(st.binary(min_size=1, max_size=60), st.booleans())
def test_a_folder_name_is_one_string_or_refused(name: bytes, literal_plus: bool) -> None:
    try:
        text = quoted_folder(name, literal_plus=literal_plus)
    except ValueError:
        assert set(name) & {0, 10, 13}
        return
    if text.startswith(b"{"):
        assert literal_plus
        assert text == b"{%d+}\r\n%b" % (len(name), name)
    else:
        assert _STRING.fullmatch(text)
        assert re.sub(rb"\\(.)", rb"\1", text[1:-1], flags=re.DOTALL) == name


@given(st.lists(st.text(max_size=20), max_size=5))
def test_a_flag_list_is_one_list_of_atoms_or_refused(flags: list[str]) -> None:
    try:
        text = flag_list(flags)
    except ValueError:
        return
    assert _FLAGS.fullmatch(text)
    assert text[1:-1].split(b" ") == [flag.encode() for flag in flags] or not flags


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_whatever_a_source_calls_a_flag_what_is_kept_can_be_written(found: list[bytes]) -> None:
    flags, oddities = clean_flags(found)
    assert flag_list(flags).count(b" ") == max(0, len(flags) - 1)
    assert len({flag.lower() for flag in flags}) == len(flags)
    assert all(text.isprintable() for text in oddities)


def test_flags_are_spelled_once_and_oddities_told() -> None:
    flags, oddities = clean_flags(
        [b"\\SEEN", b"\\seen", b"\\Recent", b"Work", b"WORK", b"\\X-EON", b"a]b", b"$MDNSent"]
    )
    assert flags == ("\\Seen", "Work", "$MDNSent")
    assert oddities == ("unknown system flag, dropped: \\X-EON", "flag not an atom, dropped: a]b")


def test_thousands_of_odd_flags_are_counted_and_not_named() -> None:
    flags, oddities = clean_flags([b"\\Odd%d" % number for number in range(20_000)])
    assert not flags
    assert oddities[-1] == "more flags, dropped: 19992"
    assert len(oddities) == 9


def test_keywords_without_number_are_passed_on_as_far_as_they_are_bounded() -> None:
    flags, oddities = clean_flags([b"\\Seen", *(b"keyword%05d" % number for number in range(20_000)), b"\\Flagged"])
    assert flags[0] == "\\Seen"
    assert flags[-1] == "\\Flagged"
    assert KEYWORDS_BYTES - 12 < sum(map(len, flags[1:-1])) <= KEYWORDS_BYTES
    assert oddities[0].startswith("one keyword too many, dropped: keyword")


@pytest.mark.parametrize(
    "flag", ["", "a b", "a(", "a)", "a{", "a%", "a*", 'a"', "a\\b", "a]", "ä", "a\r\n", "a\x7f", "k" * 256]
)
def test_what_is_no_keyword(flag: str) -> None:
    assert not is_keyword(flag)
    with pytest.raises(ValueError, match="not a flag"):
        flag_list([flag])


@pytest.mark.parametrize("flag", ["Work", "$Forwarded", "[Gmail", "TEST:FLAG211", "a}b", "k" * 255, "NIL", "+1"])
def test_what_is_a_keyword(flag: str) -> None:
    assert is_keyword(flag)


def test_quotes_and_backslashes_are_escaped() -> None:
    assert quoted_string(b'a"b\\c') == b'"a\\"b\\\\c"'
    assert quoted_string("ü".encode()) == b'"\xc3\xbc"'


def test_text_for_people_holds_no_controls_and_no_secrets() -> None:
    assert clean_text(b"a\x1b[31m\r\nb\x00 \xe2\x80\xaec \xff") == "a [31m b c \ufffd"
    assert clean_text("LOGIN me hunter2 hunter2", secrets=["hunter2"]) == "LOGIN me *** ***"
    assert clean_text("x" * 400) == "x" * 299 + "…"
    # shortened after hiding, so that no half of a secret is left
    assert "hun" not in clean_text("x" * 296 + "hunter2", secrets=["hunter2"])


@given(st.binary(max_size=400), st.text(min_size=1, max_size=20))
def test_text_for_people_is_always_printable_and_short(text: bytes, secret: str) -> None:
    shown = clean_text(text, secrets=[secret])
    assert len(shown) <= 300
    assert all(c.isprintable() or c == " " for c in shown)
