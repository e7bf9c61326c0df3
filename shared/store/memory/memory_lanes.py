"""The model's part for how many lanes an account or a host lets in, and what was measured there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.model.lanes import LanePlace, LaneSearch, Measured, Reason
from shared.model.sides import Scope
from shared.rules.lane_search import narrowed
from shared.store import SCOPES
from shared.store.memory.memory_readings import atomic
from shared.store.memory.memory_sign_ins import MemorySignIns
from shared.store.memory.memory_tables import MailboxRow

#: The time for which a number that was found is believed without a word from a lane there; and for which a place is told
#: of, and a number that was only being tried there is believed, ms.
LANES_MS, TOLD_MS = 3_600_000, 60_000
#: The number of places that are told of at most.
MOST_PLACES = 1_000
#: When a unit is claimed again whose lane was one too many, ms.
CROWDED_MS = 2_000


@dataclass(slots=True)
class PlaceRow:
    """The row of a place."""

    #: Sums of `Measured`.
    work: int = 0
    answers: int = 0
    append_ms: int = 0
    refused: int = 0
    #: The search for the number of lanes; None where there was none.
    search: LaneSearch | None = None
    #: When anything was written of it last, and when its sums grew, ms.
    heard: int = 0
    told: int = 0


class MemoryLanes(MemorySignIns):
    """The lanes at accounts and hosts."""

    def __init__(self, clock: Callable[[], float], limits: Mapping[str, int], most_lanes: Mapping[str, int]) -> None:
        super().__init__(clock)
        self._defaults = {scope: limits.get(scope, 4 if "account" in scope else 32) for scope in SCOPES}
        self._most_lanes = {scope: most_lanes.get(scope, self._defaults[scope]) for scope in SCOPES}
        self._places: dict[str, PlaceRow] = {}
        #: Worker → the last beat whose measurements were added.
        self._beats: dict[str, int] = {}

    @atomic
    def lane_places(self) -> list[LanePlace]:
        now, found = self._rows.now(), []
        known = ((row.heard, name) for name, row in self._places.items() if self._known(name))
        for _, name in sorted(known, reverse=True)[:MOST_PLACES]:
            row = self._places[name]
            if row.heard < now - TOLD_MS and not row.search:
                continue
            start, most = self._set_lanes(name)
            lanes = sum(until > now for until in self._permits.get(name, {}).values())
            found.append(
                LanePlace(
                    name=name,
                    lanes=lanes,
                    start=start,
                    most=most,
                    search=row.search,
                    at=now / 1000,
                    told_at=row.told / 1000,
                    work=row.work,
                    answers=row.answers,
                    append_ms=row.append_ms,
                    refused=row.refused,
                )
            )
        return found

    @atomic
    def steer(self, name: str, version: int, search: LaneSearch) -> bool:
        row = self._known(name)
        if (row.search.version if row and row.search else 0) != version:
            return False
        now = self._rows.now()
        row = self._places[name] = row or PlaceRow()
        row.search, row.heard = search, now
        return True

    def _known(self, name: str) -> PlaceRow | None:
        row = self._places.get(name)
        return row if row and row.heard > self._rows.now() - LANES_MS else None

    def _set_lanes(self, name: str) -> tuple[int, int]:
        """Returns how many lanes a place lets in where nothing was found, and the most that may be tried."""
        scope = Scope(name.partition(":")[0])
        if name in self._limits:
            return (self._limits[name],) * 2
        server = "/".join(name.split("/")[:3]) if scope.endswith("account") else name
        given = [limits[key] for limits, key in ((self._limits, scope), (self._usual, server)) if key in limits]
        return (min(given),) * 2 if given else (self._defaults[scope], self._most_lanes[scope])

    def _let_in(self, name: str) -> tuple[int, int | None]:
        """Returns how many lanes a place lets in, and what was found there under the limits that are set now."""
        start, most = self._set_lanes(name)
        row = self._known(name)
        found = None
        if row and (search := row.search) and search.most in (0, most):
            found = search.kept if row.told < self._rows.now() - TOLD_MS else search.limit
        return (start if found is None else min(found, most)), found

    def _lanes_at(self, name: str) -> dict[str, int]:
        """Returns the lanes that hold a connection there; those whose time is over are dropped."""
        lanes, now = self._permits.get(name, {}), self._rows.now()
        for lane in [lane for lane, until in lanes.items() if until <= now]:
            del lanes[lane]
        return lanes

    def _too_many(self, name: str, holder: str, found: int) -> bool:
        """Tells whether a lane that is in has to go: those last in the order of their names, whoever asks."""
        return holder in sorted(self._lanes_at(name))[found:]

    def _narrow_lanes(self, name: str, to: int, reason: Reason) -> None:
        now, known = self._rows.now(), self._known(name)
        if search := narrowed(known.search if known else None, to, reason, now / 1000):
            row = known or PlaceRow()
            row.search, row.heard = search, now
            self._places[name] = row

    def _add_measured(self, worker: str, beat: int, measured: Mapping[str, Measured]) -> None:
        if not measured or self._beats.get(worker) == beat:
            return
        self._beats[worker] = beat
        rows, now = self._rows, self._rows.now()
        for mailbox_id, one in measured.items():
            m = rows.mailboxes.get(mailbox_id)
            for scope, name in zip(SCOPES, self._scopes(m) if m else (), strict=False):
                if scope.endswith("account") and len(self._lanes_at(name)) < 2:
                    continue
                row = self._known(name) or PlaceRow()
                row.work, row.answers = row.work + one.work, row.answers + one.answers
                there = scope.startswith("destination")
                row.append_ms += one.append_ms if there else 0
                row.refused += one.destination_refused if there else one.source_refused
                row.heard = row.told = now
                self._places[name] = row

    @staticmethod
    def _scopes(m: MailboxRow) -> list[str]:
        return [f"{scope}:{m.scopes[scope]}" for scope in SCOPES]
