"""The tests' own IMAP client: a socket and whole answers.

It shares no code with the product, since the tests check the product against it.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_LITERAL = re.compile(rb"~?\{(\d+)\+?\}\r\n\Z")


class Refused(RuntimeError):
    """Raised when the server answered NO or BAD, or closed."""


@dataclass
class Response:
    """An answer. `line` still shows `{n}` where a literal was."""

    line: bytes
    literals: list[bytes] = field(default_factory=list)


class Wire:
    """A signed-in connection; a context manager."""

    def __init__(self, host: str, port: int, login: str, password: str, *, tls: bool = False, timeout: float = 60.0):
        sock = socket.create_connection((host, port), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            sock = context.wrap_socket(sock)
        self.sock = sock
        self._stream = sock.makefile("rb")
        self._tags = 0
        self.greeting = self.read().line
        self.command(b"AUTHENTICATE PLAIN", plain=f"\0{login}\0{password}".encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self.sock.close()

    def read(self) -> Response:
        """Returns the next answer, with its literals."""
        answer = Response(b"")
        while True:
            line = self._stream.readline()
            if not line.endswith(b"\r\n"):
                raise Refused(f"closed after {answer.line + line!r}")
            found = _LITERAL.search(line)
            if not found:
                answer.line += line.removesuffix(b"\r\n")
                return answer
            answer.line += line.removesuffix(b"\r\n")
            answer.literals.append(self._stream.read(int(found[1])))

    def send(self, text: bytes) -> bytes:
        """Sends a command without waiting. Returns its tag."""
        self._tags += 1
        tag = b"t%d" % self._tags
        self.sock.sendall(tag + b" " + text + b"\r\n")
        return tag

    def collect(self, tag: bytes, plain: bytes = b"") -> tuple[list[Response], bytes]:
        """Reads everything up to the tagged answer. Returns (untagged answers, text of the OK)."""
        untagged: list[Response] = []
        while True:
            answer = self.read()
            if answer.line.startswith(tag + b" "):
                status, _, text = answer.line.removeprefix(tag + b" ").partition(b" ")
                if status.upper() != b"OK":
                    raise Refused((status + b" " + text).decode("utf-8", "replace"))
                return untagged, text
            if answer.line.startswith(b"+"):
                self.sock.sendall(base64.b64encode(plain) + b"\r\n")
            else:
                untagged.append(answer)

    def command(self, text: bytes, plain: bytes = b"") -> tuple[list[Response], bytes]:
        """Sends a command and returns its answers.

        Raises `Refused` unless OK. Literals in `text` must not wait (`{n+}`).
        """
        return self.collect(self.send(text), plain)

    def folders(self) -> list[bytes]:
        """Returns the raw names of all folders that can be selected."""
        names = []
        for answer in self.command(b'LIST "" "*"')[0]:
            found = re.match(
                rb'\* LIST \(([^)]*)\) (?:NIL|"(?:\\.|[^"\\])*") (.*)\Z', answer.line, re.IGNORECASE | re.DOTALL
            )
            if found and not re.search(rb"\\(noselect|nonexistent)", found[1], re.IGNORECASE):
                names.append(answer.literals[0] if answer.literals else unquote(found[2]))
        return names


def quote(name: bytes) -> bytes:
    """Returns a quoted string."""
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", name) + b'"'


def unquote(token: bytes) -> bytes:
    """Returns the text of a quoted string or atom."""
    if not token.startswith(b'"'):
        return token
    return re.sub(rb"\\(.)", rb"\1", token[1:-1])


def join(parts: Iterable[bytes]) -> bytes:
    """Joins the words of a command."""
    return b" ".join(part for part in parts if part)
