"""Tests that the scripted server behaves well until told otherwise, and that each of its faults does what it says."""

from __future__ import annotations

import re
import socket
import ssl
import tempfile
from datetime import UTC, datetime

import imapclient
import pytest

from tests.conftest import DovecotPair
from tests.mail import (
    canon_dovecot,
    make_mailbox,
    populate,
    snapshot,
    validity,
)
from tests.servers.certificate import certificate_and_key
from tests.servers.faulty import FaultyServer, Quirk
from tests.servers.faulty_kit import PASSWORD, append, fetch, inbox, wire_to
from tests.servers.wire import Refused, Wire

WHEN = datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC)


# -- the scripted server, honest


def test_it_serves_another_client_as_source_and_destination(server: FaultyServer) -> None:
    client = imapclient.IMAPClient(server.host, server.port, ssl=False, timeout=60)
    client.login("user", PASSWORD)
    client.create_folder("Entwürfe")
    client.subscribe_folder("Entwürfe")
    for number in range(3):
        client.append("Entwürfe", b"Subject: %d\r\n\r\nbody" % number, ["\\Seen", "work"], WHEN)
    assert client.folder_status("Entwürfe")[b"MESSAGES"] == 3
    assert [name for _, _, name in client.list_folders()] == ["INBOX", "Entwürfe"]
    assert [name for _, _, name in client.list_sub_folders()] == ["Entwürfe"]
    assert client.namespace().personal == (("", "/"),)
    assert client.select_folder("Entwürfe")[b"UIDNEXT"] == 4
    assert client.search(["UID", "2:*", "SEEN"]) == [2, 3]
    client.normalise_times = False
    answer = client.fetch(
        [1, 3], ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"]
    )
    assert answer[3][b"BODY[]"] == b"Subject: 2\r\n\r\nbody"
    assert answer[3][b"BODY[HEADER.FIELDS (SUBJECT)]"] == b"Subject: 2\r\n\r\n"
    assert answer[1][b"INTERNALDATE"] == WHEN
    assert answer[1][b"RFC822.SIZE"] == 18
    client.add_flags([2], ["\\Deleted"])
    client.uid_expunge([2])
    assert client.search() == [1, 3]
    client.logout()
    assert server.logins("user", accepted=True) == 1
    assert server.matching(b"^UID EXPUNGE 2$")


