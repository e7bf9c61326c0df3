"""Decides which mail servers people outside may make mailhaul connect to (server-side request forgery, OWASP).

This concerns the web process, and workers at endpoints that came through it.

A name is resolved once, and the connection goes to that answer. The check refuses addresses that are not public, unless
an administrator allowed them by MAILHAUL_WEB_ALLOW. These are private, loopback and link-local addresses, and with the
last the clouds' metadata service. Ports are taken from a list.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Final

from shared.model import Endpoint
from shared.model.sides import Side
from shared.nouns import dataclass
from shared.wording.phrases import PLAIN, Phrase, text_of

IS_NO_HOST_NAME: Final = Phrase("is_no_host_name", "{name} is no host name")
PORT_NOT_ALLOWED: Final = Phrase("port_not_allowed", "port {port} is not among those that {setting} allows")
ADDRESS_NOT_PUBLIC: Final = Phrase(
    "address_not_public",
    "{host} is at an address that is not public; its administrator allows it by MAILHAUL_WEB_ALLOW",
)
PORT_NOT_ALLOWED_ASK_ADMINISTRATOR: Final = Phrase(
    "port_not_allowed_ask_administrator",
    "port {port} is not among those that {setting} allows; an administrator allows it: mailhaul reach add {port_number}",
)
ADDRESS_NOT_PUBLIC_ASK_ADMINISTRATOR: Final = Phrase(
    "address_not_public_ask_administrator",
    "{host} is at an address that is not public; an administrator allows it: mailhaul reach add {host_name}",
)

NO_PORTS: Final = Phrase("ports_impossible", "{setting}: {text} is no list of ports, as in 143,993")
NO_NETWORK: Final = Phrase("web_allow", "MAILHAUL_WEB_ALLOW: {text} is no name, address or network")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Where public IPv6 addresses are (RFC 4291, IANA's registry). Everything else is for sites, links, segments (5f00::/16), or
#: another spelling of an IPv4 address: ::a.b.c.d, ::ffff:0:a.b.c.d. This Python takes some of it for public.
_PUBLIC = ipaddress.IPv6Network("2000::/3")
#: Addresses that stand for an IPv4 address in their last four bytes (RFC 6052).
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
#: Not public, whatever this Python takes them for: relays of 6to4 (RFC 7526), examples (RFC 9637).
_NOT_PUBLIC: tuple[Network, ...] = (ipaddress.IPv4Network("192.88.99.0/24"), ipaddress.IPv6Network("3fff::/20"))
#: The bytes before an IPv4 address in the last eight bytes of an ISATAP address (RFC 5214).
_ISATAP = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))
#: Name → its addresses. Raises OSError.
Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> list[str]:
    """Resolves a name as this machine does. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError(IS_NO_HOST_NAME.says(name=repr(host))) from None
    return list(dict.fromkeys(str(place[4][0]) for place in found))


class NotPublic(OSError):
    """The host is at an address that is not public, and nobody allowed it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Granted:
    """The places that administrators allowed while mailhaul runs, beside those of the settings."""

    #: Names that may mean any address.
    names: frozenset[str] = frozenset()
    #: Networks that are not public.
    networks: tuple[Network, ...] = ()
    #: Ports.
    ports: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """The servers that may be connected to."""

    #: Names that may mean any address.
    names: frozenset[str] = frozenset()
    #: Networks that are allowed although they are not public.
    networks: tuple[Network, ...] = ()
    #: The ports that may be connected to.
    ports: frozenset[int] = frozenset({143, 993, 110, 995})
    #: The setting that lists the ports.
    setting: str = "MAILHAUL_WEB_PORTS"
    #: Asks for the addresses of a name.
    resolve: Resolve = resolve
    #: Returns what administrators allowed beside that; None where they allow nothing so.
    granted: Callable[[], Granted] | None = None

    def addresses(self, host: str, port: int) -> list[str]:
        """Returns the addresses of the host.

        Refuses the whole host when one of them is not allowed, since an honest name does not stand for both kinds.
        Raises OSError, which is `NotPublic` where the port is allowed and the address is not.
        """
        granted = self.granted() if self.granted else Granted()
        if port not in self.ports | granted.ports:
            if self.granted:
                raise OSError(
                    PORT_NOT_ALLOWED_ASK_ADMINISTRATOR.says(port=port, setting=self.setting, port_number=port)
                )
            raise OSError(PORT_NOT_ALLOWED.says(port=port, setting=self.setting))
        found = list(self.resolve(host, port))
        if host.lower() in self.names | granted.names:
            return found
        networks = (*self.networks, *granted.networks)
        if any(not _allowed(address, networks) for address in found):
            if self.granted:
                raise NotPublic(ADDRESS_NOT_PUBLIC_ASK_ADMINISTRATOR.says(host=host, host_name=host))
            raise NotPublic(ADDRESS_NOT_PUBLIC.says(host=host))
        return found

    def check(self, side: Side, endpoint: Endpoint) -> None:
        """Raises `UsageError` when the endpoint may not be connected to."""
        try:
            self.addresses(endpoint.host, endpoint.port)
        except OSError as error:
            raise PLAIN.error(f"{side}.server", what=error.strerror or text_of(error)) from None


def _allowed(text: str, networks: Sequence[Network]) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    every = [address, *_within(address)]
    return all(map(_is_public, every)) or any(
        one.version == network.version and one in network for one in every for network in networks
    )


def _within(address: Address) -> list[Address]:
    """The addresses that another one leads to: a mapped one (::ffff:127.0.0.1), 6to4, Teredo, ISATAP, a translated one."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [one for one in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())) if one is not None]
    if address in _TRANSLATED or address.packed[8:12] in _ISATAP:
        found.append(ipaddress.IPv4Address(address.packed[-4:]))
    return list(found)


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None or address in _TRANSLATED:
            return True  # what it leads to decides
        if address not in _PUBLIC:
            return False
    refused = any(address.version == network.version and address in network for network in _NOT_PUBLIC)
    return address.is_global and not address.is_multicast and not refused


def reach_of(allow: str, ports: str, setting: str = "MAILHAUL_WEB_PORTS") -> Reach:
    """Reads the settings; `setting` names that of the ports. Raises `UsageError`."""
    names, networks = set(), []
    for text in filter(None, map(str.strip, allow.split(","))):
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            if "/" in text or " " in text:
                raise NO_NETWORK.error(text=f"{text!r}") from None
            names.add(text.lower())
    try:
        numbers = frozenset(int(text) for text in ports.split(",") if text.strip())
    except ValueError:
        raise NO_PORTS.error(setting=setting, text=f"{ports!r}") from None
    return Reach(names=frozenset(names), networks=tuple(networks), ports=numbers, setting=setting)
