"""Judges whether a Redis server is fit to hold other people's mail, by what it says of itself.

`read_condition` asks the server, `judge` is pure. Workers and coordinators refuse to start on a "BAD" finding and log a
"note" (`await_redis`); `mailhaul doctor` prints both. Values that a server does not tell (managed services hide many)
are not held against it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.nouns import dataclass
from shared.runtime.logs import get_logger
from shared.runtime.redis_client import address_of, open_redis
from shared.wording.phrases import Phrase, several

REFUSED: Final = Phrase(
    "redis_refused",
    "Redis {address} refuses this user ({cause}): check user and password in MAILHAUL_REDIS_URL, and its rights "
    "(docs/deployment.md, Redis)",
)
NOT_FIT: Final = Phrase("redis_not_fit", "Redis {address} is not fit: {what}. `mailhaul doctor` looks again.")
VERSION: Final = Phrase("redis_version", "{name} {version}")
TOO_OLD: Final = Phrase("redis_too_old", "{name} {version} is too old: use 6.2 or newer, or Valkey")
CLUSTER: Final = Phrase(
    "redis_cluster", "this is a Redis Cluster, whose scripts cannot reach all keys: use one server, or Sentinel"
)
REPLICA: Final = Phrase(
    "redis_replica", "this is a replica, which takes no writes: give the master's address, or a Sentinel URL"
)
POLICY: Final = Phrase(
    "redis_policy",
    "maxmemory-policy is {policy}: set it to noeviction, or mail that is under way is forgotten",
)
AHEAD: Final = Phrase("redis_clock_ahead", "the clock of {name} is {size} ahead")
BEHIND: Final = Phrase("redis_clock_behind", "the clock of {name} is {size} behind")
RUN_NTP: Final = Phrase("redis_run_ntp", "{what}: run NTP on both machines")
RUN_NTP_OR: Final = Phrase(
    "redis_run_ntp_or", "{what}: run NTP on both machines, or the queue takes live workers for dead ones"
)
ANSWERS_IN: Final = Phrase("redis_answers_in", "it answers in {size}")
SLOW: Final = Phrase(
    "redis_slow", "it answers in {size}: every group of messages waits for it, so put it near the workers"
)
APPENDONLY_IS_OFF: Final = Phrase(
    "redis_appendonly_is_off",
    "appendonly is off: after a crash of Redis, run the same import again; nothing is copied twice",
)
WRITE_FAILED: Final = Phrase(
    "redis_write_failed", "the last write to the append-only file failed: see its disk and its log"
)
APPENDFSYNC_IS_NO: Final = Phrase(
    "redis_appendfsync_is_no",
    "appendfsync is no: a power cut loses up to half a minute; set it to everysec or always",
)
APPEND_ONLY_FILE: Final = Phrase("redis_append_only_file", "append-only file")
APPEND_ONLY_FILE_BY: Final = Phrase("redis_append_only_file_by", "append-only file, appendfsync {value}")
CANNOT_TELL: Final = Phrase(
    "redis_cannot_tell",
    "this version cannot tell when its disk has what was accepted (Redis 7.2 and Valkey can): a power cut may "
    "take an import or a change that was accepted up to two seconds before",
)
NO_LIMIT: Final = Phrase("redis_no_limit", "{size} in use, no limit set")
IN_USE: Final = Phrase("redis_in_use", "{size} of {most_size} in use")
NEARLY_FULL: Final = Phrase(
    "redis_nearly_full",
    "{size} of {most_size} in use: raise maxmemory, or it soon refuses writes and copying stops",
)

#: Redis 6.2 brought what the scripts use; Valkey began at 7.2.
MINIMUM_VERSION = (6, 2)
#: Redis tells when its append-only file is on the disk (WAITAOF); Valkey always did.
TELLS_SINCE = (7, 2)
#: Dramatiq compares clients' clocks and calls a process dead after 60 s (`shared.runtime.broker.HEARTBEAT_MS`).
_SKEW_BAD_SECONDS, _SKEW_NOTE_SECONDS = 30.0, 5.0
_LATENCY_NOTE_SECONDS = 0.02
_MEMORY_BAD, _MEMORY_NOTE = 0.95, 0.7
_PINGS = 5
_WAIT_SECONDS = 2.0


class Finding(NamedTuple):
    """The result of one check."""

    #: "ok", "note" or "BAD".
    verdict: Literal["ok", "note", "BAD"]
    #: The finding, the place and the remedy, in one sentence.
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """The values that a server tells of itself. None and "" mean that it does not tell."""

    #: "redis" or "valkey".
    kind: str = "redis"
    #: (major, minor); empty when unknown.
    version: tuple[int, ...] = ()
    #: "master" or "slave".
    role: str = ""
    #: "standalone", "sentinel" or "cluster".
    mode: str = ""
    #: maxmemory-policy.
    policy: str = ""
    #: Whether an append-only file is kept.
    aof: bool | None = None
    #: Whether the last write to it, and its last rewrite, went well.
    aof_well: bool | None = None
    #: appendfsync.
    fsync: str = ""
    #: Whether it is at a Unix socket, so that its file is on this machine.
    here: bool = False
    #: Bytes in use.
    memory_used: int = 0
    #: maxmemory, bytes; 0 for no limit.
    memory_limit: int = 0
    #: The server's clock less this process's, seconds.
    skew_seconds: float = 0.0
    #: Median of some PINGs, seconds.
    latency_seconds: float = 0.0


def read_condition(client: redis.Redis, clock: Callable[[], float] = time.time) -> Condition:
    """Asks the server. Raises `redis.RedisError`; a command that the user may not give is left out."""
    delays = []
    for _ in range(_PINGS):
        began = time.perf_counter()
        client.ping()
        delays.append(time.perf_counter() - began)
    before = clock()
    seconds, micros = client.time()
    skew = seconds + micros / 1e6 - (before + clock()) / 2
    try:
        said: Mapping[str, Any] = client.info("all")
    except redis.ResponseError:
        said = {}
    return read_info(
        said,
        fsync=_setting(client, "appendfsync"),
        here=bool(client.connection_pool.connection_kwargs.get("path")),
        skew=skew,
        latency=sorted(delays)[_PINGS // 2],
    )


def read_info(
    said: Mapping[str, Any], *, fsync: str = "", here: bool = False, skew: float = 0.0, latency: float = 0.0
) -> Condition:
    """Reads the answer to INFO, as redis-py parses it."""
    valkey = "valkey_version" in said
    version = str(said.get("valkey_version" if valkey else "redis_version", ""))
    numbers = [part for part in version.split(".")[:2] if part.isdigit()]
    aof = said.get("aof_enabled")
    states = [said.get(name) for name in ("aof_last_write_status", "aof_last_bgrewrite_status")]
    return Condition(
        kind="valkey" if valkey else "redis",
        version=tuple(map(int, numbers)),
        role=str(said.get("role", "")),
        mode=str(said.get("redis_mode", said.get("server_mode", ""))),
        policy=str(said.get("maxmemory_policy", "")),
        aof=None if aof is None else bool(int(aof)),
        aof_well=None if states[0] is None else all(state in ("ok", None) for state in states),
        fsync=fsync,
        here=here,
        memory_used=int(said.get("used_memory", 0)),
        memory_limit=int(said.get("maxmemory", 0)),
        skew_seconds=skew,
        latency_seconds=latency,
    )


def _setting(client: redis.Redis, name: str) -> str:
    """Returns a setting of the server, or "" where it may not be read.

    The ACL file that mailhaul brings does not let workers read settings.
    """
    try:
        answer = client.config_get(name)
    except redis.ResponseError:
        return ""
    value = answer.get(name, "") if isinstance(answer, dict) else ""
    return str(value.decode() if isinstance(value, bytes) else value)


def judge(found: Condition) -> Iterator[Finding]:
    """Yields what is well ("ok"), what is worth a note, and what must not be ("BAD")."""
    name = {"redis": "Redis", "valkey": "Valkey"}[found.kind]
    if found.version:
        version = ".".join(map(str, found.version))
        if found.version < MINIMUM_VERSION:
            yield Finding("BAD", TOO_OLD.says(name=name, version=version))
        else:
            yield Finding("ok", VERSION.says(name=name, version=version))
    if found.mode == "cluster":
        yield Finding("BAD", CLUSTER.says())
    if found.role in ("slave", "replica"):
        yield Finding("BAD", REPLICA.says())
    if found.policy not in ("", "noeviction"):
        yield Finding("BAD", POLICY.says(policy=found.policy))
    yield from _durability(found)
    yield from _memory(found)
    off = AHEAD if found.skew_seconds > 0 else BEHIND
    skew = off.says(name=name, size=f"{abs(found.skew_seconds):.1f} s")
    if abs(found.skew_seconds) > _SKEW_BAD_SECONDS:
        yield Finding("BAD", RUN_NTP_OR.says(what=skew))
    elif abs(found.skew_seconds) > _SKEW_NOTE_SECONDS:
        yield Finding("note", RUN_NTP.says(what=skew))
    took = f"{found.latency_seconds * 1000:.1f} ms"
    if found.latency_seconds > _LATENCY_NOTE_SECONDS:
        yield Finding("note", SLOW.says(size=took))
    else:
        yield Finding("ok", ANSWERS_IN.says(size=took))


def _durability(found: Condition) -> Iterator[Finding]:
    if found.aof is False:
        yield Finding("note", APPENDONLY_IS_OFF.says())
    elif found.aof and found.aof_well is False:
        yield Finding("BAD", WRITE_FAILED.says())
    elif found.aof and found.fsync == "no":
        yield Finding("note", APPENDFSYNC_IS_NO.says())
    elif found.aof:
        yield Finding("ok", APPEND_ONLY_FILE_BY.says(value=found.fsync) if found.fsync else APPEND_ONLY_FILE.says())
        old = found.kind == "redis" and MINIMUM_VERSION <= found.version < TELLS_SINCE
        if old and not found.here and found.fsync != "always":
            yield Finding("note", CANNOT_TELL.says())


def _memory(found: Condition) -> Iterator[Finding]:
    used, limit = f"{found.memory_used / 1e6:.0f} MB", f"{found.memory_limit / 1e6:.0f} MB"
    if not found.memory_limit:
        if found.memory_used:
            yield Finding("ok", NO_LIMIT.says(size=used))
        return
    share = found.memory_used / found.memory_limit
    if share > _MEMORY_BAD:
        yield Finding("BAD", NEARLY_FULL.says(size=used, most_size=limit))
    else:
        yield Finding("note" if share > _MEMORY_NOTE else "ok", IN_USE.says(size=used, most_size=limit))


def await_redis(
    urls: Sequence[str], stop: threading.Event, logger: str, complain: Callable[[str], object] = lambda _: None
) -> bool:
    """Waits until each server answers, and judges it.

    Returns False when `stop` came first; raises `UsageError` when a server is unfit. `complain` is told every two
    seconds which server is waited for.
    """
    log = get_logger(logger)
    for url in urls:
        client = open_redis(url, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0))
        with client:
            while True:
                try:
                    findings = list(judge(read_condition(client)))
                    break
                except (redis.ConnectionError, redis.TimeoutError) as error:
                    if isinstance(error, redis.AuthenticationError):
                        raise REFUSED.error(address=address_of(url), cause=str(error)) from None
                    complain(f"waiting for Redis {address_of(url)}")
                    log.warning("redis_awaited", where=address_of(url), error=str(error))
                    if stop.wait(_WAIT_SECONDS):
                        return False
                except redis.ResponseError as error:
                    raise REFUSED.error(address=address_of(url), cause=str(error)) from None
        bad = [finding.sentence for finding in findings if finding.verdict == "BAD"]
        if bad:
            raise NOT_FIT.error(address=address_of(url), what=several(bad))
        for finding in findings:
            if finding.verdict == "note":
                log.warning("redis_noted", where=address_of(url), note=finding.sentence)
    return True
