"""Tests that each fault of the scripted server does what it says, as a destination and with commands."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.servers.faults import close, cut, drip, late, lost_ok, preface, reply, reply_to_line, reset, retag, stall
from tests.servers.faulty import AppendPolicy, FaultyServer
from tests.servers.faulty_kit import append, inbox, wire_to
from tests.servers.process import await_ready
from tests.servers.wire import Refused

WHEN = datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC)


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
