"""How long it takes still, as a range: from how fast it went at its fastest and at its slowest, lately. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from producer.coordinator.tally import EARLY_SECONDS, Progress, Window, progress

#: Parts of the window whose rates are compared.
_PARTS: Final = 3
#: Nobody knows better than this: the range is at least so wide on both sides.
_DOUBT: Final = 0.1


def eta_range(known: Progress, window: Window) -> tuple[float, float] | None:
    """(At least, at most) seconds; None: too early to say."""
    whole = known.eta_seconds
    if whole is None:
        return None
    found = [whole * (1 - _DOUBT), whole * (1 + _DOUBT)]
    size = window.seconds / _PARTS
    if size >= EARLY_SECONDS:
        for at in range(_PARTS):
            began = window.samples[0].at + at * size
            part = replace(window, samples=tuple(s for s in window.samples if began <= s.at <= began + size))
            again = progress(known.request, known.tally, known.mailboxes, part, known.stranded).eta_seconds
            if again is not None:
                found.append(again)
    return min(found), max(found)
