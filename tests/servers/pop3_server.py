"""A POP3 server that does what Dovecot will not: no unique-ids, the same one twice, another one each time, a busy maildrop,
answers that make no sense. It never forgets a command."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

#: Given (session number, message's place) the unique-id; None: the server has no UIDL.
UniqueIds = Callable[[int, int], bytes] | None


@dataclass
class Pop3Server:
    """Signs anybody in. All fields may be changed between sessions."""

    #: The messages, in order.
    messages: list[bytes]
    #: Unique-ids.
    unique_ids: UniqueIds = staticmethod(lambda session, place: b"id-%d" % place)
    #: CAPA's lines; None: the server does not know CAPA.
    capabilities: Sequence[bytes] | None = (b"TOP", b"UIDL", b"USER", b"PIPELINING")
    #: The answer to PASS, for each session in turn; empty: +OK.
    refusals: list[bytes] = field(default_factory=list)
    #: Message numbers to which RETR and TOP say -ERR.
    unreadable: set[int] = field(default_factory=set)
    #: Sent instead of the whole message, as it stands.
    raw: dict[int, bytes] = field(default_factory=dict)
    #: Certificate and key, where it uses implicit TLS.
    secured: tuple[bytes, bytes] | None = None
    #: Messages that STAT counts; None: STAT is refused.
    counted: int | None = None
    #: LIST is refused.
    no_list: bool = False
    #: What it greets with.
    greeting: bytes = b"+OK ready"
    #: The answer to QUIT waits for this.
    lets_go: threading.Event | None = None
    #: LIST says so many bytes more than there are; fewer, where it is negative.
    more: int = 0
    #: Lines of a body that TOP shows at most; None: as many as are asked for.
    most_lines: int | None = None
    #: TOP is refused where more lines are asked for.
    most_asked: int | None = None
    #: The connection is closed at the first TOP with lines.
    breaks_at_top: bool = False

    def __post_init__(self) -> None:
        #: Every command of every session.
        self.commands: list[bytes] = []
        self.sessions = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Pop3Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self._serve, args=(sock, self.sessions), daemon=True).start()

    def _serve(self, sock: socket.socket, session: int) -> None:
        if self.secured:
            sock = _secured(sock, *self.secured)
        with sock, sock.makefile("rb") as lines:
            try:
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
            except OSError:
                return

    def _answer(self, command: bytes, session: int) -> Iterator[bytes]:
        word, _, rest = command.partition(b" ")
        if word == b"CAPA":
            known = self.capabilities
            yield b"-ERR what?\r\n" if known is None else b"+OK\r\n" + b"".join(c + b"\r\n" for c in known) + b".\r\n"
        elif word == b"PASS" and self.refusals:
            yield self.refusals.pop(0) + b"\r\n"
        elif word == b"STAT" and self.counted is not None:
            yield b"+OK %d 12345\r\n" % self.counted
        elif word == b"LIST" and self.no_list:
            yield b"-ERR not now\r\n"
        elif word == b"LIST":
            yield b"+OK\r\n"
            for n, body in enumerate(self.messages, 1):
                yield b"%d %d\r\n" % (n, len(body) + self.more)
            yield b".\r\n"
        elif word == b"UIDL":
            if self.unique_ids is None:
                yield b"-ERR no such command\r\n"
                return
            yield b"+OK\r\n"
            for n in range(1, len(self.messages) + 1):
                yield b"%d %b\r\n" % (n, self.unique_ids(session, n))
            yield b".\r\n"
        elif word in (b"RETR", b"TOP"):
            number, *lines = map(int, rest.split())
            if lines and lines[0] and self.breaks_at_top:
                raise OSError("closed")
            if lines and self.most_asked is not None and lines[0] > self.most_asked:
                yield b"-ERR syntax error\r\n"
                return
            yield from self._message(number, lines[0] if lines else None)
        else:
            yield b"+OK\r\n"

    def _message(self, number: int, lines: int | None) -> Iterator[bytes]:
        """`lines` of its body, None for all."""
        if number in self.unreadable:
            yield b"-ERR cannot read that one\r\n"
            return
        if lines is not None and lines and self.most_lines is not None:
            lines = min(lines, self.most_lines)
        body = self.messages[number - 1]
        head, blank, rest = body.partition(b"\r\n\r\n")
        if lines is not None and rest.count(b"\n") > lines:
            body = head + blank + b"".join(rest.splitlines(keepends=True)[:lines])
        elif number in self.raw and lines != 0:
            yield self.raw[number]
            return
        yield b"+OK\r\n" + stuffed(body)

    @property
    def marked(self) -> set[int]:
        """Numbers of the messages that were read by RETR: Dovecot marks just these as read."""
        return {int(command.split()[1]) for command in self.commands if command.startswith(b"RETR ")}


def _secured(sock: socket.socket, certificate: bytes, key: bytes) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + key)
        file.flush()
        context.load_cert_chain(file.name)
    return context.wrap_socket(sock, server_side=True)


def stuffed(body: bytes) -> bytes:
    """As RFC 1939 §3 sends it, the end included."""
    text = body.replace(b"\r\n.", b"\r\n..")
    return (b"." if body.startswith(b".") else b"") + text + b".\r\n"
