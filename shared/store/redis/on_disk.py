"""Waits until the server's own disk has what the state store acknowledged, so that it holds after a power cut, too.

Under `appendfsync everysec` a server answers up to two seconds before its append-only file is on the disk. Redis 7.2 and Valkey
tell when it is (WAITAOF); no replica is asked, so that a failover may lose it still. The file of an older one at a Unix socket is
on this machine, and is written to the disk from here.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import redis

from shared.runtime.redis_client import in_one_flight
from shared.store.redis import keys

#: The longest wait for the disk, seconds.
MOST_SECONDS: Final = 5.0
#: Between two looks whether the server has given the file what it answered to, seconds.
_LOOK_SECONDS: Final = 0.01


def wait_for_disk(client: redis.Redis, seconds: float = MOST_SECONDS) -> bool:
    """Waits until the disk has all that was acknowledged before. Returns False where that does not come, or nobody tells.

    Raises `redis.RedisError` when the server is not reached.
    """
    # The server waits for what the same connection wrote: this write comes after all that is waited for.
    wrote, told = in_one_flight(client, [("SET", keys.ON_DISK, "1", "EX", 60), ("WAITAOF", 1, 0, int(seconds * 1000))])
    if isinstance(wrote, redis.ResponseError):
        return False
    if isinstance(told, redis.ResponseError):
        return _written_here(client, time.monotonic() + seconds)
    return int(told[0]) > 0


def _written_here(client: redis.Redis, until: float) -> bool:
    """Writes the server's append-only file to the disk, where this process may."""
    if not client.connection_pool.connection_kwargs.get("path"):
        return False
    try:
        said: dict[str, Any] = client.info("persistence")
        if not int(said.get("aof_enabled", 0)):
            return False
        # While an earlier part goes to its disk, a server keeps back for up to two seconds what it answered to.
        whole = int(said["aof_current_size"]) + int(said["aof_buffer_length"])
        while int(said["aof_buffer_length"]) and int(said["aof_current_size"]) < whole:
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_SECONDS)
            said = client.info("persistence")
        folder = Path(_setting(client, "dir")) / _setting(client, "appenddirname")
        for path in (*sorted(folder.iterdir()), folder):
            _flush(path)
    except (redis.ResponseError, OSError, KeyError):
        return False  # this user may not, neither ask Redis nor open its file
    return True


def _setting(client: redis.Redis, name: str) -> str:
    value: Any = dict(client.config_get(name))[name]
    return os.fsdecode(value)


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
