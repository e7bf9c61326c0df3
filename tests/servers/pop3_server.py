"""A POP3 server with faults that Dovecot does not have.

It may have no unique-ids, the same one twice or another one each time, a busy maildrop, or answers that make no sense.
It keeps every command.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.servers.listener import Listener

#: Returns the unique-id of a (session number, message's place); None if the server has no UIDL.
UniqueIds = Callable[[int, int], bytes] | None


@dataclass
class Pop3Server:
    """A server that accepts any login. All fields may be changed between sessions."""

    #: Messages, in order.
    messages: list[bytes]
    #: Unique-ids of the messages.
    unique_ids: UniqueIds = staticmethod(lambda session, place: b"id-%d" % place)
    #: Lines of CAPA; None if the server does not know CAPA.
    capabilities: Sequence[bytes] | None = (b"TOP", b"UIDL", b"USER", b"PIPELINING")
    #: Answers to PASS, for each session in turn; +OK when it is empty.
    refusals: list[bytes] = field(default_factory=list)
    #: Message numbers for which RETR and TOP answer -ERR.
    unreadable: set[int] = field(default_factory=set)
    #: Bytes that are sent instead of the whole message, by its number.
    raw: dict[int, bytes] = field(default_factory=dict)
    #: Certificate and key, if the server uses implicit TLS.
    secured: tuple[bytes, bytes] | None = None
    #: Number of messages that STAT tells; None where STAT is refused.
    counted: int | None = None
    #: Whether LIST is refused.
    no_list: bool = False
    #: The greeting.
    greeting: bytes = b"+OK ready"
    #: The answer to QUIT waits for this event.
    lets_go: threading.Event | None = None
    #: Number of bytes by which the sizes of LIST are too high; negative where they are too low.
    more: int = 0
    #: Most lines of a body that TOP shows; None for as many as are requested.
    most_lines: int | None = None
    #: Most lines that may be requested; TOP with more is refused.
    most_asked: int | None = None
    #: Sent in place of each message with 8-bit bytes in its header, to a client that did not ask for UTF8 (RFC 6856).
    notice: bytes | None = None
    #: The answer to UTF8; None if the connection is closed at it.
    to_utf8: bytes | None = b"+OK"
    #: Whether TOP with lines puts a blank line before the text, as GNU Mailutils does.
    blank_at_top: bool = False
    #: Tells whether the connection ends when the server comes to this message in this command (b"LIST", b"UIDL", b"TOP", b"RETR").
    ends_at: Callable[[bytes, int], bool] = staticmethod(lambda word, number: False)
    #: Numbers of messages that LIST and UIDL leave out.
    left_out: set[int] = field(default_factory=set)
    #: Whether the connection is closed at the first TOP with lines.
    breaks_at_top: bool = False

    def __post_init__(self) -> None:
        #: Commands of all sessions.
        self.commands: list[bytes] = []
        self.sessions = 0
        self._in_utf8: set[int] = set()
        self._numbers = itertools.count(1)
        self._listener = Listener(self._serve)
        self.port = self._listener.port

    def __enter__(self) -> Pop3Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self, sock: socket.socket) -> None:
        self.sessions = session = next(self._numbers)
        if self.secured:
            sock = self._listener.keep(_secured(sock, *self.secured))
        with sock, sock.makefile("rb") as lines:
            sock.sendall(self.greeting + b"\r\n")
            for line in lines:
                command = line.rstrip(b"\r\n")
                self.commands.append(command)
                if command == b"QUIT" and self.lets_go:
                    self.lets_go.wait(10)
                for answer in self._answer(command, session):
                    sock.sendall(answer)
                if command == b"QUIT":
                    return

    def _answer(self, command: bytes, session: int) -> Iterator[bytes]:
        word, _, rest = command.partition(b" ")
        if word == b"CAPA":
            known = self.capabilities
            yield b"-ERR what?\r\n" if known is None else b"+OK\r\n" + b"".join(c + b"\r\n" for c in known) + b".\r\n"
        elif word == b"UTF8":
            if self.to_utf8 is None:
                raise OSError("closed")
            yield self.to_utf8 + b"\r\n"
            if self.to_utf8.startswith(b"+OK"):
                self._in_utf8.add(session)
        elif word == b"PASS" and self.refusals:
            yield self.refusals.pop(0) + b"\r\n"
        elif word == b"STAT" and self.counted is not None:
            yield b"+OK %d 12345\r\n" % self.counted
        elif word == b"LIST" and self.no_list:
            yield b"-ERR not now\r\n"
        elif word == b"LIST":
            yield from self._listed(word, rest, lambda n: b"%d" % (len(self.messages[n - 1]) + self.more))
        elif word == b"UIDL":
            if self.unique_ids is None:
                yield b"-ERR no such command\r\n"
                return
            known = self.unique_ids
            yield from self._listed(word, rest, lambda n: known(session, n))
        elif word in (b"RETR", b"TOP"):
            number, *lines = map(int, rest.split())
            self._may_end(word, number)
            if lines and lines[0] and self.breaks_at_top:
                raise OSError("closed")
            if lines and self.most_asked is not None and lines[0] > self.most_asked:
                yield b"-ERR syntax error\r\n"
                return
            yield from self._message(number, lines[0] if lines else None, session)
        else:
            yield b"+OK\r\n"

    def _message(self, number: int, lines: int | None, session: int) -> Iterator[bytes]:
        """Yields a message with `lines` lines of its body, None for all."""
        if number in self.unreadable:
            yield b"-ERR cannot read that one\r\n"
            return
        if lines is not None and lines and self.most_lines is not None:
            lines = min(lines, self.most_lines)
        body = self.messages[number - 1]
        if self.notice is not None and session not in self._in_utf8 and not body.partition(b"\r\n\r\n")[0].isascii():
            body = self.notice
        head, blank, rest = body.partition(b"\r\n\r\n")
        if lines is not None and rest.count(b"\n") > lines:
            body = head + blank + b"".join(rest.splitlines(keepends=True)[:lines])
        elif number in self.raw and lines != 0:
            yield self.raw[number]
            return
        if lines and self.blank_at_top:
            body = head + blank + b"\r\n" + body[len(head + blank) :]
        yield b"+OK\r\n" + stuffed(body)

    def _may_end(self, word: bytes, number: int) -> None:
        if self.ends_at(word, number):
            raise OSError("closed")

    def _listed(self, word: bytes, rest: bytes, told: Callable[[int], bytes]) -> Iterator[bytes]:
        """Yields a listing, or the line of one message where its number is given."""
        if rest:
            self._may_end(word, int(rest))
            yield b"+OK %d %b\r\n" % (int(rest), told(int(rest)))
            return
        yield b"+OK\r\n"
        for n in range(1, len(self.messages) + 1):
            self._may_end(word, n)
            if n not in self.left_out:
                yield b"%d %b\r\n" % (n, told(n))
        yield b".\r\n"

    @property
    def marked(self) -> set[int]:
        """The numbers of the messages that were read by RETR. Dovecot marks just these as read."""
        return {int(command.split()[1]) for command in self.commands if command.startswith(b"RETR ")}


def _secured(sock: socket.socket, certificate: bytes, key: bytes) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + key)
        file.flush()
        context.load_cert_chain(file.name)
    return context.wrap_socket(sock, server_side=True)


def stuffed(body: bytes) -> bytes:
    """Returns the message as RFC 1939 §3 sends it, including the end."""
    text = body.replace(b"\r\n.", b"\r\n..")
    return (b"." if body.startswith(b".") else b"") + text + b".\r\n"
