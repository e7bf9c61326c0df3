"""Turns the value of ``--source`` or ``--destination``, a provider's name or a URL, into an `Endpoint`."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from shared.model import Endpoint, Tls
from shared.model.errors import UsageError

#: TLS mode and usual port, by scheme.
SCHEMES: Mapping[str, tuple[Tls, int]] = {
    "imaps": (Tls.IMPLICIT, 993),
    "imap+starttls": (Tls.STARTTLS, 143),
    "imap": (Tls.NONE, 143),
    "pop3s": (Tls.IMPLICIT, 995),
    "pop3+starttls": (Tls.STARTTLS, 110),
    "pop3": (Tls.NONE, 110),
}

#: Number of provider names that an error lists. With more providers it tells where they are listed.
_NAMED = 8
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)
_PLACE = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::([^:]*))?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_HOST_ONLY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/:@?#\[\]]+)(?::(?P<port>\d+))?/?")


def parse_endpoint(
    text: str,
    *,
    side: str = "source",
    allow_plaintext: bool = False,
    ca_file: str = "",
    certificate_sha256: str = "",
    providers: Mapping[str, str] | None = None,
) -> Endpoint:
    """Returns the endpoint that `text` names. `providers` maps names to URLs.

    Raises `UsageError`, which tells what to write instead. Its text never repeats what stands before an ``@``, since
    that could be a password.
    """
    option = f"--{side}"
    written = text.strip()
    known = {name.lower(): url for name, url in (providers or {}).items()}
    written = known.get(written.lower(), written)
    found = _URL.fullmatch(written)
    if not found:
        raise UsageError(f"{option}: {_no_url(written, known)}")
    scheme, rest = found[1].lower(), found[2]
    if scheme not in SCHEMES:
        raise UsageError(f"{option}: {scheme}:// is not known; {_possible(known)}")
    protocol = scheme.removesuffix("s").partition("+")[0]
    if protocol == "pop3" and side != "source":
        raise UsageError(f"{option}: mail cannot be put into a POP3 server; give its IMAP side, as in imaps://host")
    tls, usual_port = SCHEMES[scheme]
    host, port = _place(rest, option, scheme, usual_port)
    if tls is Tls.NONE and not allow_plaintext and not is_loopback(host):
        raise UsageError(
            f"{option}: {protocol}:// sends passwords and mail in plain text; use {protocol}s://{_bracketed(host)} or "
            f"{protocol}+starttls://{_bracketed(host)}, or add --allow-plaintext"
        )
    ca_file, pin = _trust(tls, ca_file, certificate_sha256, option)
    return Endpoint(protocol=protocol, host=host, port=port, tls=tls, ca_file=ca_file, certificate_sha256=pin)


def is_loopback(host: str) -> bool:
    """Tells whether the name can only mean this machine.

    Names are not resolved: only ``localhost`` counts.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _place(rest: str, option: str, scheme: str, usual_port: int) -> tuple[str, int]:
    if "@" in rest:
        raise UsageError(
            f"{option}: no login and no password in the URL; they come from the file. Write {scheme}://host:{usual_port}"
        )
    place = rest.removesuffix("/")
    if re.search(r"[/?#\\]", place):
        raise UsageError(f"{option}: nothing may stand behind the host and port; write {scheme}://host:{usual_port}")
    if not (found := _PLACE.fullmatch(place)):
        raise UsageError(f"{option}: write an IPv6 address in brackets, as in {scheme}://[2001:db8::1]:{usual_port}")
    bracketed, name, port_text = found.groups()
    host = _address(bracketed, option) if bracketed is not None else _name(name, option)
    if port_text is None:
        return host, usual_port
    if not re.fullmatch("[0-9]{1,5}", port_text) or not 1 <= int(port_text) <= 65_535:
        raise UsageError(
            f"{option}: the port must be a number from 1 to 65535; write {scheme}://{_bracketed(host)}:{usual_port}"
        )
    return host, int(port_text)


def _address(text: str, option: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise UsageError(f"{option}: what stands in brackets is no IPv6 address") from None


def _name(text: str, option: str) -> str:
    """Returns the host in lower case, an international name in its ASCII form (RFC 5890).

    One host so always gives one id.
    """
    if not text:
        raise UsageError(f"{option}: the host is missing; write e.g. imaps://imap.example.org")
    try:
        host = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        host = ""
    labels = host.split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise UsageError(f"{option}: {text[:80]!r} is no host name")
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise UsageError(f"{option}: {text[:80]!r} is no IPv4 address; write four numbers with dots") from None
    return host


#: How alike a name has to be to a provider's to be taken for a slip: "a" is not meant for "ya".
_ALIKE: Final = 0.7


def _no_url(written: str, providers: Mapping[str, str]) -> str:
    if not written:
        return f"it is empty; {_possible(providers)}"
    if "@" in written:
        return f"this is no server; {_possible(providers)}"
    if close := difflib.get_close_matches(written.lower(), providers, n=1, cutoff=_ALIKE):
        return f"{written[:80]!r} is no provider; did you mean {close[0]}?"
    found = _HOST_ONLY.fullmatch(written)
    if found and ("." in found["host"] or ":" in found["host"] or found["port"] or found["host"] == "localhost"):
        scheme = "imap+starttls" if found["port"] == "143" else "imaps"
        port = f":{found['port']}" if found["port"] else ""
        return f"say how to connect: {scheme}://{found['host']}{port}"
    return f"{written[:80]!r} is neither a provider nor a URL; {_possible(providers)}"


def _possible(providers: Mapping[str, str]) -> str:
    urls = (
        "write imaps://host[:993], imap+starttls://host[:143] or imap://host[:143] (for a source also pop3s://, "
        "pop3+starttls://, pop3://)"
    )
    if len(providers) > _NAMED:
        return f"{urls}, or a provider's name: mailhaul providers lists them"
    return f"{urls}, or one of: {', '.join(sorted(providers))}" if providers else urls


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _trust(tls: Tls, ca_file: str, certificate_sha256: str, option: str) -> tuple[str, str]:
    """Checks CA file and fingerprint and returns them in one form.

    Accepts openssl's ``SHA256 Fingerprint=AB:CD:…`` as it is printed.
    """
    ca_file, given = ca_file.strip(), certificate_sha256.strip()
    pin = re.sub(r"^(?:sha-?256[ _]*(?:fingerprint)?[:=])", "", given, flags=re.IGNORECASE)
    pin = re.sub(r"[:\s]", "", pin).lower()
    if given and not re.fullmatch("[0-9a-f]{64}", pin):
        raise UsageError(f"{option}-fingerprint: must be 64 hexadecimal digits, with or without colons")
    if not ca_file.isprintable():
        raise UsageError(f"{option}-ca: the path holds a control character")
    if ca_file and pin:
        raise UsageError(f"{option}: a CA file and a certificate's fingerprint exclude each other; give one of them")
    if tls is Tls.NONE and (ca_file or pin):
        raise UsageError(
            f"{option}: without TLS there is no certificate to check; use imaps:// or imap+starttls:// (for POP3 pop3s:// or pop3+starttls://)"
        )
    return ca_file, pin
