"""Measures how long mailboxes wait to be served. Pure.

The store does not record since when a mailbox is ready. The coordinator sees it: as long as a mailbox stands in the
queue and was given nothing, its place there stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping


class Waiting:
    """The mailboxes that wait. Call `seen` every few seconds.

    A coordinator that has just taken over counts every wait from zero.
    """

    def __init__(self) -> None:
        self._since: dict[str, tuple[float, float]] = {}

    def seen(self, now: float, ready: Mapping[str, float]) -> float:
        """Returns the seconds that the longest waiting mailbox was given nothing.

        `ready` tells by mailbox how much it was served.
        """
        known = self._since
        self._since = {
            mailbox: known[mailbox] if mailbox in known and known[mailbox][1] == served else (now, served)
            for mailbox, served in ready.items()
        }
        return max((now - since for since, _ in self._since.values()), default=0.0)
