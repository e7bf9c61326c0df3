"""The connection test of a mail server, step by step with times: name, TCP, TLS, greeting, capabilities, sign-in.

The test signs in only with a login. It writes nothing at the server and tries a login once.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Final, TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from producer.intake.visiting import admission
from shared.content.maildrop import ListingIdentities
from shared.mail import MailDestination, MailSource
from shared.mail.answers.grammar import clean_text
from shared.mail.auth.sasl import Proof
from shared.mail.transport.tls import Door, certificate, names_of
from shared.mail.ways import Ways
from shared.model import Endpoint, Tls
from shared.model.errors import MailError, TlsFailed
from shared.model.protocols import protocol_of, protocols
from shared.model.sides import Side
from shared.nouns import dataclass
from shared.sign_in.admission import Visitor
from shared.wording.often_said import CHECK_HOST_PORT_AND_FIREWALL, LINE_WITHOUT_END, NO_ANSWER_IN_TIME
from shared.wording.phrases import Phrase, text_of

CHECK_SPELLING_OF_HOST_NAME: Final = Phrase("check_spelling_of_host_name", "check the spelling of the host name")
CHECK_PROTOCOL_AND_USUAL_PORT: Final = Phrase(
    "check_protocol_and_usual_port", "check protocol and port: IMAP is usually 993 or 143, POP3 995 or 110"
)
CHECK_PROTOCOL_AND_PORT: Final = Phrase("check_protocol_and_port", "check protocol and port")
NAME_HAS_NO_ADDRESS: Final = Phrase("name_has_no_address", "the name has no address")
CONNECTION_WAS_CLOSED: Final = Phrase("connection_was_closed", "the connection was closed")
DOES_NOT_GREET_AS_ITS_PROTOCOL: Final = Phrase(
    "does_not_greet_as_its_protocol", "it does not greet as {protocol} does: {said}"
)
IT_SAYS_NOTHING: Final = Phrase("it_says_nothing", "it says nothing")
SEE_THAT_IT_IS_RIGHT: Final = Phrase("see_that_it_is_right", "see that it is right and may sign in for others")
STARTTLS_REFUSED: Final = Phrase("starttls_refused", "STARTTLS refused: {said}")

_LINE_BYTES: Final = 8192
_LINES: Final = 60

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownCertificate:
    """The content of a certificate that is shown to the operator."""

    #: The certificate's subject.
    subject: str
    #: The authority that issued it.
    issuer: str
    #: Host names that it is valid for.
    names: tuple[str, ...]
    #: End of its validity; None when it cannot be read.
    expires: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionStep:
    """A step and its result."""

    #: "name", "tcp", "tls", "greeting", "capabilities" or "sign_in".
    what: str
    #: Whether the step succeeded.
    ok: bool
    #: The step's duration, milliseconds.
    ms: float
    #: The server's answer, or the fault.
    said: str = ""
    #: The remedy, if the step failed.
    advice: str = ""
    #: The server's certificate, in the step "tls".
    certificate: ShownCertificate | None = None
    #: The SHA-256 of a certificate that was refused, by which it can be accepted; "" for any other step.
    pin: str = ""


class _Stop(Exception):
    """Raised when a step failed; the steps after it are not tried."""


def try_connection(
    side: Side,
    endpoint: Endpoint,
    *,
    addresses: Callable[[str, int], Sequence[str]],
    visitor: Visitor | None = None,
    seconds: float = 10.0,
) -> list[ConnectionStep]:
    """Tests the connection and returns the steps, up to the first that failed.

    `addresses` resolves a host and port to the addresses that may be connected to; it raises OSError.
    """
    steps: list[ConnectionStep] = []
    with ExitStack() as stack:
        try:
            _door(side, endpoint, addresses, seconds, steps, stack)
        except _Stop:
            return steps
    if visitor is not None:
        steps.append(_sign_in(visitor, seconds))
    return steps


def _door(
    side: Side,
    endpoint: Endpoint,
    addresses: Callable[[str, int], Sequence[str]],
    seconds: float,
    steps: list[ConnectionStep],
    stack: ExitStack,
) -> None:
    door = Door(
        side=side,
        protocol=endpoint.protocol,
        host=endpoint.host,
        port=endpoint.port,
        tls=endpoint.tls.value,
        timeout_seconds=seconds,
        ca_file=endpoint.ca_file,
        fingerprint=endpoint.certificate_sha256,
    )
    with _timed("name", steps) as note:
        found = note.run(lambda: list(addresses(endpoint.host, endpoint.port)))
        note.said = ", ".join(found[:4])
    with _timed("tcp", steps) as note:
        sock = note.run(lambda: _connected(found, endpoint.port, seconds))
        note.said = f"{sock.getpeername()[0]}:{endpoint.port}"
    stack.callback(lambda: sock.close())
    until = monotonic() + seconds
    if endpoint.tls is Tls.IMPLICIT:
        sock = _secure(sock, door, steps, stack)
    with _timed("greeting", steps) as note:
        note.run(lambda: door.check_silence(sock))
        note.said = note.run(lambda: _greeting(sock, door, until))
    if endpoint.tls is Tls.STARTTLS:
        spoken = protocol_of(endpoint)
        ask, granted = spoken.ask_tls, spoken.tls_granted
        sock = _secure(sock, door, steps, stack, lambda: _upgrade(sock, ask, granted, until))
    with _timed("capabilities", steps) as note:
        note.said = note.run(lambda: _capabilities(sock, endpoint.protocol, until))


class _timed:
    """Measures one step and appends it to the list, also when it fails; a failure ends the test."""

    def __init__(self, what: str, steps: list[ConnectionStep]) -> None:
        self._what, self._steps, self._began = what, steps, monotonic()
        self.said = ""
        self.certificate: ShownCertificate | None = None

    def __enter__(self) -> _timed:
        return self

    def run(self, do: Callable[[], _T], turned: Callable[[Exception], MailError] | None = None) -> _T:
        """Calls `do`.

        On an error appends the failed step and raises `_Stop`; `turned` converts the error into one that says more.
        """
        try:
            return do()
        except (OSError, ValueError, MailError) as error:
            told = turned(error) if turned else error
            said = text_of(told) if isinstance(told, MailError | ValueError) else (told.strerror or text_of(told))
            advice = told.advice if isinstance(told, MailError) else _ADVICE.get(self._what, "")
            pin = told.pin if isinstance(told, TlsFailed) else ""
            self._enter(False, said or NO_ANSWER_IN_TIME.says(), advice, pin)
            raise _Stop from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._enter(True, self.said, "")

    def _enter(self, ok: bool, said: str, advice: str, pin: str = "") -> None:
        ms = (monotonic() - self._began) * 1000
        self._steps.append(
            ConnectionStep(
                what=self._what,
                ok=ok,
                ms=ms,
                said=clean_text(said, limit=1000),
                advice=advice,
                certificate=self.certificate,
                pin=pin,
            )
        )


_ADVICE: Final = {
    "name": CHECK_SPELLING_OF_HOST_NAME.says(),
    "tcp": CHECK_HOST_PORT_AND_FIREWALL.says(),
    "greeting": CHECK_PROTOCOL_AND_USUAL_PORT.says(),
    "capabilities": CHECK_PROTOCOL_AND_PORT.says(),
}


def _connected(addresses: Sequence[str], port: int, seconds: float) -> socket.socket:
    failure: OSError = OSError(NAME_HAS_NO_ADDRESS.says())
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=seconds)
        except OSError as error:
            failure = error
    raise failure


def _secure(
    sock: socket.socket,
    door: Door,
    steps: list[ConnectionStep],
    stack: ExitStack,
    before: Callable[[], None] = lambda: None,
) -> ssl.SSLSocket:
    def wrapped() -> ssl.SSLSocket:
        before()
        safe = door.context().wrap_socket(sock, server_hostname=door.host)
        door.check_pin(safe)
        return safe

    with _timed("tls", steps) as note:
        safe = note.run(wrapped, lambda error: error if isinstance(error, TlsFailed) else _told(door, error))
        stack.callback(safe.close)
        note.certificate = _shown(certificate(safe))
        note.said = f"{safe.version()}, {(safe.cipher() or ('?',))[0]}"
    return safe


def _told(door: Door, error: Exception) -> MailError:
    return door.failed(error) if isinstance(error, OSError) else TlsFailed(door.side, text_of(error), advice="")


def _shown(der: bytes) -> ShownCertificate:
    try:
        found = x509.load_der_x509_certificate(der)
    except ValueError:
        return ShownCertificate(subject="?", issuer="?", names=(), expires=None)
    return ShownCertificate(
        subject=_called(found.subject),
        issuer=_called(found.issuer),
        names=tuple(names_of(der)),
        expires=found.not_valid_after_utc,
    )


def _called(name: x509.Name) -> str:
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        if found := name.get_attributes_for_oid(oid):
            return clean_text(str(found[0].value), limit=200)
    return clean_text(name.rfc4514_string(), limit=200) or "?"


def _greeting(sock: socket.socket, door: Door, until: float) -> str:
    line, protocol = next(_lines(sock, until), b""), door.protocol
    door.check_greeting(line)
    if not line.upper().startswith(protocols()[protocol].greeting):
        said = clean_text(line.strip(), limit=200)
        raise ValueError(
            DOES_NOT_GREET_AS_ITS_PROTOCOL.says(protocol=protocol.upper(), said=said)
            if said
            else IT_SAYS_NOTHING.says()
        )
    return clean_text(line.strip(), limit=500)


def _upgrade(sock: socket.socket, ask: bytes, granted: bytes, until: float) -> None:
    sock.sendall(ask)
    for line in _lines(sock, until):
        if not line.startswith(b"* "):
            if not line.upper().startswith(granted.upper()):
                raise ValueError(STARTTLS_REFUSED.says(said=clean_text(line.strip(), limit=200)))
            return
    raise ConnectionError(CONNECTION_WAS_CLOSED.says())


def _capabilities(sock: socket.socket, protocol: str, until: float) -> str:
    spoken = protocols()[protocol]
    sock.sendall(spoken.ask_capabilities)
    return clean_text(" ".join(spoken.read_capabilities(_lines(sock, until))), limit=1000)


def _lines(sock: socket.socket, until: float) -> Iterator[bytes]:
    """Reads up to `_LINES` lines of up to `_LINE_BYTES` bytes each.

    Raises OSError when `until` (monotonic) has passed, and ValueError for a longer line.
    """
    line = bytearray()
    for _ in range(_LINES):
        while not line.endswith(b"\n"):
            if len(line) >= _LINE_BYTES:
                raise ValueError(LINE_WITHOUT_END.says())
            sock.settimeout(max(0.001, until - monotonic()))
            if not (byte := sock.recv(1)):  # reads single bytes, so that nothing that follows STARTTLS is consumed
                break
            line += byte
        if not line:
            return
        yield bytes(line)
        line.clear()


def _sign_in(visitor: Visitor, seconds: float) -> ConnectionStep:
    """Signs in on a connection of its own, in the same way as a worker."""
    began = monotonic()
    ways = Ways(connect_timeout_seconds=seconds, command_timeout_seconds=seconds)
    at_source, endpoint = visitor.side == Side.SOURCE, visitor.endpoint
    step = ConnectionStep(what="sign_in", ok=True, ms=0)

    def connect(proof: Proof) -> MailSource | MailDestination:
        return ways.source(endpoint, proof, ListingIdentities()) if at_source else ways.destination(endpoint, proof)

    try:
        admission(seconds, seconds).enter(visitor, connect).close()
    except MailError as error:
        # The error's own advice is for a running import, whose secret can be replaced; here no import runs yet.
        advice = SEE_THAT_IT_IS_RIGHT.says() if visitor.sign_in.shared else error.advice
        step = replace(step, ok=False, said=text_of(error), advice=advice)
    return replace(step, ms=(monotonic() - began) * 1000)
