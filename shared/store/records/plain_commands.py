"""Plain commands to the state database, for the parts that need no script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from shared.model.errors import StoreError
from shared.store.redis.scripts import sources


class PlainCommands:
    """The base of the classes that send plain commands. Thread-safe. Raises `StoreError` while the database is away."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def _do(self, command: str, *args: Any, **options: Any) -> Any:
        try:
            return getattr(self._redis, command)(*args, **options)
        except redis.RedisError as error:
            raise StoreError(f"the state store is not reachable ({type(error).__name__}: {str(error)[:200]})") from None

    def _swap(self, key: str, pairs: Sequence[Any]) -> int:
        """Takes (field, old, new, …) of a hash, and sets each field that is still old to new. Returns how many it set."""
        try:
            script = self._redis.register_script(sources()["reseal"])
            return int(script(args=[key, *pairs])) if pairs else 0
        except redis.RedisError as error:
            raise StoreError(f"the state store is not reachable ({type(error).__name__}: {str(error)[:200]})") from None
