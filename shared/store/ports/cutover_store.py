"""The store's part that keeps cutovers: for each wave one row, and notes beside it. They are texts here; `cutovers` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class CutoverStore(Protocol):
    """The methods that keep the cutovers of an import."""

    def cutover_rows(self, import_id: str) -> dict[str, str]:
        """Returns wave → its row, as written last."""

    def cutover_notes(self, import_id: str, wave: str) -> dict[str, str]:
        """Returns name → note of the wave's cutover. A note is of a mailbox, by its id, or has a name that begins with "#"."""

    def set_cutover(
        self, import_id: str, wave: str, before: str, after: str, notes: Mapping[str, tuple[str, str]]
    ) -> bool:
        """Replaces the row `before` by `after`, and each note (before, after) as well; "" stands for none.

        All of it happens, or nothing. Returns False when the row or a note is another by now, or there is no such import.
        The same call again returns True.
        """
