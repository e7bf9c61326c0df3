"""The hours in which an import may work: parsed, and compared with the clocks of a zone, including clock changes."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.errors import UsageError
from shared.rules.hours import DAYS, Hours, read_hours

NIGHT = read_hours("20:00-06:00 Europe/Berlin")


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("now", "opens", "shuts"),
    [
        ("2026-11-23 19:59", "2026-11-23 20:00", "2026-11-24 06:00"),
        ("2026-11-23 20:00", "2026-11-23 20:00", "2026-11-24 06:00"),
        ("2026-11-24 03:00", "2026-11-23 20:00", "2026-11-24 06:00"),
        ("2026-11-24 06:00", "2026-11-24 20:00", "2026-11-25 06:00"),
    ],
)
def test_a_night_is_open_until_it_ends_and_then_shut_until_the_next(now: str, opens: str, shuts: str) -> None:
    span = NIGHT.span(at(now))
    assert (span.opens_at, span.shuts_at) == (at(opens), at(shuts))
    open_now = at(opens) <= at(now)
    assert NIGHT.open_until(at(now)) == (at(shuts) if open_now else None)
    assert NIGHT.shut_until(at(now)) == (None if open_now else at(opens))


def test_the_clocks_go_forward_and_back_in_the_night() -> None:
    """Checks the nights of 2026-03-29 02:00 → 03:00 and 2026-10-25 03:00 → 02:00 in Berlin."""
    spring, autumn = NIGHT.span(at("2026-03-28 21:00")), NIGHT.span(at("2026-10-24 21:00"))
    assert spring.shuts_at - spring.opens_at == 9 * 3600
    assert autumn.shuts_at - autumn.opens_at == 11 * 3600


def test_a_time_that_is_left_out_is_when_it_would_have_been() -> None:
    hours = read_hours("02:30-04:00 Europe/Berlin")
    span = hours.span(at("2026-03-29 00:00"))
    assert (span.opens_at, span.shuts_at) == (at("2026-03-29 03:30"), at("2026-03-29 04:00"))
    # A window that ends before it would begin is left out with the hour: the next is a day later.
    gone = read_hours("02:30-03:10 Europe/Berlin").span(at("2026-03-29 00:00"))
    assert gone.opens_at == at("2026-03-30 02:30")
    weekly = read_hours("Sun 02:30-03:10 Europe/Berlin").span(at("2026-03-24 00:00"))
    assert weekly.opens_at == at("2026-04-05 02:30")


def test_a_time_that_comes_twice_is_the_first() -> None:
    span = read_hours("02:30-02:45 Europe/Berlin").span(at("2026-10-25 00:00"))
    assert (span.opens_at, span.shuts_at) == (at("2026-10-25 02:30"), at("2026-10-25 02:45"))
    assert NIGHT.shut_until(at("2026-10-25 02:30", fold=1)) is None, "the night goes through both"
    assert read_hours("20:00-02:30 Europe/Berlin").open_until(at("2026-10-25 02:15", fold=1)) is None


def test_weekdays_and_several_windows() -> None:
    hours = read_hours("Mon-Fri 20:00-06:00; Sat-Sun Europe/Berlin")
    friday = hours.span(at("2026-11-27 21:00"))
    # Friday's night ends on Saturday at 6, which is open all day, as Sunday is; Monday's begins at 20:00.
    assert (friday.opens_at, friday.shuts_at) == (at("2026-11-27 20:00"), at("2026-11-30 00:00"))
    assert hours.shut_until(at("2026-11-30 00:00")) == at("2026-11-30 20:00")
    lunch = read_hours("mon,wed 12:00-13:00 18:00-24:00 UTC")
    assert lunch.span(at("2026-11-25 13:00", "UTC")).opens_at == at("2026-11-25 18:00", "UTC")
    assert lunch.span(at("2026-11-26 00:00", "UTC")).opens_at == at("2026-11-30 12:00", "UTC")
    assert read_hours("Sat-Mon 08:00-09:00 UTC").parts[0].days == {5, 6, 0}


def test_what_is_always_open_is_open_for_a_week_ahead() -> None:
    assert (read_hours("Mon-Sun UTC").open_until(0) or 0) > 7 * 86400


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20:00-06:00",
        "Europe/Berlin",
        "20:00-06:00 Europe/Atlantis",
        "25:00-06:00 UTC",
        "20:00-20:00 UTC",
        "20:61-21:00 UTC",
        "Mon-Fry 20:00-06:00 UTC",
        "20:00 06:00 UTC",
        "20:00-06:00 Mon UTC",
        "20:00-06:00 ../../etc/passwd",
        "\x00 UTC",
        ";;; UTC",
        "x" * 400,
    ],
)
def test_what_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(UsageError):
        read_hours(text)


def test_what_a_clock_of_the_zone_shows() -> None:
    assert NIGHT.clock(at("2026-11-23 20:00")) == "20:00 (Europe/Berlin)"


def _by_the_clock(hours: Hours, now: float) -> bool:
    """Tells in another way whether the wall clock shows a time of a window, where no clocks are changed."""
    local = datetime.fromtimestamp(now, ZoneInfo(hours.zone))
    minutes = local.hour * 60 + local.minute
    return any(
        (local - timedelta(days=back)).weekday() in part.days and part.begins <= minutes + 1440 * back < part.ends
        for part in hours.parts
        for back in (0, 1)
    )


_CLOCKS = st.integers(0, 1439)


@st.composite
def _hours(draw: st.DrawFn) -> Hours:
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        days = draw(st.lists(st.sampled_from(DAYS), max_size=3))
        begins, ends = draw(_CLOCKS), draw(_CLOCKS)
        ends = ends if ends != begins else (begins + 1) % 1440
        span = f"{begins // 60:02}:{begins % 60:02}-{ends // 60:02}:{ends % 60:02}"
        parts.append(" ".join(filter(None, [",".join(days), span])))
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]))
    return read_hours(f"{'; '.join(parts)} {zone}")


@given(hours=_hours(), now=st.integers(1_700_000_000, 1_900_000_000))
def test_spans_are_in_order_and_agree_with_the_clock_on_the_wall(hours: Hours, now: int) -> None:
    span = hours.span(now)
    assert span.opens_at < span.shuts_at
    assert span.shuts_at > now
    assert (hours.open_until(now) is None) != (hours.shut_until(now) is None)
    if span.shuts_at - span.opens_at < 7 * 86400:
        assert hours.span(span.shuts_at).opens_at > span.shuts_at, "what touches is one"
    zone = ZoneInfo(hours.zone)
    around = {datetime.fromtimestamp(now + days * 86400, zone).utcoffset() for days in range(-3, 4)}
    if len(around) == 1:
        assert (span.opens_at <= now) == _by_the_clock(hours, now)


@given(hours=_hours(), now=st.integers(1_700_000_000, 1_900_000_000))
def test_reading_what_was_read_gives_the_same(hours: Hours, now: int) -> None:
    assert read_hours(hours.text) == hours
    assert read_hours(hours.text).span(now) == hours.span(now)


def test_hours_that_are_none_are_told_before_the_zone_that_is_missing() -> None:
    with pytest.raises(UsageError, match="'25:00-06:00' is no span of hours: from 00:00 to 24:00"):
        read_hours("25:00-06:00")
    with pytest.raises(UsageError, match="'20:00-06:00' is no time zone"):
        read_hours("20:00-06:00")
