"""Opens a connection, secures it and signs in (RFC 9051 §6.2). Logs nothing.

imapclient opens the conversation (greeting, capabilities, STARTTLS) over our `Wire`, so that it and the bulk path read
through one buffer and one set of caps. It knows no SASL-IR and would write a login name unquoted, so signing in is our
own code.

Names that imaplib and imapclient do not promise, and why each is used:

- `IMAPClient._create_IMAP4`, `._set_read_timeout`: the only places in which the client can be given a connection that is there
  already, with budgets of its own. The constructor connects.
- `IMAP4._get_capabilities`: asks in the constructor, before anybody could ask for less, and refuses a server without IMAP4rev1.
- `IMAP4._log`: keeps the last commands, passwords among them, and no switch turns it off.
- `imaplib._MAXLINE`: the longest line; there is no other way to set it.
"""

from __future__ import annotations

import imaplib
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Final

import imapclient

from shared.mail.answers.bounds import OPENING_BYTES
from shared.mail.answers.compression import COMPRESS
from shared.mail.answers.extensions import Broken
from shared.mail.answers.grammar import clean_text
from shared.mail.answers.refusals import failure
from shared.mail.auth.sasl import Proof
from shared.mail.auth.signing_in import sign_in
from shared.mail.transport.compressing import ConnectionCompression
from shared.mail.transport.conversation import Conversation, Tagged
from shared.mail.transport.dialing import cause_of, connect
from shared.mail.transport.forms import Offer
from shared.mail.transport.tls import Door, TlsMode
from shared.mail.transport.wire import LINE_LIMIT, LITERAL_LIMIT, LONG_LINE_LIMIT, Wire
from shared.model.errors import AuthenticationRefused, ConnectionLost, ProtocolViolation, TlsFailed, Unreachable
from shared.model.sides import Side
from shared.wording.often_said import (
    CANNOT_CONNECT,
    CLOSED_BEFORE_SIGNING_IN,
    DOES_NOT_SPEAK,
    LOST_CONNECTION,
    SENT_FAR_MORE_BYTES_THAN_USUAL,
)
from shared.wording.phrases import Phrase, text_of

REFUSED_STARTTLS: Final = Phrase("refused_starttls", "refused STARTTLS")
LOG_OR_TLS: Final = Phrase("log_or_tls", "see the server's log, or give an imaps:// URL as {option}")
NO_STARTTLS: Final = Phrase("no_starttls", "{place} offers no STARTTLS; mailhaul does not go on without encryption")
URL_OR_STARTTLS: Final = Phrase(
    "url_or_starttls", "give {option} {url} if it has that port, or have STARTTLS switched on"
)

GREETED_AS_IF_SIGNED_IN_ALREADY: Final = Phrase(
    "greeted_as_if_signed_in_already", "greeted as if signed in already (PREAUTH), which mailhaul never accepts"
)

try:
    _VERSION = f'"{metadata.version("mailhaul")}"'
except metadata.PackageNotFoundError:  # run from a folder that was never installed
    _VERSION = "NIL"
_WHO = f'ID ("name" "mailhaul" "version" {_VERSION})'.encode("ascii")

#: The words before the text of an untagged answer, which imaplib wants in capitals, with one blank before each.
_UNTAGGED = re.compile(rb"\A\*[ \t]+([^\s(\[]+)(?:[ \t]+|(?=\r?\n))")
_BARE_TAGGED = re.compile(rb"(\S+ (?:OK|NO|BAD))\r?\n", re.IGNORECASE)

# only for what goes through imapclient; our own reading has limits of its own. A module global: setting it on an object
# does nothing
imaplib._MAXLINE = max(imaplib._MAXLINE, LONG_LINE_LIMIT)  # type: ignore[attr-defined]


def _usual_head(found: re.Match[bytes]) -> bytes:
    return b"* " + found[1].upper() + b" "


