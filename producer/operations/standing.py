"""Operations on standing imports: which imports and waves stand, and how often they are looked at.

No function here prints or waits.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from producer.operations.acknowledged import on_disk
from producer.operations.credentials import need_passwords
from producer.operations.resources import HeldResources
from producer.waves import read_start, wave_of
from shared.model import Import, Mailbox
from shared.model.search import Search
from shared.rules.standing import HIGHEST_SECONDS, LOWEST_SECONDS, Standing, StandingTally
from shared.store import Store
from shared.wording.phrases import FieldName, Phrase

NO_SPAN: Final = Phrase("standing_span", "{text} is no time from 10s to 7d; write 30s, 5m, 6h or 1d")
BOUNDS: Final = Phrase("standing_bounds", "a time from 10s to 7d")
LEAST_LONGER: Final = Phrase("standing_order", "may not be longer than {most}")
OFF_ALONE: Final = Phrase("standing_off", "ends it; give it alone")

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SPAN: Final = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)\s?([smhd])")


def read_span(text: str, field: str) -> float:
    """Returns the seconds of ``30s``, ``5m``, ``6h`` or ``1d``. Raises `UsageError` that names the field."""
    found = _SPAN.fullmatch(text.strip().lower())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not LOWEST_SECONDS <= seconds <= HIGHEST_SECONDS:
        raise NO_SPAN.error(field, text=f"{text!r}")
    return seconds


def read_switch(text: str) -> float:
    """Returns the moment of ``2026-02-01T20:00+01:00`` in seconds since the epoch; 0 for ``none``. Raises `UsageError`."""
    if text.strip().lower() == "none":
        return 0.0
    return read_start(text, "switch_at", "none")


def checked(standing: Standing) -> Standing:
    """Returns the bounds. Raises `UsageError` for those that nobody may ask for."""
    least, most = standing.least_seconds, standing.most_seconds
    if not LOWEST_SECONDS <= least <= HIGHEST_SECONDS or not LOWEST_SECONDS <= most <= HIGHEST_SECONDS:
        raise BOUNDS.error("least_seconds", "most_seconds")
    if least > most:
        raise LEAST_LONGER.error("least_seconds", most=FieldName("most_seconds"))
    return standing


class StandingOperations(HeldResources):
    """The operations on standing imports."""

    @on_disk
    def change_standing(
        self,
        import_: Import,
        wave: str = "",
        *,
        least_seconds: float | None = None,
        most_seconds: float | None = None,
        switch_at: float | None = None,
        off: bool = False,
    ) -> Standing | None:
        """Lets the import or a wave stand with what is given; what is not given stays as it was, or is usual.

        With `off` it stands no longer. Returns what counts from now on. Raises `UsageError`.
        """
        given = {"least_seconds": least_seconds, "most_seconds": most_seconds, "switch_at": switch_at}
        asked = {name: value for name, value in given.items() if value is not None}
        if off and asked:
            raise OFF_ALONE.error("off")
        standing = None if off else replace(standing_of(self.store, import_, wave) or Standing(), **asked)
        self.set_standing(import_, standing, wave)
        return standing

    @on_disk
    def set_standing(self, import_: Import, standing: Standing | None, wave: str = "") -> None:
        """Lets the import, or one of its waves, stand from now on; with None it stands no longer.

        A wave's own word goes before that of its import; None for the import ends it for all of its waves. Its passwords
        are kept for as long as anything of it stands. Repeated, it changes nothing. Raises `UsageError`.
        """
        if wave:
            wave_of(self.store, import_, wave)
        if standing is not None:
            checked(standing)
            need_passwords(self.store, import_, _some(self.store, import_, wave))
        self.store.set_standing(import_.import_id, wave, standing)
        self.ring_some(import_.import_id)


def standing_of(store: Store, import_: Import, wave: str = "") -> Standing | None:
    """Returns the bounds that count for the import, or for mailboxes of this wave; None where it does not stand."""
    known = store.standings(import_.import_id)
    return known[wave] if wave in known else known.get("")


def standings(store: Store, import_: Import) -> dict[str, Standing | None]:
    """Returns what was set, by wave; "" for the whole import, None for a wave that stays out of it."""
    return store.standings(import_.import_id)


def tally_of(store: Store, import_: Import) -> StandingTally:
    """Returns the looks at the import in numbers."""
    return store.standing_tally(import_.import_id)


def _some(store: Store, import_: Import, wave: str) -> list[Mailbox]:
    """Returns one mailbox of those that are to stand: the passwords of an import are kept or forgotten together."""
    found = store.find_mailboxes(import_.import_id, Search(wave=wave, count=1))[1]
    return [mailbox for mailbox, _ in found]
