"""Forecasts that are kept: `shared.store.ForecastStore` on Redis."""

from __future__ import annotations

from shared.model.forecasts import KeptForecast
from shared.store.redis import keys
from shared.store.redis.notice_codec import decode_ends, decode_forecasts, encode_end, encode_forecast
from shared.store.redis.redis_scripts import Scripts


class RedisForecasts(Scripts):
    """Forecasts of imports, and their ends."""

    def keep_forecast(self, import_id: str, kept: KeptForecast) -> bool:
        return bool(self._run("keep_forecast", import_id, *encode_forecast(kept)))

    def forecasts(self, import_id: str) -> list[KeptForecast]:
        return decode_forecasts(self._kept(import_id))

    def keep_end(self, import_id: str, passes: int, wave: str, at: float) -> bool:
        return bool(self._run("keep_forecast", import_id, *encode_end(passes, wave, at)))

    def ends(self, import_id: str) -> dict[tuple[int, str], float]:
        return decode_ends(self._kept(import_id))

    def _kept(self, import_id: str) -> dict[str, str]:
        rows = self._read("hgetall", keys.import_(import_id, "forecasts"))
        return {field.decode(): value.decode() for field, value in rows.items()}
