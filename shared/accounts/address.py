"""The grammar of `--accounts URL`. Pure.

    none                                              the accounts are there (this is the default)
    scim+https://host/scim/v2                         SCIM 2.0 (RFC 7644)
    webhook+https://host/path                         a signed POST for each account
    hook:/path/to/program?arg=…&arg=…                 a program on the worker's machine
    passwd-file:/etc/dovecot/users?uid=…&gid=…&home=… Dovecot's, on the worker's machine
    mailcow+https://host      stalwart+https://host      yandex360://ORG_ID
    google://ADMIN@DOMAIN     graph://TENANT?sku=…

Every kind takes `settle=SECONDS`; the kinds that speak HTTP take `ca=FILE`. The URL never holds a secret.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from shared.model.errors import UsageError

#: Kind → its options.
_HTTP: Final = frozenset({"settle", "ca"})
KINDS: Final[Mapping[str, frozenset[str]]] = {
    "scim": _HTTP,
    "webhook": _HTTP,
    "mailcow": _HTTP,
    "stalwart": _HTTP,
    "yandex360": _HTTP | {"department", "directory", "api"},
    "google": _HTTP | {"unit", "api"},
    "graph": _HTTP | {"sku", "location", "api"},
    "hook": frozenset({"settle", "arg", "timeout"}),
    "passwd-file": frozenset({"settle", "uid", "gid", "home"}),
}
#: Kinds that stand before "+https" in the URL.
_OVER_HTTP: Final = ("scim", "webhook", "mailcow", "stalwart")
#: Kinds that name a file of the worker's machine.
_LOCAL: Final = ("hook", "passwd-file")
#: Kinds that need a secret.
SECRETIVE: Final = frozenset(KINDS) - {"hook", "passwd-file"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceUrl:
    """A service that makes accounts, as its URL names it."""

    #: One of `KINDS`.
    kind: str
    #: The URL as given.
    text: str
    #: The place: an http(s) URL without query, an absolute path, or a name (an organisation, a tenant).
    place: str
    #: Option → its last value.
    options: Mapping[str, str]
    #: Every `arg`, in order.
    arguments: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The service's name for people and logs."""
        return f"{self.kind} {self.place}"

    def number(self, name: str, default: float) -> float:
        """Returns an option that is a number of seconds, or `default`."""
        return float(self.options.get(name, default))


def parse_service(text: str) -> ServiceUrl | None:
    """Reads a URL; returns None for "none". Raises `UsageError`."""
    if text in ("", "none"):
        return None
    parts = urlsplit(text)
    kind, _, carrier = parts.scheme.partition("+")
    if kind not in KINDS or bool(carrier) != (kind in _OVER_HTTP) or carrier not in ("", "http", "https"):
        # The text may hold a secret that was put there by mistake.
        raise UsageError(
            "--accounts: write none, scim+https://host/path, webhook+https://host/path, hook:/path, passwd-file:/path, "
            "mailcow+https://host, stalwart+https://host, yandex360://ORG_ID, google://ADMIN@DOMAIN or graph://TENANT"
        )
    if "@" in parts.netloc and kind != "google":
        raise UsageError(f"--accounts {kind}: no user or password in the URL; put it into --accounts-secret-file")
    pairs = _pairs(kind, parts.query)
    return ServiceUrl(
        kind=kind,
        text=text,
        place=_place(kind, carrier, parts.netloc, parts.path),
        options=dict(pairs),
        arguments=tuple(value for name, value in pairs if name == "arg"),
    )


def _pairs(kind: str, query: str) -> list[tuple[str, str]]:
    pairs = parse_qsl(query, keep_blank_values=True)
    known = KINDS[kind]
    for name, value in pairs:
        if name not in known:
            raise UsageError(f"--accounts {kind}: {name} is no option of it; it has {', '.join(sorted(known))}")
        if name in ("settle", "timeout", "department") and not (value.isascii() and value.isdigit()):
            raise UsageError(f"--accounts {kind}: {name} must be a whole number")
        if name in ("directory", "api"):
            _checked_http(kind, value)
    return pairs


def _place(kind: str, carrier: str, netloc: str, path: str) -> str:
    if kind in _LOCAL:
        place = unquote(path)
        if netloc or not place.startswith("/") or "\0" in place:
            raise UsageError(f"--accounts {kind}: name the file by its whole path, as in {kind}:/etc/mailhaul/accounts")
        return place
    if carrier:
        return _checked_http(kind, urlunsplit((carrier, netloc, path.rstrip("/"), "", "")))
    if not netloc or path.strip("/"):
        raise UsageError(f"--accounts {kind}: write {kind}://{'ADMIN@DOMAIN' if kind == 'google' else 'NAME'}")
    if kind == "yandex360" and not netloc.isdigit():
        raise UsageError("--accounts yandex360: the organisation is a number, as in yandex360://1234567")
    return netloc


def _checked_http(kind: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--accounts {kind}: no host in the URL")
    if parts.scheme == "http" and not _loopback(parts.hostname):
        raise UsageError(f"--accounts {kind}: http:// would send passwords in the clear; use https://")
    return url.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
