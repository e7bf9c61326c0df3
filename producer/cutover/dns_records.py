"""Asks all authoritative servers of a domain where its mail goes, and how long a resolver may cache the answer."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.SOA import SOA
from dns.rdtypes.ANY.TXT import TXT

from producer.cutover.measured import DomainFacts
from shared.nouns import dataclass
from shared.wording.often_said import HAS_NO_ADDRESS, NO_ANSWER_IN_TIME
from shared.wording.phrases import Phrase

IT_CLOSED_CONNECTION_EARLY: Final = Phrase("it_closed_connection_early", "it closed the connection early")
THERE_IS_NO_SUCH_DOMAIN: Final = Phrase("there_is_no_such_domain", "there is no such domain")
RESOLVER_DOES_NOT_KNOW_THE_ROOT: Final = Phrase(
    "resolver_does_not_know_the_root",
    "the resolver of this machine does not know the root of the DNS: set MAILHAUL_DNS_RESOLVER",
)
IT_NAMES_NO_SERVER: Final = Phrase("it_names_no_server", "it names no server")
NAME_SERVER_INSIDE_OF_NETWORK: Final = Phrase(
    "name_server_inside_of_network",
    "server {host} ({address}) is inside of the network: set MAILHAUL_DNS_RESOLVER to ask it",
)
SERVER_DOES_NOT_ANSWER: Final = Phrase("server_does_not_answer", "server {host} ({address}) does not answer ({cause})")
ITS_SERVERS_CANNOT_BE_FOUND: Final = Phrase("its_servers_cannot_be_found", "its servers cannot be found ({cause})")

NO_RESOLVER: Final = Phrase("dns_resolver", "MAILHAUL_DNS_RESOLVER: {text} is no address or address:port")

#: Deadline for an answer of one server, and for finding the servers, seconds.
_ANSWER_SECONDS: Final = 3.0
_FIND_SECONDS: Final = 6.0
#: The most servers of a domain that are asked; a domain has a handful.
_MOST_SERVERS: Final = 16
_DNS_PORT: Final = 53
#: The errors that a server, or a stranger's zone, can make dnspython raise; EOFError: a connection that is closed early.
_FAULTS: Final = (dns.exception.DNSException, OSError, EOFError, ValueError)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Said:
    """The answer of one server."""

    mx: tuple[str, ...]
    mx_ttl: int
    spf_ttl: int


class DnsRecords:
    """Asks the DNS. Thread-safe."""

    def __init__(self, resolver: str = "") -> None:
        """Takes the resolver: an address, or address:port; "" for the system's.

        With a port, all servers are asked at that port. Servers inside of the network are asked only where a resolver is
        given: else a stranger's zone could have this machine send to them.
        """
        self._host, self._port = _read(resolver)

    def ask(self, domain: str, at: float) -> DomainFacts:
        """Returns what the domain's servers say at the moment `at`. Raises nothing: a fault stands in the facts."""
        try:
            name = dns.name.from_text(domain.encode("idna").decode() if not domain.isascii() else domain)
            addresses = list(self._servers(name))
        except _FAULTS as error:
            return DomainFacts(domain=domain, at=at, faults=(ITS_SERVERS_CANNOT_BE_FOUND.says(cause=_words(error)),))
        said, faults = [], []
        for server, address in addresses[:_MOST_SERVERS]:
            if not (self._host or ipaddress.ip_address(address).is_global):
                faults.append(NAME_SERVER_INSIDE_OF_NETWORK.says(host=server, address=address))
                continue
            try:
                said.append(self._asked(name, address))
            except _FAULTS as error:
                faults.append(SERVER_DOES_NOT_ANSWER.says(host=server, address=address, cause=_words(error)))
        if not addresses:
            faults.append(IT_NAMES_NO_SERVER.says())
        if not said:
            return DomainFacts(domain=domain, at=at, faults=tuple(faults))
        return DomainFacts(
            domain=domain,
            at=at,
            servers=len(said),
            faults=tuple(faults),
            mx=said[0].mx,
            differ=len({one.mx for one in said}) > 1,
            mx_ttl=max(one.mx_ttl for one in said),
            spf_ttl=max(one.spf_ttl for one in said),
        )

    def _servers(self, name: dns.name.Name) -> Iterator[tuple[str, str]]:
        """Yields the (name, address) of every authoritative server of the zone that the name is in."""
        resolver = self._resolver()
        zone = dns.resolver.zone_for_name(name, resolver=resolver, lifetime=_FIND_SECONDS)
        for record in resolver.resolve(zone, "NS", lifetime=_FIND_SECONDS):
            target = cast(Any, record).target
            found = False
            for kind in ("A", "AAAA"):
                try:
                    for address in resolver.resolve(target, kind, lifetime=_FIND_SECONDS):
                        found = True
                        yield target.to_text(omit_final_dot=True), cast(Any, address).address
                except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
                    continue
            if not found:
                raise OSError(HAS_NO_ADDRESS.says(host=target.to_text(omit_final_dot=True)))

    def _resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=not self._host)
        if self._host:
            resolver.nameservers, resolver.port = [self._host], self._port
        return resolver

    def _asked(self, name: dns.name.Name, address: str) -> _Said:
        answer = self._query(name, address, "MX")
        mx = sorted(
            (record.preference, record.exchange.to_text(omit_final_dot=True).lower())
            for rrset in answer.answer
            if rrset.rdtype == dns.rdatatype.MX
            for record in cast("list[MX]", list(rrset))
        )
        ttl = _ttl(answer, dns.rdatatype.MX) if mx else _negative(answer)
        texts = self._query(name, address, "TXT")
        spf = [
            rrset.ttl
            for rrset in texts.answer
            if rrset.rdtype == dns.rdatatype.TXT
            for record in cast("list[TXT]", list(rrset))
            if b"".join(record.strings).lower().startswith(b"v=spf1")
        ]
        return _Said(mx=tuple(host for _, host in mx), mx_ttl=ttl, spf_ttl=max(spf, default=-1))

    def _query(self, name: dns.name.Name, address: str, kind: str) -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        query.flags &= ~dns.flags.RD
        asked: Callable[..., Any] = dns.query.udp_with_fallback
        answer, _ = asked(query, address, timeout=_ANSWER_SECONDS, port=self._port)
        if answer.rcode() != dns.rcode.NOERROR:
            raise OSError(dns.rcode.to_text(answer.rcode()))
        return cast(dns.message.Message, answer)


