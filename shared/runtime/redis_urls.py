"""URLs of the two databases: Dramatiq's and the state store's."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

SAME_DATABASE: Final = Phrase(
    "redis_same_database",
    "MAILHAUL_BROKER_URL and MAILHAUL_REDIS_URL name the same database: the queue needs its own",
)
NO_REDIS: Final = Phrase(
    "redis_not_set",
    "no Redis is set: set MAILHAUL_REDIS_URL, e.g. redis://host:6379, or run `mailhaul up`",
)
ONE_DATABASE: Final = Phrase(
    "redis_one_database",
    "MAILHAUL_REDIS_URL names database {number}, but the queue and the state need one each: name none (databases 0 "
    "and 1 are used), or set MAILHAUL_BROKER_URL too",
)

#: Schemes of URLs whose path is no database: it is that of a socket, or the name of a master.
_DATABASE_IN_QUERY = ("unix", "redis+sentinel", "rediss+sentinel")


def _database(url: str) -> int | None:
    """Returns the database that a URL names, None when it names none."""
    parts = urlsplit(url)
    number = parse_qs(parts.query).get("db", [""])[0]
    if not number and parts.scheme not in _DATABASE_IN_QUERY:
        number = parts.path.strip("/")
    if number and not (number.isascii() and number.isdigit()):
        raise ValueError("the database must be a number, as in redis://host:6379/0")
    return int(number) if number else None


def checked(url: Secret) -> Secret:
    """Returns the URL unchanged. Raises ValueError when it is not the URL of a Redis."""
    parts = urlsplit(url.reveal())
    if parts.scheme not in ("redis", "rediss", *_DATABASE_IN_QUERY):
        raise ValueError(
            "write it as redis://host:6379, rediss://user:password@host:6379, unix:///path/redis.sock or "
            "redis+sentinel://sentinel1:26379,sentinel2:26379/mymaster"
        )
    if parts.scheme.endswith("+sentinel") and not parts.path.strip("/"):
        raise ValueError("name the master after the Sentinels, as in redis+sentinel://s1:26379,s2:26379/mymaster")
    _database(url.reveal())
    return url


def broker_and_state(redis_url: Secret | None, broker_url: Secret | None, socket_path: Path | None) -> tuple[str, str]:
    """Returns the URLs of two databases, (broker, state), since Dramatiq's maintenance scans the whole of its own.

    `socket_path` is that of the embedded server, used when no `redis_url` is set. One `redis_url` gives its databases 0
    and 1; with a `broker_url` beside it, each is taken as it stands (databases default to 0 for the broker and 1 for
    the state). Raises `UsageError`.
    """
    if redis_url is None:
        if socket_path is None:
            raise NO_REDIS.error()
        embedded = f"unix://{quote(str(socket_path))}"
        return _with_database(embedded, 0), _with_database(embedded, 1)
    state = redis_url.reveal()
    named = _database(state)
    if broker_url is None:
        if named:
            raise ONE_DATABASE.error(number=named)
        return _with_database(state, 0), _with_database(state, 1)
    state = state if named is not None else _with_database(state, 1)
    broker = broker_url.reveal()
    broker = broker if _database(broker) is not None else _with_database(broker, 0)
    if broker == state:
        raise SAME_DATABASE.error()
    return broker, state


def _with_database(url: str, database: int) -> str:
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items() if name != "db"}
    if parts.scheme in _DATABASE_IN_QUERY:
        return f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode({**query, 'db': database})}"
    return urlunsplit((parts.scheme, parts.netloc, f"/{database}", urlencode(query), ""))
