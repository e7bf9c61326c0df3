"""The store on Redis or Valkey (6.2 or newer). Changes are Lua scripts, so that each happens wholly or not at all.

Its parts are those of the port: `redis_requests`, `redis_work`, `redis_sign_ins`, `redis_cutovers`,
`redis_coordination`, over `redis_scripts`.
"""

from __future__ import annotations

from shared.store.redis.redis_coordination import Coordination
from shared.store.redis.redis_cutovers import RedisCutovers
from shared.store.redis.redis_forecasts import RedisForecasts
from shared.store.redis.redis_lanes import RedisLanes
from shared.store.redis.redis_notices import RedisNotices
from shared.store.redis.redis_reach import RedisReach
from shared.store.redis.redis_requests import RedisRequests
from shared.store.redis.redis_scripts import connect
from shared.store.redis.redis_sign_ins import RedisSignIns
from shared.store.redis.redis_work import RedisWork

__all__ = ["RedisStore", "connect"]


class RedisStore(
    RedisRequests,
    RedisWork,
    RedisLanes,
    RedisSignIns,
    RedisCutovers,
    Coordination,
    RedisNotices,
    RedisForecasts,
    RedisReach,
):
    """`shared.store.Store` on Redis. Thread-safe; one per process."""
