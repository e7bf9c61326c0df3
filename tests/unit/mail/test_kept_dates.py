"""The memory of the dates that a server keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.content.dates import EARLIEST, LATEST, clamp, stand_ins, usual
from shared.mail.answers.kept_dates import KeptDates

Y1900, Y1969, Y2099, Y2110 = -2_208_988_800, -31_536_000, 4_070_908_800, 4_417_977_600


@pytest.mark.parametrize(
    ("date", "stand"),
    [
        (0, (0, EARLIEST)),
        (1, (1, EARLIEST)),
        (EARLIEST, (EARLIEST,)),
        (LATEST, (LATEST,)),
        (Y1969, (Y1969, 0, EARLIEST)),
        (LATEST + 1, (LATEST + 1, LATEST)),
        (Y2099, (Y2099, LATEST)),
        (Y2110, (Y2110, 4_294_967_295, LATEST)),
    ],
)
def test_the_nearest_limit_comes_first(date: int, stand: tuple[int, ...]) -> None:
    assert stand_ins(date) == stand


@given(st.integers(-(10**13), 10**13))
def test_the_first_is_its_own_and_the_last_every_server_keeps(date: int) -> None:
    found = stand_ins(date)
    assert found[0] == date
    assert found[-1] == clamp(date)
    assert usual(found[-1])
    distances = [abs(one - date) for one in found]
    assert distances == sorted(distances)


def test_nothing_is_known_of_odd_dates_at_first() -> None:
    dates = KeptDates()
    assert [dates.kept(date) for date in (EARLIEST, LATEST, 0, Y2099)] == [True, True, False, False]
    assert not any(map(dates.lost, (Y1900, 0, EARLIEST, LATEST, Y2110)))


def test_what_is_kept_keeps_what_is_nearer_and_what_is_lost_loses_what_is_farther() -> None:
    dates = KeptDates()
    dates.keeps(Y2099)
    dates.loses(Y1969)
    assert [dates.kept(date) for date in (LATEST + 1, Y2099, Y2099 + 1, 0)] == [True, True, False, False]
    assert [dates.lost(date) for date in (Y1900, Y1969, Y1969 + 1, 0, Y2110)] == [True, True, False, False, False]


@pytest.mark.parametrize("date", [Y1969, Y2099])
def test_what_was_kept_once_and_is_lost_later_is_not_believed(date: int) -> None:
    dates = KeptDates()
    dates.keeps(date)
    dates.loses(date)
    assert dates.lost(date)
    assert not dates.kept(date)


def test_a_usual_date_is_never_lost() -> None:
    dates = KeptDates()
    dates.loses(LATEST)
    dates.loses(EARLIEST)
    assert not dates.lost(LATEST)
    assert not dates.lost(EARLIEST)


def test_one_lost_connection_proves_nothing() -> None:
    dates = KeptDates()
    dates.broke(Y1969)
    assert not dates.lost(Y1969)
    dates.broke(Y1969)
    assert dates.lost(Y1969)
