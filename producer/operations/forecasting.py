"""Forecasts of imports in the store: made, kept, and scored. `producer.forecast` does the arithmetic."""

from __future__ import annotations

import time
from collections.abc import Mapping

from producer.forecast.outlook import Outlook, Score, outlook, scores
from producer.waves import wave_of
from shared.model import Import
from shared.model.errors import UsageError
from shared.store import Store


def look_ahead(
    store: Store, request: Import, default: Mapping[str, int] | None = None, threads: int = 16, now: float | None = None
) -> Outlook | None:
    """Returns the outlook of an import as it stands now; None while nothing is known of its size."""
    now = time.time() if now is None else now
    rows, waves = store.mailboxes(request.import_id), store.waves(request.import_id)
    lanes = store.workers() * threads
    return outlook(request, rows, waves, store.limits(), store.usual(), now, default, lanes)


def made_and_kept(
    store: Store, request: Import, wave: str = "", default: Mapping[str, int] | None = None, threads: int = 16
) -> Outlook:
    """Makes a forecast, and keeps it. Raises `UsageError` while nothing can be forecast, or for a wave that is not there."""
    if wave:
        wave_of(store, request, wave)
    found = look_ahead(store, request, default, threads)
    if found is None:
        raise UsageError(f"nothing can be forecast of import {request.name} yet: no mailbox is counted")
    store.keep_forecast(request.import_id, found.kept)
    return found


def scored(store: Store, request: Import) -> list[Score]:
    """Scores the first forecast of the import's pass against what happened."""
    return scores(request, store.forecasts(request.import_id), store.ends(request.import_id))
