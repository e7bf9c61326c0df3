"""Tests forecasts that are kept, and the ends by which they are scored."""

from __future__ import annotations

from dataclasses import replace

from shared.model.forecasts import KeptForecast
from shared.store import Store
from tests.contract.store_kit import run_out, start

MADE = KeptForecast(
    made_at=1000.5,
    passes=1,
    ends_at=2000.0,
    low_at=1800.0,
    high_at=2400.0,
    mailboxes=3,
    size_bytes=7e9,
    waves={"pilot": 1500.0, "": 0.0},
    binds=("450 MB a day",),
)


def test_a_forecast_is_kept_as_it_was_made(store: Store) -> None:
    whole, _ = start(store)
    assert store.keep_forecast(whole.import_id, MADE)
    assert not store.keep_forecast(whole.import_id, replace(MADE, ends_at=1.0)), "of this moment one is kept"
    assert store.forecasts(whole.import_id) == [MADE]
    assert not store.keep_forecast("nobody", MADE)
    assert store.forecasts("nobody") == []


def test_of_many_the_first_and_the_newest_stay(store: Store) -> None:
    whole, _ = start(store)
    for at in range(30):
        assert store.keep_forecast(whole.import_id, replace(MADE, made_at=float(at)))
    assert [one.made_at for one in store.forecasts(whole.import_id)] == [0, *range(11, 30)]


def test_the_first_end_of_a_pass_counts(store: Store) -> None:
    whole, _ = start(store)
    assert store.keep_end(whole.import_id, 1, "pilot", 5.5)
    assert not store.keep_end(whole.import_id, 1, "pilot", 6.0)
    assert store.keep_end(whole.import_id, 2, "pilot", 7.0)
    assert store.keep_end(whole.import_id, 1, "", 8.0)
    assert store.ends(whole.import_id) == {(1, "pilot"): 5.5, (2, "pilot"): 7.0, (1, ""): 8.0}


def test_they_go_with_their_import(store: Store) -> None:
    whole, _ = start(store)
    store.keep_forecast(whole.import_id, MADE)
    run_out(store)
    assert store.close(whole.import_id)
    assert (store.forecasts(whole.import_id), store.ends(whole.import_id)) == ([], {})
    start(store)
    assert store.forecasts(whole.import_id) == []
