"""TLS to a mail server: what is trusted, and what to say and do when a server is not (RFC 8314, RFC 9525).

The details of a refused certificate are read over a separate connection on which nothing but STARTTLS is ever sent.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import select
import socket
import ssl
from dataclasses import replace
from functools import lru_cache
from time import monotonic
from typing import Final, Literal

from shared.mail.answers.grammar import clean_text
from shared.mail.transport.dialing import connect
from shared.model.errors import ProtocolViolation, TlsFailed, WrongProtocol
from shared.model.protocols import protocols
from shared.model.sides import Side
from shared.nouns import dataclass
from shared.wording.often_said import LINE_WITHOUT_END
from shared.wording.phrases import Phrase, several

PEM_FILE: Final = Phrase("pem_file", "give {option}-ca a readable file with certificates in PEM")
ASK_AND_PIN: Final = Phrase("ask_and_pin", "ask its owner whether this one is right; if so, pin it: {option} {pin}")
GIVE_URL: Final = Phrase("give_url", "give {option} {url}")
GIVE_URL_OR_PORT: Final = Phrase("give_url_or_port", "give {option} {url}, or the port of {protocol}")
SPEAKS_NO_TLS_BUT: Final = Phrase("speaks_no_tls_but", "{place} speaks no TLS and no {protocol} but {name_word}")
GIVE_EITHER_URL: Final = Phrase("give_either_url", "give {option} {url}, or {other_url}")
CERTIFICATE_WRONG: Final = Phrase("certificate_wrong", "the certificate of {place} {what}")
SHOWN_CERTIFICATE_WRONG: Final = Phrase("shown_certificate_wrong", "the certificate of {place} {what} ({seen_what})")
OR_PIN: Final = Phrase("or_pin", "or, if its administrator confirms this certificate, pin it with {option} {pin}")
PIN: Final = Phrase("pin", "if its administrator confirms this certificate, pin it with {option} {pin}")
RENEW: Final = Phrase("renew", "have it renewed on the server")
CHECK_CLOCKS: Final = Phrase("check_clocks", "check the clocks of both machines")
GIVE_NAME: Final = Phrase("give_name", "give {option} with a name that it holds")
GIVE_NAME_AS: Final = Phrase("give_name_as", "give {option} with a name that it holds, as in {url}")
GIVE_AS_CA: Final = Phrase("give_as_ca", "give it as {option} FILE")
GIVE_CA: Final = Phrase("give_ca", "give that CA's certificate as {option} FILE")
CA_UNKNOWN_HERE: Final = Phrase("ca_unknown_here", "is signed by a CA that this machine does not know")
CA_NOT_IN_FILE: Final = Phrase("ca_not_in_file", "is signed by a CA that the CA file {path} does not know")
CERTIFICATE: Final = Phrase(
    "certificate",
    "subject {subject}, issuer {issuer}, names {names}, valid from {from_day}, expires {day}, SHA-256 {digest}",
)
CERTIFICATE_UNREADABLE: Final = Phrase("certificate_unreadable", "unreadable, SHA-256 {digest}")

SMTP_OR_FTP: Final = Phrase("smtp_or_ftp", "SMTP or FTP")
NO_TLS_CONNECTION: Final = Phrase("no_tls_connection", "no TLS connection to {place}: {cause}")
USES_IMPLICIT_TLS_NOT_PLAIN: Final = Phrase(
    "uses_implicit_tls_not_plain", "{place} uses implicit TLS, not plain {protocol}"
)
SPEAKS_NOT: Final = Phrase("speaks_not", "{place} speaks {name_word}, not {protocol}")
GIVE_PORT_OF_IMAP_USUALLY: Final = Phrase("give_port_of_imap_usually", "give the port of IMAP, usually 993 or 143")
SPEAKS_PLAIN_NOT_TLS: Final = Phrase("speaks_plain_not_tls", "{place} speaks plain {protocol}, not TLS")
IS_NOT_TO_BE_TRUSTED: Final = Phrase("is_not_to_be_trusted", "is not to be trusted: {said}")
DOES_NOT_GREET_AS_EXPECTED: Final = Phrase("does_not_greet_as_expected", "does not greet as {protocol} does")
NOT_THE_PINNED_CERTIFICATE: Final = Phrase(
    "not_the_pinned_certificate", "{place} shows another certificate than the pinned one ({what})"
)
SERVER_MUST_OFFER_TLS: Final = Phrase(
    "server_must_offer_tls", "the server must offer TLS 1.2 or newer: see its settings and its log"
)
CHECK_PORT: Final = Phrase("check_port", "check the port: IMAP is usually 993 or 143, POP3 995 or 110")
HAS_EXPIRED: Final = Phrase("has_expired", "has expired")
IS_NOT_VALID_YET: Final = Phrase("is_not_valid_yet", "is not valid yet")
IS_NOT: Final = Phrase("is_not", "is not for {host}")
IS_SELF_SIGNED_AND_NOT_TRUSTED: Final = Phrase("is_self_signed_and_not_trusted", "is self-signed and not trusted")
CANNOT_READ_CA_FILE: Final = Phrase("cannot_read_ca_file", "cannot read the CA file {path} ({cause})")
SPEAKS_NO_TLS_AND_NO: Final = Phrase("speaks_no_tls_and_no", "{place} speaks no TLS and no {protocol}")
CHECK_PORT_IMAP_OVER: Final = Phrase(
    "check_port_imap_over", "check the port: IMAP over TLS is usually 993, POP3 over TLS 995"
)
NO_STARTTLS_NOW: Final = Phrase("no_starttls_now", "STARTTLS refused")

#: The ways to secure a connection.
TlsMode = Literal["tls", "starttls", "none"]

_LINE_BYTES: Final = 4096
_NAMES_SHOWN: Final = 6
#: Greetings of servers that speak no `MailProtocol`.
_GREETINGS: Final = (
    (b"220", "", SMTP_OR_FTP.says()),
    (b"HTTP", "", "HTTP"),
    (b"SSH-", "", "SSH"),
)
#: The end of a URL's scheme, by how the connection is secured.
_SCHEMES: Final = {"tls": "s", "starttls": "+starttls", "none": ""}
#: Seconds after which a silent plain-text port is asked for TLS.
_SILENT_SECONDS: Final = 2.0
_PROBE_SECONDS: Final = 5.0
#: Seconds after which the trusted certificates are read again.
_TRUST_SECONDS: Final = 60.0
#: OpenSSL's codes for faults of a certificate (x509_vfy.h).
_NOT_YET, _EXPIRED, _SELF_SIGNED = 9, 10, 18
_UNKNOWN_CA: Final = (2, 19, 20, 21)
_WRONG_NAME: Final = (62, 64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """A way into a server, and how the server proves there who it is."""

    #: "source" or "destination".
    side: Side
    #: The name of a `MailProtocol`.
    protocol: str = "imap"
    #: Host name or address, as asked for: the certificate must name it.
    host: str
    #: TCP port.
    port: int
    #: The way the connection is secured.
    tls: TlsMode
    #: Deadline in seconds for each step.
    timeout_seconds: float
    #: CA file to trust instead of the system's; "" for the system's.
    ca_file: str = ""
    #: SHA-256 of the certificate in hex; replaces every other check of it. "" for none.
    fingerprint: str = ""

    @property
    def address(self) -> str:
        """The host, as in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def place(self) -> str:
        """The address and port as ``host:port``."""
        return f"{self.address}:{self.port}"

    def context(self) -> ssl.SSLContext:
        """Returns the TLS context with what is trusted here. Raises TlsFailed when the CA file cannot be read."""
        try:
            context = _trusting(self.ca_file, bool(self.fingerprint), int(monotonic() // _TRUST_SECONDS))
        except (OSError, ssl.SSLError) as error:
            raise TlsFailed(
                self.side,
                CANNOT_READ_CA_FILE.says(path=self.ca_file, cause=clean_text(str(error.strerror or error))),
                advice=PEM_FILE.says(option=f"--{self.side}"),
            ) from None
        return context

    def check_pin(self, sock: socket.socket) -> None:
        """Compares the certificate shown with the pinned one, when there is one. Raises TlsFailed."""
        if not self.fingerprint:
            return
        wanted = re.sub(r"[^0-9a-f]", "", self.fingerprint.lower().removeprefix("sha256"))
        der = certificate(sock)
        shown = hashlib.sha256(der).hexdigest()
        if not hmac.compare_digest(wanted, shown):
            raise TlsFailed(
                self.side,
                NOT_THE_PINNED_CERTIFICATE.says(place=self.place, what=described(der)),
                advice=ASK_AND_PIN.says(option=f"--{self.side}-fingerprint", pin=shown),
                pin=shown,
            )

    def failed(self, error: ssl.SSLError | OSError) -> TlsFailed:
        """Returns the error that tells what the failed handshake means, and what to do.

        Connects once more to find out.
        """
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._untrusted(error)
        reason = str(getattr(error, "reason", "") or error.strerror or error)
        if self.tls == "tls" and (greeting := self._greeting()) is not None:
            return self._plain(greeting)
        return TlsFailed(
            self.side,
            NO_TLS_CONNECTION.says(place=self.place, cause=clean_text(reason)),
            advice=SERVER_MUST_OFFER_TLS.says(),
        )

    def expects_tls(self) -> bool:
        """Tells whether the port, which said nothing in plain text, uses implicit TLS."""
        try:
            sock = connect(self.host, self.port, timeout=self.timeout_seconds)
            context = blind()
            secured(sock, self.protocol, "tls", self.host, context, self.timeout_seconds).close()
        except (OSError, ValueError):
            return False
        return True

    def wants_tls(self) -> TlsFailed:
        """Returns the error for a port that uses implicit TLS."""
        return TlsFailed(
            self.side,
            USES_IMPLICIT_TLS_NOT_PLAIN.says(place=self.place, protocol=self.protocol.upper()),
            advice=GIVE_URL.says(option=f"--{self.side}", url=f"{self.protocol}s://{self.place}"),
        )

    def check_silence(self, sock: socket.socket) -> None:
        """Waits a moment for the greeting.

        Raises the error of `wants_tls` when none comes and a TLS handshake succeeds.
        """
        if self.tls == "tls":
            return
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        if poll.poll(min(_SILENT_SECONDS, self.timeout_seconds) * 1000):
            return
        if replace(self, timeout_seconds=min(_PROBE_SECONDS, self.timeout_seconds)).expects_tls():
            raise self.wants_tls()

    def check_greeting(self, line: bytes) -> None:
        """Raises `WrongProtocol` or `ProtocolViolation` when the server's first line is another protocol's."""
        spoken = _spoken(line)
        if spoken is None or spoken[0] == self.protocol:
            return
        protocol, name = spoken
        ours = self.protocol.upper()
        what, said = SPEAKS_NOT.says(place=self.place, name_word=name, protocol=ours), clean_text(line)
        if not protocol:  # a proxy's error page may be over in a moment
            raise ProtocolViolation(self.side, what, said, CHECK_PORT.says())
        if self.side == Side.SOURCE or protocols()[protocol].takes_mail:
            url = f"{protocol}{_SCHEMES[self.tls]}://{self.place}"
            advice = GIVE_URL_OR_PORT.says(option=f"--{self.side}", url=url, protocol=ours)
        else:
            advice = GIVE_PORT_OF_IMAP_USUALLY.says()
        raise WrongProtocol(self.side, what, said, advice)

    # -- looking closer

    def _greeting(self) -> bytes | None:
        """Returns the first line that the port says in plain text; None when it says none."""
        try:
            with connect(self.host, self.port, timeout=self.timeout_seconds) as sock:
                return _line(sock, monotonic() + self.timeout_seconds) or None
        except (OSError, ValueError):
            return None

    def _plain(self, greeting: bytes) -> TlsFailed:
        protocol, name = _spoken(greeting) or ("", "")
        if not protocol:
            ours = self.protocol.upper()
            what = SPEAKS_NO_TLS_AND_NO.says(place=self.place, protocol=ours)
            return TlsFailed(
                self.side,
                SPEAKS_NO_TLS_BUT.says(place=self.place, protocol=ours, name_word=name) if name else what,
                clean_text(greeting),
                advice=CHECK_PORT_IMAP_OVER.says(),
            )
        usual = protocols()[protocol].tls_port
        option, url = f"--{self.side}", f"{protocol}+starttls://{self.place}"
        elsewhere = f"{protocol}s://{self.address}:{usual}" if self.port != usual else ""
        return TlsFailed(
            self.side,
            SPEAKS_PLAIN_NOT_TLS.says(place=self.place, protocol=name),
            clean_text(greeting),
            advice=GIVE_EITHER_URL.says(option=option, url=url, other_url=elsewhere)
            if elsewhere
            else GIVE_URL.says(option=option, url=url),
        )

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> TlsFailed:
        try:
            with secured(
                connect(self.host, self.port, timeout=self.timeout_seconds),
                self.protocol,
                self.tls,
                self.host,
                blind(),
                self.timeout_seconds,
            ) as sock:
                der = certificate(sock)
        except (OSError, ValueError):
            der = b""
        what, advice = self._fault(error, der)
        pin = hashlib.sha256(der).hexdigest() if der else ""
        whole = CERTIFICATE_WRONG.says(place=self.place, what=what)
        if der:
            whole = SHOWN_CERTIFICATE_WRONG.says(place=self.place, what=what, seen_what=described(der))
        return TlsFailed(self.side, whole, advice=advice, pin=pin)

    def _fault(self, error: ssl.SSLCertVerificationError, der: bytes) -> tuple[str, str]:
        """Returns (what is wrong with the certificate, what to do)."""
        code = error.verify_code
        pin = hashlib.sha256(der).hexdigest() if der else "SHA256"
        option, named = f"--{self.side}", self._named(der)
        trusted = OR_PIN.says(option=f"{option}-fingerprint", pin=pin)
        if code == _EXPIRED:
            return HAS_EXPIRED.says(), several((RENEW.says(), trusted))
        if code == _NOT_YET:
            return IS_NOT_VALID_YET.says(), several((CHECK_CLOCKS.says(), trusted))
        if code in _WRONG_NAME:
            name = GIVE_NAME_AS.says(option=option, url=named) if named else GIVE_NAME.says(option=option)
            return IS_NOT.says(host=self.host), several((name, trusted))
        if code == _SELF_SIGNED:
            return IS_SELF_SIGNED_AND_NOT_TRUSTED.says(), several((GIVE_AS_CA.says(option=f"{option}-ca"), trusted))
        if code in _UNKNOWN_CA:
            what = CA_NOT_IN_FILE.says(path=self.ca_file) if self.ca_file else CA_UNKNOWN_HERE.says()
            return what, several((GIVE_CA.says(option=f"{option}-ca"), trusted))
        pinned = PIN.says(option=f"{option}-fingerprint", pin=pin)
        return IS_NOT_TO_BE_TRUSTED.says(said=clean_text(error.verify_message)), pinned

    def _named(self, der: bytes) -> str:
        names = [name for name in names_of(der) if not name.startswith("*")]
        scheme = f"{self.protocol}{'s' if self.tls == 'tls' else '+starttls'}"
        name = f"[{names[0]}]" if names and ":" in names[0] else "".join(names[:1])
        return f"{scheme}://{name}:{self.port}" if name else ""


def _spoken(greeting: bytes) -> tuple[str, str] | None:
    """Returns the protocol that a first line belongs to, as (ours or "", name); None where it is not known."""
    line = greeting.upper()
    ours = ((one.first_bytes, one.name, one.title) for one in protocols().values())
    known = (*ours, *_GREETINGS)
    return next(((protocol, name) for start, protocol, name in known if line.startswith(start)), None)


def secured(
    sock: socket.socket, protocol: str, tls: TlsMode, host: str, context: ssl.SSLContext, timeout_seconds: float
) -> ssl.SSLSocket:
    """Returns the socket under TLS, after STARTTLS or STLS when `tls` says so.

    On an error the socket is closed. Raises OSError (all ssl errors are) and ValueError when it is refused.
    """
    try:
        if tls == "starttls":
            until = monotonic() + timeout_seconds
            ask, granted = protocols()[protocol].ask_tls, protocols()[protocol].tls_granted
            await_greeting(sock, protocol, until)
            sock.sendall(ask)
            while (line := _line(sock, until)).startswith(b"* "):
                pass
            if not line.upper().startswith(granted.upper()):
                raise ValueError(NO_STARTTLS_NOW.says())
        sock.settimeout(timeout_seconds)
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def await_greeting(sock: socket.socket, protocol: str, until: float) -> None:
    """Reads the server's first line; `until` is by the monotonic clock.

    Raises OSError, and ValueError when the line is not this protocol's.
    """
    if not _line(sock, until).upper().startswith(protocols()[protocol].greeting):
        raise ValueError(DOES_NOT_GREET_AS_EXPECTED.says(protocol=protocol.upper()))


def certificate(sock: socket.socket) -> bytes:
    """Returns the certificate that the other end showed, DER; empty without one."""
    return (sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None) or b""


def described(der: bytes) -> str:
    """Returns subject, issuer, names, validity and SHA-256 of a certificate, for the operator."""
    from cryptography import x509

    digest = hashlib.sha256(der).hexdigest()
    try:
        shown = x509.load_der_x509_certificate(der)
        names = names_of(der)
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        subject, issuer = shown.subject.rfc4514_string(), shown.issuer.rfc4514_string()
        first, last = f"{shown.not_valid_before_utc:%Y-%m-%d}", f"{shown.not_valid_after_utc:%Y-%m-%d}"
    except ValueError:
        return CERTIFICATE_UNREADABLE.says(digest=digest)
    return CERTIFICATE.says(
        subject=clean_text(subject) or "none",
        issuer=clean_text(issuer) or "none",
        names=clean_text(", ".join(names[:_NAMES_SHOWN]), limit=600) + more if names else "none",
        from_day=first,
        day=last,
        digest=digest,
    )


def names_of(der: bytes) -> list[str]:
    """Returns the host names and addresses that a certificate is for (RFC 9525: the subject does not count)."""
    from cryptography import x509

    try:
        shown = (
            x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        )
    except (ValueError, x509.ExtensionNotFound):
        return []
    found = [*shown.get_values_for_type(x509.DNSName), *map(str, shown.get_values_for_type(x509.IPAddress))]
    return [clean_text(name, limit=253) for name in found]


def blind() -> ssl.SSLContext:
    """Returns a context that checks nothing: only to look at a certificate, or beside a pin."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@lru_cache(maxsize=16)
def _trusting(ca_file: str, pinned: bool, _turn: int) -> ssl.SSLContext:
    """Returns the context with what is trusted. Connections share it for a while, since reading all certificates takes 20 ms."""
    context = ssl.create_default_context(cafile=ca_file or None)
    if pinned:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _line(sock: socket.socket, until: float) -> bytes:
    """Reads one line byte by byte, so that nothing behind it is taken.

    Raises OSError when `until` (monotonic) is over, and ValueError when the line does not end.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        if len(line) >= _LINE_BYTES:
            raise ValueError(LINE_WITHOUT_END.says())
        sock.settimeout(max(0.001, until - monotonic()))
        byte = sock.recv(1)
        if not byte:
            break
        line += byte
    return bytes(line)
