"""Who waits for how long. Pure.

The store does not write down since when a mailbox may be served; the coordinator sees it: as long as a mailbox stands in
the queue and was given nothing, its place there is the same.
"""

from __future__ import annotations

from collections.abc import Mapping


class Waiting:
    """Call `seen` every few seconds. A coordinator that has just taken over begins with nobody waiting."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[float, float]] = {}

    def seen(self, now: float, ready: Mapping[str, float]) -> float:
        """Seconds that the mailbox which waits longest was given nothing; `ready` is mailbox → how much it was served."""
        known = self._since
        self._since = {
            mailbox: known[mailbox] if mailbox in known and known[mailbox][1] == served else (now, served)
            for mailbox, served in ready.items()
        }
        return max((now - since for since, _ in self._since.values()), default=0.0)
