"""Reads how much an account may hold, as its server says (RFC 9208, RFC 2087)."""

from __future__ import annotations

import re
from typing import Final

from shared.mail.imap.session import Session
from shared.model.errors import MailError
from shared.model.messages import Quota
from shared.wording.phrases import Phrase

WOULD_NOT_TELL_ITS_QUOTA: Final = Phrase("would_not_tell_its_quota", "would not tell its quota")

_QUOTA = re.compile(rb"\*\s+QUOTA\s[^(]*\(([^()]*)\)\s*\Z", re.IGNORECASE)
#: STORAGE counts units of 1024 octets (RFC 9208 §5.1).
_UNIT_BYTES: Final = 1024


def storage_of(session: Session) -> Quota | None:
    """Returns the storage of INBOX's quota root; None where the server has none or does not say: no copy depends on it."""
    try:
        return session.offer.ask(("QUOTA",), lambda: _asked(session))
    except MailError:
        return None


def _asked(session: Session) -> Quota | None:
    if not session.offer.has("QUOTA"):
        return None
    found: list[Quota] = []

    def take(pieces: list[bytes]) -> None:
        told = _QUOTA.match(b"".join(pieces[::2]))
        words = told[1].upper().split() if told else []
        for name, used, limit in zip(words[::3], words[1::3], words[2::3], strict=False):
            if name == b"STORAGE" and used.isdigit() and limit.isdigit():
                found.append(Quota(limit_bytes=int(limit) * _UNIT_BYTES, used_bytes=int(used) * _UNIT_BYTES))

    session.talk.expect(session.talk.send(b"GETQUOTAROOT INBOX"), take, what=WOULD_NOT_TELL_ITS_QUOTA.says())
    return found[0] if found else None
