"""A connection: bytes in through one buffer, bytes out in few system calls, every read capped, every wait bounded.

Two budgets bound a wait, and only time spent waiting for the other end is charged to them, never our own work: *idle*
seconds since the last useful progress (a finished message or command, told by `progress`, or 64 KiB moved), and *whole*
seconds for a command, `WHOLE_FACTOR` times as many plus one for each KiB moved. So a server that sends a byte now and
then, or talks without saying anything, cannot hold a lane, and a slow but honest one can take its time.

The socket does not block. While it cannot be written to, what arrives is read into the buffer, so that two ends that
both write never wait for each other.
"""

from __future__ import annotations

import contextlib
import math
import re
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Final

from shared.mail.answers.bounds import MESSAGE_SECONDS, message_seconds
from shared.mail.answers.compression import Pace
from shared.mail.answers.grammar import clean_text
from shared.mail.transport.deflate import CompressedStream
from shared.model.errors import ConnectionLost, MailError, ProtocolViolation
from shared.model.sides import Side
from shared.wording.often_said import CLOSED_CONNECTION, NO_ANSWER_IN_TIME, WITH_CAUSE
from shared.wording.phrases import Phrase, text_of

TOO_SLOW_GAVE_UP: Final = Phrase("too_slow_gave_up", "too slow: gave up waiting")
SENT_LINE_LONGER_THAN_BYTES: Final = Phrase("sent_line_longer_than_bytes", "sent a line longer than {num} bytes")
ANNOUNCED_TOO_MANY_BYTES: Final = Phrase("announced_too_many_bytes", "announced {num} bytes where {most} are the most")
SENT_PLAINTEXT_AHEAD_OF_TLS: Final = Phrase("sent_plaintext_ahead_of_tls", "sent plaintext ahead of the TLS handshake")
CONNECTION_SHUT_BY_MAILHAUL: Final = Phrase("connection_shut_by_mailhaul", "connection shut by mailhaul")
CONNECTION_LOST: Final = Phrase("connection_lost", "connection lost")

#: Bytes of the receive buffer; a FETCH of small messages costs one system call for each of these.
BUFFER_BYTES: Final = 256 * 1024
#: Longest line, unless the caller expects a SEARCH answer.
LINE_LIMIT: Final = 64 * 1024
#: Longest line that names every keyword of a folder; some folders have hundreds.
KEYWORDS_LIMIT: Final = 1024 * 1024
#: Longest line of a SEARCH or ESEARCH answer: six million UIDs.
LONG_LINE_LIMIT: Final = 64 * 1024 * 1024
#: Largest literal read into memory at once, unless the caller says otherwise.
LITERAL_LIMIT: Final = 1024 * 1024
#: A command may take this many idle budgets altogether, plus a second for each KiB.
WHOLE_FACTOR: Final = 10

_PROGRESS_BYTES: Final = 64 * 1024
_LEAST_BYTES_PER_SECOND: Final = 1024
_BUFFER_LIMIT: Final = 8 * 1024 * 1024  # bytes that may wait unread while we write
_IOV: Final = 1000  # IOV_MAX is 1024
_RECORD_BYTES: Final = 1024 * 1024  # parts are joined before TLS up to this size, so that records are full
_KEYWORDS = re.compile(rb"\*[ \t]+(?:FLAGS|OK[ \t]+\[PERMANENTFLAGS)\b", re.IGNORECASE)
_BYE = re.compile(rb"(?:\A|\n)\* BYE ([^\r\n]{0,400})")


