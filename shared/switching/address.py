"""The grammar of a switch's URL. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from shared.model.errors import UsageError
from shared.switching import DOMAIN
from shared.switching.kinds import SwitchKind, SwitchPlace, SwitchUrl, kind_of

#: Options that are a number of seconds, a port.
_NUMBERS = frozenset({"timeout"})
#: The option of every kind that binds a switch to mail domains.
_DOMAINS = "domains"


def parse_switch(text: str) -> SwitchUrl:
    """Reads a URL. Raises `UsageError`, which repeats nothing that may be a secret."""
    parts = urlsplit(text)
    name, _, carrier = parts.scheme.partition("+")
    kind = kind_of(name)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    for option, value in pairs:
        if option not in kind.options | {_DOMAINS}:
            has = ", ".join(sorted(kind.options | {_DOMAINS}))
            raise UsageError(f"{name}: {option[:30]} is no option of it; it has {has}")
        if option in _NUMBERS and not (value.isascii() and value.isdigit() and int(value)):
            raise UsageError(f"{name}: {option} must be a whole number of seconds")
        if any(ord(char) < 32 for char in value):
            raise UsageError(f"{name}: {option} holds a control character")
    options, place = dict(pairs), _place(kind, carrier, parts.netloc, parts.path)
    if missing := sorted(option for option in kind.needed if not options.get(option)):
        raise UsageError(f"{name}: say {' and '.join(f'{one}=…' for one in missing)} too, as in {kind.example}")
    return SwitchUrl(
        kind=name,
        place=place,
        options=options,
        arguments=tuple(value for option, value in pairs if option == "arg"),
        domains=_domains(name, options[_DOMAINS]) if _DOMAINS in options else (),
    )


def _domains(name: str, text: str) -> tuple[str, ...]:
    found = tuple(part.strip().lower() for part in text.split(","))
    if wrong := [one for one in found if not DOMAIN.fullmatch(one)]:
        raise UsageError(f"{name}: domains: {wrong[0][:80]!r} is no mail domain; write domains=corp.example,corp.test")
    return found


def _place(kind: SwitchKind, carrier: str, netloc: str, path: str) -> str:
    if kind.place is SwitchPlace.HTTP:
        return _http(kind, carrier, netloc, path)
    if carrier or netloc:
        raise UsageError(f"{kind.name}: write {kind.example}")
    if kind.place is SwitchPlace.NONE:
        if path:
            raise UsageError(f"{kind.name}: write {kind.example}")
        return ""
    place = unquote(path)
    if not place.startswith("/") or any(ord(char) < 32 for char in place):
        raise UsageError(f"{kind.name}: name the file by its whole path, as in {kind.example}")
    return place


def _http(kind: SwitchKind, carrier: str, netloc: str, path: str) -> str:
    host = urlsplit(f"//{netloc}").hostname
    if carrier not in ("http", "https") or not host:
        raise UsageError(f"{kind.name}: write {kind.example}")
    if "@" in netloc:
        raise UsageError(
            f"{kind.name}: no user or password in the URL; put it into a file of MAILHAUL_SWITCH_SECRET_FILES"
        )
    if carrier == "http" and not _loopback(host):
        raise UsageError(f"{kind.name}: http:// would send what proves who asks in the clear; use https://")
    return urlunsplit((carrier, netloc, path.rstrip("/"), "", ""))


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