class _Lines(imaplib.IMAP4):
    """imaplib's client with a `Wire` for a socket."""

    #: The capabilities that the server announced, upper case.
    told: frozenset[str] = frozenset()

    def __init__(self, wire: Wire, door: Door, host: str, port: int) -> None:
        self._wire, self._door = wire, door
        self._room, self._greeted = OPENING_BYTES, False
        super().__init__(host, port)

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        self.host, self.port, self.sock = host, port, self._wire.sock

    def read(self, size: int) -> bytes:
        self._take(size)
        return self._wire.read(size, LITERAL_LIMIT)

    def _take(self, size: int) -> None:
        """Counts what imaplib reads, since it keeps every untagged answer."""
        self._room -= size
        if self._room < 0:
            self._wire.abort()
            raise ProtocolViolation(self._wire.side, SENT_FAR_MORE_BYTES_THAN_USUAL.says(most=OPENING_BYTES))

    def readline(self) -> bytes:
        line = _UNTAGGED.sub(_usual_head, self._wire.readline(LINE_LIMIT))
        if not self._greeted:
            self._door.check_greeting(line)
            self._greeted = True
        self._take(len(line))
        # imaplib gives up on "a1 OK" without a text and on bare LF; both occur
        if bare := _BARE_TAGGED.fullmatch(line):
            return bare[1] + b" \r\n"
        return line if line.endswith(b"\r\n") else line[:-1] + b"\r\n"

    def send(self, data: bytes) -> None:  # type: ignore[override]
        self._wire.send([bytes(data)])

    def shutdown(self) -> None:
        self._wire.close()

    def _get_capabilities(self) -> None:
        self._ask_capabilities()
        self.told = frozenset(self.capabilities)
        if "IMAP4REV2" in self.told:
            # imaplib refuses servers that do not announce IMAP4rev1; what is asked of imapclient is the same in both
            self.capabilities = ("IMAP4REV1", *self.capabilities)

    def _ask_capabilities(self) -> None:
        if self.state == "AUTH":  # PREAUTH: will be refused, so nothing is asked
            self.capabilities = ("IMAP4REV1",)
            return
        # a server that names them in its greeting is not asked again: a round trip saved
        told = self.untagged_responses.pop("CAPABILITY", None)
        if told and isinstance(told[-1], bytes):
            self.capabilities = tuple(told[-1].decode("ascii").upper().split())
        else:
            super()._get_capabilities()  # type: ignore[misc]

    def _log(self, line: object) -> None:
        """Drops the line: imaplib keeps the last commands for a debug print, and commands may hold passwords and mail."""


class _Opener(imapclient.IMAPClient):  # type: ignore[misc]
    """imapclient over a `Wire`: raw folder names, zones kept, no debug print."""

    def __init__(self, wire: Wire, door: Door) -> None:
        self._wire, self._door = wire, door
        self._announced: tuple[bytes, ...] = ()
        super().__init__(door.host, port=door.port, ssl=False)
        self.lines.debug = 0
        self.folder_encode = False
        self.normalise_times = False

    def _create_IMAP4(self) -> imaplib.IMAP4:
        self.lines = _Lines(self._wire, self._door, self.host, self.port)
        return self.lines

    def _set_read_timeout(self) -> None:
        """Does nothing: the wire's budgets bound the wait."""

    def secure(self, context: ssl.SSLContext) -> None:
        """Runs STARTTLS; the capabilities told in plaintext are forgotten (RFC 9051 §6.2.1)."""
        status, data = self.lines.xatom("STARTTLS")
        if status != "OK":
            raise TlsFailed(
                self._wire.side,
                REFUSED_STARTTLS.says(),
                clean_text(data[-1] or b""),
                advice=LOG_OR_TLS.says(option=f"--{self._wire.side}"),
            )
        self._wire.start_tls(context, self.host)
        self.lines.sock = self._wire.sock
        status, told = self.lines.capability()
        if status != "OK":
            raise imaplib.IMAP4.error(told[-1] or b"")
        self.lines.told = frozenset((told[-1] or b"").decode("ascii").upper().split())

    def signed_in(self, capabilities: Iterable[str]) -> None:
        """Takes down that the session is signed in, and what the server announces since."""
        self.lines.state = "AUTH"
        self._announced = tuple(name.encode("ascii", "replace") for name in sorted(capabilities))

    def capabilities(self) -> tuple[bytes, ...]:
        """Returns what the server announces, without asking it."""
        return self._announced


@dataclass(kw_only=True, slots=True)
class Session:
    """A signed-in connection."""

    #: "source" or "destination".
    side: Side
    #: The connection.
    wire: Wire
    #: The commands and answers over the connection.
    talk: Conversation
    #: The extensions that may be used, of those that the server announces after login.
    offer: Offer
    #: imapclient on the same connection and buffer; usable while no command of `talk` is in flight.
    client: imapclient.IMAPClient

    @property
    def capabilities(self) -> frozenset[str]:
        """The capabilities that may be used, upper case."""
        return self.offer.capabilities


