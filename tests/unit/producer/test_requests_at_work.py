"""Tests that a forecast lets those go first who wait for a page."""

from __future__ import annotations

import threading
from itertools import count

import pytest

from producer.forecast.loads import ForecastLimits, Load
from producer.forecast.simulation import simulated
from producer.operations import forecasting
from producer.web.security import turns
from producer.web.security.turns import RequestsAtWork
from tests.unit.producer.test_report import Many, many

__all__ = ["many"]


def test_whoever_rests_waits_for_the_requests_at_work_and_not_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "REST_SECONDS", 30.0)
    quiet, order = RequestsAtWork(), list[str]()
    quiet.rest()
    quiet.told(1)
    quiet.rest(own=1)

    def rest() -> None:
        quiet.rest()
        order.append("goes on")

    thread = threading.Thread(target=rest)
    thread.start()
    order.append("answered")
    quiet.told(0)
    thread.join()
    assert order == ["answered", "goes on"]
    # However many ask, it goes on after a while.
    monkeypatch.setattr(turns, "REST_SECONDS", 0.01)
    quiet.told(7)
    quiet.rest()


def test_the_rests_of_one_forecast_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two forecasts would wait for each other at every rest, with nobody to wait for."""
    rested: list[int] = []
    monkeypatch.setattr(RequestsAtWork, "rest", lambda _, own: rested.append(own))
    monkeypatch.setattr(turns, "monotonic", count().__next__)
    rest = RequestsAtWork().rests(own=1)
    for _ in range(20):
        rest()
    assert rested == [1] * int(turns.MOST_REST_SECONDS)


def test_a_forecast_rests_after_each_short_piece(many: Many) -> None:
    store, whole = many
    rests: list[int] = []
    forecasting.look_ahead(store, whole, rest=lambda: rests.append(1))
    assert len(rests) >= 13, "1,201 mailboxes are read in pieces"
    rests.clear()
    keys = ("old.example/a", "old.example", "new.example/a", "new.example")
    loads = [Load(name=f"m{at}", keys=keys, messages=at, size_bytes=1000 * at) for at in range(2000)]
    found = simulated(loads, ForecastLimits(), rest=lambda: rests.append(1))
    assert len(rests) > 2000 / 50 + 10, "they are entered in pieces, and each step is one"
    assert found == simulated(loads, ForecastLimits())