def test_it_is_a_fair_copy_of_dovecot_for_the_oracle(server: FaultyServer, dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    box = make_mailbox(9, {"INBOX": 50, "a/b": 5})
    populate(server.host, server.port, "user", PASSWORD, box)
    populate(dovecot_pair.source.host, dovecot_pair.source.port, login, dovecot_pair.password, box)
    ours = snapshot(server.host, server.port, "user", PASSWORD, canon=canon_dovecot)
    assert ours == snapshot(dovecot_pair.source.host, dovecot_pair.source.port, login, dovecot_pair.password)


def test_it_answers_esearch_list_status_and_appenduid(server: FaultyServer) -> None:
    with wire_to(server) as wire:
        text = wire.command(b"APPEND INBOX {1+}\r\na (\\Seen) {1+}\r\nb")[1]
        assert text.startswith(b"[APPENDUID 1000 1,2]")
        wire.command(b"EXAMINE INBOX")
        assert b" UID ALL 1:2" in wire.command(b"UID SEARCH RETURN (ALL) ALL")[0][0].line
        assert wire.command(b'LIST "" "*" RETURN (STATUS (MESSAGES))')[0][1].line == b'* STATUS "INBOX" (MESSAGES 2)'
        with pytest.raises(Refused, match="READ-ONLY"):
            wire.command(b"UID STORE 1 +FLAGS (\\Seen)")


@pytest.mark.parametrize("word", ["MULTIAPPEND", "UIDPLUS", "ESEARCH", "LITERAL+"])
def test_it_has_not_what_it_does_not_announce(server: FaultyServer, word: str) -> None:
    server.behaviour.capabilities.discard(word)
    with wire_to(server) as wire:
        if word == "UIDPLUS":
            assert b"APPENDUID" not in append(wire, b"a")
        wire.command(b"SELECT INBOX")
        command = {
            "MULTIAPPEND": b"APPEND INBOX {1+}\r\na {1+}\r\nb",
            "UIDPLUS": b"UID EXPUNGE 1",
            "ESEARCH": b"UID SEARCH RETURN (ALL) ALL",
            "LITERAL+": b"APPEND INBOX {1+}\r\na",
        }[word]
        with pytest.raises(Refused, match="BAD"):
            wire.command(command)
    assert len(inbox(server)) == (word == "UIDPLUS")


def test_a_literal_it_does_not_understand_is_read_as_commands(server: FaultyServer) -> None:
    server.behaviour.capabilities.discard("LITERAL+")
    with wire_to(server) as wire:
        with pytest.raises(Refused):
            wire.command(b"APPEND INBOX {15+}\r\nx DELETE INBOX\r\n")
        wire.command(b"NOOP")
    assert b"DELETE INBOX" in server.lines


def test_literal_minus_ends_at_four_kilobytes(server: FaultyServer) -> None:
    server.behaviour.capabilities ^= {"LITERAL+", "LITERAL-"}
    with wire_to(server) as wire:
        append(wire, b"x" * 4096)
        with pytest.raises((Refused, OSError)):
            append(wire, b"x" * 4097)
    assert len(inbox(server)) == 1


def test_it_notices_who_does_not_wait_for_the_plus(server: FaultyServer) -> None:
    with wire_to(server) as wire:
        wire.sock.sendall(b"a APPEND INBOX {3}\r\n")
        assert wire.read().line == b"+ go"
        wire.sock.sendall(b"one\r\n")
        assert wire.read().line.startswith(b"a OK")
        assert server.hasty == 0
        wire.sock.sendall(b"b APPEND INBOX {3}\r\ntwo\r\n")
        wire.read()
        assert server.hasty == 1


@pytest.mark.parametrize(
    "flags", [b"(\\Recent) ", b"(a%b) ", b"(\\Foo) ", b'("quoted") ', b'() "17-Jul-96 02:44:25 -0700" ']
)
def test_it_refuses_what_dovecot_refuses(server: FaultyServer, flags: bytes) -> None:
    with wire_to(server) as wire, pytest.raises(Refused, match="BAD"):
        append(wire, b"x", flags=flags)
    assert inbox(server) == []


def test_it_tells_a_session_what_others_did(server: FaultyServer) -> None:
    with wire_to(server) as one, wire_to(server) as other:
        one.command(b"SELECT INBOX")
        append(other, b"a")
        assert [answer.line for answer in one.command(b"NOOP")[0]] == [b"* 1 EXISTS"]


def test_it_knows_accounts_apart_and_counts_sign_ins(server: FaultyServer) -> None:
    server.behaviour.echo_password = True
    for _ in range(2):
        with pytest.raises(Refused, match=r"AUTHENTICATIONFAILED.*canary"):
            wire_to(server, password="canary")
    wire_to(server).sock.close()
    assert (server.logins("user"), server.logins(accepted=False), server.logins(accepted=True)) == (3, 2, 1)
    server.behaviour.capabilities.add("LOGINDISABLED")
    with socket.create_connection((server.host, server.port)) as sock:
        stream = sock.makefile("rb")
        stream.readline()
        sock.sendall(b'a LOGIN "user" "secret"\r\n')
        assert stream.readline().startswith(b"a NO [PRIVACYREQUIRED]")


# -- the scripted server: messages with faults


@pytest.mark.parametrize(
    ("quirk", "pattern"),
    [
        (Quirk.BODY_NIL, rb"\(UID 1 FLAGS \(\) BODY\[\] NIL\)$"),
        (Quirk.BODY_ABSENT, rb"\(UID 1 FLAGS \(\)\)$"),
        (Quirk.BODY_QUOTED, rb'BODY\[\] "one"\)$'),
        (Quirk.BODY_LITERAL8, rb"BODY\[\] ~\{3\}\)one$"),
        (Quirk.WITHOUT_UID, rb"FETCH \(FLAGS"),
        (Quirk.WRONG_UID, rb"UID 1000001 "),
        (Quirk.TWICE, rb"^\* 1 FETCH .*one\* 1 FETCH .*one$"),
        (Quirk.UNSOLICITED, rb"^\* 1 FETCH \(FLAGS \(\\Deleted unsolicited\)\)\* 1 FETCH \(UID"),
        (Quirk.MISSING, rb"^$"),
    ],
)
def test_a_message_can_be_fetched_wrongly(server: FaultyServer, quirk: Quirk, pattern: bytes) -> None:
    folder = server.behaviour.accounts["user"].folder("INBOX")
    folder.add(b"one", quirks=frozenset({quirk}))
    folder.add(b"two")
    with wire_to(server) as wire:
        wire.command(b"EXAMINE INBOX")
        answers = fetch(wire)
        assert answers[-1].endswith(b"two")
        assert re.search(pattern, b"".join(answers[:-1]), re.DOTALL)
        assert b" 1 2" in wire.command(b"UID SEARCH ALL")[0][0].line


def test_a_message_can_lie_about_size_date_and_flags(server: FaultyServer) -> None:
    folder = server.behaviour.accounts["user"].folder("INBOX")
    folder.add(b"one", [b"\\Seen"], None, size=9, literal_flags=(b"x)\r\nX9 DELETE INBOX\r\n",))
    folder.add(b"two", [], b"00-Jan-0000 00:00:00 +0000", quirks=frozenset({Quirk.SIZE_ABSENT}))
    with wire_to(server) as wire:
        wire.command(b"EXAMINE INBOX")
        one, two = wire.command(b"UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)")[0]
        assert one.line == b"* 1 FETCH (UID 1 FLAGS (\\Seen {21}) INTERNALDATE NIL RFC822.SIZE 9)"
        assert one.literals == [b"x)\r\nX9 DELETE INBOX\r\n"]
        assert two.line == b'* 2 FETCH (UID 2 FLAGS () INTERNALDATE "00-Jan-0000 00:00:00 +0000")'


def test_one_bad_message_can_fail_a_whole_fetch(server: FaultyServer) -> None:
    folder = server.behaviour.accounts["user"].folder("INBOX")
    folder.add(b"one", quirks=frozenset({Quirk.REFUSED}))
    folder.add(b"two")
    with wire_to(server) as wire:
        wire.command(b"EXAMINE INBOX")
        with pytest.raises(Refused, match="SERVERBUG"):
            fetch(wire)
        assert fetch(wire, which=b"2")


@pytest.mark.parametrize(
    ("quirk", "start"),
    [
        (Quirk.HUGE_LITERAL, b"* 1 FETCH (UID 1 BODY[] {4294967296}\r\n"),
        (Quirk.BODY_CUT, b"* 1 FETCH (UID 1 BODY[] {1000}\r\n" + b"x" * 500),
        (Quirk.ENDLESS_LINE, b'* 1 FETCH (UID 1 BODY[] "xxxxxx'),
    ],
)
def test_a_message_can_hang_a_careless_client(server: FaultyServer, quirk: Quirk, start: bytes) -> None:
    server.behaviour.accounts["user"].folder("INBOX").add(b"x" * 1000, quirks=frozenset({quirk}))
    with wire_to(server) as wire:
        wire.command(b"EXAMINE INBOX")
        wire.send(b"UID FETCH 1 (BODY.PEEK[])")
        data = b""
        wire.sock.settimeout(0.3)
        try:
            while len(data) < 1_000_000 and (piece := wire.sock.recv(65_536)):
                data += piece
            ended = "endless" if data[-1:] != b"" and len(data) >= 1_000_000 else "closed"
        except TimeoutError:
            ended = "silent"
    assert data.startswith(start)
    assert ended == {Quirk.HUGE_LITERAL: "silent", Quirk.BODY_CUT: "closed", Quirk.ENDLESS_LINE: "endless"}[quirk]


def test_folders_can_have_raw_names_and_be_many(server: FaultyServer) -> None:
    account = server.behaviour.accounts["user"]
    names = [b"&bad", "Entwürfe".encode(), b'a"b\\c', b"line\r\nbreak", b"tab\there", b"*%"]
    for name in names:
        account.folder(name)
    for number in range(10_000):
        account.folder(b"many/%d" % number)
    account.folder(b"gone", attributes=(b"\\Noselect",))
    account.folder(b"locked", selectable=False)
    with wire_to(server) as wire:
        assert wire.folders()[1 : 1 + len(names)] == names
        assert len(wire.folders()) == 10_000 + 2 + len(names)
        with pytest.raises(Refused):
            wire.command(b"EXAMINE locked")


def test_a_folder_can_hold_three_hundred_thousand_messages(server: FaultyServer) -> None:
    folder = server.behaviour.accounts["user"].folder("INBOX")
    folder.generate(300_000)
    with wire_to(server) as wire:
        assert any(answer.line == b"* 300000 EXISTS" for answer in wire.command(b"EXAMINE INBOX")[0])
        assert len(wire.command(b"UID SEARCH ALL")[0][0].line) > 1_900_000
        assert b"ALL 1:300000" in wire.command(b"UID SEARCH RETURN (ALL) ALL")[0][0].line
        assert fetch(wire, which=b"299999:*")[1].endswith(b"Subject: 300000\r\n\r\n")
        assert len(fetch(wire, b"(UID RFC822.SIZE)", b"1:20000")) == 20_000


def test_uidvalidity_can_change_under_a_session(server: FaultyServer) -> None:
    folder = server.behaviour.accounts["user"].folder("INBOX")
    folder.add(b"one")
    with wire_to(server) as wire:
        wire.command(b"EXAMINE INBOX")
        server.renumber(folder)
        assert wire.read().line.startswith(b"* BYE")
    with wire_to(server) as wire:
        assert validity(wire, b"INBOX") == 1_001
        wire.command(b"EXAMINE INBOX")
        assert b"UID 2 " in fetch(wire)[0]


def test_it_can_speak_tls() -> None:
    certificate, key = certificate_and_key()
    with tempfile.NamedTemporaryFile() as both:
        both.write(certificate + key)
        both.flush()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both.name)
    with FaultyServer(tls=context) as server:
        server.add_account("user", PASSWORD)
        with Wire(server.host, server.port, "user", PASSWORD, tls=True) as wire:
            append(wire, b"x" * 100_000)
            wire.command(b"EXAMINE INBOX")
            assert len(fetch(wire)[0]) > 100_000
