"""Places that an administrator allowed to be connected to while mailhaul runs: hosts, networks and ports that are not public.

Each is kept with who allowed it and when, signed: whoever may write to the store without the key opens no network
(`shared.store.records.signed`).
"""

from __future__ import annotations

import ipaddress
import re
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from shared.nouns import dataclass
from shared.sign_in.reach import Granted
from shared.store import Resealed
from shared.store.ports.reach_store import ReachStore
from shared.store.records.signed import Signer, row_of, signed_row
from shared.wording.phrases import Phrase

NO_PLACE: Final = Phrase(
    "place_impossible",
    "{text} is no host name, address, network or port; write mail.corp.example, 10.20.0.0/16 or 1143",
)

#: Seconds for which what is allowed is remembered.
_FRESH_SECONDS: Final = 1.0
_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*\.?")


@dataclass(frozen=True, kw_only=True, slots=True)
class AllowedPlace:
    """A place that may be connected to."""

    #: A host name, a network as in "10.0.0.0/8", or a port.
    place: str
    #: The person who allowed it.
    by: str
    #: When, seconds since the epoch.
    at: float


def read_place(text: str) -> str:
    """Returns a host name, an address or network ("10.1.2.3/32"), or a port, in its one form. Raises `UsageError`."""
    text = text.strip().strip("[]").lower()
    if text.isascii() and text.isdecimal() and 0 < int(text) < 65_536:
        return str(int(text))
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        if not _NAME.fullmatch(text) or not re.search("[a-z]", text):
            raise NO_PLACE.error(text=f"{text[:80]!r}") from None
    return text


class AllowedPlaces:
    """The allowed places of one process. Thread-safe. Raises `StoreError` while the store is away."""

    def __init__(self, store: ReachStore, signer: Signer, clock: Callable[[], float] = monotonic) -> None:
        self._store, self._signer, self._clock = store, signer, clock
        self._lock = threading.Lock()
        self._kept: tuple[float, Granted] | None = None

    def add(self, place: str, by: str, at: float) -> AllowedPlace:
        """Allows a place from now on. Raises `UsageError`."""
        found = AllowedPlace(place=read_place(place), by=by, at=at)
        self._store.allow_place(found.place, signed_row(self._signer, _field(found.place), {"by": by, "at": at}))
        self._kept = None
        return found

    def remove(self, place: str) -> bool:
        """Allows a place no longer. Returns whether it was allowed."""
        self._kept = None
        return self._store.refuse_place(place)

    def all(self) -> list[AllowedPlace]:
        """Returns the places, in their order. One whose row no key signed is left out and logged."""
        found = []
        for place, text in sorted(self._store.allowed_places().items()):
            if row := row_of(self._signer, _field(place), text):
                found.append(AllowedPlace(place=place, by=str(row["by"]), at=float(row["at"])))
        return found

    def granted(self) -> Granted:
        """Returns what is allowed, at most a second old."""
        with self._lock:
            if self._kept is None or self._clock() - self._kept[0] > _FRESH_SECONDS:
                self._kept = (self._clock(), _granted([one.place for one in self.all()]))
            return self._kept[1]

    def resign(self) -> Resealed:
        """Signs every row by the first key. Rows that no key signed are left and counted as lost."""
        total = Resealed()
        for place, text in self._store.allowed_places().items():
            if row := row_of(self._signer, _field(place), text):
                self._store.allow_place(place, signed_row(self._signer, _field(place), row))
                total += Resealed(renewed=1)
            else:
                total += Resealed(lost=1)
        return total


def _granted(places: list[str]) -> Granted:
    networks = tuple(ipaddress.ip_network(one) for one in places if "/" in one)
    ports = frozenset(int(one) for one in places if one.isdecimal())
    return Granted(
        names=frozenset(one for one in places if "/" not in one and not one.isdecimal()), networks=networks, ports=ports
    )


def _field(place: str) -> str:
    return f"reach:{place}"
