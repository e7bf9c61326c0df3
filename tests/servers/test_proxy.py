"""Tests that the proxy breaks connections exactly where it is told, also in front of a real server."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from tests.conftest import DovecotPair
from tests.mail import (
    snapshot,
)
from tests.servers.faulty import FaultyServer
from tests.servers.process import await_ready
from tests.servers.proxy import FaultProxy, Rule
from tests.servers.wire import Refused, Wire

PASSWORD = "secret"


def append(wire: Wire, body: bytes, *, folder: bytes = b"INBOX", flags: bytes = b"") -> bytes:
    return wire.command(b"APPEND %b %b{%d+}\r\n%b" % (folder, flags, len(body), body))[1]


@pytest.fixture
def server(faulty_server: FaultyServer) -> FaultyServer:
    """Returns the scripted server with one account, `user`."""
    faulty_server.add_account("user", PASSWORD)
    return faulty_server


# -- the proxy, in front of a real server


MARK = b"the end of it"
BODY = b"Subject: x\r\n\r\n" + MARK


def kept(pair: DovecotPair, login: str) -> int:
    return sum(snapshot(pair.destination.host, pair.destination.port, login, pair.password).values())


def through(proxy: FaultProxy, pair: DovecotPair, login: str) -> Wire:
    return Wire(proxy.host, proxy.port, login, pair.password, timeout=60)


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
        wire.sock.sendall(b"t2 APPEND INBOX {%d+}\r\n%b\r\nt3 NOOP\r\n" % (len(BODY), BODY))
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
        wire.sock.settimeout(60)
        assert tag == b"t2"
        assert wire.sock.recv(9) == b"OK done\r\n"
    with Wire(proxy.host, proxy.port, "user", PASSWORD) as wire:
        append(wire, b"x" * 200)
    kept = server.behaviour.accounts["user"].folder("INBOX").messages[0].body
    assert kept.count(b"X") == 3
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
    proxy = fault_proxy(server.host, server.port, delay_ms=100)
    with Wire(proxy.host, proxy.port, "user", PASSWORD) as wire:
        began = time.monotonic()
        wire.command(b"NOOP")
        one = time.monotonic() - began
        tags = [wire.send(b"NOOP") for _ in range(100)]
        for tag in tags:
            wire.collect(tag)
        many = time.monotonic() - began - one
    assert one >= 0.2
    # A hundred one after the other would take twenty seconds: they are on the way together.
    assert many < 100 * 0.2


def test_what_comes_after_a_delay_does_not_overtake_what_came_before(
    server: FaultyServer, fault_proxy: Callable[..., FaultProxy]
) -> None:
    proxy = fault_proxy(server.host, server.port, delay_ms=150)
    came = Rule("stall", "c2s", at=b"NOOP\r\n")
    proxy.plan(came)
    with Wire(proxy.host, proxy.port, "user", PASSWORD) as wire:
        first = wire.send(b"NOOP")
        came.await_reached()
        proxy.delay_seconds = 0.0
        came.release()
        second = wire.send(b"NOOP")
        assert [wire.read().line.split()[0] for _ in range(2)] == [first, second]
