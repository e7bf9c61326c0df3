"""The end of a token, as a person writes it. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.wording.phrases import Phrase

OVER: Final = Phrase("expiry_over", "{text} is over already")
NO_EXPIRY: Final = Phrase("expiry_impossible", "{text} is no end of a token: write 90d, 12h, 2027-01-31 or never")

_SPAN: Final = re.compile(r"([1-9][0-9]{0,4})([hd])")


def read_expiry(text: str, now: float) -> float:
    """Returns the moment of ``90d``, ``12h``, ``2027-01-31`` or ``2027-01-31T18:00+01:00`` in seconds since the epoch.

    0 stands for ``never`` and "". A date means the end of that day in UTC. Raises `UsageError`.
    """
    text = text.strip()
    if text.lower() in ("", "never"):
        return 0.0
    if found := _SPAN.fullmatch(text.lower()):
        return now + int(found[1]) * (3600 if found[2] == "h" else 86_400)
    try:
        when = datetime.fromisoformat(text)
        _ = when + timedelta(days=2)  # the end of its day must be a date, in every zone
    except (ValueError, OverflowError):
        raise NO_EXPIRY.error(text=f"{text[:40]!r}") from None
    if "T" not in text and " " not in text:
        when += timedelta(days=1)
    at = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if at <= now:
        raise OVER.error(text=f"{text[:40]!r}")
    return at
