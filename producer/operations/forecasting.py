"""Forecasts of imports in the store: made, kept, and scored. `producer.forecast` does the arithmetic."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from producer.forecast.gathering import ImportLoads
from producer.forecast.outlook import Outlook, Score, outlook, scores
from producer.forecast.simulation import Rest, no_rest
from producer.waves import wave_of
from shared.model import Import
from shared.store import Store
from shared.wording.phrases import Phrase

NOTHING_COUNTED: Final = Phrase(
    "nothing_to_forecast",
    "nothing can be forecast of import {name} yet: no mailbox is counted",
)
#: Mailboxes that are read between two rests.
_PIECE: Final = 100


def look_ahead(
    store: Store,
    import_: Import,
    default: Mapping[str, int] | None = None,
    threads: int = 16,
    now: float | None = None,
    rest: Rest = no_rest,
) -> Outlook | None:
    """Returns the outlook of an import as it stands now; None while nothing is known of its size.

    Of many mailboxes that takes seconds; `rest` is called after each piece of it.
    """
    now = time.time() if now is None else now
    gathered, waves = ImportLoads(now), store.waves(import_.import_id)
    while piece := store.mailboxes(import_.import_id, gathered.mailboxes, _PIECE):
        gathered.add(piece)
        rest()
    lanes = store.workers() * threads
    return outlook(import_, gathered, waves, store.limits(), store.usual(), now, default, lanes, rest)


def made_and_kept(
    store: Store,
    import_: Import,
    wave: str = "",
    default: Mapping[str, int] | None = None,
    threads: int = 16,
    rest: Rest = no_rest,
) -> Outlook:
    """Makes a forecast, and keeps it. Raises `UsageError` while nothing can be forecast, or for a wave that is not there."""
    if wave:
        wave_of(store, import_, wave)
    found = look_ahead(store, import_, default, threads, rest=rest)
    if found is None:
        raise NOTHING_COUNTED.error(name=import_.name)
    store.keep_forecast(import_.import_id, found.kept)
    return found


def scored(store: Store, import_: Import) -> list[Score]:
    """Scores the first forecast of the import's pass against what happened."""
    return scores(import_, store.forecasts(import_.import_id), store.ends(import_.import_id))
