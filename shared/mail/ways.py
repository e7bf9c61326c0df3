"""Opens sessions from an endpoint and a proof; the only module that knows which adapter speaks which protocol."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import field

from shared.content.maildrop import Identities
from shared.mail import MailDestination, MailSource
from shared.mail.answers.extensions import Servers
from shared.mail.auth.sasl import Proof
from shared.mail.imap.imap_destination import ImapDestination
from shared.mail.imap.imap_source import ImapSource
from shared.mail.imap.session import Session, open_session
from shared.mail.pop3.pop3_conversation import Pop3Session
from shared.mail.pop3.pop3_reading import Readings
from shared.mail.pop3.pop3_signing_in import open_pop3
from shared.mail.pop3.pop3_source import Pop3Source
from shared.mail.transport.dialing import Allowed, restricted
from shared.mail.transport.tls import Door
from shared.model import Endpoint
from shared.model.errors import MailError
from shared.model.protocols import protocol_of
from shared.model.sides import Side
from shared.nouns import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Ways:
    """Opens sessions.

    Each method raises Unreachable, TlsFailed, AuthenticationRefused, Throttled and ProtocolViolation.
    """

    #: Seconds to connect.
    connect_timeout_seconds: float
    #: Seconds for a command that brings nothing.
    command_timeout_seconds: float
    #: The addresses that may be connected to where an endpoint is `guarded`.
    allowed: Allowed | None = None
    #: The knowledge of how POP3 servers show whole messages.
    readings: Readings = field(default_factory=Readings)
    #: The extensions that each server announces and was seen not to do.
    servers: Servers = field(default_factory=Servers)
    #: Whether bytes may be compressed on the way, where that was seen to pay.
    compress: bool = True

    def source(self, endpoint: Endpoint, proof: Proof, identities: Identities) -> MailSource:
        """Returns a signed-in session that reads. `identities`: for protocols without lasting numbers."""
        module, _, name = protocol_of(endpoint).adapter.partition(":")
        opener: SourceOpener = getattr(importlib.import_module(module), name)
        return opener(self, endpoint, proof, identities)

    def destination(self, endpoint: Endpoint, proof: Proof) -> MailDestination:
        """Returns a signed-in session that writes."""
        return ImapDestination(self.imap(Side.DESTINATION, endpoint, proof))

    def imap(self, side: Side, endpoint: Endpoint, proof: Proof) -> Session:
        """Returns a signed-in session of IMAP."""
        with self.guarding(endpoint), discreet(proof):
            return open_session(
                side,
                host=endpoint.host,
                port=endpoint.port,
                tls=endpoint.tls.value,
                proof=proof,
                connect_timeout_seconds=self.connect_timeout_seconds,
                command_timeout_seconds=self.command_timeout_seconds,
                ca_file=endpoint.ca_file or None,
                fingerprint=endpoint.certificate_sha256 or None,
                broken=self.servers.of(endpoint.host, endpoint.port),
                compress=self.compress,
            )

    def guarding(self, endpoint: Endpoint) -> AbstractContextManager[None]:
        """Restricts what may be connected to within a `with` block, where the endpoint is guarded."""
        return restricted(self.allowed if endpoint.guarded else None)


@contextmanager
def discreet(proof: Proof) -> Iterator[None]:
    """Has no error of opening a session repeat the secret, whatever part of the conversation it comes from."""
    try:
        yield
    except MailError as error:
        error.hide([proof.secret.reveal()])
        raise


#: Opens a signed-in session that reads: what a `MailProtocol` names as its adapter.
SourceOpener = Callable[[Ways, Endpoint, Proof, Identities], MailSource]


def open_imap(ways: Ways, endpoint: Endpoint, proof: Proof, _: Identities) -> MailSource:
    """Returns a session that reads by IMAP."""
    return ImapSource(ways.imap(Side.SOURCE, endpoint, proof))


def open_pop3_source(ways: Ways, endpoint: Endpoint, proof: Proof, identities: Identities) -> MailSource:
    """Returns a session that reads by POP3."""
    door = Door(
        side=Side.SOURCE,
        protocol=endpoint.protocol,
        host=endpoint.host,
        port=endpoint.port,
        tls=endpoint.tls.value,
        timeout_seconds=ways.connect_timeout_seconds,
        ca_file=endpoint.ca_file,
        fingerprint=endpoint.certificate_sha256,
    )

    def opened() -> Pop3Session:
        with ways.guarding(endpoint), discreet(proof):
            return open_pop3(door, proof, command_timeout_seconds=ways.command_timeout_seconds)

    return Pop3Source(opened(), identities, ways.readings.of(endpoint.host, endpoint.port), opened)
