"""The model's forecasts that are kept. Plain Python, as `shared.store.redis.redis_forecasts` is on Redis."""

from __future__ import annotations

from shared.model.forecasts import KeptForecast
from shared.store.memory.memory_notices import MemoryNotices
from shared.store.memory.memory_readings import atomic
from shared.store.redis.notice_codec import decode_ends, decode_forecasts, encode_end, encode_forecast

#: The number of forecasts of an import that are kept.
MOST_FORECASTS = 20


class MemoryForecasts(MemoryNotices):
    """Forecasts of imports, and their ends."""

    @atomic
    def keep_forecast(self, import_id: str, kept: KeptForecast) -> bool:
        return self._keep(import_id, *encode_forecast(kept))

    @atomic
    def forecasts(self, import_id: str) -> list[KeptForecast]:
        return decode_forecasts(self._kept(import_id))

    @atomic
    def keep_end(self, import_id: str, passes: int, wave: str, at: float) -> bool:
        return self._keep(import_id, *encode_end(passes, wave, at))

    @atomic
    def ends(self, import_id: str) -> dict[tuple[int, str], float]:
        return decode_ends(self._kept(import_id))

    def _keep(self, import_id: str, field: str, value: str) -> bool:
        whole = self._rows.imports.get(import_id)
        if whole is None or field in whole.forecasts:
            return False
        whole.forecasts[field] = value
        made = sorted(name for name in whole.forecasts if name.startswith("made:"))
        if len(made) > MOST_FORECASTS:
            del whole.forecasts[made[1]]
        return True

    def _kept(self, import_id: str) -> dict[str, str]:
        whole = self._rows.imports.get(import_id)
        return whole.forecasts if whole else {}
