"""The parts of the store's port for what people are told: notices and forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.model.forecasts import KeptForecast
from shared.model.notices import Delivery, Notice

#: The time for which the store knows that something was told, seconds.
TOLD_SECONDS = 60 * 86_400.0


class ForecastStore(Protocol):
    """The forecasts of imports, and the ends by which they are scored."""

    def keep_forecast(self, import_id: str, kept: KeptForecast) -> bool:
        """Keeps a forecast. Returns whether it did; not when there is no such import, or one of this moment is kept.

        Of more than twenty the first and the newest stay.
        """

    def forecasts(self, import_id: str) -> list[KeptForecast]:
        """Returns the forecasts that are kept, oldest first."""

    def keep_end(self, import_id: str, passes: int, wave: str, at: float) -> bool:
        """Keeps when a wave ("" for the import) came to its end in this pass; the first time counts."""

    def ends(self, import_id: str) -> dict[tuple[int, str], float]:
        """Returns (pass, wave) → when it came to its end, seconds since the epoch."""


class NoticeStore(Protocol):
    """The outbox of notices: what people are told without looking.

    A notice that was told is spread to the targets, which makes a delivery for each; one sender at a time takes them.
    """

    def tell(
        self, notice: Notice, *, once: str, seconds: float = TOLD_SECONDS, mark: str = "", height: float = 0.0
    ) -> bool:
        """Has a notice told, unless one of the same `once` was in the last `seconds`. Returns whether it is.

        With `mark` it is told only when `height` is above what was told under that mark before.
        """

    def notices(self) -> list[Notice]:
        """Returns the notices that are not spread yet, oldest first. They are kept for a day."""

    def spread(self, notice_id: str, targets: Sequence[str]) -> int:
        """Makes a delivery of the notice for each target, in its place. Returns how many; 0 when it is spread."""

    def take_delivery(self, term: int, retry_seconds: float) -> Delivery | None:
        """Returns the delivery that is due longest, and counts the attempt; None when none is due.

        The next attempt is `retry_seconds` later, twice as much each time, an hour at most. `term` is that of the post
        "sender". Raises `LeaseLost` when another has it.
        """

    def settle_delivery(self, delivery: Delivery, how: str, why: str = "", after_seconds: float = 0.0) -> str:
        """Says what came of a delivery.

        `how` is "sent", "failed" (it is tried again, not before `after_seconds`, for a day), "never" (it is given up at
        once), "drop" (it is forgotten), or "anew" (one that was given up is tried again). Returns what became of it:
        "gone", "due", "given up", or "" when nothing changed.
        """

    def deliveries(self) -> list[Delivery]:
        """Returns the deliveries in the outbox, by when they are tried next."""

    def undelivered(self) -> list[Delivery]:
        """Returns the last deliveries that were given up, newest first."""
