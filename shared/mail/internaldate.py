"""INTERNALDATE, read with tolerance and written without any (RFC 9051 §9 date-time).

Servers send one-digit days, missing zones, RFC 2822 dates, NIL and `00-Jan-0000`; what cannot be read is None,
never a guess. Written dates are all of one form and within `shared.dates`, so that one accepted date proves
them all.
"""

from __future__ import annotations

import datetime
import re
from typing import Final

from shared.dates import clamp

_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS: Final = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_EPOCH_DAY: Final = datetime.date(1970, 1, 1).toordinal()
_DAY_SECONDS: Final = 86_400

#: Real zones lie within -12:00 … +14:00.
_ZONE_LIMIT_MINUTES: Final = 14 * 60

_USUAL = re.compile(rb"([ \d]\d-[A-Za-z]{3}-\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d{4})")
_ODD = re.compile(
    rb"\s*(?:[A-Za-z]{3},\s*)?(\d{1,2}[-\s][A-Za-z]{3}[-\s]\d{2,4})\s+(\d{1,2}):(\d\d)(?::(\d\d))?(?:\.\d+)?"
    rb"(?:\s*([+-]\d{4}|GMT|UTC?|Z))?\s*(?:\(.*\))?\s*"
)
_DAY = re.compile(rb"\s*(\d{1,2})[-\s]([A-Za-z]{3})[-\s](\d{2}|\d{4})")

_days: dict[bytes, int | None] = {}
_zones: dict[bytes, int | None] = {}
_written: dict[int, bytes] = {}
_CACHE_LIMIT: Final = 20_000


def parse_internaldate(text: bytes | None) -> tuple[int | None, int]:
    """(seconds since the epoch, zone in minutes east of UTC); (None, 0) for what is no date. No zone means UTC."""
    if not text:
        return None, 0
    found = _USUAL.fullmatch(text) or _ODD.fullmatch(text)
    if not found:
        return None, 0
    day, hour, minute, second, zone_text = found.groups()
    midnight = _days.get(day) or _midnight(day)
    zone = _zones[zone_text] if zone_text in _zones else _zone(zone_text)
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if midnight is None or zone is None or hours > 23 or minutes > 59 or seconds > 60:
        return None, 0
    return midnight + hours * 3600 + minutes * 60 + seconds - zone * 60, zone


def render_internaldate(epoch_seconds: int, zone_minutes: int) -> bytes:
    """`"17-Jul-1996 02:44:25 -0700"`, quotes included, clamped; a zone no place on earth has is written as UTC."""
    if abs(zone_minutes) > _ZONE_LIMIT_MINUTES:
        zone_minutes = 0
    local = clamp(epoch_seconds) + zone_minutes * 60
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
    if text is None or text[:1] not in b"+-":
        return 0
    hours, minutes = int(text[1:3]), int(text[3:5])
    minutes_east: int | None = hours * 60 + minutes
    if hours > 23 or minutes > 59 or minutes_east is None:
        minutes_east = None
    elif text[:1] == b"-":
        minutes_east = -minutes_east
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
