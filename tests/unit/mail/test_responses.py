"""Parsing of server answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.answers.fetch_answer import FetchAnswer, flags_of, uid_of
from shared.mail.answers.folder_answers import listed_folder, status_answer
from shared.mail.answers.responses import (
    Selected,
    appended_uids,
    capabilities_in,
    searched_uids,
)
from shared.mail.answers.tokens import Text, Unreadable


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"x OK [APPENDUID 7 5] done", (7, (5,))),
        (b"[appenduid 7 5:7,1] done", (7, (5, 6, 7, 1))),
        (b"[APPENDUID 7 7:5]", (7, (5, 6, 7))),
        (b"[APPENDUID 7 5,,6]", None),
        (b"[APPENDUID 7 1:4294967295]", None),
        (b"[APPENDUID x 5]", None),
        (b"done", None),
    ],
)
def test_appenduid(line: bytes, expected: tuple[int, tuple[int, ...]] | None) -> None:
    assert appended_uids(line) == expected


def test_a_list_answer() -> None:
    found = listed_folder([b'* LIST (\\HasNoChildren \\Sent) "." "Sent Items"\r\n'])
    assert found is not None
    assert (found.name, found.separator, found.attributes) == (b"Sent Items", ".", {"hasnochildren", "sent"})
    assert listed_folder([b'* LIST () "/" My Folder\r\n']).name == b"My Folder"  # type: ignore[union-attr]
    assert listed_folder([b'* LIST () "/" a ("CHILDINFO" ("SUBSCRIBED"))\r\n']).name == b"a"  # type: ignore[union-attr]
    assert listed_folder([b'* LIST () "/" {3}\r\n', b"x\r\n", b"\r\n"]).name == b"x\r\n"  # type: ignore[union-attr]
    assert listed_folder([b'* LSUB () "/" a\r\n']).subscribed  # type: ignore[union-attr]
    assert listed_folder([b"* 3 EXISTS\r\n"]) is None


def test_a_name_that_looks_like_a_separator() -> None:
    extended = listed_folder([b'* LIST NIL "x" ("CHILDINFO" ("SUBSCRIBED"))\r\n'])
    assert extended is not None
    assert (extended.name, extended.separator) == (b"x", None), "only the extended data follows: this word is the name"
    flat = listed_folder([b'* LIST () NIL "."\r\n'])
    assert flat is not None
    assert (flat.name, flat.separator) == (b".", None), "NIL stands for the separator"
    with pytest.raises(Unreadable, match="no folder name"):
        listed_folder([b'* LIST () "/"\r\n'])


def test_a_status_answer() -> None:
    name, status = status_answer([b'* STATUS "a b" (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 4 HIGHESTMODSEQ 8 SIZE 55) \r\n'])  # type: ignore[misc]
    assert (name, status.messages, status.uidnext, status.uidvalidity) == (b"a b", 3, 9, 4)
    assert (status.highestmodseq, status.size_bytes) == (8, 55)
    name, status = status_answer([b"* STATUS {2}\r\n", b"\xffx", b" (MESSAGES 1 UIDVALIDITY 4294967296)\r\n"])  # type: ignore[misc]
    assert (name, status.messages, status.uidvalidity) == (b"\xffx", 1, None)
    assert status_answer([b"* 3 EXISTS\r\n"]) is None


@pytest.mark.parametrize(("told", "limit"), [(b"0", None), (b"1", 1), (b"35651584", 35651584)])
def test_a_limit_of_no_bytes_is_not_believed(told: bytes, limit: int | None) -> None:
    _, status = status_answer([b"* STATUS INBOX (MESSAGES 1 APPENDLIMIT %b)\r\n" % told])  # type: ignore[misc]
    assert status.append_limit_bytes == limit


def test_selecting() -> None:
    selected = Selected()
    for line in (
        b"* FLAGS (\\Seen Work)\r\n",
        b"* OK [PERMANENTFLAGS (\\Seen Play \\*)] x\r\n",
        b"* 12 EXISTS\r\n",
        b"* OK [UIDVALIDITY 4] x\r\n",
        b"* OK [UIDNEXT 30] x\r\n",
        b"* OK [HIGHESTMODSEQ 7] x\r\n",
    ):
        selected.take([line])
    status = selected.status(messages=selected.messages or 0, uidnext=30, uidvalidity=selected.uidvalidity)
    assert (status.messages, status.uidvalidity, status.highestmodseq) == (12, 4, 7)
    assert status.permanent_flags == {"\\Seen", "Play", "\\*"}
    assert selected.keywords() == {"work", "play"}
    assert selected.uidnext == 30


def test_searches_and_capabilities() -> None:
    assert str(searched_uids([b'* ESEARCH (TAG "m1") UID ALL 1:3,9\r\n'])) == "1:3,9"
    assert str(searched_uids([b'* ESEARCH (TAG "m1") UID\r\n'])) == ""
    assert str(searched_uids([b"* SEARCH 4 2 3 (MODSEQ 5)\r\n"])) == "2:4"
    assert searched_uids([b"* 3 EXISTS\r\n"]) is None
    assert capabilities_in(b"OK [CAPABILITY IMAP4rev1 Literal+] hi") == {"IMAP4REV1", "LITERAL+"}
    assert capabilities_in(b"* CAPABILITY IMAP4rev1\r\n") == {"IMAP4REV1"}
    assert capabilities_in(b"OK hi") is None


def test_a_fetch_answer_in_pieces() -> None:
    answer = FetchAnswer()
    assert answer.feed(b"(UID 7 FLAGS (\\Seen {3}\r\n") == 3
    assert answer.key == b""
    answer.literal(b"a b")
    assert answer.feed(b') X-ODD (1 ("a\\"b" NIL)) BODY[HEADER.FIELDS (DATE FROM)] {5}\r\n') == 5
    assert answer.key == b"BODY[HEADER.FIELDS (DATE FROM)]"
    answer.literal(b"x: y\n")
    assert answer.feed(b")\r\n") is None
    items = answer.items()
    assert uid_of(items) == 7
    assert flags_of(items) == (b"\\Seen", b"a b")
    assert [type(flag) for flag in flags_of(items) or ()] == [bytes, Text]
    assert items[b"X-ODD"] == [b"1", [b'a"b', None]]


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_rubbish_is_refused_or_read_but_never_runs_on(pieces: list[bytes]) -> None:
    answer = FetchAnswer()
    for piece in pieces:
        try:
            if answer.feed(piece + b"\r\n") is not None:
                answer.literal(b"")
        except ValueError:
            return
    answer.items()


def test_what_is_told_before_closed_is_about_the_folder_before() -> None:
    """RFC 7162 §3.2.11: only then the answers are about the folder that is being opened."""
    selected = Selected()
    for line in (
        b"* VANISHED (EARLIER) 3",
        b"* VANISHED 5",
        b"* 7 EXISTS",
        b"* OK [HIGHESTMODSEQ 99] old",
        b"* OK [CLOSED] Previous mailbox closed.",
        b"* 4 EXISTS",
        b"* OK [UIDVALIDITY 8] valid",
        b"* VANISHED (EARLIER) 9,11:12",
        b"* VANISHED 1:2",
    ):
        selected.take([line + b"\r\n"])
    assert (selected.messages, selected.uidvalidity, selected.gone) == (4, 8, [(9, 9), (11, 12)])
    assert b"HIGHESTMODSEQ" not in selected.numbers
