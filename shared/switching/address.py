"""The grammar of a switch's URL. Pure."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from shared.switching import DOMAIN
from shared.switching.kinds import SwitchKind, SwitchPlace, SwitchUrl, kind_of
from shared.wording.phrases import Phrase

MISSING: Final = Phrase("switch_option_missing", "{kind}: say {options} too, as in {example}")
NO_DOMAIN: Final = Phrase(
    "switch_domain",
    "{kind}: domains: {text} is no mail domain; write domains=corp.example,corp.test",
)
WRITE: Final = Phrase("switch_write", "{kind}: write {example}")
WHOLE_PATH: Final = Phrase("switch_path", "{kind}: name the file by its whole path, as in {example}")
LOGIN_IN_URL: Final = Phrase(
    "switch_login_in_url",
    "{kind}: no user or password in the URL; put it into a file of MAILHAUL_SWITCH_SECRET_FILES",
)
IN_THE_CLEAR: Final = Phrase(
    "switch_in_the_clear",
    "{kind}: http:// would send what proves who asks in the clear; use https://",
)
NO_OPTION: Final = Phrase("switch_option_unknown", "{kind}: {option_name} is no option of it; it has {names}")
NO_SECONDS: Final = Phrase("switch_seconds", "{kind}: {option_name} must be a whole number of seconds")
CONTROL: Final = Phrase("switch_control_character", "{kind}: {option_name} holds a control character")

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
            raise NO_OPTION.error(kind=name, option_name=option[:30], names=has)
        if option in _NUMBERS and not (value.isascii() and value.isdigit() and int(value)):
            raise NO_SECONDS.error(kind=name, option_name=option)
        if any(ord(char) < 32 for char in value):
            raise CONTROL.error(kind=name, option_name=option)
    options, place = dict(pairs), _place(kind, carrier, parts.netloc, parts.path)
    if missing := sorted(option for option in kind.needed if not options.get(option)):
        raise MISSING.error(kind=name, options=" and ".join(f"{one}=…" for one in missing), example=kind.example)
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
        raise NO_DOMAIN.error(kind=name, text=f"{wrong[0][:80]!r}")
    return found


def _place(kind: SwitchKind, carrier: str, netloc: str, path: str) -> str:
    if kind.place is SwitchPlace.HTTP:
        return _http(kind, carrier, netloc, path)
    if carrier or netloc:
        raise WRITE.error(kind=kind.name, example=kind.example)
    if kind.place is SwitchPlace.NONE:
        if path:
            raise WRITE.error(kind=kind.name, example=kind.example)
        return ""
    place = unquote(path)
    if not place.startswith("/") or any(ord(char) < 32 for char in place):
        raise WHOLE_PATH.error(kind=kind.name, example=kind.example)
    return place


def _http(kind: SwitchKind, carrier: str, netloc: str, path: str) -> str:
    host = urlsplit(f"//{netloc}").hostname
    if carrier not in ("http", "https") or not host:
        raise WRITE.error(kind=kind.name, example=kind.example)
    if "@" in netloc:
        raise LOGIN_IN_URL.error(kind=kind.name)
    if carrier == "http" and not _loopback(host):
        raise IN_THE_CLEAR.error(kind=kind.name)
    return urlunsplit((carrier, netloc, path.rstrip("/"), "", ""))


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
