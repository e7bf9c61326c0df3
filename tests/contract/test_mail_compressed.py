"""Connections that are compressed (RFC 4978): every byte as it was, and no trust in what expands."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading
import zlib
from collections.abc import Iterator

import pytest

from shared.mail.answers import compression
from shared.mail.answers.extensions import Broken
from shared.mail.imap.imap_destination import ImapDestination
from shared.mail.imap.imap_source import WHOLE_BYTES, ImapSource
from shared.mail.transport import compressing, deflate
from shared.mail.transport.wire import BUFFER_BYTES, Wire
from shared.model.errors import ConnectionLost, ProtocolViolation
from shared.model.sides import Side
from shared.model.uids import UidSet
from tests.contract.mail_kit import PASSWORD, Scripted, mail, message, sign_in, streamed
from tests.mail import corpus_messages
from tests.servers.dovecot import Dovecot, available

needs_dovecot = pytest.mark.skipif(not available(), reason="dovecot is not installed")
_COMPRESSES = "protocol imap {\n  mail_plugins = imap_zlib\n}\n"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(extra=_COMPRESSES) as server:
        yield server


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compresses every connection at the first opportunity."""
    monkeypatch.setattr(compression, "LEAST_BYTES", 0)
    monkeypatch.setattr(compression, "FAST", 2.0**60)
    monkeypatch.setattr(compressing, "WORTH_BYTES", 0)


def _carried(dovecot: Dovecot, login: str) -> tuple[bool, bool]:
    """Copies the corpus from one folder to another by way of mailhaul's two sides. Returns which were compressed."""
    dovecot.add_user(login, PASSWORD)
    noise = [mail(n, text=random.Random(n).randbytes(300_000)) for n in range(3)]
    # Dovecot stores no NUL, and CRLF at the end of each line.
    bodies = [
        b"\r\n".join(re.split(rb"\r\n|\n|\r", body.replace(b"\0", b"0")))
        for body in [*(body for _, body in corpus_messages()), *noise][-300:]
        if len(body) < WHOLE_BYTES // 2  # larger ones are streams, which `list` would pass over
    ]
    into = ImapDestination(sign_in("destination", dovecot.port, login))
    into.create([b"Mail", b"Copy"])
    sent = 0
    for name in (b"Mail", b"Copy"):
        source = ImapSource(sign_in("source", dovecot.port, login))
        if name == b"Mail":
            found = [message(body, uid=n) for n, body in enumerate(bodies, 1)]
        else:
            source.open(b"Mail")
            found = list(source.fetch(UidSet.of(range(1, sent + 1))))
            assert [one.body for one in found] == bodies
        into.open(name)
        for at in range(0, len(found), 50):
            into.send(found[at : at + 50], [()] * len(found[at : at + 50]), at)
            sent += sum(len(answer.stored) for answer in into.answers())
        compressed = source.session.wire.compressed, into.session.wire.compressed
        source.close()
    assert sent == 2 * len(bodies)
    reader = ImapSource(sign_in("source", dovecot.port, login, compress=False))
    reader.open(b"Copy")
    assert [one.body for one in reader.fetch(UidSet.of(range(1, len(bodies) + 1)))] == bodies
    reader.close()
    into.close()
    return compressed


@needs_dovecot
@pytest.mark.usefixtures("at_once")
def test_mail_passes_compressed_connections_unchanged(dovecot: Dovecot) -> None:
    assert _carried(dovecot, "compressed@example.org") == (True, True)


@needs_dovecot
def test_a_fast_connection_stays_as_it_is(dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "FAST", 0.0)  # however slow this machine is at the moment
    assert _carried(dovecot, "plain@example.org") == (False, False)


@needs_dovecot
@pytest.mark.usefixtures("at_once")
def test_a_large_body_streams_through_compressed_connections(dovecot: Dovecot) -> None:
    login, body = "large@example.org", mail(1, text=b"0123456789abcdef\r\n" * 200_000)
    dovecot.add_user(login, PASSWORD)
    into = ImapDestination(sign_in("destination", dovecot.port, login))
    into.open(b"INBOX")
    into.open(b"INBOX")
    assert into.session.wire.compressed
    into.send([streamed(len(body), [body[at : at + 70_000] for at in range(0, len(body), 70_000)])], [()], 1)
    assert [answer.stored for answer in into.answers()] == [(0,)]
    source = ImapSource(sign_in("source", dovecot.port, login))
    source.open(b"INBOX")
    source.open(b"INBOX")
    assert source.session.wire.compressed
    (found,) = [b"".join(one.stream or ()) for one in source.fetch(UidSet.of([1]))]
    assert found == body
    for session in (source, into):
        session.close()


