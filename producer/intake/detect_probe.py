"""The network access of detection: DNS, files over HTTPS, and connections to guessed servers."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from time import monotonic
from typing import Final
from urllib.parse import urljoin

import dns.exception
import dns.resolver
import httpx2
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.SRV import SRV

from producer.intake.detect_autoconfig import ISPDB, MOST_BYTES, OWN, AutoconfigServer, way
from shared.mail.transport.tls import TlsMode, await_greeting, blind, certificate, described, secured
from shared.model import Tls
from shared.model.protocols import schemes
from shared.nouns import dataclass
from shared.wording.phrases import Phrase

DOUBTED: Final = Phrase("doubted", "{said} ({seen_what})")

TOO_MANY_REDIRECTS: Final = Phrase("too_many_redirects", "too many redirects")
LARGER_THAN_BYTES: Final = Phrase("larger_than_bytes", "larger than {num} bytes")
TOO_SLOW: Final = Phrase("too_slow", "too slow")
DNS_DOES_NOT_ANSWER: Final = Phrase("dns_does_not_answer", "DNS does not answer ({kind})")
NO_ANSWER: Final = Phrase("no_answer", "no answer ({kind})")
REDIRECTED_AWAY_FROM_HTTPS: Final = Phrase("redirected_away_from_https", "redirected away from https")

_REDIRECTS: Final = 3
_AT_ONCE: Final = 16
#: TLS mode of a dialed connection.
_DIALED: Final[Mapping[Tls, TlsMode]] = {Tls.IMPLICIT: "tls", Tls.STARTTLS: "starttls", Tls.NONE: "none"}
#: The schemes of secured connections → the protocol, the TLS mode and the usual port, the safest of each first.
_SECURED: Final = {scheme: found for scheme, found in schemes().items() if found[1] is not Tls.NONE}
#: Services of RFC 6186 §3.1 and RFC 8314 §5.1, the encrypted ones first.
_SERVICES: Final = {scheme: f"_{scheme.removesuffix('+starttls')}" for scheme in _SECURED}
_PORTS: Final = {scheme: port for scheme, (_, _, port) in _SECURED.items()}


class NoSuchDomain(Exception):
    """The domain is not in DNS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """A guessed server that answered."""

    #: The URL scheme, host and port of the server.
    way: AutoconfigServer
    #: Why its certificate is not trusted; "" when it is.
    doubt: str = ""


