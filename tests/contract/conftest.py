"""Fixtures of the store's contract: the same tests run over memory, Redis and Valkey."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from shared.rules.batching import Worth
from shared.store import Store
from shared.store.memory.memory_store import MemoryStore
from tests.contract.store_kit import Clock, World, binaries, redis_store, serve


def _server(name: str) -> Iterator[redis.Redis]:
    binary = binaries()[name]
    if binary is None:
        pytest.skip(f"needs {name}")
    yield from serve(binary)


@pytest.fixture(scope="session")
def redis_client() -> Iterator[redis.Redis]:
    yield from _server("redis")


@pytest.fixture(scope="session")
def valkey_client() -> Iterator[redis.Redis]:
    yield from _server("valkey")


@pytest.fixture(params=["memory", "redis", "valkey"])
def backend(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def worth() -> Worth:
    """Returns the work that is worth another lane: any message. A test about this sets another value."""
    return Worth(messages=1, size_bytes=1)


#: Rates in the settings of `capped_world`.
START_RATES = {"source_account.bytes_per_day": 1000}


@pytest.fixture
def world(backend: str, worth: Worth, request: Any) -> World:
    """Returns an empty store: leases of 60 s, 4 lanes an account, 32 a host, and any message is worth a lane."""
    return make_world(backend, request, lease_seconds=60, limits={}, worth=worth)


@pytest.fixture
def capped_world(backend: str, worth: Worth, request: Any) -> World:
    """Returns an empty store whose settings limit a rate."""
    return make_world(backend, request, lease_seconds=60, limits={}, worth=worth, rates=START_RATES)


def make_world(backend: str, request: Any, **settings: Any) -> World:
    """Returns an empty store of this backend."""
    if backend == "memory":
        clock = Clock()
        return World(MemoryStore(clock=clock, **settings), clock)
    client = request.getfixturevalue(f"{backend}_client")
    client.flushdb()
    clock = Clock(client)
    return World(redis_store(client, **settings), clock)


@pytest.fixture
def store(world: World) -> Store:
    return world.store


@pytest.fixture
def clock(world: World) -> Clock:
    return world.clock
