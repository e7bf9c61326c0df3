"""Tests the sum of counts: no count is left out of it, also none that is added to `Tally` later."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from shared.model.folders import Tally
from shared.model.lifecycle import Outcome


def test_the_total_has_each_count_of_each_part() -> None:
    numbers: dict[str, Any] = {one.name: at for at, one in enumerate(fields(Tally), 1) if isinstance(one.default, int)}
    assert "unreadable" in numbers
    maps = {name: {Outcome.COPIED: 2, Outcome.FAILED: 1} for name in ("outcomes", "ever")}
    one = Tally(**numbers, **maps)
    total = Tally.total([one, one, Tally()])
    assert {name: getattr(total, name) for name in numbers} == {name: 2 * number for name, number in numbers.items()}
    assert total.outcomes == total.ever == {Outcome.COPIED: 4, Outcome.FAILED: 2}
    assert Tally.total([]) == Tally()
