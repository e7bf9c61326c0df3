"""Mozilla's autoconfig format (config-v1.1.xml): where it may lie, and what it says. Pure.

https://www.ietf.org/archive/id/draft-ietf-mailmaint-autoconfig-00.html. The file is a stranger's: no DTD, no entities, a
cap on its size where it is read, names by a strict grammar. What is not encrypted is not taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

#: Longest file that is read.
MOST_BYTES: Final = 64 * 1024
#: The domain's own, in this order; the address goes to nobody else.
OWN: Final = (
    "https://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={address}",
    "https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml",
)
#: The public database; it learns the domain only.
ISPDB: Final = "https://autoconfig.thunderbird.net/v1.1/{domain}"

_SCHEMES: Final = {
    ("imap", "SSL"): "imaps",
    ("imap", "STARTTLS"): "imap+starttls",
    ("pop3", "SSL"): "pop3s",
    ("pop3", "STARTTLS"): "pop3+starttls",
}
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One way into an account's mail."""

    #: As for ``--source``.
    url: str
    #: What the account is called there; "" when that is not known.
    login: str = ""

    @property
    def protocol(self) -> str:
        """Of its URL: "imap" or "pop3"."""
        return "imap" if self.url.startswith("imap") else "pop3"


def place(template: str, address: str) -> str:
    """A URL of `OWN` or `ISPDB` for this address."""
    return template.format(domain=address.rpartition("@")[2], address=quote(address, safe=""))


def read_config(content: bytes, address: str) -> list[Way]:
    """The best way for each protocol, in the file's order. Raises ValueError when it is none of these files."""
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise ValueError(f"no autoconfig file ({type(error).__name__})") from None
    if root.tag != "clientConfig":
        raise ValueError("no autoconfig file")
    found: dict[str, Way] = {}
    for way in _ways(root, address):
        found.setdefault(way.protocol, way)
    return list(found.values())


def way(scheme: str, host: str, port: int | str, login: str = "") -> Way | None:
    """None when host or port is none."""
    name = host.strip().lower().rstrip(".")
    number = str(port).strip()
    if not _HOST.fullmatch(name) or not re.fullmatch("[1-9][0-9]{0,4}", number) or int(number) > 65_535:
        return None
    return Way(url=f"{scheme}://{name}:{number}", login=login)


def _ways(root: Element, address: str) -> Iterator[Way]:
    for server in root.iterfind("emailProvider/incomingServer"):
        scheme = _SCHEMES.get((server.get("type", ""), server.findtext("socketType", "").strip()))
        if not scheme:
            continue
        host, login = (_filled(server.findtext(tag, ""), address) for tag in ("hostname", "username"))
        if found := way(scheme, host, server.findtext("port", ""), login):
            yield found


def _filled(text: str, address: str) -> str:
    """With the address in its place; "" when something else is asked for, or when it could not be shown."""
    local, _, domain = address.rpartition("@")
    for name, value in (("EMAILADDRESS", address), ("EMAILLOCALPART", local), ("EMAILDOMAIN", domain)):
        text = text.replace(f"%{name}%", value)
    text = text.strip()
    return text if text.isprintable() and "%" not in text and len(text) <= 320 else ""
