"""A mail domain for tests: two authoritative DNS servers, at two addresses of loopback and one port, which may disagree."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

from tests.servers.dns_server import DnsServer


class MailZone:
    """The zone of `domain`; a context manager. Its first server is the resolver of the tests, too."""

    def __init__(self, domain: str, mx: str = "mx.old.example", ttl: int = 60) -> None:
        self.domain = domain
        self.servers: list[DnsServer] = []
        self._mx, self._ttl = mx, ttl
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        first = self._stack.enter_context(DnsServer(host="127.0.0.1"))
        second = self._stack.enter_context(DnsServer(host="127.0.0.2", port=first.port))
        self.servers = [first, second]
        self.say(self._mx, self._ttl)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def resolver(self) -> str:
        """The value of MAILHAUL_DNS_RESOLVER."""
        return f"127.0.0.1:{self.servers[0].port}"

    def say(self, mx: str, ttl: int, *, servers: tuple[int, ...] = (0, 1), spf: bool = True) -> None:
        """Lets these servers name this host, to be kept for so many seconds."""
        domain = self.domain
        for number in servers:
            server = self.servers[number]
            records = {
                (domain, "SOA"): [f"ns1.{domain}. root.{domain}. 1 3600 600 86400 900"],
                (domain, "NS"): [f"ns1.{domain}.", f"ns2.{domain}."],
                (f"ns1.{domain}", "A"): ["127.0.0.1"],
                (f"ns2.{domain}", "A"): ["127.0.0.2"],
            }
            if mx:
                records[domain, "MX"] = [f"10 {mx}.", "20 backup.example."]
            if spf:
                records[domain, "TXT"] = ['"google-site-verification=x"', '"v=spf1 mx " "-all"']
            server.ttls = {(domain, "MX"): ttl, (domain, "TXT"): ttl, (domain, "SOA"): 3600}
            server.records = records