def _connect(host: str, port: int, seconds: float) -> socket.socket:
    return socket.create_connection((host, port), timeout=seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """The network as detection sees it. Tests pass their own resolver, places and ports."""

    #: Deadline of one query in seconds.
    seconds: float = 5.0
    #: The DNS resolver; None for this machine's own.
    resolver: dns.resolver.Resolver | None = None
    #: Opens a connection: (host, port, seconds).
    connect: Callable[[str, int, float], socket.socket] = _connect
    #: Places of a domain's own autoconfig.
    own: tuple[str, ...] = OWN
    #: Place of the public database.
    ispdb: str = ISPDB
    #: Port that is tried, by scheme.
    ports: Mapping[str, int] = field(default_factory=lambda: _PORTS)
    #: CA file to trust; None for the system's.
    ca_file: str | None = None

    # -- DNS

    def exchangers(self, domain: str) -> list[str]:
        """Returns the names of the mail exchangers, the most preferred first; empty when there are none.

        Raises `NoSuchDomain`, and OSError when DNS does not answer.
        """
        found = [record for record in self._ask(domain, "MX", missing_is_error=True) if isinstance(record, MX)]
        names = [str(record.exchange).rstrip(".").lower() for record in sorted(found, key=lambda r: r.preference)]
        return [name for name in names if name]  # "." means that the domain takes no mail (RFC 7505)

    def services(self, domain: str, login: str) -> list[AutoconfigServer]:
        """Returns the servers that SRV records name (RFC 6186), the best for each protocol.

        Raises OSError when DNS does not answer.
        """
        found: dict[str, AutoconfigServer] = {}
        with ThreadPoolExecutor(len(_SERVICES)) as pool:
            answers = pool.map(lambda name: self._ask(f"{name}._tcp.{domain}", "SRV"), _SERVICES.values())
            for scheme, records in zip(_SERVICES, answers, strict=True):
                offers = [record for record in records if isinstance(record, SRV)]
                for offer in sorted(offers, key=lambda r: (r.priority, -r.weight)):
                    if one := way(scheme, str(offer.target), offer.port, login):  # "." means: not offered
                        found.setdefault(one.protocol, one)
        return list(found.values())

    def _ask(self, name: str, kind: str, *, missing_is_error: bool = False) -> Sequence[object]:
        try:
            resolver = self.resolver or dns.resolver.Resolver()
            return list(resolver.resolve(name, kind, lifetime=self.seconds, search=False))
        except dns.resolver.NXDOMAIN:
            if missing_is_error:
                raise NoSuchDomain(name) from None
            return []
        except dns.resolver.NoAnswer:
            return []
        except (dns.exception.DNSException, ValueError) as error:
            raise OSError(DNS_DOES_NOT_ANSWER.says(kind=type(error).__name__)) from None

    # -- HTTPS

    def fetch(self, url: str) -> bytes:
        """Fetches a small file.

        A redirect never leads from https to http. Raises OSError when there is no such file.
        """
        until = monotonic() + self.seconds
        scheme = url.partition(":")[0]
        headers = {"accept": "text/xml, application/xml", "accept-encoding": "identity"}
        try:
            trust = ssl.create_default_context(cafile=self.ca_file)
            with httpx2.Client(timeout=self.seconds, headers=headers, verify=trust) as client:
                for _ in range(_REDIRECTS + 1):
                    with client.stream("GET", url) as answer:
                        if answer.is_redirect:
                            url = urljoin(url, answer.headers.get("location", ""))
                            if url.partition(":")[0] not in ("https", scheme):
                                raise OSError(REDIRECTED_AWAY_FROM_HTTPS.says())
                            continue
                        if answer.status_code != 200:
                            raise OSError(f"HTTP {answer.status_code}")
                        return _capped(answer.iter_raw(), until)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise OSError(NO_ANSWER.says(kind=type(error).__name__)) from None
        raise OSError(TOO_MANY_REDIRECTS.says())

    # -- guesses

    def try_all(self, candidates: Sequence[tuple[str, str]]) -> list[Tried]:
        """Returns those of the (scheme, host) pairs that greet over TLS, in this order. Tries them in parallel."""
        if not candidates:
            return []
        with ThreadPoolExecutor(min(_AT_ONCE, len(candidates))) as pool:
            return [found for found in pool.map(lambda one: self._try(*one), candidates) if found]

    def _try(self, scheme: str, host: str) -> Tried | None:
        found = way(scheme, host, self.ports[scheme])
        if found is None:
            return None
        try:
            try:
                self._greeted(scheme, host, ssl.create_default_context(cafile=self.ca_file))
                return Tried(way=found)
            except ssl.SSLCertVerificationError as error:
                der = self._greeted(scheme, host, blind())
                return Tried(way=found, doubt=DOUBTED.says(said=error.verify_message, seen_what=described(der)))
        except (OSError, ValueError):
            return None

    def _greeted(self, scheme: str, host: str, context: ssl.SSLContext) -> bytes:
        """Returns the certificate of a server that greets as its protocol demands. Raises OSError and ValueError."""
        spoken, tls, _ = _SECURED[scheme]
        protocol, mode = spoken.name, _DIALED[tls]
        sock = self.connect(host, self.ports[scheme], self.seconds)
        with secured(sock, protocol, mode, host, context, self.seconds) as safe:
            if mode == "tls":
                await_greeting(safe, protocol, monotonic() + self.seconds)
            return certificate(safe)


def _capped(chunks: Iterator[bytes], until: float) -> bytes:
    content = b""
    for chunk in chunks:
        content += chunk
        if len(content) > MOST_BYTES:
            raise OSError(LARGER_THAN_BYTES.says(num=MOST_BYTES))
        if monotonic() > until:
            raise OSError(TOO_SLOW.says())
    return content
