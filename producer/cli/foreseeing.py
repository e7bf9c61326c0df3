"""The verb forecast."""

from __future__ import annotations

import json
from pathlib import Path

from producer.cli.command_context import open_context
from producer.cli.noting import noted
from producer.cli.verb import COMPLETE, show
from producer.operations import forecasting
from producer.operations.finding import find_import
from producer.show import foreseen
from shared.model.lifecycle import ImportState
from shared.runtime.logs import clean


def run_forecast(which: str, wave: str = "", *, as_json: bool, state_dir: Path | None) -> int:
    """Makes a forecast of an import that runs, keeps it, and prints it with the scores of earlier ones."""
    with open_context(state_dir, make=False) as context:
        store, settings = context.store, context.settings
        import_ = find_import(store, which)
        found = None
        if import_.state is not ImportState.FINISHED:
            with noted(context, "forecast made", import_id=import_.import_id):
                found = forecasting.made_and_kept(store, import_, wave, settings.limits, settings.worker_threads)
        scored = forecasting.scored(store, import_)
        if as_json:
            whole = {
                "forecast": foreseen.forecast_fields(found.kept) if found else None,
                "kept": [foreseen.forecast_fields(kept) for kept in store.forecasts(import_.import_id)],
                "scores": [foreseen.score_fields(score) for score in scored],
            }
            print(json.dumps(whole, ensure_ascii=False, indent=2))
            return COMPLETE
        for line in foreseen.outlook_lines(found, wave) if found else ["finished"]:
            show(clean(line))
        for score in scored:
            if wave in ("", score.wave):
                print(clean(foreseen.score_line(score)))
    return COMPLETE