_REFUSALS = {
    "NO": lambda tag: tag + b" NO [COMPRESSIONACTIVE] no\r\n",
    "BAD": lambda tag: tag + b" BAD what\r\n",
    "BYE": lambda tag: b"* BYE no such thing\r\n",
}


@pytest.mark.parametrize("how", _REFUSALS)
@pytest.mark.usefixtures("at_once")
def test_a_server_that_refuses_what_it_announces_is_asked_once(how: str) -> None:
    def reply(tag: bytes, text: bytes) -> bytes | None:
        return _REFUSALS[how](tag) if text == b"COMPRESS DEFLATE" else None

    left_out = list[str]()
    broken = Broken(lambda name, _: left_out.append(name))
    with Scripted(capabilities="IMAP4rev1 SASL-IR COMPRESS=DEFLATE", reply=reply) as server:
        for _ in range(3):
            source = server.source(broken=broken)
            with contextlib.suppress(ConnectionLost):
                source.open(b"INBOX")
                source.open(b"INBOX")
            source.abort()
        assert [line.partition(b" ")[2] for line in server.commands].count(b"COMPRESS DEFLATE") == 1
    assert left_out == ["COMPRESS=DEFLATE"]


@pytest.mark.usefixtures("at_once")
def test_nothing_is_compressed_where_the_operator_says_never() -> None:
    with Scripted(capabilities="IMAP4rev1 SASL-IR COMPRESS=DEFLATE") as server:
        source = server.source(compress=False)
        for _ in range(3):
            source.open(b"INBOX")
        assert not any(b"COMPRESS" in line for line in server.commands)
        source.abort()


def _compressed_pair() -> tuple[Wire, socket.socket, list[str]]:
    ours, theirs = _tcp_pair()
    wire, told = Wire(ours, Side.SOURCE, timeout_seconds=5.0), list[str]()
    wire.compress(told.append)
    return wire, theirs, told


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    return ours, theirs


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


def test_bytes_that_are_not_compressed_end_the_connection_and_are_told() -> None:
    wire, theirs, told = _compressed_pair()
    theirs.sendall(b"* OK this is plain text\r\n" * 10)
    with pytest.raises(ConnectionLost, match="not compressed"):
        wire.readline()
    assert len(told) == 1


def test_a_compressed_stream_that_ends_ends_the_connection() -> None:
    wire, theirs, _ = _compressed_pair()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    theirs.sendall(packer.compress(b"* OK\r\n") + packer.flush(zlib.Z_FINISH) + b"more")
    assert wire.readline() == b"* OK\r\n"
    with pytest.raises(ConnectionLost, match="ended"):
        wire.readline()


def test_what_expands_without_end_is_refused_within_the_limits_of_a_line() -> None:
    wire, theirs, _ = _compressed_pair()
    bomb = _deflated(b"x" * (64 << 20))
    sender = threading.Thread(target=lambda: theirs.sendall(bomb), daemon=True)
    sender.start()
    with pytest.raises(ProtocolViolation, match="longer than"):
        wire.readline()
    assert wire.moved <= 2 * BUFFER_BYTES
    sender.join()


def test_a_flight_of_lines_that_expands_beyond_the_buffer_comes_whole() -> None:
    wire, theirs, _ = _compressed_pair()
    lines = [b"* %d FETCH (UID %d)\r\n" % (n, n) for n in range(60_000)]
    packed = _deflated(b"".join(lines))
    sender = threading.Thread(target=lambda: [theirs.sendall(packed[at : at + 7]) for at in range(0, len(packed), 7)])
    sender.start()
    assert [wire.readline() for _ in lines] == lines
    sender.join()


def test_what_came_in_the_flight_of_the_answer_is_expanded() -> None:
    ours, theirs = _tcp_pair()
    wire = Wire(ours, Side.SOURCE, timeout_seconds=5.0)
    theirs.sendall(b"m1 OK\r\n" + _deflated(b"* 1 EXISTS\r\n"))
    theirs.shutdown(socket.SHUT_WR)
    assert wire.readline() == b"m1 OK\r\n"
    wire.compress(lambda _: None)
    assert wire.readline() == b"* 1 EXISTS\r\n"


@pytest.mark.parametrize("protected", [True, False])
def test_a_stream_that_expands_to_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch, *, protected: bool) -> None:
    """Sends empty blocks, five bytes each: nothing is said in them, and no wait is charged for."""
    if not protected:
        monkeypatch.setattr(deflate, "_MOST_EMPTY", 2**60)
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        stream, told = deflate.CompressedStream(near, b"", lambda _: None), 0
        with contextlib.suppress(OSError):
            for _ in range(40):
                far.sendall(b"\0\0\0\xff\xff" * 2_000)
                told += 10_000
                with contextlib.suppress(BlockingIOError):
                    stream.recv_into(memoryview(bytearray(100)))
    assert (told < 100_000) is protected
