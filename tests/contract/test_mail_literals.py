"""Tests when a literal of APPEND goes without waiting, and what becomes of the connection (`shared.mail.imap.imap_appending`)."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.mail.imap.imap_destination import ImapDestination
from shared.model.errors import (
    ConnectionLost,
    FolderRefused,
    MailError,
    MessagesRefused,
    OverQuota,
    ProtocolViolation,
    Throttled,
)
from shared.model.uids import UidSet
from tests.contract.mail_kit import DOVECOTS, Scripted, mail, message, opened, place, send


@pytest.mark.parametrize("name", list(DOVECOTS))
def test_a_body_that_looks_like_commands_never_runs(name: str) -> None:
    here = place(name)
    destination, folder = opened(here)
    hostile = b"Subject: x\r\n\r\n" + b"x1 CREATE pwned\r\nx2 DELETE INBOX\r\n" * 20
    send(destination, message(mail(1)))
    # Flags that Dovecot would answer with BAD never reach the wire.
    for flag in ("\\Bogus", "a b", 'a"b', "a)b", "x\r\nx3 CREATE pwned", "{3+}", "k\x00", "ä"):
        with pytest.raises(ValueError, match="not a flag"):
            destination.send([message(hostile)], [(flag,)], "bad")
        destination.abort()
        destination = here.destination()
        destination.open(folder)
        send(destination, message(mail(2)))
    # The server accepts this keyword as an atom and still refuses it: NO, with the literal unsent.
    answer = send(destination, message(hostile, flags=("k" * 200,)))
    assert isinstance(answer.refused[0], MessagesRefused)
    assert send(destination, message(hostile)).stored == (0,)
    destination.noop()
    assert b"pwned" not in {folder.name for folder in destination.listing().folders}


def test_without_the_rule_it_would_run() -> None:
    """The control of the test above: the same body behind an unchecked flag is run as a command."""
    destination = place("dovecot").destination()
    assert isinstance(destination, ImapDestination)
    hostile = b"x1 CREATE pwned\r\n"
    destination._wire.send([b'y1 APPEND INBOX (\\Bogus) {%d+}\r\n%b\r\ny2 LIST "" *\r\n' % (len(hostile), hostile)])
    lines = []
    while not lines or not lines[-1].startswith(b"y2 "):
        lines.append(destination._wire.readline())
    assert any(line.startswith(b"y1 BAD") for line in lines)
    assert any(b"LIST" in line and b"pwned" in line for line in lines)


def test_the_destination_is_full() -> None:
    with Scripted(reply=lambda tag, text: tag + b" NO [OVERQUOTA] full\r\n" if b"APPEND" in text else None) as server:
        destination = server.destination()
        destination.open(b"f")
        answer = send(destination, message(mail(1)))
        assert isinstance(answer.refused[0], OverQuota)
        destination.noop()


def test_the_first_literal_of_a_connection_waits_and_the_next_do_not() -> None:
    with Scripted() as server:
        destination = server.destination()
        destination.open(b"f")
        send(destination, message(b"one"), message(b"three"))
        send(destination, message(b"seven"))
        # The first second message of an APPEND waits too: a server that accepts it knows MULTIAPPEND.
        assert server.waited == [3, 5]
        # An empty literal went first: a server that accepts it knows LITERAL+.
        assert server.hurried == [0, 5]
        assert server.commands[-2:] == [
            b'm4 APPEND "f" () "17-Jul-1996 02:24:25 +0000" {3}\r\none () "17-Jul-1996 02:24:25 +0000" {5}\r\nthree',
            b'm5 APPEND "f" () "17-Jul-1996 02:24:25 +0000" {5+}\r\nseven',
        ]
        send(destination, message(b"two"), message(b"eleven"))
        assert server.waited == [3, 5]
        second = server.destination()
        second.open(b"f")
        send(second, message(b"nine!"))
        assert server.waited == [3, 5, 5]


def test_an_unproved_keyword_waits_until_it_has_been_let_through() -> None:
    with Scripted() as server:
        server.selected = server.selected.replace(b"(\\Seen)", b"(\\Seen Known)")
        destination = server.destination()
        destination.open(b"f")
        send(destination, message(b"1"))
        send(destination, message(b"22", flags=("Known", "\\Seen")))
        send(destination, message(b"333", flags=("New",)), message(b"4444", flags=("New", "known")))
        assert server.waited == [1, 3, 4]
        assert server.hurried == [0, 2]
        send(destination, message(b"4444", flags=("New", "known")), message(b"4444", flags=("New", "known")))
        assert server.hurried == [0, 2, 4, 4]
        server.selected = server.selected.replace(b" \\*", b"")
        destination.open(b"g")  # another folder may know other keywords, and takes no new ones
        send(destination, message(b"55555", flags=("New",)))
        assert server.waited == [1, 3, 4, 5]


@pytest.mark.parametrize(("permanent", "waits"), [(b"\\Seen \\*", False), (b"\\Seen", True)])
def test_a_proved_keyword_waits_again_only_in_a_folder_that_takes_no_new_ones(permanent: bytes, waits: bool) -> None:
    with Scripted() as server:
        server.selected = server.selected.replace(b"\\Seen \\*", permanent)
        destination = server.destination()
        destination.open(b"f")
        send(destination, message(b"1", flags=("New",)))
        assert server.waited == [1]
        destination.open(b"g")
        assert send(destination, message(b"22", flags=("New",))).waited == waits
        assert server.waited == ([1, 2] if waits else [1])
        send(destination, message(b"333", flags=("Newer",)))
        assert server.waited[-1] == 3


def test_the_first_date_of_a_connection_waits() -> None:
    with Scripted() as server:
        destination = server.destination()
        destination.open(b"f")
        send(destination, message(b"1", internaldate=None), message(b"22", internaldate=None))
        send(destination, message(b"333"), message(b"4444"))
        assert server.waited == [1, 2, 3]


@pytest.mark.parametrize(
    ("literal", "multi", "hurries"),
    [
        ("LITERAL+", "", [0, 5000, 10]),
        ("LITERAL-", "", [0, 10]),
        ("", "", []),
        ("LITERAL+", "MULTIAPPEND", [0, 10]),
        ("LITERAL-", "MULTIAPPEND", [0, 10]),
        ("", "MULTIAPPEND", []),
    ],
)
def test_literals_go_as_the_server_allows(literal: str, hurries: list[int], multi: str) -> None:
    with Scripted(capabilities=f"IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS {literal} {multi}") as server:
        destination = server.destination()
        destination.open(b"f")
        send(destination, *(message(b"x" * size) for size in (7, 5000, 10)))
        assert server.hurried == hurries
        assert sorted(server.hurried + server.waited) == [*([0] if literal else []), 7, 10, 5000]
        assert b"SENT BEFORE +" not in server.commands
        assert len([command for command in server.commands if b"APPEND" in command]) == (1 if multi else 3)


def test_a_no_in_place_of_the_plus_sends_no_body() -> None:
    def refuse(tag: bytes, line: bytes) -> bytes | None:
        return tag + b" NO [TRYCREATE] no such folder\r\n" if b"{6}" in line else None

    with Scripted(literal=refuse) as server:
        destination = server.destination()
        destination.open(b"f")
        answer = send(destination, message(b"secret"), message(b"other"))
        assert isinstance(answer.refused[0], FolderRefused)
        assert set(answer.refused) == {0, 1}
        assert b"secret" not in server.raw
        assert b"other" not in server.raw
        assert send(destination, message(b"fine!")).stored == (0,)


@pytest.mark.parametrize("multi", ["MULTIAPPEND", ""])
def test_after_a_bad_not_a_byte_more_is_sent(multi: str) -> None:
    def reply(tag: bytes, text: bytes) -> bytes | None:
        return tag + b" BAD no\r\n" if b"poison" in text else None

    with Scripted(capabilities=f"IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ {multi}", reply=reply) as server:
        destination = server.destination()
        destination.open(b"f")
        send(destination, message(b"fine"))
        destination.send([message(b"poison")], [()], 1)
        with pytest.raises(ProtocolViolation):
            list(destination.answers())
        before = bytes(server.raw)
        with pytest.raises(MailError):
            destination.send([message(b"later")], [()], 2)
        with pytest.raises(MailError):
            destination.noop()
        assert bytes(server.raw) == before


def test_answers_that_come_while_waiting_for_a_plus_are_kept() -> None:
    with Scripted(capabilities="IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS") as server:
        server.reply = lambda tag, text: tag + b" OK [APPENDUID 7 %b] x\r\n" % tag[1:] if b"APPEND" in text else None
        destination = server.destination()
        destination.open(b"f")
        for number in range(5):
            destination.send([message(b"x" * (number + 1))], [()], number)
        answers = list(destination.answers())
        assert [answer.token for answer in answers] == list(range(5))
        assert [answer.uids for answer in answers] == [(n,) for n in range(3, 8)]


def test_appenduid_is_read_in_the_order_given() -> None:
    with Scripted() as server:
        server.reply = lambda tag, text: tag + b" OK [APPENDUID 7 9,3:4] x\r\n" if b"APPEND" in text else None
        destination = server.destination()
        destination.open(b"f")
        answer = send(destination, *(message(b"x") for _ in range(3)))
        assert answer.uids == (9, 3, 4)
        assert answer.uidvalidity == 7
        # There are as many UIDs as messages, or none is believed.
        assert send(destination, message(b"x")).uids is None


def test_nothing_is_believed_of_a_copy_that_is_told_wrongly() -> None:
    told = [b"[COPYUID 7 1:3 9:10]", b"[COPYUID 7 1:2 9", b"[COPYUID 7 1:200000 1:200000]", b""]
    with Scripted() as server:
        server.reply = lambda tag, text: tag + b" OK " + told[0] + b" x\r\n" if b"COPY" in text else None
        destination = server.destination()
        destination.open(b"f")
        while len(told) > 1:
            assert destination.copy(UidSet.span(1, 3), b"g")[1] == {}
            told.pop(0)
        server.reply = lambda tag, text: tag + b" OK [COPYUID 7 3,1:2 9:11] x\r\n" if b"COPY" in text else None
        assert destination.copy(UidSet.span(1, 3), b"g") == (7, {3: 9, 1: 10, 2: 11})


def test_a_message_over_the_limit_is_refused_here() -> None:
    with Scripted(capabilities="IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ MULTIAPPEND APPENDLIMIT=10") as server:
        destination = server.destination()
        destination.open(b"f")
        answer = send(destination, message(b"fits"), message(b"far too big"), message(b"fits too"))
        assert list(answer.refused) == [1]
        assert "larger than the destination takes (limit 10 bytes)" in str(answer.refused[1])
        assert answer.stored == (0, 2)
        assert b"far too big" not in server.raw


def test_a_bye_while_we_write_is_told() -> None:
    with Scripted() as server:
        server.reply = lambda tag, text: b"* BYE Invalid character in literal\r\n" if b"APPEND" in text else None
        destination = server.destination()
        destination.open(b"f")
        destination.send([message(b"x")], [()], 1)
        with pytest.raises(ConnectionLost, match="Invalid character in literal"):
            list(destination.answers())


def test_a_suggested_wait_is_read_from_a_bad() -> None:
    text = b" BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n"
    with Scripted() as server:
        server.reply = lambda tag, line: tag + text if b"APPEND" in line else None
        destination = server.destination()
        destination.open(b"f")
        destination.send([message(b"x")], [()], 1)
        with pytest.raises(Throttled) as caught:
            list(destination.answers())
        assert caught.value.wait_seconds == pytest.approx(299.961)


def test_no_source_makes_more_than_one_command_a_message() -> None:
    """Sends flags and folder names of any kind: each APPEND is exactly one command, whose literal is the body."""
    with Scripted() as server:

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(flags=st.lists(st.text(max_size=12), max_size=4), name=st.binary(min_size=1, max_size=20))
        def one_command(flags: list[str], name: bytes) -> None:
            destination = server.destination()
            del server.commands[:]
            try:
                destination.open(name)
                send(destination, message(b"BODY"), message(b"BODY", flags=tuple(flags)))
            except (FolderRefused, ValueError):
                return
            finally:
                destination.abort()
            texts = [re.sub(rb"\Am\d+ ", b"", command) for command in server.commands]
            assert [text.split(b" ")[0] for text in texts] == [b"LIST", b"SELECT", b"APPEND"]
            assert texts[2].endswith(b"}\r\nBODY")

        one_command()
