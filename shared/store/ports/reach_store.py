"""The port's methods for places that an administrator allowed to be connected to (`shared.sign_in.allowed_places`)."""

from __future__ import annotations

from typing import Protocol


class ReachStore(Protocol):
    """The methods about allowed places. A row is text that its writer signs; the store does not read it."""

    def allow_place(self, place: str, row: str) -> None:
        """Keeps the row of a place, in place of the one before it."""

    def refuse_place(self, place: str) -> bool:
        """Deletes the row of a place. Returns whether there was one."""

    def allowed_places(self) -> dict[str, str]:
        """Returns the rows by place."""
