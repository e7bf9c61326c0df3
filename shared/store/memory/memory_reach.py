"""The model's allowed places. Plain Python, as `shared.store.redis.redis_reach` is on Redis."""

from __future__ import annotations

from shared.store.memory.memory_forecasts import MemoryForecasts
from shared.store.memory.memory_readings import atomic


class MemoryReach(MemoryForecasts):
    """Allowed places."""

    @atomic
    def allow_place(self, place: str, row: str) -> None:
        self._rows.places[place] = row

    @atomic
    def refuse_place(self, place: str) -> bool:
        return self._rows.places.pop(place, None) is not None

    @atomic
    def allowed_places(self) -> dict[str, str]:
        return dict(self._rows.places)
