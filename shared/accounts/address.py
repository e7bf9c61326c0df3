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
import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from shared.accounts.kinds import AccountKind, ServicePlace, ServiceUrl, kind_of, kinds
from shared.wording.phrases import FieldName, Phrase

NO_LOGIN: Final = Phrase(
    "accounts_login_in_url",
    "{kind}: no user or password in the URL; put it into {accounts_secret_file}",
)
WRITE: Final = Phrase("accounts_write", "{kind}: write {kind}://{text}")
ORGANISATION: Final = Phrase(
    "accounts_organisation",
    "{kind}: the organisation is a number, as in {kind}://1234567",
)
NO_HOST: Final = Phrase("accounts_host", "{kind}: no host in the URL")
IN_THE_CLEAR: Final = Phrase(
    "accounts_in_the_clear",
    "{kind}: http:// would send passwords in the clear; use https://",
)
NO_OPTION: Final = Phrase("accounts_option_unknown", "{kind}: {name} is no option of it; it has {names}")
BAD_URL: Final = Phrase("accounts_url", "is no URL: its host or port cannot be read")
NO_NUMBER: Final = Phrase("accounts_number", "{kind}: {name} must be a whole number")
WHOLE_PATH: Final = Phrase(
    "accounts_path",
    "{kind}: name the file by its whole path, as in {kind}:/etc/mailhaul/accounts",
)

#: The words that may stand behind a kind's "+".
_CARRIERS: Final = ("", "http", "https")
FORMS: Final = Phrase("account_service_forms", "write none, or one of: {names}")


def parse_service(text: str) -> ServiceUrl | None:
    """Reads a URL; returns None for "none". Raises `UsageError`."""
    if text in ("", "none"):
        return None
    parts = _split(text)
    kind, _, carrier = parts.scheme.partition("+")
    known = kind_of(kind)
    if known is None or (bool(carrier), carrier in _CARRIERS) != (known.place is ServicePlace.HTTP, True):
        # The text may hold a secret that was put there by mistake.
        raise FORMS.error("accounts", names=", ".join(one.example for one in kinds().values()))
    if "@" in parts.netloc and not known.has_login:
        raise NO_LOGIN.error("accounts", kind=kind, accounts_secret_file=FieldName("accounts_secret_file"))
    pairs = _pairs(known, parts.query)
    return ServiceUrl(
        kind=kind,
        text=text,
        place=_place(known, carrier, parts.netloc, parts.path),
        options=dict(pairs),
        arguments=tuple(value for name, value in pairs if name == "arg"),
    )


def _pairs(of: AccountKind, query: str) -> list[tuple[str, str]]:
    pairs = parse_qsl(query, keep_blank_values=True)
    kind, known = of.name, of.known
    for name, value in pairs:
        if name not in known:
            raise NO_OPTION.error("accounts", kind=kind, name=name, names=", ".join(sorted(known)))
        if name in ("settle", "timeout", "department") and not (value.isascii() and value.isdigit()):
            raise NO_NUMBER.error("accounts", kind=kind, name=name)
        if name in ("directory", "api"):
            _checked_http(kind, value)
    return pairs


def _place(of: AccountKind, carrier: str, netloc: str, path: str) -> str:
    kind = of.name
    if of.place is ServicePlace.PATH:
        place = unquote(path)
        if netloc or not place.startswith("/") or "\0" in place:
            raise WHOLE_PATH.error("accounts", kind=kind)
        return place
    if carrier:
        return _checked_http(kind, urlunsplit((carrier, netloc, path.rstrip("/"), "", "")))
    if not netloc or path.strip("/"):
        raise WRITE.error("accounts", kind=kind, text="ADMIN@DOMAIN" if of.has_login else "NAME")
    if of.numbered and not netloc.isdigit():
        raise ORGANISATION.error("accounts", kind=kind)
    return unquote(netloc)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it raises `ValueError` where it is none
    except ValueError:
        raise BAD_URL.error("accounts") from None
    # Another reader of URLs ends the host at another place than this one.
    if re.search(r"[\x00-\x20\x7f\\\\]", unquote(parts.netloc)):
        raise BAD_URL.error("accounts")
    return parts


def _checked_http(kind: str, url: str) -> str:
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NO_HOST.error("accounts", kind=kind)
    if parts.scheme == "http" and not _loopback(parts.hostname):
        raise IN_THE_CLEAR.error("accounts", kind=kind)
    return url.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
