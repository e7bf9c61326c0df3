"""The store's part that keeps cutovers: `shared.store.ports.cutover_store` on Redis."""

from __future__ import annotations

from collections.abc import Mapping

from shared.store.redis import keys
from shared.store.redis.redis_scripts import Scripts


class RedisCutovers(Scripts):
    """The rows and notes of cutovers."""

    def cutover_rows(self, import_id: str) -> dict[str, str]:
        return self._texts(keys.import_(import_id, "cutovers"))

    def cutover_notes(self, import_id: str, wave: str) -> dict[str, str]:
        return self._texts(keys.import_(import_id, f"cutover:{wave}"))

    def _texts(self, key: str) -> dict[str, str]:
        found = self._read("hgetall", key)
        return {name.decode(): text.decode("utf-8", "replace") for name, text in found.items()}

    def set_cutover(
        self, import_id: str, wave: str, before: str, after: str, notes: Mapping[str, tuple[str, str]]
    ) -> bool:
        flat = [part for name, pair in notes.items() for part in (name, *pair)]
        return bool(self._run("cutover", import_id, wave, before, after, *flat))
