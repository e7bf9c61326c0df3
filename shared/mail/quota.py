"""How much an account may hold, as its server says (RFC 9208, RFC 2087)."""

from __future__ import annotations

import imaplib

from shared.errors import MailError
from shared.mail.session import Session
from shared.messages import Quota


def storage_of(session: Session) -> Quota | None:
    """Of INBOX's quota root; None where the server has none or does not say: nobody's mail depends on it."""
    if not any(name == "QUOTA" or name.startswith("QUOTA=") for name in session.capabilities):
        return None
    try:
        _, quotas = session.client.get_quota_root("INBOX")
    except (imaplib.IMAP4.error, MailError, OSError, ValueError, AttributeError, TypeError):
        return None
    for quota in quotas:
        if str(quota.resource).upper() == "STORAGE":
            return Quota(limit_bytes=int(quota.limit) * 1024, used_bytes=int(quota.usage) * 1024)
    return None
