"""Finds how many lanes a place lets in: more while the total grows, fewer when it does not, or the server wants fewer. Pure.

A step is a quarter of the lanes that are there, one at least, so that its effect shows above the noise of a window; it is
half of them as long as every step up helped. A step up is kept where the total grows by a third of what it would if lanes did
not disturb each other, a step down where it falls by less than a third of that. So the search ends at the knee, where more
lanes only wait for each other. Then it rests, each time twice as long.

Where the server refuses a connection, asks for less, or answers later and later, the number falls at once. What was refused is
not tried again before a rest is over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from shared.model.lanes import LaneSearch, Reason
from shared.nouns import dataclass

#: The shortest window, seconds; the answers of APPEND that it needs for each lane; and the time for which it waits for these.
WINDOW_SECONDS: Final = 5.0
WINDOW_ANSWERS: Final = 5
LONGEST_SECONDS: Final = 60.0
#: A window is of `limit` lanes when so much of them was there on average.
FULL: Final = 0.85
#: The part of a proportional gain that a step must bring.
_GAIN: Final = 1 / 3
#: A part of itself that the number falls to, when it has to fall.
_DECREASE: Final = 0.75
#: The part of the known rate below which, and that of the known latency above which, the server is called slower.
_SLOW_RATE, _SLOW_LATENCY = 0.7, 1.5
#: The time for which a search rests first, and at most, seconds.
REST_SECONDS: Final = 60.0
LONGEST_REST_SECONDS: Final = 960.0
#: The time for which a number that is being tried counts after the last word of a lane there, and the longest trial, seconds.
LEFT_SECONDS: Final = 60.0
LONGEST_TRIAL_SECONDS: Final = 3 * LONGEST_SECONDS


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneWindow:
    """A span of time at a place, in which the number of lanes that are let in did not change."""

    #: Its length.
    seconds: float
    #: The number of lanes that there were, on average.
    lanes: float
    #: The sums of `shared.model.lanes.Measured` over all workers.
    work: int
    answers: int = 0
    append_ms: int = 0
    refused: int = 0

    @property
    def rate(self) -> float:
        """The work a second."""
        return self.work / self.seconds

    @property
    def latency(self) -> float:
        """The seconds of APPEND for so much work; 0 where none was answered."""
        return self.append_ms / 1000 / self.work if self.work else 0.0

    def is_ripe(self) -> bool:
        """Tells whether it is long enough to be judged by."""
        told = not self.answers or self.answers >= WINDOW_ANSWERS * self.lanes
        return self.seconds >= WINDOW_SECONDS and (told or self.seconds >= LONGEST_SECONDS)


def begun(start: int, most: int, now: float) -> LaneSearch:
    """Returns a search at its start: the number that is let in where nobody searches."""
    return LaneSearch(limit=start, kept=start, most=most, changed_at=now)


def narrowed(search: LaneSearch | None, to: int, reason: Reason, now: float) -> LaneSearch | None:
    """Returns the search after the server wanted no more than `to` lanes, at least one is left; None where that is nothing new.

    `REFUSED`: one more than `to` was refused. The scripts do the same (`_lanes.lua`).
    """
    to = max(1, to)
    if search is not None and search.limit <= to:
        return None
    rest = REST_SECONDS
    if search is not None and search.ceiling and reason is Reason.REFUSED and now >= search.again_at:
        # It was tried again after a rest. Others that are refused at the same time say no more than the first.
        rest = min(max(rest, search.patience) * 2, LONGEST_REST_SECONDS)
    return LaneSearch(
        limit=to,
        kept=to,
        reason=reason,
        most=search.most if search else 0,
        ceiling=to + 1 if reason is Reason.REFUSED else 0,
        changed_at=now,
        again_at=now + rest,
        patience=rest,
        version=search.version + 1 if search else 1,
    )


def steered(search: LaneSearch, window: LaneWindow, most: int, now: float) -> LaneSearch:
    """Returns the search after a ripe window; the same object where the window must go on before anything is decided.

    The version is the caller's to change.
    """
    if search.limit > most:
        return _at(search, most, Reason.TRYING, now, most=most)
    if window.refused and search.rate and window.rate >= _SLOW_RATE * search.rate:
        # Others got on meanwhile: it is no outage.
        found = narrowed(search, min(search.limit - 1, int(window.lanes * _DECREASE)), Reason.REFUSED, now)
        return found or search
    if window.lanes < FULL * search.limit and search.limit >= search.kept:
        # Something else keeps lanes away. What is known here is neither better nor worse for it.
        return search
    if search.limit > search.kept:
        return _more_tried(search, window, most, now)
    if search.limit < search.kept:
        return _fewer_tried(search, window, now)
    if not search.rate:
        return _more(replace(search, rate=window.rate, latency=window.latency, most=most), most, now)
    slower = window.answers and search.latency and window.latency > _SLOW_LATENCY * search.latency
    if slower and window.rate < _SLOW_RATE * search.rate:
        return _shrunk(search, now)
    rate, latency = (search.rate + window.rate) / 2, (search.latency + window.latency) / 2
    known = replace(search, rate=rate, latency=latency, most=most)
    return _more(known, most, now) if now >= search.again_at else known


def unjudged(search: LaneSearch, told_at: float, now: float) -> LaneSearch:
    """Returns the search after a trial that nobody will judge; the same object where there is none.

    The lanes left during the trial (the scripts go by `kept` then too: `_lanes.lua`), or they do not become as many.
    """
    if search.limit == search.kept:
        return search
    if now - told_at > LEFT_SECONDS:
        return _at(search, search.kept, Reason.BEGUN, now)
    if now - search.changed_at > LONGEST_TRIAL_SECONDS:
        return _rested(_at(search, search.kept, Reason.BEGUN, now), now)
    return search


def _more_tried(search: LaneSearch, window: LaneWindow, most: int, now: float) -> LaneSearch:
    gain = _GAIN * (search.limit / search.kept - 1)
    if window.rate >= search.rate * (1 + gain):
        known = replace(search, kept=search.limit, rate=window.rate, latency=window.latency, most=most, ceiling=0)
        return _more(replace(known, patience=0.0, reason=Reason.MORE_HELPS), most, now)
    if window.seconds < 2 * WINDOW_SECONDS:
        return search
    return _fewer(search, now)


def _fewer_tried(search: LaneSearch, window: LaneWindow, now: float) -> LaneSearch:
    loss = _GAIN * (1 - search.limit / search.kept)
    if window.rate >= search.rate * (1 - loss):
        # The rate to beat stays: else many small losses would add up.
        rate = max(search.rate, window.rate)
        return _fewer(replace(search, kept=search.limit, rate=rate, latency=window.latency), now)
    if window.seconds < 2 * WINDOW_SECONDS:
        return search
    return _rested(_at(search, search.kept, Reason.NO_HELP, now), now)


def _more(search: LaneSearch, most: int, now: float) -> LaneSearch:
    """Begins a step up, or a rest where none is possible."""
    if search.ceiling and now >= search.again_at:
        return (
            _at(search, min(most, search.kept + 1), Reason.TRYING, now) if search.kept < most else _fewer(search, now)
        )
    top = min(most, search.ceiling - 1) if search.ceiling else most
    # Until something did not help, half as many more.
    part = 4 if search.patience or search.ceiling else 2
    step = min(top, search.kept + max(1, search.kept // part))
    # A step much smaller than that, up to the most, shows nothing above the noise.
    if step > search.kept and step - search.kept >= search.kept // 8:
        return _at(search, step, Reason.TRYING, now)
    if search.again_at and now >= search.again_at:
        return _fewer(search, now)
    return _rested(_at(search, search.kept, search.reason, now), now)


def _fewer(search: LaneSearch, now: float) -> LaneSearch:
    """Begins a step down, or a rest where none is possible."""
    step = max(1, search.kept - max(1, search.kept // 4))
    if step < search.kept:
        return _at(search, step, Reason.TRYING, now)
    return _rested(_at(search, search.kept, Reason.NO_HELP, now), now)


def _shrunk(search: LaneSearch, now: float) -> LaneSearch:
    """Falls by a part, since the server became slower; what it brought before is not asked of it any more."""
    fewer = max(1, int(search.kept * _DECREASE))
    forgotten = replace(search, kept=fewer, rate=0.0, latency=0.0, patience=0.0)
    return _at(forgotten, fewer, Reason.SLOWER, now)


def _rested(search: LaneSearch, now: float) -> LaneSearch:
    rest = min(max(REST_SECONDS, search.patience * 2), LONGEST_REST_SECONDS)
    return replace(search, again_at=now + rest, patience=rest)


def _at(search: LaneSearch, limit: int, reason: Reason, now: float, *, most: int | None = None) -> LaneSearch:
    kept = min(search.kept, limit) if most is not None else search.kept
    changed_at = now if limit != search.limit else search.changed_at
    return replace(
        search,
        limit=limit,
        kept=kept,
        reason=reason,
        most=search.most if most is None else most,
        changed_at=changed_at,
    )
