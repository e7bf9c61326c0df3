"""Dates as servers write them, and as mailhaul does."""

from __future__ import annotations

import calendar
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.answers.internaldate import odd_zone, parse_internaldate, render_internaldate

JULY = calendar.timegm((1996, 7, 17, 9, 44, 25))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"17-Jul-1996 02:44:25 -0700", (JULY, -420)),
        (b"17-jul-1996 02:44:25 -0700", (JULY, -420)),
        (b" 7-Jul-1996 09:44:25 +0000", (JULY - 864_000, 0)),
        (b"7-Jul-1996 09:44:25 +0000", (JULY - 864_000, 0)),
        (b"17-Jul-1996 15:14:25 +0530", (JULY, 330)),
        (b"17-Jul-1996 23:44:25 +1400", (JULY, 840)),
        (b"17-Jul-1996 09:44:25", (JULY, 0)),
        (b"17-Jul-1996 09:44:25 GMT", (JULY, 0)),
        (b"17-Jul-1996 9:44 +0000", (JULY - 25, 0)),
        (b"Wed, 17 Jul 1996 02:44:25 -0700 (PDT)", (JULY, -420)),
        (b"17 Jul 96 02:44:25 -0700", (JULY, -420)),
        (b"31-Dec-9999 23:59:59 +0000", (calendar.timegm((9999, 12, 31, 23, 59, 59)), 0)),
        (b"01-Jan-0001 00:00:00 +0000", (-62_135_596_800, 0)),
        (b"01-Jan-1970 00:00:00 +0000", (0, 0)),
        (b"31-Dec-1998 23:59:60 +0000", (calendar.timegm((1999, 1, 1, 0, 0, 0)), 0)),
        (None, (None, 0)),
        (b"", (None, 0)),
        (b"00-Jan-0000 00:00:00 +0000", (None, 0)),
        (b"30-Feb-2020 00:00:00 +0000", (None, 0)),
        (b"17-Xxx-1996 02:44:25 -0700", (None, 0)),
        (b"17-Jul-1996 25:44:25 -0700", (None, 0)),
        (b"17-Jul-1996 09:44:25 -9999", (JULY, 0)),
        (b"Wed, 17 Jul 1996 09:44:25 +9900", (JULY, 0)),
        (b"17-Jul-1996 09:44:25 NOWHERE", (JULY, 0)),
        (b"17-Jul-1996 15:14:25 +05:30", (JULY, 330)),
        (b"17-Jul-1996 02:44:25 -7:00", (JULY, -420)),
        (b"17-Jul-1996 02:44:25 -700", (JULY, -420)),
        (b"17-Jul-1996 04:44:25 EST", (JULY, -300)),
        (b"17 Jul 1996 05:44:25 edt", (JULY, -240)),
        (b"17-July-1996 09:44:25 +0000", (JULY, 0)),
        (b"Wednesday, 17 July 1996 09:44:25 UTC", (JULY, 0)),
        (b"17 sept 1996 09:44:25 +0000", (JULY + 62 * 86_400, 0)),
        (b"17-Sept.-1996 09:44:25 +0000", (JULY + 62 * 86_400, 0)),
        (b"17-Xxxx-1996 09:44:25 +0000", (None, 0)),
        (b"yesterday", (None, 0)),
    ],
)
def test_dates_are_read(text: bytes | None, expected: tuple[int | None, int]) -> None:
    assert parse_internaldate(text) == expected
    assert parse_internaldate(text) == expected  # and once more, from the cache


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        (b"17-Jul-1996 09:44:25 +9900", "+9900"),
        (b"17-Jul-1996 09:44:25 NOWHERE", "NOWHERE"),
        (b"17-Jul-1996 09:44:25 +0000", ""),
        (b"17-Jul-1996 09:44:25", ""),
        (b"17-Jul-1996 09:44:25 gmt", ""),
        (b"17-Jul-1996 09:44:25 +05:30", ""),
        (b"rubbish +9900", ""),
        (None, ""),
    ],
)
def test_a_zone_that_means_nothing_is_told(text: bytes | None, zone: str) -> None:
    assert odd_zone(text) == zone


@given(st.binary(max_size=40))
def test_reading_never_fails(text: bytes) -> None:
    parse_internaldate(text)
    odd_zone(text)


#: The first and the last second that a year of four digits can express.
FIRST, LAST = -62_135_596_800, 253_402_300_799


@given(st.integers(-(10**13), 10**13) | st.integers(LAST - 60_000, LAST + 60_000), st.integers(-3000, 3000))
def test_what_is_written_is_of_one_form_and_reads_back(epoch: int, zone: int) -> None:
    text = render_internaldate(epoch, zone)
    assert re.fullmatch(rb'"\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}"', text)
    read, read_zone = parse_internaldate(text[1:-1])
    written = min(max(epoch, FIRST), LAST)
    assert read == written
    local_can_be_said = FIRST <= written + zone * 60 <= LAST
    assert read_zone == (zone if abs(zone) <= 840 and local_can_be_said else 0)


def test_the_local_zone_plays_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone in ("Europe/Paris", "Asia/Kolkata", "America/St_Johns"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert parse_internaldate(b"29-Oct-2023 02:30:00 +0200") == (1_698_539_400, 120)
        assert render_internaldate(1_698_539_400, 120) == b'"29-Oct-2023 02:30:00 +0200"'
    monkeypatch.undo()
    time.tzset()
