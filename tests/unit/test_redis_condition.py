"""The facts that a Redis tells about itself, and the conclusions drawn from them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.runtime.redis_client import address_of, open_redis
from shared.runtime.redis_condition import Condition, judge, read_info

FIT = Condition(
    version=(7, 2), role="master", mode="standalone", policy="noeviction", aof=True, aof_well=True, fsync="everysec"
)


def verdicts(found: Condition) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {"ok": [], "note": [], "BAD": []}
    for verdict, sentence in judge(found):
        said[verdict].append(sentence)
    return said


def test_a_fit_server_gives_nothing_to_say() -> None:
    said = verdicts(FIT)
    assert said["BAD"] == said["note"] == []


@pytest.mark.parametrize(
    ("change", "verdict", "word"),
    [
        ({"version": (6, 0)}, "BAD", "too old"),
        ({"policy": "allkeys-lru"}, "BAD", "noeviction"),
        ({"policy": "volatile-ttl"}, "BAD", "noeviction"),
        ({"role": "slave"}, "BAD", "replica"),
        ({"mode": "cluster"}, "BAD", "Cluster"),
        ({"aof_well": False}, "BAD", "append-only file failed"),
        ({"memory_used": 97, "memory_limit": 100}, "BAD", "raise maxmemory"),
        ({"skew_seconds": -45.0}, "BAD", "45.0 s behind"),
        ({"aof": False}, "note", "appendonly is off"),
        ({"fsync": "no"}, "note", "everysec"),
        ({"version": (7, 0)}, "note", "cannot tell"),
        ({"memory_used": 80, "memory_limit": 100}, "note", "in use"),
        ({"skew_seconds": 6.0}, "note", "6.0 s ahead"),
        ({"latency_seconds": 0.05}, "note", "near the workers"),
    ],
)
def test_each_fault_has_its_verdict(change: dict[str, object], verdict: str, word: str) -> None:
    said = verdicts(replace(FIT, **change))  # type: ignore[arg-type]
    assert len(said[verdict]) == 1
    assert word in said[verdict][0]
    assert said["note" if verdict == "BAD" else "BAD"] == []


@pytest.mark.parametrize("change", [{"here": True}, {"fsync": "always"}, {"kind": "valkey"}])
def test_an_old_server_is_nothing_to_say_where_it_need_not_tell(change: dict[str, object]) -> None:
    assert verdicts(replace(FIT, version=(7, 0), **change))["note"] == []  # type: ignore[arg-type]


def test_what_a_managed_service_hides_is_not_held_against_it() -> None:
    assert verdicts(read_info({}))["BAD"] == []


def test_info_is_read() -> None:
    found = read_info(
        {
            "redis_version": "7.2.4",
            "valkey_version": "8.1.0",
            "role": "master",
            "maxmemory_policy": "noeviction",
            "aof_enabled": 1,
            "aof_last_write_status": "err",
            "aof_last_bgrewrite_status": "ok",
            "used_memory": 5,
            "maxmemory": 9,
        }
    )
    assert (found.kind, found.version, found.aof, found.aof_well, found.memory_limit) == (
        "valkey",
        (8, 1),
        True,
        False,
        9,
    )


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://user:s3cret@host", "host:6379"),
        ("rediss://:s3cret@[::1]:6380/1", "::1:6380"),
        ("unix:///run/a%20b.sock?db=1", "/run/a b.sock"),
        ("redis+sentinel://u:s3cret@s1:26379,s2/main?db=1", "main at s1:26379,s2:6379"),
    ],
)
def test_an_address_holds_no_secret(url: str, address: str) -> None:
    assert address_of(url) == address


def test_a_sentinel_url_says_everything() -> None:
    url = "rediss+sentinel://w:p%40ss@s1,s2:1234/main?db=1&sentinel_username=s&sentinel_password=q&ssl_ca_certs=/ca.pem"
    pool = open_redis(url, socket_timeout=3).connection_pool
    kwargs = pool.connection_kwargs
    assert (kwargs["username"], kwargs["password"], kwargs["db"], kwargs["socket_timeout"]) == ("w", "p@ss", 1, 3)
    assert kwargs["ssl_ca_certs"] == "/ca.pem"
    sentinels = [client.connection_pool.connection_kwargs for client in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"]) for one in sentinels] == [("s1", 26379), ("s2", 1234)]
    assert {(one["username"], one["password"], one["ssl_ca_certs"]) for one in sentinels} == {("s", "q", "/ca.pem")}
