"""Reads Mozilla's autoconfig format (config-v1.1.xml), and knows where the file may lie. Pure.

https://www.ietf.org/archive/id/draft-ietf-mailmaint-autoconfig-00.html. The file comes from a stranger: DTDs and
entities are refused, its size is limited where it is fetched, and host names follow a strict grammar. Servers without
encryption are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from shared.model import Tls
from shared.model.protocols import schemes
from shared.nouns import dataclass

#: Longest file that is read, in bytes.
MOST_BYTES: Final = 64 * 1024
#: Places at the domain itself, in the order in which they are asked. Only they receive the address.
OWN: Final = (
    "https://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={address}",
    "https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml",
)
#: The public database. It receives the domain only.
ISPDB: Final = "https://autoconfig.thunderbird.net/v1.1/{domain}"

#: The values of the element socketType.
_SOCKETS: Final = {Tls.IMPLICIT: "SSL", Tls.STARTTLS: "STARTTLS"}
_SCHEMES: Final = {
    (protocol.name, _SOCKETS[tls]): scheme for scheme, (protocol, tls, _) in schemes().items() if tls in _SOCKETS
}
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*")


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoconfigServer:
    """A way to reach an account's mail."""

    #: The server's URL, in the form of ``--source``.
    url: str
    #: The account's login at this server; "" when it is not known.
    login: str = ""

    @property
    def protocol(self) -> str:
        """The protocol of the URL."""
        return schemes()[self.url.partition("://")[0]][0].name


def place(template: str, address: str) -> str:
    """Fills an address into a URL template of `OWN` or `ISPDB`."""
    return template.format(domain=address.rpartition("@")[2], address=quote(address, safe=""))


def read_config(content: bytes, address: str) -> list[AutoconfigServer]:
    """Returns the first server for each protocol, in the file's order.

    Raises ValueError when it is no autoconfig file.
    """
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise ValueError(f"no autoconfig file ({type(error).__name__})") from None
    if root.tag != "clientConfig":
        raise ValueError("no autoconfig file")
    found: dict[str, AutoconfigServer] = {}
    for way in _ways(root, address):
        found.setdefault(way.protocol, way)
    return list(found.values())


def way(scheme: str, host: str, port: int | str, login: str = "") -> AutoconfigServer | None:
    """Makes a `AutoconfigServer`; returns None when host or port is not valid."""
    name = host.strip().lower().rstrip(".")
    number = str(port).strip()
    if not _HOST.fullmatch(name) or not re.fullmatch("[1-9][0-9]{0,4}", number) or int(number) > 65_535:
        return None
    return AutoconfigServer(url=f"{scheme}://{name}:{number}", login=login)


def _ways(root: Element, address: str) -> Iterator[AutoconfigServer]:
    for server in root.iterfind("emailProvider/incomingServer"):
        scheme = _SCHEMES.get((server.get("type", ""), server.findtext("socketType", "").strip()))
        if not scheme:
            continue
        host, login = (_filled(server.findtext(tag, ""), address) for tag in ("hostname", "username"))
        if found := way(scheme, host, server.findtext("port", ""), login):
            yield found


def _filled(text: str, address: str) -> str:
    """Fills the address into the placeholders.

    Returns "" when the file uses another placeholder, or when the result is too long or not printable.
    """
    local, _, domain = address.rpartition("@")
    for name, value in (("EMAILADDRESS", address), ("EMAILLOCALPART", local), ("EMAILDOMAIN", domain)):
        text = text.replace(f"%{name}%", value)
    text = text.strip()
    return text if text.isprintable() and "%" not in text and len(text) <= 320 else ""
