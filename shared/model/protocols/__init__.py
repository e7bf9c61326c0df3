"""The protocols by which mail is read, one module each, which registers itself. A new one is a new file here.

A module holds what everybody has to know of its protocol; the adapter that speaks it is named, and loaded by
`shared.mail.ways` when a session is opened.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Final

from shared.model.requests import Endpoint, Tls
from shared.nouns import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class MailProtocol:
    """A protocol by which mail is read, and perhaps written."""

    #: The word before the URL's ``://``, without what says how the connection is secured.
    name: str
    #: Its name for people.
    title: str
    #: The usual port in plain text, which STARTTLS secures.
    port: int
    #: The usual port under TLS.
    tls_port: int
    #: The beginning of every greeting of the protocol, in capitals.
    first_bytes: bytes
    #: The beginning of the greeting of a server that lets us in, in capitals.
    greeting: bytes
    #: The command that asks for TLS.
    ask_tls: bytes
    #: The beginning of the answer that grants it.
    tls_granted: bytes
    #: The command that asks for the capabilities.
    ask_capabilities: bytes
    #: Reads the lines of the answer, and returns the capabilities.
    read_capabilities: Callable[[Iterable[bytes]], list[str]]
    #: The function that opens a session, as "module:name": see `shared.mail.ways.SourceOpener`.
    adapter: str
    #: Whether mail can be put into its servers.
    takes_mail: bool
    #: Whether its messages have flags.
    has_flags: bool
    #: Whether its messages have the same numbers for everybody who may read a folder.
    common_numbers: bool
    #: Whether an account takes one session at a time.
    one_session: bool

    @property
    def schemes(self) -> Mapping[str, tuple[Tls, int]]:
        """The TLS mode and the usual port, by the scheme of a URL; the safest first."""
        return {
            f"{self.name}s": (Tls.IMPLICIT, self.tls_port),
            f"{self.name}+starttls": (Tls.STARTTLS, self.port),
            self.name: (Tls.NONE, self.port),
        }


_PROTOCOLS: Final[dict[str, MailProtocol]] = {}


def register(protocol: MailProtocol) -> None:
    """Makes a protocol known."""
    _PROTOCOLS[protocol.name] = protocol


def protocols() -> Mapping[str, MailProtocol]:
    """Returns every protocol by its name."""
    _load()
    return _PROTOCOLS


def protocol_of(endpoint: Endpoint) -> MailProtocol:
    """Returns the protocol that is spoken with this server."""
    return protocols()[endpoint.protocol]


def schemes() -> Mapping[str, tuple[MailProtocol, Tls, int]]:
    """Returns the protocol, the TLS mode and the usual port, by the scheme of a URL."""
    return {
        scheme: (protocol, tls, port)
        for protocol in protocols().values()
        for scheme, (tls, port) in protocol.schemes.items()
    }


@cache
def _load() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