def joined(before: DomainFacts | None, now: DomainFacts, most: int) -> DomainFacts:
    """Returns the facts with what is remembered of earlier ones: where mail went, and until when old answers may be kept."""
    first = now.mx if before is None or not (before.servers or before.mx_before) else before.mx_before
    until = before.cached_until if before else 0.0
    if now.servers and now.ttl > most:
        until = max(until, now.at + now.ttl)
    return replace(now, mx_before=first, cached_until=until)


def _ttl(answer: dns.message.Message, kind: dns.rdatatype.RdataType) -> int:
    return max(rrset.ttl for rrset in answer.answer if rrset.rdtype == kind)


def _negative(answer: dns.message.Message) -> int:
    """Returns the seconds for which a resolver may cache that a record does not exist; the zone's SOA says it (RFC 2308)."""
    for rrset in answer.authority:
        for record in rrset:
            if isinstance(record, SOA):
                return int(min(rrset.ttl, record.minimum))
    return 0


def _words(error: Exception) -> str:
    if isinstance(error, dns.exception.Timeout):
        return NO_ANSWER_IN_TIME.says()
    if isinstance(error, EOFError):
        return IT_CLOSED_CONNECTION_EARLY.says()
    if isinstance(error, dns.resolver.NXDOMAIN):
        return THERE_IS_NO_SUCH_DOMAIN.says()
    if isinstance(error, dns.resolver.NoRootSOA):
        return RESOLVER_DOES_NOT_KNOW_THE_ROOT.says()
    return (str(error) or type(error).__name__)[:120]


def _read(resolver: str) -> tuple[str, int]:
    """Returns (address, port) of a setting. Raises `UsageError`."""
    host, colon, port = resolver.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.startswith("[")):
        return resolver.strip("[]"), _DNS_PORT
    if not (port.isdigit() and 0 < int(port) < 65_536):
        raise NO_RESOLVER.error(text=f"{resolver[:80]!r}")
    return host.strip("[]"), int(port)
