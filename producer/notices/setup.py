"""Reads what a person says of a target: whom to tell, what, how, in which language. Pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from producer.notices.smtp_send import LOCAL, PORTS
from producer.translations import LANGUAGES
from shared.model.notices import KINDS, USUAL_KINDS
from shared.nouns import dataclass
from shared.store.records.targets import WAYS, Target
from shared.wording.phrases import Phrase

NO_WAY: Final = Phrase("notice_way", "{word} is no way to tell somebody; ways are {other_word}")
NO_PLACE: Final = Phrase("notice_place", "say where notices go: an address of mail, or the URL of a webhook")
NO_LANGUAGE: Final = Phrase("language", "{word} is no language of mailhaul; languages are {other_word}")
NO_SERVER: Final = Phrase(
    "notice_server",
    "say by which server mail is sent: smtps://mail.corp.example, or smtp://mail.corp.example:587",
)
HALF_A_LOGIN: Final = Phrase(
    "notice_login",
    "a login at the server of mail needs its password, and a password a login",
)
NO_WEBHOOK: Final = Phrase("notice_webhook", "the URL of a webhook begins with https:// and holds no login")
NO_HOUR: Final = Phrase("time_of_day", "{word} is no time of day, as in 08:00")
NO_ADDRESS: Final = Phrase("notice_address", "{word} is no address of mail, as in anna@corp.example")
NO_KIND: Final = Phrase("notice_kind", "{word} is no kind of notice; kinds are {other_word}")
NO_ZONE: Final = Phrase("time_zone", "{word} is no time zone, as in Europe/Berlin")

#: An address of mail, as far as a mistake is worth telling at once.
_ADDRESS: Final = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")
_HOUR: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_LONGEST: Final = 2000
#: Kinds that a person may choose.
CHOSEN: Final = tuple(kind for kind in KINDS if kind not in ("test", "digest"))


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetAsked:
    """A target as a person asked for it."""

    #: One of `WAYS`.
    way: str
    #: An address of mail, or a URL.
    to: str
    #: E-mail: the server, as in smtp://mail.corp.example:587 or smtps://mail.corp.example.
    server: str = ""
    #: E-mail: the login at that server; "" for none.
    login: str = ""
    #: E-mail: its password. Webhook: the secret that signs; "" to have one made.
    secret: str = ""
    #: E-mail: the sender's address; "" for the login, or else the recipient.
    sender: str = ""
    #: Kinds of notices; empty: the usual ones.
    kinds: Sequence[str] = ()
    #: Ids of imports; empty: all.
    imports: Sequence[str] = ()
    #: The reader's language.
    language: str = "en"
    #: The reader's time zone.
    zone: str = "UTC"
    #: When the digest is sent, as in "08:00"; "" for no digest.
    digest: str = ""
    #: Whether messages may hold logins.
    logins: bool = False
    #: Whether it came by page or API.
    guarded: bool = False


def target_of(asked: TargetAsked) -> Target:
    """Returns the target. Raises `UsageError` that says what is wrong and how it is written."""
    if asked.way not in WAYS:
        raise NO_WAY.error(word=f"{asked.way[:40]!r}", other_word=", ".join(WAYS))
    to = asked.to.strip()
    if not to or len(to) > _LONGEST or not to.isprintable():
        raise NO_PLACE.error()
    if asked.way == "email":
        shown, secret = to, _mail(asked, to)
    else:
        shown, secret = _url(to), {"url": to}
        if asked.way == "webhook":
            secret["secret"] = asked.secret or secrets.token_urlsafe(24)
    checked_reader(asked.language, asked.zone)
    return Target(
        way=asked.way,
        shown=shown,
        secret=secret,
        kinds=_kinds(asked.kinds),
        imports=tuple(asked.imports),
        language=asked.language,
        zone=_zone(asked.zone),
        digest_minutes=_minutes(asked.digest),
        logins=asked.logins,
        guarded=asked.guarded,
    )


def checked_reader(language: str, zone: str) -> None:
    """Raises `UsageError` for a language or a time zone that is not there."""
    if language not in LANGUAGES:
        raise NO_LANGUAGE.error(word=f"{language[:20]!r}", other_word=", ".join(LANGUAGES))
    _zone(zone)


def _mail(asked: TargetAsked, to: str) -> dict[str, str]:
    sender = asked.sender.strip() or (asked.login if _ADDRESS.fullmatch(asked.login) else to)
    for address in (to, sender):
        if not _ADDRESS.fullmatch(address) or not address.isascii():
            raise NO_ADDRESS.error(word=f"{address[:80]!r}")
    parts = urlsplit(asked.server.strip() if "://" in asked.server else f"smtp://{asked.server.strip()}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in PORTS or not parts.hostname or port == 0 or parts.path.strip("/") or parts.username:
        raise NO_SERVER.error()
    if bool(asked.login) != bool(asked.secret):
        raise HALF_A_LOGIN.error()
    return {
        "to": to,
        "from": sender,
        "server": f"{parts.scheme}://{parts.netloc}",
        "login": asked.login,
        "password": asked.secret,
    }


def _url(text: str) -> str:
    """Returns the host of a webhook's URL, which is all that is shown: the rest may be a secret."""
    parts = urlsplit(text)
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    local = parts.scheme == "http" and host in LOCAL
    if not host or parts.username or not (parts.scheme == "https" or local):
        raise NO_WEBHOOK.error()
    return host


def _kinds(given: Sequence[str]) -> tuple[str, ...]:
    for kind in given:
        if kind not in CHOSEN:
            raise NO_KIND.error(word=f"{kind[:40]!r}", other_word=", ".join(CHOSEN))
    return tuple(dict.fromkeys(given)) or USUAL_KINDS


def _zone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (ValueError, OSError, KeyError):
        raise NO_ZONE.error(word=f"{text[:60]!r}") from None


def _minutes(text: str) -> int | None:
    if not text or text == "none":
        return None
    if not (found := _HOUR.fullmatch(text.strip())):
        raise NO_HOUR.error(word=f"{text[:20]!r}")
    return int(found[1]) * 60 + int(found[2])
