"""Decides how a wave stands during a cutover, and how it stands again when that is given up. Pure."""

from __future__ import annotations

import json
from typing import Final

from shared.content.json_text import read_json
from shared.model.cutover import IN_SYNC, Cutover
from shared.model.lifecycle import CutoverState
from shared.rules.standing import LOWEST_SECONDS, Standing

#: A mailbox is looked at so often within the time in which it counts as in sync.
_LOOKS: Final = 3
#: The shortest time between two looks at a busy mailbox, seconds, unless the whole time is shorter.
_BUSY_SECONDS: Final = 60.0
#: The note on a wave that did not stand.
_NONE: Final = "none"


def standing_for(synced_seconds: float) -> Standing:
    """Returns how often a mailbox is looked at so that none is further behind than this."""
    most = max(LOWEST_SECONDS, synced_seconds / _LOOKS)
    return Standing(least_seconds=min(_BUSY_SECONDS, most), most_seconds=most)


def noted(standing: Standing | None) -> str:
    """Returns the note of how the wave stood before the cutover."""
    if standing is None:
        return _NONE
    return json.dumps([standing.least_seconds, standing.most_seconds, standing.switch_at])


def stands_after(cutover: Cutover, note: str, now: Standing | None) -> Standing | None:
    """Returns how the wave is to stand after a cutover that is over; `now` is how it stands.

    One that was given up leaves everything as a person wants it: as it stood before, or as somebody set it meanwhile. After
    the switch nothing is kept in sync any more. Without a note the cutover was begun by a version that made none: what it set
    itself goes.
    """
    if cutover.state is not CutoverState.CLOSED or cutover.entered(CutoverState.SWITCHED):
        return None
    if now != standing_for(cutover.options.synced_seconds) or not any(map(cutover.entered, IN_SYNC)):
        return now
    return _read(note)


def _read(note: str) -> Standing | None:
    """Reads a note, which is not signed: whoever may write to Redis could put anything there."""
    try:
        least, most, switch_at = map(float, read_json(note))
    except (ValueError, TypeError):
        return None
    return Standing(least_seconds=least, most_seconds=most, switch_at=switch_at)
