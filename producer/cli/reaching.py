"""The verbs reach list, add and remove: the servers that the page and the API may have connected to."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from producer.cli.command_context import open_context
from producer.cli.noting import noted, person
from producer.cli.verb import COMPLETE, say, show
from shared.runtime.logs import clean
from shared.sign_in.allowed_places import AllowedPlaces, read_place
from shared.wording.phrases import Phrase

NOT_ALLOWED: Final = Phrase("place_not_allowed", "{place} was not allowed; mailhaul reach list shows what is")


def run_list(*, state_dir: Path | None) -> int:
    """Lists the places, one a line."""
    with open_context(state_dir) as context:
        known = AllowedPlaces(context.store, context.vault).all()
        if not known:
            say("no server is allowed beside those of providers and settings; allow one with: mailhaul reach add HOST")
        for one in known:
            show(f"{one.place}  {datetime.fromtimestamp(one.at, UTC):%Y-%m-%d %H:%M}  {clean(one.by)}")
    return COMPLETE


def run_add(place: str, *, state_dir: Path | None) -> int:
    """Allows a place."""
    place = read_place(place)
    with open_context(state_dir) as context, noted(context, "place allowed", place=place):
        AllowedPlaces(context.store, context.vault).add(place, person(), time.time())
    say(f"{place}: what the page and the API are given may be connected to there from now on")
    return COMPLETE


def run_remove(place: str, *, state_dir: Path | None) -> int:
    """Allows a place no longer."""
    place = read_place(place)
    with open_context(state_dir) as context, noted(context, "place refused", place=place):
        if not AllowedPlaces(context.store, context.vault).remove(place):
            raise NOT_ALLOWED.error(place=place)
    say(f"{place}: nothing new is connected to there")
    return COMPLETE
