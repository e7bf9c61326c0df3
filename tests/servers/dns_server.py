"""A DNS server on loopback that knows only the records that a test gives it."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset


class DnsServer:
    """A DNS server that answers over UDP; a context manager. It answers NXDOMAIN to an unknown name."""

    def __init__(
        self, records: dict[tuple[str, str], list[str]] | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        #: Records by (name, type), as in a zone file. May be changed while it runs.
        self.records = records or {}
        #: The time to live of records by (name, type), seconds; 60 for the others.
        self.ttls: dict[tuple[str, str], int] = {}
        #: The (name, type) of every query, in order.
        self.asked: list[tuple[str, str]] = []
        #: Whether the server does not answer.
        self.silent = False
        #: Whether it says that its answers are too long for UDP. It does not listen at TCP.
        self.truncated = False
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((host, port))
        self.host = host
        self.port: int = self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", (self.host, self.port))
        self._thread.join(180)
        self._sock.close()

    def resolver(self) -> dns.resolver.Resolver:
        """Returns a resolver that asks only this server."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [self.host]
        resolver.port = self.port
        return resolver

    def _serve(self) -> None:
        while True:
            packet, peer = self._sock.recvfrom(4096)
            if not packet:
                return
            if not self.silent:
                self._sock.sendto(self._answer(dns.message.from_wire(packet)).to_wire(), peer)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if self.truncated:
            answer.flags |= dns.flags.TC
            return answer
        if found := self.records.get((name, kind)):
            ttl = self.ttls.get((name, kind), 60)
            answer.answer.append(dns.rrset.from_text(question.name, ttl, dns.rdataclass.IN, kind, *found))
        elif not any(known == name or known.endswith("." + name) for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif soa := self.records.get((name, "SOA")):
            ttl = self.ttls.get((name, "SOA"), 60)
            answer.authority.append(dns.rrset.from_text(question.name, ttl, dns.rdataclass.IN, "SOA", *soa))
        return answer
