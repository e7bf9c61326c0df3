"""Tests how long a batch waits whose copies may be another lane's."""

from __future__ import annotations

from worker.recovery import CONTESTED_SECONDS, contested_seconds


def looks(within: float, settle_seconds: float) -> int:
    """Returns how often a batch that stays contested is looked at in so many seconds."""
    age, number = 1.0, 0
    while age < within:
        age += contested_seconds(age, settle_seconds)
        number += 1
    return number


def test_each_wait_is_as_long_as_all_before_it_up_to_the_settle_time() -> None:
    assert contested_seconds(0.1, 30) == CONTESTED_SECONDS
    assert [contested_seconds(age, 30) for age in (4, 8, 16, 100)] == [4, 8, 16, 30]
    assert looks(120, 30) <= 8
    assert looks(120, 0) > 50, "as it was without longer waits"
