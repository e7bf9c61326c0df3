"""Moves each cutover on as far as no person has to decide. A turn may be repeated, also by two processes at once.

Each effect comes before the note of it, and each may be repeated: a switch that is asked again says "already". A note is written
only while the cutover is as it was read, so a process that was late changes nothing after a rollback.
"""

from __future__ import annotations

from producer.cutover.acts import CutoverView
from producer.cutover.cutover_resources import CutoverResources
from producer.cutover.cutover_turn import CutoverTurn
from producer.cutover.turning import nothing_left
from shared.model import Import
from shared.model.cutover import Cutover
from shared.model.errors import StoreError
from shared.runtime.logs import get_logger
from shared.store.records.cutovers import KeptCutover

_log = get_logger("mailhaul.cutover")


class CutoverDriver(CutoverResources):
    """Moves all cutovers of the store on. Call `turn` every few seconds, from one thread."""

    def turn(self) -> list[CutoverView]:
        """Does one turn over all cutovers, and returns them. Raises `StoreError`."""
        seen: list[CutoverView] = []
        self.hurried = False
        for import_ in self.store.imports():
            for kept in self.cutovers.all(import_.import_id).values():
                if not self.leads():
                    return seen
                if kept.cutover is not None:
                    seen += self._moved_on(import_, kept, kept.cutover)
        return seen

    def _moved_on(self, import_: Import, kept: KeptCutover, cutover: Cutover) -> list[CutoverView]:
        """Moves a cutover on. Returns it; nothing where that failed, so that those behind it have their turn."""
        try:
            return [self._move_on(import_, kept, cutover)]
        except StoreError:
            raise
        except Exception:
            _log.exception("cutover_turn_failed", import_id=cutover.import_id, wave=cutover.wave)
            return []

    def _move_on(self, import_: Import, kept: KeptCutover, cutover: Cutover) -> CutoverView:
        notes = self.cutovers.notes(import_.import_id, cutover.wave)
        if nothing_left(cutover, notes):
            return CutoverView(cutover=cutover, guards={}, next="")
        return CutoverTurn(self, import_, kept, cutover, notes).run()