class Wire:
    """A connected socket as lines, literals and bytes. Used by one thread; only `abort` may be called by others."""

    def __init__(self, sock: socket.socket, side: Side, *, timeout_seconds: float) -> None:
        self.side = side
        self.timeout_seconds = timeout_seconds
        self._aborted = False
        #: The texts that words of the server must not show.
        self.secrets: Sequence[str] = ()
        #: Bytes received and sent so far.
        self.moved = 0
        #: Seconds spent waiting for the other end so far.
        self._waited = 0.0
        #: Lines read so far.
        self.lines = 0
        self._closing = threading.Lock()  # held for each system call on the socket, so that nobody closes it under one
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._moved = 0
        self._idle = self._whole = self._most_idle = timeout_seconds
        #: Seconds of waiting that are left for the body that is being read.
        self._body = math.inf
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._adopt(sock)
        self.begin()

    def _adopt(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock: socket.socket = sock
        #: The stream of bytes: the socket, or its compressed side.
        self._stream: socket.socket | CompressedStream = sock
        self.encrypted = isinstance(sock, ssl.SSLSocket)
        self._readable, self._any = select.poll(), select.poll()
        self._readable.register(sock, select.POLLIN)
        self._any.register(sock, select.POLLIN | select.POLLOUT)

    # -- budgets

    def begin(self, most_seconds: float = math.inf) -> None:
        """Begins a command: both budgets are full; the other end may be silent for `most_seconds` at most."""
        self._most_idle = min(self.timeout_seconds, most_seconds)
        self._idle = self._most_idle
        self._whole = self.timeout_seconds * WHOLE_FACTOR
        self._moved = 0

    def progress(self) -> None:
        """Notes that something useful is complete: the idle budget is full again."""
        self._idle = self._most_idle
        self._moved = 0

    def _account(self, count: int) -> None:
        self.moved += count
        self._moved += count
        self._whole = min(self.timeout_seconds * WHOLE_FACTOR, self._whole + count / _LEAST_BYTES_PER_SECOND)
        if self._moved >= _PROGRESS_BYTES:
            self.progress()

    def _wait(self, poll: select.poll) -> int:
        allowed = min(self._idle, self._whole, self._body)
        if allowed <= 0:
            raise self._lost(TOO_SLOW_GAVE_UP.says())
        started = monotonic()
        found = poll.poll(max(1, int(allowed * 1000)))
        spent = monotonic() - started
        self._waited += spent
        self._idle -= spent
        self._whole -= spent
        self._body -= spent
        if self._aborted:
            raise self._lost("")
        if not found:
            raise self._lost(NO_ANSWER_IN_TIME.says())
        return found[0][1]

    # -- reading

    def readline(self, limit: int = LINE_LIMIT) -> bytes:
        """Reads the next line with its end.

        Raises ProtocolViolation when it is longer than `limit` bytes, or, for a line that names a folder's keywords,
        than `KEYWORDS_LIMIT`.
        """
        self.lines += 1
        at = self._buffer.find(b"\n", self._start, self._end) + 1
        if not at:
            return self._long_line(limit)
        start = self._start
        self._start = at
        if at - start > limit and at - start > (limit := self._most(start, limit)):
            raise self._violation(SENT_LINE_LONGER_THAN_BYTES.says(num=limit))
        return bytes(self._view[start:at])

    def _most(self, start: int, limit: int) -> int:
        """Returns the bytes that a line longer than `limit`, which begins at `start` of the buffer, may have."""
        return max(limit, KEYWORDS_LIMIT) if _KEYWORDS.match(self._view[start : self._end]) else limit

    def _long_line(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            searched = self._end - self._start
            if not size and searched > limit:
                limit = self._most(self._start, limit)
            if size + searched > limit:
                raise self._violation(SENT_LINE_LONGER_THAN_BYTES.says(num=limit))
            if searched == len(self._buffer):
                parts.append(bytes(self._view[self._start : self._end]))
                size += searched
                self._start = self._end = searched = 0
            self._receive()
            at = self._buffer.find(b"\n", self._start + searched, self._end) + 1
            if at:
                if not size and at - self._start > limit:
                    limit = self._most(self._start, limit)
                if size + at - self._start > limit:
                    raise self._violation(SENT_LINE_LONGER_THAN_BYTES.says(num=limit))
                parts.append(bytes(self._view[self._start : at]))
                self._start = at
                return b"".join(parts)

    def arrived(self, line: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Reads what comes next if it matches `line`, a pattern of a whole line, and has arrived already.

        Returns None, with nothing read, where it does not match, is too long, or more of it is to come: then `readline`
        tells.
        """
        found = line.match(self._buffer, self._start, self._end)
        if found is None or found.end() - self._start > LINE_LIMIT:
            return None
        self.lines += 1
        self._start = found.end()
        return found

    def arrived_with(
        self, line: re.Pattern[bytes], limit: int, tail: bytes = b")\r\n"
    ) -> tuple[re.Match[bytes], bytes] | None:
        """Reads an answer that ends with a literal and `tail`, if it matches and all of it has arrived already.

        The last group of `line` is the size of the literal. Returns None, with nothing read, for any other answer, and
        for a literal of no or of more than `limit` bytes.
        """
        found = line.match(self._buffer, self._start, self._end)
        if found is None or found.end() - self._start > LINE_LIMIT:
            return None
        begin = found.end()
        end = begin + int(found[found.lastindex or 0])
        after = end + len(tail)
        if not begin < end <= begin + limit or after > self._end or self._buffer[end:after] != tail:
            return None
        self.lines += 1
        self._start = after
        return found, bytes(self._view[begin:end])

    def unread(self, line: bytes) -> None:
        """Puts back the line that was read last."""
        if self._buffer[self._start - len(line) : self._start] != line:
            raise AssertionError("only the line that was read last can be put back")
        self._start -= len(line)
        self.lines -= 1

    def read_head(self, size: int, most: int, limit: int = LITERAL_LIMIT) -> bytes:
        """Reads `size` bytes and keeps the first `most`. A size above `limit` is refused."""
        if size <= most:
            return self.read(size, most)
        if size > limit:
            raise self._violation(ANNOUNCED_TOO_MANY_BYTES.says(num=size, most=limit))
        kept, have = list[bytes](), 0
        for chunk in self.read_chunks(size):
            if have < most:
                kept.append(chunk[: most - have])
                have += len(kept[-1])
        return b"".join(kept)

    def read(self, size: int, limit: int = LITERAL_LIMIT) -> bytes:
        """Reads exactly `size` bytes. A size above `limit` is refused before any memory is taken."""
        if size > limit:
            raise self._violation(ANNOUNCED_TOO_MANY_BYTES.says(num=size, most=limit))
        start = self._start
        have = self._end - start
        if have >= size:
            self._start = start + size
            return bytes(self._view[start : self._start])
        if size <= len(self._buffer):
            while self._end - self._start < size:
                self._receive()
            start = self._start
            self._start = start + size
            return bytes(self._view[start : self._start])
        whole = bytearray(size)
        whole[:have] = self._view[start : self._end]
        self._start = self._end = 0
        with memoryview(whole) as view:
            while have < size:
                have += self._receive_into(view[have:])
        return bytes(whole)

    def read_chunks(self, size: int) -> Iterator[bytes]:
        """Yields `size` bytes as they come, in pieces no larger than the buffer."""
        with self.one_message(size):
            while size:
                if self._start == self._end:
                    self._receive()
                start = self._start
                count = min(size, self._end - start)
                self._start = start + count
                size -= count
                yield bytes(self._view[start : start + count])

    @contextlib.contextmanager
    def one_message(self, size: int) -> Iterator[None]:
        """Bounds what is read inside as one message of `size` bytes: it may be waited for `message_seconds` in all."""
        self._body = min(MESSAGE_SECONDS, message_seconds(size))
        try:
            yield
        finally:
            self._body = math.inf

    def comes(self, wanted: bytes) -> bool:
        """Tells whether `wanted` comes next; nothing is read."""
        while True:
            have = bytes(self._view[self._start : min(self._end, self._start + len(wanted))])
            if have == wanted or not wanted.startswith(have):
                return have == wanted
            self._receive()

    def read_through(self, ending: bytes, limit: int) -> bytes | None:
        """Reads up to and including `ending`; None, with nothing read, when that does not come within `limit` bytes."""
        searched = 0
        while True:
            at = self._buffer.find(ending, self._start + searched, self._end)
            if at >= 0:
                found = bytes(self._view[self._start : at + len(ending)])
                self._start = at + len(ending)
                return found
            if self.buffered >= limit:
                return None
            searched = max(0, self.buffered - len(ending) + 1)
            self._receive()

    def read_piece(self, limit: int) -> bytes:
        """Reads the next line with its end, or the first `limit` bytes of one that is longer."""
        searched = 0
        while True:
            at = self._buffer.find(b"\n", self._start + searched, min(self._end, self._start + limit)) + 1
            size = at - self._start if at else limit if self.buffered >= limit else 0
            if size:
                piece = bytes(self._view[self._start : self._start + size])
                self._start += size
                return piece
            searched = self.buffered
            self._receive()

    @property
    def shut(self) -> bool:
        """Tells whether the connection is shut."""
        return self._aborted

    @property
    def buffered(self) -> int:
        """The number of bytes received and not yet read."""
        return self._end - self._start

    def _receive(self) -> None:
        self._make_room()
        self._end += self._receive_into(self._view[self._end :])

    def _make_room(self) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start:
            count = self._end - self._start
            self._buffer[:count] = self._buffer[self._start : self._end]
            self._start, self._end = 0, count
        if self._end == len(self._buffer):  # only while arriving bytes are kept because we are writing
            self._buffer = self._buffer + bytearray(len(self._buffer))
            self._view = memoryview(self._buffer)

    def _receive_into(self, view: memoryview) -> int:
        while True:
            try:
                with self._closing:
                    count = 0 if self._aborted else self._stream.recv_into(view)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(self._readable)
            except ssl.SSLWantWriteError:
                self._wait(self._any)
            except (OSError, ValueError) as error:
                raise self._lost(CONNECTION_LOST.says(), error) from error
            else:
                if not count:
                    raise self._lost(CLOSED_CONNECTION.says())
                self._account(count)
                return count

    # -- writing

    def send(self, parts: Sequence[bytes]) -> None:
        """Sends all of `parts`, in order, in as few system calls and TLS records as it takes."""
        if self.encrypted or self.compressed:
            held: list[bytes] = []
            size = 0
            for part in parts:
                held.append(part)
                size += len(part)
                if size >= _RECORD_BYTES:
                    self._send_all(b"".join(held))
                    held, size = [], 0
            if held:
                self._send_all(b"".join(held))
            return
        for at in range(0, len(parts), _IOV):
            self._send_vector(parts[at : at + _IOV])

    def _send_vector(self, parts: Sequence[bytes]) -> None:
        try:
            with self._closing:
                sent = 0 if self._aborted else self.sock.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        except (OSError, ValueError) as error:
            raise self._lost(CONNECTION_LOST.says(), error) from error
        self._account(sent)
        for at, part in enumerate(parts):
            if sent >= len(part):
                sent -= len(part)
                continue
            # the kernel's buffer is full in the middle: the rest goes in one piece, unless it is large already
            rest = [part[sent:] if sent else part, *parts[at + 1 :]]
            if len(rest) <= 2 or sum(map(len, rest)) > _BUFFER_LIMIT:
                for piece in rest:
                    self._send_all(piece)
            else:
                self._send_all(b"".join(rest))
            return

    def _send_all(self, data: bytes) -> None:
        with memoryview(data) as view:
            done = 0
            while done < len(view):
                try:
                    with self._closing:
                        sent = -1 if self._aborted else self._stream.send(view[done:])
                except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    self._wait_to_write()
                except (OSError, ValueError) as error:
                    raise self._lost(CONNECTION_LOST.says(), error) from error
                else:
                    if sent < 0:
                        raise self._lost("")
                    done += sent
                    self._account(sent)

    def _wait_to_write(self) -> None:
        ready = self._wait(self._any)
        if not ready & select.POLLIN or self.buffered >= _BUFFER_LIMIT:
            return
        self._make_room()
        try:
            with self._closing:
                count = self._stream.recv_into(self._view[self._end :])
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except (OSError, ValueError) as error:
            raise self._lost(CONNECTION_LOST.says(), error) from error
        if not count:
            raise self._lost(CLOSED_CONNECTION.says())
        self._end += count

    # -- TLS, DEFLATE, the end

    def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Runs the handshake.

        Raises ssl.SSLError and OSError as they come, and ProtocolViolation when plaintext was sent ahead of it, which
        could be answers slipped in by somebody on the way (RFC 9051 §11.1).
        """
        if self.buffered:
            raise self._violation(SENT_PLAINTEXT_AHEAD_OF_TLS.says())
        self.sock.settimeout(self.timeout_seconds)
        self._adopt(context.wrap_socket(self.sock, server_hostname=host))
        self.begin()

    @property
    def compressed(self) -> bool:
        """Tells whether bytes are compressed."""
        return isinstance(self._stream, CompressedStream)

    @property
    def pace(self) -> Pace:
        """Returns what was moved so far, and how long the connection waited for the other end or compressed."""
        own = self._stream.seconds if isinstance(self._stream, CompressedStream) else 0.0
        return Pace(self.moved, self._waited + own)

    def compress(self, broken: Callable[[str], object]) -> None:
        """Compresses both directions from now on; what has arrived and is unread is compressed already (RFC 4978 §3).

        `broken` is told of bytes that cannot be expanded.
        """
        come = bytes(self._view[self._start : self._end])
        self._start = self._end = 0
        self._stream = CompressedStream(self.sock, come, broken)

    def abort(self, *, reset: bool = False) -> None:
        """Shuts the socket at once, from any thread.

        With `reset`, what is not sent yet is thrown away. Never raises.
        """
        self._aborted = True
        with contextlib.suppress(OSError, ValueError):
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                # not SSLSocket.shutdown: it turns the object into a plain socket while another thread may read from it
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        if self._closing.acquire(blocking=False):
            try:
                with contextlib.suppress(OSError, ValueError):
                    self.sock.close()
            finally:
                self._closing.release()

    def close(self) -> None:
        """Lets what was sent arrive, and closes. Never raises."""
        self._aborted = True
        with contextlib.suppress(OSError, ValueError):
            self.sock.close()

    def _lost(self, what: str, cause: BaseException | None = None) -> MailError:
        if self._aborted:
            what, cause = CONNECTION_SHUT_BY_MAILHAUL.says(), None
        last = None
        if self.side == Side.DESTINATION:
            # only there: at a source, arriving bytes may be a message that says "* BYE"
            with contextlib.suppress(OSError, ValueError):
                self._make_room()
                self._end += self._stream.recv_into(self._view[self._end :])
            last = _BYE.search(self._buffer, self._start, self._end)
        self.abort()
        told = WITH_CAUSE.says(what=what, cause=clean_text(text_of(cause))) if cause else what
        return ConnectionLost(self.side, told, clean_text(last[1], secrets=self.secrets) if last else "")

    def _violation(self, what: str) -> ProtocolViolation:
        self.abort()
        return ProtocolViolation(self.side, what)
