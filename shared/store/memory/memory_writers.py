"""The model's part for folders that several lanes copy into."""

from __future__ import annotations

from shared.model import Intent, Lease, UnitKind, Writing
from shared.model.errors import StoreError
from shared.store.memory.memory_readings import atomic
from shared.store.memory.memory_work import MemoryWork


class MemoryWriters(MemoryWork):
    """The writers of a folder: the batches that are at work at once, and what they have on the wire."""

    @atomic
    def widen(self, lease: Lease, writers: int) -> int:
        rows = self._rows
        row = rows.fence(lease)
        if row.unit.kind is not UnitKind.COPY:
            raise StoreError("the state store refused widen: only folders of batches have writers")
        folder = rows.folders[row.unit.folder_id]
        folder.alone |= writers == 0
        folder.writers = 1 if folder.alone else writers
        rows.fill_heads(folder)
        rows.fold_heads(folder)
        rows.refresh(rows.mailboxes[row.unit.mailbox_id])
        return folder.writers

    @atomic
    def writing(self, lease: Lease) -> Writing:
        rows = self._rows
        folder = rows.folders[rows.fence(lease).unit.folder_id]
        live: list[Intent] = []
        left: list[Intent] = []
        for unit_id in (*folder.heads, *folder.waiting):
            if unit_id != lease.unit.unit_id:
                row = rows.units[unit_id]
                live += row.live()
                left += row.left()
        return Writing(taken=folder.taken, live=tuple(live), left=tuple(left))
