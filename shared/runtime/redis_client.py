"""The clients for the servers that `MAILHAUL_REDIS_URL` may name.

It names a server by TCP, TLS or Unix socket, or a master found by Sentinels.

A Sentinel URL names the Sentinels and the master: `redis+sentinel://user:password@s1:26379,s2:26379/mymaster?db=1`
(`rediss+sentinel://` for TLS to Sentinels and servers alike). User and password are the server's. Those of the
Sentinels, where they ask for some, are `sentinel_username=` and `sentinel_password=`. Other parameters are redis-py's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

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


class HeldRedis:
    """The clients of a process's threads: each keeps one connection to the same server for as long as its thread lives.

    Taking a connection from redis-py's pool and putting it back costs as much as a short command. A connection that
    the server has closed meanwhile is opened again by the command that meets it, under the client's rules for retries.
    """

    def __init__(self, shared: redis.Redis) -> None:
        """Takes the client whose pool the connections come from."""
        self._shared = shared
        self._local = threading.local()

    def mine(self) -> redis.Redis:
        """Returns the client of this thread. Raises `redis.RedisError` when it cannot connect.

        Where the server is found by Sentinel, that is the shared client: its pool sees when there is another master.
        """
        if isinstance(self._shared.connection_pool, SentinelConnectionPool):
            return self._shared
        found: redis.Redis | None = getattr(self._local, "client", None)
        if found is None or self._local.process != os.getpid():
            found = redis.Redis(connection_pool=self._shared.connection_pool, single_connection_client=True)
            self._local.client, self._local.process = found, os.getpid()
        return found


#: Sends commands in one round trip, and returns the answer or `redis.ResponseError` of each.
Send = Callable[[Sequence[Sequence[Any]]], list[Any]]


def in_one_flight(
    client: redis.Redis, commands: Sequence[Sequence[Any]], first: Callable[[Any, Send], object] | None = None
) -> list[Any]:
    """Runs commands that may be repeated, in one round trip, and returns the answer or `redis.ResponseError` of each.

    `first` is given the open connection before the commands are sent over it, each time that they are: it may send its
    own. Raises `redis.RedisError` when the server is not reached.
    """
    connection = client.connection or client.connection_pool.get_connection()

    def shut() -> None:
        connection.disconnect()  # type: ignore[no-untyped-call]

    def send(some: Sequence[Sequence[Any]]) -> list[Any]:
        packed = connection.pack_commands(some)  # type: ignore[no-untyped-call]
        connection.send_packed_command(packed, check_health=False)  # type: ignore[no-untyped-call]
        answers: list[Any] = []
        for _ in some:
            try:
                answers.append(connection.read_response())
            except redis.ResponseError as error:
                answers.append(error)
        return answers

    def run() -> list[Any]:
        # Opened, and tried after a while of rest, before `first` looks at it: `send` opens no other one.
        connection.connect_check_health(check_health=False)
        connection.check_health()  # type: ignore[no-untyped-call]
        if first is not None:
            first(connection, send)
        return send(commands)

    try:
        return connection.retry.call_with_retry(run, lambda _: shut())
    except BaseException:
        shut()  # answers that were not read would be taken for those of the next command
        raise
    finally:
        if client.connection is None:
            client.connection_pool.release(connection)


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
