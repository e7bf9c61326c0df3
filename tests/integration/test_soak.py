"""Tests `make soak`: three rounds of it, and that its judge sees what grows."""

from __future__ import annotations

import pytest

from bench.soak.__main__ import soak
from bench.soak.flat import MEASURES, growths

#: A round of a process that holds as much as ever.
QUIET = dict.fromkeys(MEASURES, 0.0) | {
    "worker_memory": 80e6,
    "coordinator_memory": 66e6,
    "keys": 70.0,
    "worker_files": 12.0,
}


@pytest.mark.slow
def test_three_rounds_with_kills_are_measured_and_lose_nothing() -> None:
    rounds: list[dict[str, float]] = []
    found = soak(0.0, 5, rounds.append)
    assert len(rounds) == 3
    assert all(one["delivered"] > 0 and one["leases"] == 0 for one in rounds)
    assert all(one[f"{kind}_series"] > 100 for one in rounds for kind in ("worker", "coordinator"))
    assert {one.name for one in found} == set(MEASURES)


@pytest.mark.parametrize(
    ("measure", "a_round"),
    [
        ("worker_memory", 400_000),
        ("worker_files", 1),
        ("keys", 1),
        ("leases", 1),
        ("coordinator_series", 1),
        ("log_bytes_a_round", 5_000),
    ],
)
def test_what_grows_a_little_in_each_round_is_a_leak(measure: str, a_round: float) -> None:
    rounds = [QUIET | {measure: QUIET[measure] + n * a_round} for n in range(60)]
    assert [one.name for one in growths(rounds) if one.leaks] == [measure]


def test_what_grows_only_at_the_beginning_is_no_leak() -> None:
    rounds = [QUIET | {"worker_memory": 80e6 + 1e6 * min(n, 15)} for n in range(60)]
    assert not [one.name for one in growths(rounds) if one.leaks]


def test_two_rounds_say_nothing() -> None:
    with pytest.raises(ValueError, match="let it run longer"):
        growths([QUIET, QUIET])
