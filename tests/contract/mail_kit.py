"""Servers for the tests of the mail ports: real Dovecot and pymap, and a scripted one.

The scripted server reads commands as strictly as a server can and keeps every byte, so that a test can check what went
over the wire. It stores nothing.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import re
import shutil
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared.mail import Appended, MailDestination, MailSource, Message
from shared.mail.auth.sasl import Proof
from shared.mail.imap.imap_destination import ImapDestination
from shared.mail.imap.imap_source import ImapSource
from shared.mail.imap.session import Session, open_session
from shared.model.sides import Side
from shared.runtime.secret import Secret
from shared.testing.memory_mail import USUAL, MemoryServer
from tests.servers.dovecot import Dovecot, available
from tests.servers.listener import Listener
from tests.servers.process import free_port, kill, spawn, until_greeting
from tests.servers.readable import readable

PASSWORD = "s3cret-canary"
_logins = itertools.count(1)


def message(
    body: bytes,
    *,
    uid: int = 1,
    flags: tuple[str, ...] = (),
    internaldate: int | None = 837_570_265,
    zone_minutes: int = 0,
) -> Message:
    """Returns a message to send."""
    return Message(
        uid=uid,  # type: ignore[arg-type]
        flags=flags,
        internaldate=internaldate,
        zone_minutes=zone_minutes,
        size_bytes=len(body),
        fingerprint=b"",
        body=body,
    )


def streamed(size: int, chunks: Iterable[bytes], *, uid: int = 1) -> Message:
    """Returns a message whose body is still to come."""
    return Message(
        uid=uid,  # type: ignore[arg-type]
        flags=(),
        internaldate=837_570_265,
        zone_minutes=0,
        size_bytes=size,
        fingerprint=b"",
        body=None,
        stream=iter(chunks),
    )


def mail(number: int, *, text: bytes = b"hello\r\n") -> bytes:
    """Returns a small message that differs from those of other numbers."""
    return (
        b"Message-ID: <%d@example.org>\r\nDate: Wed, 17 Jul 1996 02:44:25 -0700\r\n"
        b"From: =?utf-8?q?J=C3=B6rg?= <j@example.org>\r\nSubject: number\r\n %d\r\n\r\n%b" % (number, number, text)
    )


def sign_in(
    side: str, port: int, login: str, password: str = PASSWORD, proof: dict[str, Any] | None = None, **options: Any
) -> Session:
    """Returns a session without TLS on loopback. `proof` holds further fields of the proof."""
    settings: dict[str, Any] = {"tls": "none", "connect_timeout_seconds": 60.0, "command_timeout_seconds": 60.0}
    shown = Proof(login=login, secret=Secret(password), **(proof or {}))
    return open_session(Side(side), host="127.0.0.1", port=port, proof=shown, **(settings | options))


# -- places: where a contract test runs


@dataclass(kw_only=True)
class Place:
    """An account of one server."""

    #: Name of the server.
    name: str
    #: Opens a new session that reads.
    source: Callable[[], MailSource]
    #: Opens a new session that writes.
    destination: Callable[[], MailDestination]
    #: Whether the server accepts and keeps any keyword.
    keywords: bool = True
    #: Whether the server checks flags and names as strictly as Dovecot does.
    strict: bool = False
    _numbers: Any = field(default_factory=itertools.count)

    def folder(self) -> bytes:
        """Returns a name that no other test uses."""
        return b"f%d-%d" % (os.getpid(), next(_folders))


_folders = itertools.count(1)

#: Capabilities that each variant of Dovecot announces; "" for its own.
DOVECOTS = {
    "dovecot": "",
    "dovecot without LITERAL+": "IMAP4rev1 SASL-IR UIDPLUS MULTIAPPEND ESEARCH CONDSTORE NAMESPACE",
    "dovecot with LITERAL-": "IMAP4rev1 SASL-IR LITERAL- UIDPLUS MULTIAPPEND ESEARCH NAMESPACE LIST-EXTENDED",
    "dovecot without MULTIAPPEND": "IMAP4rev1 LITERAL+ UIDPLUS",
}
MEMORIES = {
    "memory": USUAL,
    "memory without MULTIAPPEND": USUAL - {"MULTIAPPEND"},
    "memory without UIDPLUS": USUAL - {"UIDPLUS"},
}
PLACES = [*MEMORIES, *DOVECOTS, "pymap"]


def place(name: str) -> Place:
    """Returns a fresh account on this server; skips the test where the server cannot run."""
    login = f"user{next(_logins)}x{os.getpid()}"
    if name in MEMORIES:
        memory = MemoryServer(capabilities=MEMORIES[name])
        return Place(name=name, source=lambda: memory.source(login), destination=lambda: memory.destination(login))
    if name == "pymap":
        port, login = pymap(), "demouser"
    else:
        port = dovecot(DOVECOTS[name])
    return Place(
        name=name,
        source=lambda: ImapSource(sign_in("source", port, login)),
        destination=lambda: ImapDestination(sign_in("destination", port, login)),
        keywords=name != "pymap",
        strict=name != "pymap",
    )


@functools.cache
def dovecot(capability: str = "") -> int:
    """Starts a Dovecot for the whole test run. Returns its port."""
    if not available():
        pytest.skip("needs Dovecot")
    server = Dovecot(any_login_password=PASSWORD, capability=capability or None)
    atexit.register(server.__exit__, None, None, None)
    server.start()
    return server.port


@functools.cache
def pymap() -> int:
    """Starts a pymap with one account for the whole test run. Returns its port."""
    binary = Path(sys.executable).parent / "pymap"
    if not binary.exists():
        pytest.skip("needs pymap")
    port = free_port()
    argv = [binary, "--host", "127.0.0.1", "--port", str(port), "--no-tls"]
    argv += ["--no-service", "managesieve", "--no-service", "admin", "dict", "--demo-password", PASSWORD]
    log = Path(tempfile.mkdtemp(prefix="pymap-")) / "log"
    process = spawn(argv, log=log)
    atexit.register(shutil.rmtree, log.parent, ignore_errors=True)
    atexit.register(kill, process)
    until_greeting(process, port, log)
    return port


# -- the scripted server

#: Answers a command, given its tag and its line with the literals in place; None for the usual answer.
Reply = Callable[[bytes, bytes], "bytes | None"]

_LITERAL = re.compile(rb"~?\{(\d+)(\+?)\}\r\n\Z")


@dataclass
class Scripted:
    """A server that accepts any login and keeps what it reads.

    `reply` may give other answers, `literal` may refuse a literal.
    """

    #: Capabilities announced in the greeting.
    capabilities: str = "IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ UIDPLUS MULTIAPPEND"
    #: Gives the answers; the usual answer holds where it gives none.
    reply: Reply | None = None
    #: Called with (tag, line so far) for each synchronising literal; returns an answer instead of "+ go", or None.
    literal: Callable[[bytes, bytes], bytes | None] | None = None
    #: The greeting line; b"" for the usual one.
    greeting: bytes = b""
    #: Answer to EXAMINE and SELECT.
    selected: bytes = (
        b"* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* OK [PERMANENTFLAGS (\\Seen \\*)]\r\n"
        b"* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 4]\r\n"
    )
    #: TLS from the first byte.
    tls: ssl.SSLContext | None = None
    #: TLS after STARTTLS.
    starttls: ssl.SSLContext | None = None
    #: Plaintext sent right behind the OK to STARTTLS.
    injected: bytes = b""

    def __post_init__(self) -> None:
        #: Commands as read, with literals in place, without the final CRLF.
        self.commands: list[bytes] = []
        #: Sizes of literals that were sent without waiting, and of those that waited.
        self.hurried: list[int] = []
        self.waited: list[int] = []
        #: All bytes read.
        self.raw = bytearray()
        self.stopped = threading.Event()
        self._socks: list[socket.socket] = []
        self._listener = Listener(self._serve)
        self.port = self._listener.port

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._listener.close()

    def source(self, **options: Any) -> ImapSource:
        """Returns a session that reads from the server."""
        return ImapSource(sign_in("source", self.port, "u", **options))

    def destination(self, **options: Any) -> ImapDestination:
        """Returns a session that writes to the server."""
        return ImapDestination(sign_in("destination", self.port, "u", **options))

    def _serve(self, sock: socket.socket) -> None:
        self._socks.append(sock)
        with ExitStack() as stack:

            def stream_of(end: socket.socket) -> Any:
                return stack.enter_context(stack.enter_context(self._listener.keep(end)).makefile("rb"))

            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            stream = stream_of(sock)
            sock.sendall(self.greeting or b"* OK [CAPABILITY %b] ready\r\n" % self.capabilities.encode())
            while not self.stopped.is_set():
                command = self._read(sock, stream)
                if command is None:
                    return
                self.commands.append(command)
                tag, _, text = command.partition(b" ")
                if text == b"STARTTLS" and self.starttls:
                    sock.sendall(tag + b" OK begin\r\n" + self.injected)
                    sock = self.starttls.wrap_socket(sock, server_side=True)
                    stream = stream_of(sock)
                    continue
                answer = self.reply(tag, text) if self.reply else None
                sock.sendall(self._usual(tag, text) if answer is None else answer)

    def _read(self, sock: socket.socket, stream: Any) -> bytes | None:
        command = b""
        while True:
            line = stream.readline()
            if not line:
                return None
            self.raw += line
            command += line
            found = _LITERAL.search(line)
            if not found:
                return command.removesuffix(b"\r\n")
            size = int(found[1])
            if found[2]:
                self.hurried.append(size)
            else:
                self.waited.append(size)
                refusal = self.literal(command.partition(b" ")[0], command) if self.literal else None
                if refusal is not None:
                    sock.sendall(refusal)
                    return self._read(sock, stream)
                # No byte may come before the "+".
                if readable([sock], 0) and sock.recv(1, socket.MSG_PEEK):
                    self.commands.append(b"SENT BEFORE +")
                sock.sendall(b"+ go\r\n")
            body = stream.read(size)
            self.raw += body
            command += body

    def _usual(self, tag: bytes, text: bytes) -> bytes:
        word = text.split(b" ")[0].upper()
        if word in (b"EXAMINE", b"SELECT"):
            return self.selected + tag + b" OK done\r\n"
        if word == b"LOGOUT":
            return b"* BYE\r\n" + tag + b" OK\r\n"
        if word == b"CAPABILITY":
            return b"* CAPABILITY %b\r\n%b OK done\r\n" % (self.capabilities.encode(), tag)
        if word in (b"AUTHENTICATE", b"LOGIN"):
            return b"%b OK [CAPABILITY %b] welcome\r\n" % (tag, self.capabilities.encode())
        return tag + b" OK done\r\n"


def opened(here: Place) -> tuple[MailDestination, bytes]:
    name = here.folder()
    destination = here.destination()
    assert destination.create([name]) == [None]
    destination.open(name)
    return destination, name


def send(destination: MailDestination, *messages: Message) -> Appended:
    """Appends a group with its flags, and returns the answer."""
    destination.send(list(messages), [each.flags for each in messages], "token")
    (answer,) = destination.answers()
    assert answer.token == "token"
    return answer
