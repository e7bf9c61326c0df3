"""The outlook of an import: when it and each of its waves are done, what binds, and how earlier forecasts did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from producer.forecast.binding import bindings, said
from producer.forecast.gathering import FASTEST, LIKELY, SLOWEST, ImportLoads, limits_from, rated, slower
from producer.forecast.loads import ForecastLimits, Load, Speed
from producer.forecast.simulation import Forecast, Rest, no_rest, simulated
from shared.model import Import, Wave
from shared.model.forecasts import KeptForecast
from shared.model.lifecycle import ImportState
from shared.model.sides import Scope
from shared.nouns import dataclass

#: A measured speed is right to within this part, either way.
_DOUBT: Final = 0.2
#: Time and messages from which a speed is measured, seconds.
_MEASURED_SECONDS, _MEASURED_MESSAGES = 10.0, 50
#: The most limits that are named.
_NAMED: Final = 3
#: Seconds below which a forecast is scored by the delay alone: of so little, a moment more is many times as much.
_SHORT: Final = 600.0
#: The lanes that are assumed where no worker is heard of.
_LANES: Final = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """A forecast of an import at one moment."""

    #: The part of it that is kept.
    kept: KeptForecast
    #: Mailboxes that wait for a person, and are not in it.
    waiting: int
    #: Mailboxes whose size is assumed, since no worker has counted them yet.
    assumed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A forecast against what happened."""

    #: The wave that it is about, "" for the import.
    wave: str
    #: When it was made, and the end that it named; seconds since the epoch.
    made_at: float
    forecast_at: float
    #: When it came to its end; 0 while it has not.
    ended_at: float

    @property
    def late_seconds(self) -> float | None:
        """The delay, negative for an end that came earlier; None before the end, or where no end was forecast."""
        if not self.ended_at or self.forecast_at <= self.made_at:
            return None
        return self.ended_at - self.forecast_at

    @property
    def off(self) -> float | None:
        """The delay as a part of the time that was forecast: 0.2 for a fifth later; None also for a forecast of minutes."""
        late, foreseen = self.late_seconds, self.forecast_at - self.made_at
        return None if late is None or foreseen < _SHORT else late / foreseen


def outlook(
    import_: Import,
    gathered: ImportLoads,
    waves: Sequence[Wave],
    given: Mapping[str, int],
    usual: Mapping[str, int],
    now: float,
    default: Mapping[str, int] | None = None,
    lanes: int = 0,
    rest: Rest = no_rest,
) -> Outlook | None:
    """Returns the outlook; None while no mailbox is counted, so that nothing is known of any size.

    `lanes` are those of all workers that were heard of.
    """
    waiting, assumed = gathered.waiting, gathered.assumed
    if not gathered.mailboxes or (assumed and assumed + waiting == gathered.mailboxes):
        return None
    loads = gathered.loads(rest)
    limits = limits_from(import_, waves, given, usual, default, lanes or _LANES)
    speed = measured(import_, gathered, limits)
    likely, fast, slow = LIKELY, FASTEST, SLOWEST
    if speed is not None:
        likely, fast, slow = speed, slower(speed, 1 - _DOUBT), slower(speed, 1 + _DOUBT)
    found, low, high = (simulated(loads, replace(limits, speed=one), now, rest) for one in (likely, fast, slow))
    binds = bindings(loads, replace(limits, speed=likely), now, found, rest)
    kept = KeptForecast(
        made_at=now,
        passes=import_.passes,
        ends_at=_moment(found.seconds, now),
        low_at=_moment(low.known, now),
        high_at=_moment(high.known, now),
        mailboxes=len(loads),
        size_bytes=sum(load.size_bytes for load in loads),
        waves=_of_waves(loads, found, now),
        binds=tuple(said(one) for one in binds[:_NAMED]),
    )
    return Outlook(kept=kept, waiting=waiting, assumed=assumed)


def measured(import_: Import, gathered: ImportLoads, limits: ForecastLimits) -> Speed | None:
    """Returns the speed of a lane as this pass showed it so far; None where too little was moved to tell.

    What hours and rates slow down shows no speed of its own.
    """
    seconds = import_.last_record_at - import_.first_claim_at
    if (
        import_.passes > 1
        or import_.window
        or rated(limits)
        or seconds < _MEASURED_SECONDS
        or gathered.moved < _MEASURED_MESSAGES
    ):
        return None
    pace = max(gathered.moved / LIKELY.messages, gathered.moved_bytes / LIKELY.size_bytes) / seconds
    # What was moved had a lane, although an operator may have taken every connection away since.
    busy = max(1, min(limits.lanes, limits.connections(Scope.SOURCE_HOST, import_.source.host), 4 * gathered.mailboxes))
    return slower(LIKELY, busy / pace) if pace > 0 else None


def _of_waves(loads: Sequence[Load], found: Forecast, now: float) -> dict[str, float]:
    ends: dict[str, float] = {}
    for load in loads:
        ends[load.line] = max(ends.get(load.line, 0.0), found.ends[load.name])
    return {wave: _moment(end, now) for wave, end in ends.items()}


def _moment(seconds: float, now: float) -> float:
    return now + seconds if math.isfinite(seconds) else 0.0


def scores(import_: Import, kept: Sequence[KeptForecast], ends: Mapping[tuple[int, str], float]) -> list[Score]:
    """Scores the first forecast of this pass, of the import and of each of its waves."""
    first = next((one for one in kept if one.passes == import_.passes), None)
    if first is None:
        return []
    # Looks of what stands end later, and are no part of what was forecast.
    finished = ends.get((import_.passes, ""), import_.finished_at if import_.state is ImportState.FINISHED else 0.0)
    found = [Score(wave="", made_at=first.made_at, forecast_at=first.ends_at, ended_at=finished)]
    found += [
        Score(wave=wave, made_at=first.made_at, forecast_at=end, ended_at=ends.get((import_.passes, wave), 0.0))
        for wave, end in first.waves.items()
        if wave
    ]
    return found


def fifths_later(first: KeptForecast, now_ends_at: float) -> int:
    """Returns by how many fifths of what was forecast the end is later now."""
    if not first.ends_at or not now_ends_at or first.ends_at <= first.made_at:
        return 0
    return max(0, math.floor(5 * (now_ends_at - first.ends_at) / (first.ends_at - first.made_at)))
