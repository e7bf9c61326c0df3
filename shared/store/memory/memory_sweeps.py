"""The model's changes of every mailbox of an import or of a wave: in pieces, as the scripts make them (`lua/_sweeps.lua`)."""

from __future__ import annotations

from collections.abc import Iterator

from shared.model.lifecycle import Control
from shared.store import PIECE
from shared.store.memory.memory_readings import MemoryReadings, atomic
from shared.store.memory.memory_tables import ImportRow, MailboxRow, Sweep, SweepKind, WaveRow


class MemorySweeps(MemoryReadings):
    """The sweeps: one at a time in an import, until the last mailbox has followed."""

    #: The number of mailboxes of a piece.
    piece: int = PIECE

    @atomic
    def sweep(self, import_id: str) -> bool:
        if import_id:
            whole = self._rows.imports.get(import_id)
            return whole is not None and self._sweep_on(whole)
        self._begin_due()
        if under_way := self._swept():
            self._sweep_on(under_way[0])
        return bool(self._swept()) or any(any(self._due(whole)) for whole in self._rows.imports.values())

    def _change(self, whole: ImportRow, kind: SweepKind, wave: str = "") -> None:
        """Lets every mailbox of the import, or of the wave, follow a change of it."""
        whole.sweep = Sweep(kind, wave, began=self._rows.now())
        if self._sweep_on(whole):
            self._end_sweep(whole.import_.import_id)

    def _end_sweep(self, import_id: str) -> None:
        """Lets the rest of the mailboxes follow; does nothing where all have."""
        whole = self._rows.imports.get(import_id)
        while whole is not None and whole.sweep:
            self.sweep(import_id)

    def _swept(self) -> list[ImportRow]:
        """Returns the imports with mailboxes that have yet to follow, the oldest change first."""
        found = [(whole.sweep.began, i, whole) for i, whole in self._rows.imports.items() if whole.sweep]
        return [whole for *_, whole in sorted(found, key=lambda one: one[:2])]

    def _sweep_on(self, whole: ImportRow) -> bool:
        """Lets the next mailboxes follow. Returns whether any are left."""
        sweep = whole.sweep
        if sweep is None:
            return False
        every = (m for m in self._in_order(whole) if sweep.wave in ("", self._rows.mailboxes[m].mailbox.wave))
        page = list(every)[sweep.done : sweep.done + self.piece]
        for mailbox_id in page:
            self._follow(self._rows.mailboxes[mailbox_id], sweep.kind)
        sweep.done += len(page)
        if len(page) == self.piece:
            return True
        whole.sweep = None
        if sweep.kind is SweepKind.CANCEL and sweep.wave:
            whole.waves[sweep.wave].control = Control.RUN
        self._rows.settle_import(whole)
        return False

    def _follow(self, m: MailboxRow, kind: SweepKind) -> None:
        if kind is SweepKind.RUN:
            m.set(control=Control.RUN)
        if kind is SweepKind.CANCEL:
            self._rows.move(m, "cancel")
        if kind in (SweepKind.CANCEL, SweepKind.LOOK):
            self._rows.plan_look(m)
        self._rows.refresh(m)

    def _begin_due(self) -> None:
        """Begins what is due of imports and waves that waited for a moment; of an import the first, where nothing is under way."""
        for whole in self._rows.imports.values():
            due = sorted(self._due(whole), key=lambda one: one[:3])
            if due and whole.sweep is None:
                *_, wave, row, waits = due[0]
                setattr(row, waits, False)
                whole.sweep = Sweep(SweepKind.REFRESH, wave, began=self._rows.now())

    def _due(self, whole: ImportRow) -> Iterator[tuple[bool, int, str, str, ImportRow | WaveRow, str]]:
        """Yields what has come of an import's moments: (of a wave, when, line, wave, row, the field that says that it waits)."""
        now = self._rows.now()
        if whole.opening and round(whole.import_.opens_at * 1000) <= now:
            yield False, round(whole.import_.opens_at * 1000), "", "", whole, "opening"
        for name, row in whole.waves.items():
            if row.starting and row.starts <= now:
                yield True, row.starts, name, name, row, "starting"
            if row.opening and round(row.opens_at * 1000) <= now:
                yield True, round(row.opens_at * 1000), f"{name}\0hours", name, row, "opening"