def open_session(
    side: Side,
    *,
    host: str,
    port: int,
    tls: TlsMode,
    proof: Proof,
    connect_timeout_seconds: float,
    command_timeout_seconds: float,
    ca_file: str | None = None,
    fingerprint: str | None = None,
    broken: Broken | None = None,
    compress: bool = True,
) -> Session:
    """Connects and signs in.

    `fingerprint` (SHA-256 of the certificate, hex) replaces every other check of it. `broken` holds what the server was
    seen not to do, for all sessions with it. `compress`: whether bytes may be compressed on the way.

    Raises Unreachable, TlsFailed, AuthenticationRefused, Throttled, ProtocolViolation.
    """
    if proof.fault:
        raise AuthenticationRefused(side, proof.fault)
    door = Door(
        side=side,
        host=host,
        port=port,
        tls=tls,
        timeout_seconds=connect_timeout_seconds,
        ca_file=ca_file or "",
        fingerprint=fingerprint or "",
    )
    context = door.context() if tls != "none" else None
    wire = _dial(side, host, port, connect_timeout_seconds)
    wire.secrets = (proof.secret.reveal(),)
    greeted = False
    try:
        client = _greet(wire, door, context, known=broken is not None and broken.greeted)
        greeted = True
        if broken is not None and tls != "tls":
            broken.greeted = True
        talk = Conversation(side, wire, broken=broken)
        talk.asked = "login"
        wire.timeout_seconds = max(connect_timeout_seconds, min(command_timeout_seconds, 60.0))
        capabilities = sign_in(talk, client.lines.told, proof, encrypted=wire.encrypted)
        talk.asked = "command"
    except ConnectionLost as error:
        wire.abort()
        if tls != "tls" and not greeted and not error.detail and door.expects_tls():
            raise door.wants_tls() from None
        raise Unreachable(side, CLOSED_BEFORE_SIGNING_IN.says(place=f"{host}:{port}"), error.detail) from None
    except ssl.SSLError as error:
        wire.abort()
        raise door.failed(error) from None
    except OSError as error:
        wire.abort()
        raise Unreachable(side, LOST_CONNECTION.says(place=f"{host}:{port}"), clean_text(text_of(error))) from None
    except BaseException:
        wire.abort()
        raise
    wire.timeout_seconds = command_timeout_seconds
    wire.begin()
    client.signed_in(capabilities)
    offer = Offer(talk, capabilities)
    if compress and offer.has(COMPRESS):
        talk.compressing = ConnectionCompression(talk)
    _introduce(talk, offer)
    return Session(side=side, wire=wire, talk=talk, offer=offer, client=client)


def _introduce(talk: Conversation, offer: Offer) -> None:
    """Sends ID with the first command, which some providers want before they open a folder.

    The ID holds name and version, and nothing else (RFC 2971). The function tells a server that knows only IMAP4rev2
    that its folder names may come in UTF-8.
    """

    def then(name: str, ended: Tagged) -> None:
        if ended.status == "OK":
            talk.broken.keeps(name)
        else:
            talk.broken.leave_out(name, talk.refusal(ended).detail)

    if offer.has("ID"):
        talk.precede("ID", _WHO, partial(then, "ID"))
    if offer.has("ENABLE") and offer.has("IMAP4REV2") and not offer.has("IMAP4REV1"):
        talk.precede("ENABLE", b"ENABLE IMAP4rev2", partial(then, "ENABLE"))


def _dial(side: Side, host: str, port: int, timeout_seconds: float) -> Wire:
    try:
        sock = connect(host, port, timeout=timeout_seconds)
    except (OSError, UnicodeError) as error:
        raise Unreachable(side, CANNOT_CONNECT.says(place=f"{host}:{port}", cause=cause_of(error))) from None
    return Wire(sock, side, timeout_seconds=timeout_seconds)


def _greet(wire: Wire, door: Door, context: ssl.SSLContext | None, *, known: bool) -> _Opener:
    """Returns the client after the greeting, and after STARTTLS. A server that is `known` to greet may take its time."""
    side, host, port, tls = door.side, door.host, door.port, door.tls
    try:
        if tls == "tls" and context is not None:
            wire.start_tls(context, host)
            door.check_pin(wire.sock)
        if not known:
            door.check_silence(wire.sock)
        client = _Opener(wire, door)
        if client.lines.state == "AUTH":
            # somebody on the way could greet so, to skip STARTTLS and learn what follows
            raise ProtocolViolation(side, GREETED_AS_IF_SIGNED_IN_ALREADY.says())
        if tls == "starttls" and context is not None:
            if "STARTTLS" not in client.lines.told:
                raise TlsFailed(
                    side,
                    NO_STARTTLS.says(place=f"{host}:{port}"),
                    advice=URL_OR_STARTTLS.says(option=f"--{side}", url=f"imaps://{door.address}"),
                )
            client.secure(context)
            door.check_pin(wire.sock)
    except (imaplib.IMAP4.error, UnicodeError) as error:
        text = error.args[0] if error.args else b""
        text = text if isinstance(text, bytes) else str(text).encode()
        if text[:5].upper() == b"* BYE":
            found = failure(side, "BYE", text[5:].strip(), asked="greeting")
            raise found from None
        raise ProtocolViolation(
            side, DOES_NOT_SPEAK.says(place=f"{host}:{port}", protocol="IMAP"), clean_text(text)
        ) from None
    return client
