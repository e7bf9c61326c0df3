"""Bytes in and out: caps, budgets, and two ends that both write."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator

import pytest

from shared.mail.transport.wire import BUFFER_BYTES, KEYWORDS_LIMIT, LINE_LIMIT, Wire
from shared.model.errors import ConnectionLost, ProtocolViolation


@pytest.fixture
def ends() -> Iterator[tuple[Wire, socket.socket]]:
    listener = socket.create_server(("127.0.0.1", 0))
    here = socket.create_connection(listener.getsockname())
    there, _ = listener.accept()
    listener.close()
    wire = Wire(here, "destination", timeout_seconds=5)
    yield wire, there
    wire.abort()
    there.close()


def test_lines_and_literals_of_any_cut(ends: tuple[Wire, socket.socket]) -> None:
    wire, there = ends
    body = bytes(range(256)) * 3000
    text = b"first\r\nsecond {%d}\r\n" % len(body) + body + b")\r\n" + b"x" * 60_000 + b"\r\nlast\n"

    def write() -> None:
        for at in range(0, len(text), 7919):
            there.sendall(text[at : at + 7919])

    thread = threading.Thread(target=write)
    thread.start()
    assert wire.readline() == b"first\r\n"
    assert wire.readline() == b"second {%d}\r\n" % len(body)
    assert wire.read(len(body)) == body
    assert wire.readline() == b")\r\n"
    assert wire.readline() == b"x" * 60_000 + b"\r\n"
    assert wire.readline() == b"last\n"
    thread.join()


_ANSWER = re.compile(rb"\* \d+ FETCH \(UID (\d+) BODY\[\] \{(\d+)\}\r\n")


@pytest.mark.parametrize("piece", [1, 7, 64, 100_000])
def test_an_answer_is_read_at_once_where_it_has_arrived_and_line_by_line_where_it_has_not(
    ends: tuple[Wire, socket.socket], piece: int
) -> None:
    wire, there = ends
    bodies = [b"a {5}\r\n", b"\r\n)\r\n" * 3, b"x" * 900]
    text = b"".join(
        b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (uid, uid, len(body), body)
        for uid, body in enumerate(bodies, start=1)
    )
    odd = b"* 9 FETCH (UID 9 BODY[] {2}\r\nhi FLAGS ())\r\n* 10 FETCH (UID 10 BODY[] {0}\r\n)\r\n"
    sent = text + odd

    def write() -> None:
        for at in range(0, len(sent), piece):
            there.sendall(sent[at : at + piece])

    thread = threading.Thread(target=write)
    thread.start()
    found = []
    while len(found) < len(bodies):
        if whole := wire.arrived_with(_ANSWER, 900):
            found.append(whole[1])
        else:
            line = _ANSWER.fullmatch(wire.readline())
            assert line
            found.append(wire.read(int(line[2])))
            assert wire.readline() == b")\r\n"
    assert found == bodies
    assert wire.readline() == b"* 9 FETCH (UID 9 BODY[] {2}\r\n"
    wire.unread(b"* 9 FETCH (UID 9 BODY[] {2}\r\n")
    assert wire.arrived_with(_ANSWER, 900) is None, "something follows the literal"
    wire.readline()
    assert (wire.readline(), wire.arrived_with(_ANSWER, 900)) == (b"hi FLAGS ())\r\n", None), "a literal of no bytes"
    thread.join()


def test_a_literal_over_the_limit_is_not_taken_at_once(ends: tuple[Wire, socket.socket]) -> None:
    wire, there = ends
    there.sendall(b"* 1 FETCH (UID 1 BODY[] {5}\r\nhello)\r\n")
    line = wire.readline()
    wire.unread(line)
    assert wire.arrived_with(_ANSWER, 4) is None
    assert wire.readline() == line


def test_a_line_over_the_limit_is_not_taken_at_once(ends: tuple[Wire, socket.socket]) -> None:
    wire, there = ends
    line = b"x" * LINE_LIMIT + b"\r\n"
    for sent in (b"y" * 10 + b"\r\n", line):
        there.sendall(sent)
        wire.unread(wire.readline(len(line)))
        assert bool(wire.arrived(re.compile(rb"[xy]*\r\n"))) is (sent != line)
    with pytest.raises(ProtocolViolation, match="a line longer"):
        wire.readline()


def test_chunks_are_all_and_no_more(ends: tuple[Wire, socket.socket]) -> None:
    wire, there = ends
    there.sendall(b"abc\r\n" + b"y" * 1000 + b"rest\r\n")
    assert wire.readline() == b"abc\r\n"
    assert b"".join(wire.read_chunks(1000)) == b"y" * 1000
    assert wire.readline() == b"rest\r\n"


def test_a_long_line_is_read_when_it_is_expected(ends: tuple[Wire, socket.socket]) -> None:
    wire, there = ends
    line = b"* SEARCH " + b"4294967295 " * 200_000 + b"\r\n"
    thread = threading.Thread(target=there.sendall, args=(line,))
    thread.start()
    assert wire.readline(64 * 1024 * 1024) == line
    thread.join()


def test_what_is_too_long_is_refused(ends: tuple[Wire, socket.socket]) -> None:
    wire, there = ends
    there.sendall(b"x" * 70_000 + b"\r\n")
    with pytest.raises(ProtocolViolation):
        wire.readline()


@pytest.mark.parametrize("start", [b"* FLAGS (", b"*  flags (", b"* OK [PERMANENTFLAGS (", b"* ok  [permanentflags ("])
@pytest.mark.parametrize("size", [70_000, BUFFER_BYTES - 1, BUFFER_BYTES + 70_000, KEYWORDS_LIMIT - 100])
def test_a_line_of_keywords_may_be_long(ends: tuple[Wire, socket.socket], start: bytes, size: int) -> None:
    wire, there = ends
    line = start.ljust(size, b"k") + b")\r\n"
    thread = threading.Thread(target=there.sendall, args=(line,))
    thread.start()
    assert wire.readline() == line
    thread.join()


@pytest.mark.parametrize("start", [b"* FLAGS (", b"* OK [PERMANENTFLAGS ("])
def test_a_line_of_keywords_has_a_bound_too(ends: tuple[Wire, socket.socket], start: bytes) -> None:
    wire, there = ends

    def serve() -> None:
        with contextlib.suppress(OSError):
            there.sendall(start.ljust(KEYWORDS_LIMIT + 1, b"k") + b")\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(ProtocolViolation, match=f"longer than {KEYWORDS_LIMIT} bytes"):
        wire.readline()
    thread.join()


def test_a_literal_over_the_limit_is_refused_unread(ends: tuple[Wire, socket.socket]) -> None:
    wire, _ = ends
    with pytest.raises(ProtocolViolation, match="announced 4294967295 bytes where 10 are the most"):
        wire.read(4_294_967_295, 10)


def test_two_ends_that_both_write_do_not_wait_for_each_other(ends: tuple[Wire, socket.socket]) -> None:
    wire, there = ends
    answers = b"* 1 EXISTS\r\n" * 300_000
    sent = [b"z" * 50_000] * 200
    got = []

    def serve() -> None:
        there.sendall(answers)  # before it reads a byte
        left = sum(map(len, sent))
        while left:
            left -= len(there.recv(1 << 16))
        got.append(True)
        there.sendall(b"done\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    wire.send(sent)
    for _ in range(300_000):
        assert wire.readline() == b"* 1 EXISTS\r\n"
    assert wire.readline() == b"done\r\n"
    thread.join()
    assert got


def test_many_small_parts_go_out_whole(ends: tuple[Wire, socket.socket]) -> None:
    wire, there = ends
    parts = [b"%d;" % n for n in range(5000)] + [b"", b"w" * 3_000_000, b"end"]
    received = bytearray()

    def read() -> None:
        while not received.endswith(b"end"):
            received.extend(there.recv(1 << 16))

    thread = threading.Thread(target=read)
    thread.start()
    wire.send(parts)
    thread.join()
    assert bytes(received) == b"".join(parts)


def test_the_other_end_going_away_is_told_with_its_last_words(ends: tuple[Wire, socket.socket]) -> None:
    wire, there = ends
    there.sendall(b"* OK x\r\n* BYE too much\r\n")
    assert wire.readline() == b"* OK x\r\n"
    there.close()
    with pytest.raises(ConnectionLost, match="too much"):
        wire.send([b"x" * 1_000_000] * 100)


def test_a_silent_end_costs_one_idle_budget() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    wire = Wire(socket.create_connection(listener.getsockname()), "source", timeout_seconds=0.1)
    with pytest.raises(ConnectionLost, match="no answer in time"):
        wire.readline()
    with pytest.raises(ConnectionLost):
        wire.send([b"x"])
    listener.close()


def test_the_buffer_is_not_kept_large_for_one_large_literal(ends: tuple[Wire, socket.socket]) -> None:
    wire, there = ends
    body = b"q" * 900_000
    thread = threading.Thread(target=there.sendall, args=(body + b"\r\n",))
    thread.start()
    assert wire.read(900_000) == body
    assert wire.readline() == b"\r\n"
    assert len(wire._buffer) == BUFFER_BYTES
    thread.join()
