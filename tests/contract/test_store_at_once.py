"""Tests that a change of several scripts happens wholly, or not at all."""

from __future__ import annotations

import pytest
import redis

from shared.model.errors import ChangedMeanwhile, StoreError
from shared.model.lifecycle import ImportState
from shared.store import ChangedStore, Store
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import person, request


def _opened(store: Store) -> tuple[str, list[str]]:
    whole = request()
    mailboxes = [person(whole, n) for n in range(3)]
    store.open_import(whole, mailboxes, 14)
    return whole.import_id, [mailbox.mailbox_id for mailbox in mailboxes]


def test_all_of_it_happens(store: Store) -> None:
    import_id, (first, second, third) = _opened(store)

    def write(changed: ChangedStore) -> None:
        changed.seal(import_id, {(first, "source"): b"sealed"})
        changed.move(import_id, second, wave="later", priority=None)
        changed.erase(import_id, third)

    for _ in range(2):
        store.at_once([import_id], write)
    assert [mailbox.wave for mailbox, _ in store.mailboxes(import_id)] == ["", "later"]
    assert store.sealed(import_id, first, "source") == b"sealed"
    store.at_once([import_id], lambda changed: _closed(changed, import_id))
    assert store.imports() == []
    if isinstance(store, RedisStore):
        assert store._read("exists", keys.AT_ONCE) == 0


def test_a_connection_that_is_lost_is_no_change_of_somebody_else(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    if not isinstance(store, RedisStore):
        pytest.skip("memory has no connection")
    import_id, (first, *_) = _opened(store)

    def late(*_: object, **__: object) -> None:
        raise redis.TimeoutError("Timeout reading from socket")

    monkeypatch.setattr(redis.client.Pipeline, "_execute_transaction", late)
    with pytest.raises(StoreError, match="not reachable") as told:
        store.at_once([import_id], lambda changed: changed.seal(import_id, {(first, "source"): b"sealed"}))
    assert not isinstance(told.value, ChangedMeanwhile), "nobody knows whether it was done"


def _closed(changed: ChangedStore, import_id: str) -> None:
    changed.close(import_id)


def test_nothing_of_it_happens_where_somebody_else_changed_the_import(store: Store) -> None:
    if not isinstance(store, RedisStore):
        pytest.skip("memory does one thing at a time")
    import_id, (first, *_) = _opened(store)
    acts = (
        lambda: store.seal(import_id, {(first, "source"): b"theirs"}),
        lambda: store.set_wave(import_id, "", weight=3),
        lambda: store.erase(import_id, first),
        lambda: store.submit(import_id),
    )
    for act in acts:

        def write(changed: ChangedStore, act: object = act) -> None:
            changed.import_(import_id)
            act()  # type: ignore[operator]
            changed.seal(import_id, {(import_id, "source"): b"ours"})

        with pytest.raises(ChangedMeanwhile):
            store.at_once([import_id], write)
        assert store.sealed(import_id, import_id, "source") is None
    found = store.import_(import_id)
    assert found is not None
    assert found.state is ImportState.RUNNING


def test_what_comes_after_a_refusal_does_not_happen(store: Store) -> None:
    if not isinstance(store, RedisStore):
        pytest.skip("memory checks before it writes")
    import_id, mailboxes = _opened(store)

    def write(changed: ChangedStore) -> None:
        changed.seal("no such import", {("x", "source"): b"x"})
        changed.close(import_id)

    with pytest.raises(StoreError, match="no import"):
        store.at_once([import_id], write)
    assert [mailbox.mailbox_id for mailbox, _ in store.mailboxes(import_id)] == mailboxes
