"""Places that may be connected to: `shared.store.ports.reach_store` on Redis."""

from __future__ import annotations

from shared.store.redis import keys
from shared.store.redis.redis_scripts import Scripts


class RedisReach(Scripts):
    """Allowed places."""

    def allow_place(self, place: str, row: str) -> None:
        self._read("hset", keys.REACH, place, row)

    def refuse_place(self, place: str) -> bool:
        return bool(self._read("hdel", keys.REACH, place))

    def allowed_places(self) -> dict[str, str]:
        rows = self._read("hgetall", keys.REACH)
        return {place.decode("utf-8", "replace"): row.decode("utf-8", "replace") for place, row in rows.items()}
