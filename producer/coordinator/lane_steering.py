"""Steers how many lanes accounts and hosts let in: measures windows, and lets `shared.rules.lane_search` decide after each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.model.lanes import LanePlace, LaneSearch
from shared.rules.lane_search import FULL, LONGEST_SECONDS, LaneWindow, begun, steered, unjudged
from shared.runtime.logs import get_logger
from shared.store import LaneStore

_log = get_logger("mailhaul.coordinator")

#: The time for which new lanes are not measured yet, seconds: workers tell once a second what they did.
SETTLE_SECONDS = 1.5


@dataclass(slots=True)
class _Watch:
    """A window that is being measured."""

    #: The version of the search that it belongs to.
    version: int
    #: The moment since which the wanted number of lanes is at work, seconds; None before that.
    there: float | None = None
    #: The sums at its beginning; None: it has not begun.
    first: LanePlace | None = None
    #: The lanes multiplied by seconds so far, and the moment up to which that counts.
    lane_seconds: float = 0.0
    until: float = 0.0


class LaneSteering:
    """The windows of all places. The store holds what was found, so that another coordinator goes on with it."""

    def __init__(self, store: LaneStore) -> None:
        self._store = store
        self._watches: dict[str, _Watch] = {}

    def turn(self) -> list[LanePlace]:
        """Looks at every place once, and enters what is decided. Returns the places. Call it about once a second."""
        places = self._store.lane_places()
        self._watches = {place.name: self._watches.get(place.name) or _Watch(-1) for place in places}
        for place in places:
            if place.most > 1:
                self._look(place)
        return places

    def _look(self, place: LanePlace) -> None:
        search = search_of(place)
        version = place.search.version if place.search else 0
        watch = self._watches[place.name]
        if watch.version != version:
            watch = self._watches[place.name] = _Watch(version)
        window = _measured(watch, place, search.limit)
        found = search
        if window and window.is_ripe():
            found = steered(search, window, place.most, place.at)
        if found is search:
            found = unjudged(search, place.told_at, place.at)
        if found is search:
            if (
                window and window.seconds > 2 * LONGEST_SECONDS
            ):  # too few lanes were there, or it is undecided: measured anew
                self._watches[place.name] = _Watch(version)
            return
        self._store.steer(place.name, version, replace(found, version=version + 1))
        if found.limit != search.limit:
            scope = place.name.partition(":")[0]
            _log.info("lanes_steered", scope=scope, lanes=found.limit, before=search.limit, reason=found.reason)


def search_of(place: LanePlace) -> LaneSearch:
    """Returns the search at a place: a new one where there was none, or where its limits have changed."""
    search = place.search
    return search if search and search.most in (0, place.most) else begun(place.start, place.most, place.at)


def _measured(watch: _Watch, place: LanePlace, limit: int) -> LaneWindow | None:
    """Goes on with the window, and returns it as it is now; None while it has not begun."""
    if watch.first is None:
        if not FULL * limit <= place.lanes <= limit:
            watch.there = None
        elif watch.there is None:
            watch.there = place.at
        elif place.at - watch.there >= SETTLE_SECONDS:
            watch.first, watch.until = place, place.at
        return None
    watch.lane_seconds += place.lanes * (place.at - watch.until)
    watch.until = place.at
    # From one report of the workers to another: their sums cover just that time.
    seconds, lasted = place.told_at - watch.first.told_at, place.at - watch.first.at
    if seconds <= 0 or lasted <= 0:
        return None
    return LaneWindow(
        seconds=seconds,
        lanes=watch.lane_seconds / lasted,
        work=place.work - watch.first.work,
        answers=place.answers - watch.first.answers,
        append_ms=place.append_ms - watch.first.append_ms,
        refused=place.refused - watch.first.refused,
    )
