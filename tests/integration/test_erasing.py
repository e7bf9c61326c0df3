"""Tests what an erasure looks for, and what its receipt says, on a real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from producer.operations import erasing
from shared.model.errors import UsageError
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore, connect
from tests.contract.store_kit import person, request, run_out
from tests.servers.redis_server import RedisServer

OLD, NEW, SHARED = "anna@old.example", "a.b@new.example", "team@new.example"
P = keys.PREFIX


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with RedisServer() as server:
        yield connect(server.url())


def _moved(client: redis.Redis, *ends: tuple[str, str]) -> RedisStore:
    """Returns a store with an import of these people at its end."""
    store, whole = RedisStore(client), request()
    store.open_import(whole, [person(whole, row, *both) for row, both in enumerate(ends, start=1)], 14)
    store.submit(whole.import_id)
    run_out(store)
    return store


def test_the_login_of_the_other_side_is_erased_too(client: redis.Redis) -> None:
    store = _moved(client, (OLD, NEW), ("bob", "bob"))
    client.set(f"{P}desk:once:1", f"to {NEW}")
    receipt = erasing.erase_login(store, client, OLD.upper())
    assert (receipt.mailboxes, receipt.left) == (1, ())
    assert not client.exists(f"{P}desk:once:1")


def test_what_another_person_has_too_stays(client: redis.Redis) -> None:
    store = _moved(client, (OLD, SHARED), ("bob", SHARED))
    client.set(f"{P}desk:once:1", f"to {SHARED}")
    assert erasing.erase_login(store, client, OLD).left == ()
    assert client.exists(f"{P}desk:once:1")


def test_the_receipt_names_what_is_left_without_the_login(client: redis.Redis) -> None:
    """The audit log keeps the receipt."""
    store = _moved(client, (OLD, NEW))
    client.set(f"{P}a-key-of-tomorrow:{OLD.title()}", "1")
    receipt = erasing.erase_login(store, client, OLD)
    assert receipt.left == (f"{P}a-key-of-tomorrow:***",)


def test_a_call_that_broke_off_is_completed(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _moved(client, (OLD, OLD))
    client.set(f"{P}desk:once:1", f"of {OLD}")
    with monkeypatch.context() as broken:
        broken.setattr("shared.store.records.traces.look", lambda *_: pytest.fail("killed here"))
        with pytest.raises(pytest.fail.Exception):
            erasing.erase_login(store, client, OLD)
    receipt = erasing.erase_login(store, client, OLD)
    assert (receipt.mailboxes, receipt.mentions, receipt.left) == (0, 1, ())
    with pytest.raises(UsageError, match="Check its spelling"):
        erasing.erase_login(store, client, OLD)
