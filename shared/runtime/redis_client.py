"""The clients for the servers that `MAILHAUL_REDIS_URL` may name.

It names a server by TCP, TLS or Unix socket, or a master found by Sentinels.

A Sentinel URL names the Sentinels and the master: `redis+sentinel://user:password@s1:26379,s2:26379/mymaster?db=1`
(`rediss+sentinel://` for TLS to Sentinels and servers alike). User and password are the server's. Those of the
Sentinels, where they ask for some, are `sentinel_username=` and `sentinel_password=`. Other parameters are redis-py's.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

SENTINEL_SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")
_SENTINEL_PORT: Final = 26379


def open_redis(url: str, **options: Any) -> redis.Redis:
    """Opens a client; nothing is sent yet.

    Uses RESP2, since redis-py's RESP3 may return an unread reply. `options` are redis-py's.
    """
    # Else redis-py looks up its own version at each connection (3 ms), and says it in two more commands.
    options = {"protocol": 2, "driver_info": None, **options}
    parts = urlsplit(url)
    if parts.scheme not in SENTINEL_SCHEMES:
        return redis.Redis.from_url(url, **options)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    # redis-py can read every parameter of a URL (numbers, booleans), so it reads those of a Sentinel URL as those of a
    # server.
    asked = {name: value for name, value in query.items() if not name.startswith("sentinel_")}
    scheme = parts.scheme.removesuffix("+sentinel")
    found: dict[str, Any] = dict(parse_url(f"{scheme}://h?{urlencode(asked)}"))  # type: ignore[no-untyped-call]
    found = {name: value for name, value in found.items() if name not in ("host", "connection_class")}
    secured = {"ssl": True} if scheme == "rediss" else {}
    tls = {name: value for name, value in found.items() if name.startswith("ssl_")}
    timeouts = {name: value for name, value in options.items() if name.startswith("socket_")}
    login = {"username": query.get("sentinel_username"), "password": query.get("sentinel_password")}
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        [(host, port) for host, port in _hosts(parts.netloc)],
        # A Sentinel that does not answer is not asked twice: the next one is.
        sentinel_kwargs={"protocol": 2, "retry": Retry(NoBackoff(), 0), **login, **secured, **tls, **timeouts},
    )
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    account = {"username": unquote(user) or None, "password": unquote(password) or None}
    client: redis.Redis = sentinels.master_for(  # type: ignore[no-untyped-call]
        parts.path.strip("/"), **account, **found, **secured, **options
    )
    return client


def address_of(url: str) -> str:
    """Returns the address that a URL leads to, for people: without user, password and parameters."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return unquote(parts.path)
    hosts = ",".join(f"{host}:{port}" for host, port in _hosts(parts.netloc, 6379))
    return f"{parts.path.strip('/')} at {hosts}" if parts.scheme in SENTINEL_SCHEMES else hosts


def _hosts(netloc: str, default_port: int = _SENTINEL_PORT) -> list[tuple[str, int]]:
    found = []
    for place in netloc.rpartition("@")[2].split(","):
        host, colon, port = place.rpartition(":")
        if not colon or place.endswith("]"):
            host, port = place, ""
        found.append((host.strip("[]"), int(port) if port else default_port))
    return found
