"""Tests the decision when a mailbox that stands is looked at next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rules.standing import Standing, digest, next_look

NOW = 1_700_000_000.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


@pytest.mark.parametrize(
    ("quiet", "switch_in", "seconds"),
    [
        (0, None, 2 * MINUTE),  # busy
        (16 * MINUTE, None, 2 * MINUTE),
        (8 * HOUR, None, HOUR),
        (2 * DAY, None, 6 * HOUR),
        (30 * DAY, None, 6 * HOUR),  # quiet
        (30 * DAY, 8 * HOUR, HOUR),
        (30 * DAY, 10 * MINUTE, 2 * MINUTE),  # near the switch
        (30 * DAY, -10 * MINUTE, 2 * MINUTE),  # it has just been
        (30 * DAY, -8 * HOUR, HOUR),
        (8 * HOUR, 30 * DAY, HOUR),
    ],
)
def test_the_busier_and_the_nearer_the_oftener(quiet: float, switch_in: float | None, seconds: float) -> None:
    standing = Standing(switch_at=0.0 if switch_in is None else NOW + switch_in)
    assert next_look(NOW, NOW - quiet, standing) == seconds


@given(
    quiet=st.floats(-10, 1e8), switch=st.floats(-1e8, 1e8), least=st.integers(10, 1000), more=st.integers(0, 100_000)
)
def test_it_keeps_within_its_bounds(quiet: float, switch: float, least: int, more: int) -> None:
    standing = Standing(least_seconds=least, most_seconds=least + more, switch_at=NOW + switch)
    assert least <= next_look(NOW, NOW - quiet, standing) <= least + more


def test_a_digest_stands_for_a_name_and_for_whether_there_is_a_folder() -> None:
    assert len(digest(b"Work", frozenset())) == 4
    assert digest(b"Work", frozenset(("sent", "hasnochildren"))) == digest(b"Work", frozenset())
    assert digest(b"Work", frozenset(("noselect",))) != digest(b"Work", frozenset())
    assert digest(b"Work", frozenset()) != digest(b"work", frozenset())
