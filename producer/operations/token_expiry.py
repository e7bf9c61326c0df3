"""The end of a token, as a person writes it. Pure."""

from __future__ import annotations

import re
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import Final

from shared.model.errors import UsageError

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
    except ValueError:
        raise UsageError(f"{text[:40]!r} is no end of a token: write 90d, 12h, 2027-01-31 or never") from None
    if when.year == MAXYEAR:  # the day after it, or it in another zone, may be no date any more
        raise UsageError(f"{text[:40]!r} is too far away for a token: write never")
    if "T" not in text and " " not in text:
        when += timedelta(days=1)
    at = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if at <= now:
        raise UsageError(f"{text[:40]!r} is over already")
    return at
