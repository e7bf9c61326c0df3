"""The verb standing: sets or shows which parts of an import are looked at again by themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from producer.cli.acts import Acts
from producer.cli.command_context import open_context
from producer.cli.verb import COMPLETE, say
from producer.operations import standing
from producer.operations.finding import find_import
from producer.show.paused import paused_lines
from producer.show.standing_words import standing_fields, standing_lines
from producer.waves import wave_of, waves_of
from shared.nouns import dataclass
from shared.runtime.logs import clean
from shared.wording.phrases import Phrase

ON_AND_OFF: Final = Phrase("standing_on_and_off", "--on and --off: give one of them")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The wishes of a person; none of them to be shown what there is."""

    #: Whether it is to stand.
    on: bool = False
    #: The shortest and the longest time between two looks, as in "5m"; "" to leave it.
    least: str = ""
    most: str = ""
    #: When its people are switched over; "none" to forget it, "" to leave it.
    switch_at: str = ""
    #: Whether it is to stand no longer.
    off: bool = False

    def given(self) -> dict[str, float | bool | None]:
        """Returns the arguments of `Operations.change_standing`. Raises `UsageError`."""
        return {
            "least_seconds": standing.read_span(self.least, "least_seconds") if self.least else None,
            "most_seconds": standing.read_span(self.most, "most_seconds") if self.most else None,
            "switch_at": standing.read_switch(self.switch_at) if self.switch_at else None,
            "off": self.off,
        }


def run_standing(which: str, wave: str, asked: Asked, *, as_json: bool, state_dir: Path | None) -> int:
    """Sets or shows what stands of an import."""
    if asked.on and asked.off:
        raise ON_AND_OFF.error()
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        if asked != Asked():
            Acts(context).change_standing(import_, wave, **asked.given())
        elif wave:
            wave_of(context.store, import_, wave)
        known, tally = standing.standings(context.store, import_), standing.tally_of(context.store, import_)
        paused = list(paused_lines(import_, waves_of(context.store, import_)))
        lonely = context.nobody_works() if known else ""
    if as_json:
        print(json.dumps(standing_fields(known, tally), ensure_ascii=False, indent=2), flush=True)
        return COMPLETE
    for line in [*(standing_lines(known, tally) or ["does not stand"]), *paused]:
        say(f"import {clean(import_.name)}: {line}")
    if lonely:
        say(lonely)
    return COMPLETE
