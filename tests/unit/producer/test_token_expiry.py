"""Tests the end of a token as people write it."""

from __future__ import annotations

import pytest

from producer.operations.token_expiry import read_expiry
from shared.model.errors import UsageError

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 0.0),
        ("never", 0.0),
        ("90d", NOW + 90 * 86_400),
        ("12h", NOW + 12 * 3600),
        ("2027-01-31", 1_801_440_000.0),
        ("9998-12-31", 253_370_764_800.0),
    ],
)
def test_what_may_be_written(text: str, at: float) -> None:
    assert read_expiry(text, NOW) == at


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("9999-12-31", "too far away"),
        ("9999-12-31T23:59-14:00", "too far away"),
        ("2020-01-01", "over already"),
        ("0001-01-01T00:00+14:00", "over already"),
        ("tomorrow", "no end of a token"),
        ("0d", "no end of a token"),
    ],
)
def test_what_is_no_end(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_expiry(text, NOW)
