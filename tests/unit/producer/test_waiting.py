"""The waiting time of the mailbox that waits longest, and moments in words."""

from __future__ import annotations

from datetime import datetime

from producer.coordinator.waiting import Waiting
from producer.show.waiting import moment


def test_who_is_given_nothing_waits_longer_and_longer() -> None:
    waiting = Waiting()
    assert waiting.seen(100, {"a": 1.0, "b": 1.0}) == 0
    assert waiting.seen(110, {"a": 1.0, "b": 1.0}) == 10
    assert waiting.seen(120, {"a": 2.0, "b": 1.0}) == 20, "b still waits"
    assert waiting.seen(130, {"a": 2.0, "b": 5.0}) == 10, "a since 120"
    assert waiting.seen(140, {}) == 0
    assert waiting.seen(150, {"a": 2.0}) == 0, "it was away"


def test_a_moment_of_another_year_names_it() -> None:
    now = datetime(2026, 11, 30, 12).timestamp()
    assert moment(datetime(2026, 12, 6, 20).timestamp(), now) == "Sun 06 Dec 20:00"
    assert moment(datetime(2027, 12, 6, 20).timestamp(), now) == "Mon 06 Dec 2027 20:00"
    assert moment(datetime(2026, 11, 30, 13).timestamp(), now) == "13:00"
