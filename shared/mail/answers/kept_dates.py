"""The dates outside of the usual that a destination was seen to keep (`shared.content.dates`).

All sessions with a server share them.

They are a memory and no promise: another account of the server may be stored otherwise. Where the memory is wrong, a
copy has another date than was sent, which verification tells, or a date was changed without need, which its note tells.
"""

from __future__ import annotations

from typing import Final

from shared.content.dates import EARLIEST, LATEST, usual

#: Connections that are lost at a date before it counts as one that the server does not take.
_LOSSES: Final = 2


class KeptDates:
    """The memory of one server. Every assignment stands for itself, so that threads need no lock."""

    def __init__(self) -> None:
        self._earliest, self._latest = EARLIEST, LATEST
        self._too_early: int | None = None
        self._too_late: int | None = None
        self._losses = 0

    def kept(self, date: int) -> bool:
        """Tells whether the server stores this date as given."""
        return self._earliest <= date <= self._latest

    def lost(self, date: int) -> bool:
        """Tells whether the server is known not to store this date as given."""
        early, late = self._too_early, self._too_late
        return (early is not None and date <= early) or (late is not None and date >= late)

    def keeps(self, date: int) -> None:
        """Notes that the server stored this date as given, so that it also stores what is nearer."""
        self._earliest, self._latest = min(self._earliest, date), max(self._latest, date)

    def loses(self, date: int) -> None:
        """Notes that the server refused this date or stored another one, so that it does the same with what is farther."""
        if usual(date):
            return  # Dovecot changes a date after today; nothing could be sent in its place
        if date < EARLIEST:
            self._too_early = date if self._too_early is None else max(self._too_early, date)
            self._earliest = EARLIEST if self._earliest <= date else self._earliest
        else:
            self._too_late = date if self._too_late is None else min(self._too_late, date)
            self._latest = LATEST if self._latest >= date else self._latest

    def broke(self, date: int) -> None:
        """Notes that the connection was lost while this date was on its way, which may be the cause."""
        self._losses += 1
        if self._losses >= _LOSSES:
            self.loses(date)
