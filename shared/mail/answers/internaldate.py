"""Reads INTERNALDATE with tolerance, and writes it strictly (RFC 9051 §9 date-time).

Servers send one-digit days, zones that are missing, named or meaningless, RFC 2822 dates, long names of months, NIL and
`00-Jan-0000`. A zone that means nothing counts as UTC (`odd_zone` tells); any other part that cannot be read makes the
date None. Written dates are all of one form, so that one accepted date proves all that are within `shared.content.dates`.
"""

from __future__ import annotations

import datetime
import re
from typing import Final

_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS: Final = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_EPOCH_DAY: Final = datetime.date(1970, 1, 1).toordinal()
_DAY_SECONDS: Final = 86_400

#: The first and the last second that four digits of a year can say, in UTC.
_WRITABLE: Final = (
    (1 - _EPOCH_DAY) * _DAY_SECONDS,
    (datetime.date.max.toordinal() + 1 - _EPOCH_DAY) * _DAY_SECONDS - 1,
)

#: Real zones lie within -12:00 … +14:00.
_ZONE_LIMIT_MINUTES: Final = 14 * 60

#: Bytes of the longest text that may be a date: a run of blanks can be divided among the expressions below in many ways.
_LONGEST: Final = 200
_USUAL = re.compile(rb"([ \d]\d-[A-Za-z]{3}-\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d{4})")
_ODD = re.compile(
    rb"\s*(?:[A-Za-z]{3,9}\.?,\s*)?(\d{1,2}[-\s][A-Za-z]{3,9}\.?[-\s]\d{2,4})\s+(\d{1,2}):(\d\d)(?::(\d\d))?(?:\.\d{1,9})?"
    rb"(?:\s*([+-]\d{1,2}:?\d\d|[A-Za-z]{1,9}))?\s*(?:\([^()]{0,80}\))?\s*"
)
_DAY = re.compile(rb"\s*(\d{1,2})[-\s]([A-Za-z]{3})[A-Za-z]{0,6}\.?[-\s](\d{2}|\d{4})")
_OFFSET = re.compile(rb"([+-])(\d{1,2}):?(\d\d)")
#: Hours east of UTC of zones that go by name (RFC 5322 §4.3), and of some that servers use beside them.
_NAMED: Final = {
    b"Z": 0,
    b"UT": 0,
    b"UTC": 0,
    b"GMT": 0,
    b"WET": 0,
    b"EST": -5,
    b"EDT": -4,
    b"CST": -6,
    b"CDT": -5,
    b"MST": -7,
    b"MDT": -6,
    b"PST": -8,
    b"PDT": -7,
    b"BST": 1,
    b"CET": 1,
    b"MEZ": 1,
    b"CEST": 2,
    b"MESZ": 2,
    b"EET": 2,
    b"EEST": 3,
    b"MSK": 3,
    b"MSD": 4,
    b"JST": 9,
}

_days: dict[bytes, int | None] = {}
_zones: dict[bytes, int | None] = {}
_written: dict[int, bytes] = {}
_CACHE_LIMIT: Final = 20_000


def parse_internaldate(text: bytes | None) -> tuple[int | None, int]:
    """Returns (seconds since the epoch, zone in minutes east of UTC); (None, 0) for a text that is no date.

    No zone means UTC.
    """
    if not text or len(text) > _LONGEST:
        return None, 0
    found = _USUAL.fullmatch(text) or _ODD.fullmatch(text)
    if not found:
        return None, 0
    day, hour, minute, second, zone_text = found.groups()
    midnight = _days.get(day) or _midnight(day)
    zone = (_zones[zone_text] if zone_text in _zones else _zone(zone_text)) or 0
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if midnight is None or hours > 23 or minutes > 59 or seconds > 60:
        return None, 0
    return midnight + hours * 3600 + minutes * 60 + seconds - zone * 60, zone


def odd_zone(text: bytes | None) -> str:
    """Returns the zone of a readable date where it means nothing; "" where all is well."""
    if not text or len(text) > _LONGEST or text.endswith(b"+0000"):
        return ""
    found = _USUAL.fullmatch(text) or _ODD.fullmatch(text)
    return found[5].decode() if found and found[5] and _zone(found[5]) is None else ""


def render_internaldate(epoch_seconds: int, zone_minutes: int) -> bytes:
    """Returns `"17-Jul-1996 02:44:25 -0700"`, quotes included.

    A zone that no place on earth has is written as UTC, and a date beyond a year of four digits as the nearest that can
    be written.
    """
    earliest, latest = _WRITABLE
    epoch_seconds = min(max(epoch_seconds, earliest), latest)
    local = epoch_seconds + zone_minutes * 60
    if abs(zone_minutes) > _ZONE_LIMIT_MINUTES or not earliest <= local <= latest:
        zone_minutes, local = 0, epoch_seconds
    day, second = divmod(local, _DAY_SECONDS)
    sign, zone = (b"+", zone_minutes) if zone_minutes >= 0 else (b"-", -zone_minutes)
    return b'"%b %02d:%02d:%02d %b%02d%02d"' % (
        _written.get(day) or _write_day(day),
        second // 3600,
        second // 60 % 60,
        second % 60,
        sign,
        zone // 60,
        zone % 60,
    )


def _midnight(day: bytes) -> int | None:
    if day in _days:
        return _days[day]
    seconds = None
    if found := _DAY.fullmatch(day):
        year = int(found[3])
        if len(found[3]) == 2:  # RFC 2822 §4.3
            year += 2000 if year < 50 else 1900
        try:
            date = datetime.date(year, _MONTH_NUMBERS.get(found[2].lower(), 0), int(found[1]))
            seconds = (date.toordinal() - _EPOCH_DAY) * _DAY_SECONDS
        except ValueError:
            seconds = None
    if len(_days) >= _CACHE_LIMIT:
        _days.clear()
    _days[day] = seconds
    return seconds


def _zone(text: bytes | None) -> int | None:
    """Returns the minutes east of UTC; None for a text that is no zone. No zone means UTC."""
    if text is None:
        return 0
    if found := _OFFSET.fullmatch(text):
        hours, minutes = int(found[2]), int(found[3])
        east = None if hours > 23 or minutes > 59 else hours * 60 + minutes
        minutes_east = -east if east is not None and found[1] == b"-" else east
    else:
        named = _NAMED.get(text.upper())
        minutes_east = None if named is None else named * 60
    if len(_zones) >= _CACHE_LIMIT:
        _zones.clear()
    _zones[text] = minutes_east
    return minutes_east


def _write_day(day: int) -> bytes:
    date = datetime.date.fromordinal(day + _EPOCH_DAY)
    text = b"%02d-%b-%04d" % (date.day, _MONTHS[date.month - 1], date.year)
    if len(_written) >= _CACHE_LIMIT:
        _written.clear()
    _written[day] = text
    return text
