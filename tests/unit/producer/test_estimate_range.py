"""Tests that the time left is told, or not, from whatever is known: no number that may come makes it raise."""

from __future__ import annotations

import itertools

import pytest

from producer.coordinator.estimate import Left, eta, eta_range
from producer.coordinator.pace import EARLY_SECONDS, Sample, Window
from shared.model import Stranded

WINDOWS = {
    "nothing moves": Window(),
    "one sample": Window(samples=(Sample(at=1.0, messages=0, size_bytes=0),)),
    "still early": Window(
        samples=tuple(Sample(at=at, messages=int(at), size_bytes=9) for at in (0.0, EARLY_SECONDS - 1))
    ),
    "no progress": Window(samples=tuple(Sample(at=at, messages=5, size_bytes=9) for at in (0.0, 30.0, 60.0))),
    "progress": Window(
        samples=tuple(
            Sample(at=at, messages=int(at), size_bytes=int(at) * 9, mailboxes=int(at) // 9) for at in range(61)
        )
    ),
}


def _left(counted: int, uncounted: int, messages: int, floor: float, stranded: int) -> Left:
    return Left(
        messages=messages,
        size_bytes=messages * 10,
        known_messages=24,
        known_bytes=240,
        counted=counted,
        uncounted=uncounted,
        at_work=min(counted, 1),
        first_pass=True,
        floor_seconds=floor,
        stranded=Stranded(messages=stranded, seconds=30.0 if stranded else 0.0),
    )


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_it_is_a_range_around_the_likely_time_or_nothing(window: Window) -> None:
    for counted, uncounted, messages, floor, stranded in itertools.product(
        (0, 2, 5), (0, 2, 100), (0, 12), (0.0, 100.0, 3e10), (0, 12)
    ):
        left = _left(counted, uncounted, messages, floor, stranded)
        likely, found = eta(left, window), eta_range(left, window)
        assert (likely is None) == (found is None)
        if likely is not None and found is not None:
            assert 0 <= found[0] <= found[1]


def test_a_wave_that_begins_later_is_told_before_there_is_a_rate() -> None:
    """The command failed so when its first mailboxes were done within seconds, and a wave was to begin later."""
    found = eta_range(_left(2, 2, 0, 100.0, 0), WINDOWS["still early"])
    assert found is not None
    assert found[0] == 100.0
