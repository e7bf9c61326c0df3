"""Reads the date from a message's header, for sources that state no date or an impossible one."""

from __future__ import annotations

import email.utils
import re
from typing import Final

#: The farthest distance from UTC of any place on earth.
FARTHEST_ZONE_SECONDS: Final = 14 * 3600
_FIELD = re.compile(rb"(?:\A|\n)(received|date)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE)


def received_at(header: bytes) -> tuple[int | None, int]:
    """Returns when a message arrived, as (seconds since the epoch, minutes east of UTC).

    That is the date of the topmost Received (RFC 5321 §4.4), else of Date; (None, 0) where neither can be read.
    """
    found: dict[bytes, bytes] = {}
    for name, value in _FIELD.findall(header):
        found.setdefault(name.lower(), value)
    for text in (found.get(b"received", b"").rpartition(b";")[2], found.get(b"date", b"")):
        parsed = email.utils.parsedate_tz(" ".join(text.decode("latin-1").split()))
        if parsed is None:
            continue
        zone = parsed[9] or 0
        if abs(zone) > FARTHEST_ZONE_SECONDS:  # no such zone: the writer's local time is the best there is
            zone = 0
        try:
            return email.utils.mktime_tz((*parsed[:9], zone)), zone // 60
        except (ValueError, OverflowError):
            continue
    return None, 0
