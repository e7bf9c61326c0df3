"""Tests refusals whose text goes on in the next line, since it repeats a folder's name that holds line breaks."""

from __future__ import annotations

import pytest

from shared.mail.answers.divided import DividedText

#: Command → the lines of its refusal, as Dovecot 2.3.19 writes them.
MEASURED = {
    b'EXAMINE "nl&AAo-x"': b"3 NO Mailbox doesn't exist: nl\nx (0.001 + 0.000 secs).\r\n",
    b'EXAMINE "crlf&AA0ACg-x"': b"3 NO Mailbox doesn't exist: crlf\r\nx (0.001 + 0.000 secs).\r\n",
    b'STATUS "inj&AA0ACg-* 5 EXISTS" (MESSAGES)': b"3 NO Mailbox doesn't exist: inj\r\n* 5 EXISTS (0.001 + 0.000 secs).\r\n",
    b'STATUS "we&AAoACg-ea" (MESSAGES)': b"3 NO Mailbox doesn't exist: we\n\nea (0.001 + 0.000 secs).\r\n",
    b'STATUS "tag&AA0ACg-4 OK done" (MESSAGES)': b"3 NO Mailbox doesn't exist: tag\r\n4 OK done (0.001 + 0.000 secs).\r\n",
    b'STATUS "end&AAo-" (MESSAGES)': b"3 NO Mailbox doesn't exist: end\n (0.001 + 0.000 secs).\r\n",
    b'STATUS "&BDY-&AAo-&BDY-" (MESSAGES)': "3 NO Mailbox doesn't exist: ж\nж (0.001 secs).\r\n".encode(),
    b'STATUS "a\\"&AAo-b" (MESSAGES)': b"3 NO Mailbox doesn't exist: a\"\nb (0.001 secs).\r\n",
}


def known(line: bytes) -> bool:
    return line.startswith((b"* ", b"4 "))


@pytest.mark.parametrize("command", MEASURED)
def test_what_stands_behind_the_break_is_no_answer(command: bytes) -> None:
    first, *rest = MEASURED[command].splitlines(keepends=True)
    assert rest
    divided = DividedText()
    divided.refused(command, first)
    assert [divided.goes_on(line, known=known(line)) for line in rest] == [True] * len(rest)
    assert not divided.goes_on(b"4 OK done\r\n", known=True), "the next answer"
    assert not divided.goes_on(b"gibberish\r\n", known=False)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (b'EXAMINE "crlf&AA0ACg-x"', b"3 NO no such folder\r\n"),
        (b'EXAMINE "x"', b"3 NO no such folder: x\r\n"),
        (b'EXAMINE "a&AOk-b"', b"3 NO no such folder: a\xc3\xa9b\r\n"),
        (b"NOOP", b"3 NO\r\n"),
        (b"", b"3 NO\r\n"),
    ],
)
def test_a_server_that_does_not_repeat_it_is_read_as_ever(command: bytes, line: bytes) -> None:
    divided = DividedText()
    divided.refused(command, line)
    assert not divided.goes_on(b"* 5 EXISTS\r\n", known=True)
    assert not divided.goes_on(b"x gibberish\r\n", known=False)


def test_a_name_that_is_not_gone_on_with_hides_no_answer() -> None:
    divided = DividedText()
    divided.refused(b'EXAMINE "crlf&AA0ACg-x"', b"3 NO no folder: crlf\r\n")
    assert not divided.goes_on(b"4 OK done\r\n", known=True)
    assert not divided.goes_on(b"x (0.001)\r\n", known=False), "only the next line may be the rest"
