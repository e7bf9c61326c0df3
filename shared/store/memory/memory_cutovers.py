"""The model's cutovers. Plain Python, as `shared.store.redis.redis_cutovers` is on Redis."""

from __future__ import annotations

from collections.abc import Mapping

from shared.store.memory.memory_readings import atomic
from shared.store.memory.memory_secrets import MemorySecrets


class MemoryCutovers(MemorySecrets):
    """The rows and notes of cutovers."""

    @atomic
    def cutover_rows(self, import_id: str) -> dict[str, str]:
        whole = self._rows.imports.get(import_id)
        return dict(whole.cutovers) if whole else {}

    @atomic
    def cutover_notes(self, import_id: str, wave: str) -> dict[str, str]:
        whole = self._rows.imports.get(import_id)
        return dict(whole.cutover_notes.get(wave, {})) if whole else {}

    @atomic
    def set_cutover(
        self, import_id: str, wave: str, before: str, after: str, notes: Mapping[str, tuple[str, str]]
    ) -> bool:
        whole = self._rows.imports.get(import_id)
        if whole is None:
            return False
        kept = whole.cutover_notes.setdefault(wave, {})
        rows = [(whole.cutovers, wave, before, after), *((kept, name, *pair) for name, pair in notes.items())]
        if any(table.get(name, "") not in (old, new) for table, name, old, new in rows):
            return False
        for table, name, _, new in rows:
            table[name] = new
            if not new:
                del table[name]
        return True
