"""Turns the value of ``--source`` or ``--destination``, a provider's name or a URL, into an `Endpoint`."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from shared.model import Endpoint, Tls
from shared.model.protocols import schemes
from shared.model.sides import Side
from shared.wording.phrases import Fault, FaultsFound, FieldName, Phrase, Sentence

#: The faults that a server's URL may have.
EMPTY: Final = Phrase("server_empty", "it is empty; {what}")
NO_SERVER: Final = Phrase("server_is_login", "this is no server; {what}")
NO_PROVIDER: Final = Phrase("provider_misspelt", "{written} is no provider; did you mean {name}?")
NO_URL: Final = Phrase("server_unknown", "{written} is neither a provider nor a URL; {what}")
NO_SCHEME: Final = Phrase("server_without_scheme", "say how to connect: {url}")
SCHEME_UNKNOWN: Final = Phrase("scheme_unknown", "{scheme}:// is not known; {what}")
URLS: Final = Phrase("server_forms", "write {urls} (for a source also {source_urls})")
OR_PROVIDER: Final = Phrase("server_or_provider", "{what}, or a provider's name: mailhaul providers lists them")
OR_ONE_OF: Final = Phrase("server_or_one_of", "{what}, or one of: {names}")
NO_DESTINATION: Final = Phrase(
    "pop3_destination",
    "mail cannot be put into a {protocol} server; give its IMAP side, as in imaps://host",
)
PLAINTEXT: Final = Phrase(
    "plaintext",
    "{protocol}:// sends passwords and mail in plain text; use {url} or {other_url}, or add {allow_plaintext}",
)
LOGIN_IN_URL: Final = Phrase(
    "login_in_url", "no login and no password in the URL; they come from the file. Write {url}"
)
MORE_BEHIND_HOST: Final = Phrase("more_behind_host", "nothing may stand behind the host and port; write {url}")
NO_BRACKETS: Final = Phrase("ipv6_without_brackets", "write an IPv6 address in brackets, as in {url}")
PORT: Final = Phrase("port_impossible", "the port must be a number from 1 to 65535; write {url}")
NO_IPV6: Final = Phrase("ipv6_impossible", "what stands in brackets is no IPv6 address")
NO_HOST: Final = Phrase("host_missing", "the host is missing; write e.g. imaps://imap.example.org")
HOST: Final = Phrase("host_impossible", "{name} is no host name")
NO_IPV4: Final = Phrase("ipv4_impossible", "{name} is no IPv4 address; write four numbers with dots")
FINGERPRINT: Final = Phrase("fingerprint_impossible", "must be 64 hexadecimal digits, with or without colons")
CA_PATH: Final = Phrase("ca_path_impossible", "the path holds a control character")
CA_AND_FINGERPRINT: Final = Phrase(
    "ca_and_fingerprint", "a CA file and a certificate's fingerprint exclude each other; give one of them"
)
NO_TLS: Final = Phrase(
    "certificate_without_tls",
    "without TLS there is no certificate to check; use imaps:// or imap+starttls:// (for POP3 pop3s:// or pop3+starttls://)",
)

#: Number of provider names that an error lists. With more providers it tells where they are listed.
_NAMED = 8
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)
_PLACE = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::([^:]*))?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_HOST_ONLY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/:@?#\[\]]+)(?::(?P<port>\d+))?/?")


def parse_endpoint(
    text: str,
    *,
    side: Side = Side.SOURCE,
    allow_plaintext: bool = False,
    ca_file: str = "",
    certificate_sha256: str = "",
    providers: Mapping[str, str] | None = None,
) -> Endpoint:
    """Returns the endpoint that `text` names. `providers` maps names to URLs.

    Raises `UsageError`, which tells what to write instead. Its text never repeats what stands before an ``@``, since
    that could be a password.
    """
    server = f"{side}.server"
    written = text.strip()
    known = {name.lower(): url for name, url in (providers or {}).items()}
    written = known.get(written.lower(), written)
    found = _URL.fullmatch(written)
    if not found:
        raise FaultsFound([Fault(_no_url(written, known), (server,))])
    scheme, rest = found[1].lower(), found[2]
    if scheme not in schemes():
        raise SCHEME_UNKNOWN.error(server, scheme=scheme, what=_possible(known))
    spoken, tls, usual_port = schemes()[scheme]
    protocol = spoken.name
    if not spoken.takes_mail and side != Side.SOURCE:
        raise NO_DESTINATION.error(server, protocol=spoken.title)
    host, port = _place(rest, server, scheme, usual_port)
    if tls is Tls.NONE and not allow_plaintext and not is_loopback(host):
        raise PLAINTEXT.error(
            server,
            protocol=protocol,
            url=f"{protocol}s://{_bracketed(host)}",
            other_url=f"{protocol}+starttls://{_bracketed(host)}",
            allow_plaintext=FieldName(f"{side}.allow_plaintext"),
        )
    ca_file, pin = _trust(tls, ca_file, certificate_sha256, side)
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


def _place(rest: str, server: str, scheme: str, usual_port: int) -> tuple[str, int]:
    if "@" in rest:
        raise LOGIN_IN_URL.error(server, url=f"{scheme}://host:{usual_port}")
    place = rest.removesuffix("/")
    if re.search(r"[/?#\\]", place):
        raise MORE_BEHIND_HOST.error(server, url=f"{scheme}://host:{usual_port}")
    if not (found := _PLACE.fullmatch(place)):
        raise NO_BRACKETS.error(server, url=f"{scheme}://[2001:db8::1]:{usual_port}")
    bracketed, name, port_text = found.groups()
    host = _address(bracketed, server) if bracketed is not None else _name(name, server)
    if port_text is None:
        return host, usual_port
    if not re.fullmatch("[0-9]{1,5}", port_text) or not 1 <= int(port_text) <= 65_535:
        raise PORT.error(server, url=f"{scheme}://{_bracketed(host)}:{usual_port}")
    return host, int(port_text)


def _address(text: str, server: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise NO_IPV6.error(server) from None


def _name(text: str, server: str) -> str:
    """Returns the host in lower case, an international name in its ASCII form (RFC 5890).

    One host so always gives one id.
    """
    if not text:
        raise NO_HOST.error(server)
    try:
        host = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        host = ""
    labels = host.split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise HOST.error(server, name=repr(text[:80]))
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise NO_IPV4.error(server, name=repr(text[:80])) from None
    return host


#: The likeness from which on a name is taken for a misspelt provider: "a" is not meant for "ya".
_ALIKE: Final = 0.7


def _no_url(written: str, providers: Mapping[str, str]) -> Sentence:
    if not written:
        return EMPTY.says(what=_possible(providers))
    if "@" in written:
        return NO_SERVER.says(what=_possible(providers))
    if close := difflib.get_close_matches(written.lower(), providers, n=1, cutoff=_ALIKE):
        return NO_PROVIDER.says(written=repr(written[:80]), name=close[0])
    found = _HOST_ONLY.fullmatch(written)
    if found and ("." in found["host"] or ":" in found["host"] or found["port"] or found["host"] == "localhost"):
        scheme = "imap+starttls" if found["port"] == "143" else "imaps"
        port = f":{found['port']}" if found["port"] else ""
        return NO_SCHEME.says(url=f"{scheme}://{found['host']}{port}")
    return NO_URL.says(written=repr(written[:80]), what=_possible(providers))


def _possible(providers: Mapping[str, str]) -> Sentence:
    if len(providers) > _NAMED:
        return OR_PROVIDER.says(what=_forms())
    return OR_ONE_OF.says(what=_forms(), names=", ".join(sorted(providers))) if providers else _forms()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _trust(tls: Tls, ca_file: str, certificate_sha256: str, side: Side) -> tuple[str, str]:
    """Checks CA file and fingerprint and returns them in one form.

    Accepts openssl's ``SHA256 Fingerprint=AB:CD:…`` as it is printed.
    """
    ca_file, given = ca_file.strip(), certificate_sha256.strip()
    pin = re.sub(r"^(?:sha-?256[ _]*(?:fingerprint)?[:=])", "", given, flags=re.IGNORECASE)
    pin = re.sub(r"[:\s]", "", pin).lower()
    if given and not re.fullmatch("[0-9a-f]{64}", pin):
        raise FINGERPRINT.error(f"{side}.fingerprint")
    if not ca_file.isprintable():
        raise CA_PATH.error(f"{side}.ca")
    if ca_file and pin:
        raise CA_AND_FINGERPRINT.error(f"{side}.server")
    if tls is Tls.NONE and (ca_file or pin):
        raise NO_TLS.error(f"{side}.server")
    return ca_file, pin


def _forms() -> Sentence:
    """Returns the sentence on how a server is written."""
    both = [f"{scheme}://host[:{port}]" for scheme, (spoken, _, port) in schemes().items() if spoken.takes_mail]
    source = [f"{scheme}://" for scheme, (spoken, _, _) in schemes().items() if not spoken.takes_mail]
    return URLS.says(urls=f"{', '.join(both[:-1])} or {both[-1]}", source_urls=", ".join(source))
