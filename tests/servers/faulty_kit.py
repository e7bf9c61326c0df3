"""Helpers of the scripted server's tests: commands and their answers."""

from __future__ import annotations

from tests.servers.dovecot import Dovecot
from tests.servers.faulty import FaultyServer
from tests.servers.proxy import FaultProxy
from tests.servers.pymap_server import PymapServer
from tests.servers.wire import Wire

PASSWORD = "secret"


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


def inbox(server: FaultyServer) -> list[bytes]:
    return [message.body for message in server.behaviour.accounts["user"].folder("INBOX").messages]
