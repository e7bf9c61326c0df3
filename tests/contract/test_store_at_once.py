"""Tests that a change of several scripts happens wholly, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import redis

from shared.model import Import
from shared.model.errors import ChangedMeanwhile, StoreError
from shared.model.lifecycle import Control, ImportState, MailboxState
from shared.model.search import Search
from shared.store import ChangedStore, Store
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import Clock, person, redis_store, request


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
        assert _leftovers(store) == []


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


class Killed(BaseException):
    """The process of an editor ends here."""


@contextmanager
def killed(store: RedisStore, after: int) -> Iterator[None]:
    """Lets the process die just after `after` round trips of a change: those that write it down, then those that make it."""
    left = after

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def one(*given: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            answer = real(*given)
            if real.__name__ == "_write_down" and left == 0:
                raise Killed
            return answer

        return one

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_write_down", "_go_on"):
            patch.setattr(store, name, counted(getattr(store, name)))
        with suppress(Killed):
            yield


def _leftovers(store: RedisStore) -> list[bytes]:
    """Returns the keys of changes that would stay for good."""
    found = store._redis.keys(f"{keys.edit('*')}") + store._redis.keys(keys.EDITS)
    return [key for key in found if store._redis.ttl(key) < 0]


def _another(store: RedisStore, **settings: Any) -> RedisStore:
    """Returns the store of another process, over the same server."""
    other = redis_store(store._redis, **settings)
    other.flight, other.piece = store.flight, store.piece
    return other


def _seen(store: Store) -> dict[str, Any]:
    """Returns what a reader sees of all imports, in ids alone where times are told."""
    return {
        import_.import_id: (
            import_.name,
            import_.control,
            [
                (
                    one.mailbox_id,
                    one.row,
                    one.wave,
                    one.state,
                    store.sealed(import_.import_id, one.mailbox_id, "source"),
                )
                for one, _ in store.mailboxes(import_.import_id)
            ],
            store.import_tally(import_.import_id)[1],
            [(wave.name, wave.weight, wave.control) for wave in store.waves(import_.import_id)],
            sorted(
                one.mailbox_id
                for one, _ in store.find_mailboxes(import_.import_id, Search(state=MailboxState.CANCELLED))[1]
            ),
        )
        for import_ in store.imports()
    }


Edit = tuple[list[str], Callable[[ChangedStore], None]]


def _rows_change(whole: Import) -> Edit:
    """Rows come, go and change, in an import that keeps its id; a wave is cancelled, which takes several pieces."""
    new = [replace(person(whole, n), wave="w") for n in range(2, 9)]

    def write(store: ChangedStore) -> None:
        for at in range(0, len(new), 2):
            store.open_import(whole, new[at : at + 2], 14)
        store.seal(whole.import_id, {(one.mailbox_id, "source"): b"new" for one in new})
        store.erase(whole.import_id, person(whole, 0).mailbox_id)
        store.move(whole.import_id, person(whole, 2).mailbox_id, wave="v")
        store.set_wave(whole.import_id, "w", weight=3)
        store.control(whole.import_id, None, Control.CANCEL, wave="w")

    return [whole.import_id], write


def _name_changes(whole: Import) -> Edit:
    """The import gets another name, and so another id: all is written anew, and the old one goes."""
    other = request("another name")
    new = [person(other, n) for n in range(6)]

    def write(store: ChangedStore) -> None:
        store.open_import(other, new, 14)
        store.seal(other.import_id, {(one.mailbox_id, "source"): b"new" for one in new})
        store.set_window(other.import_id, "Sat UTC", 4_000_000_000, 4_000_003_600)
        store.close(whole.import_id)

    return sorted([whole.import_id, other.import_id]), write


@pytest.fixture
def real(store: Store) -> RedisStore:
    """Returns the store of a server: memory does one thing at a time."""
    if not isinstance(store, RedisStore):
        pytest.skip("memory does one thing at a time")
    return store


def _to_be_edited(store: RedisStore) -> Import:
    store._redis.flushdb()
    Clock(store._redis)
    store.flight, store.piece = 1, 2
    whole = request()
    rows = [person(whole, n) for n in range(5)]
    store.open_import(whole, rows, 14)
    store.seal(whole.import_id, {(one.mailbox_id, "source"): b"old" for one in rows})
    return whole


def _decided(store: RedisStore) -> Import:
    """Returns an import whose editor died two round trips after the change was decided."""
    for at in count(2):
        whole = _to_be_edited(store)
        with killed(store, at):
            store.at_once(*_rows_change(whole))
        if store._redis.hlen(keys.EDITS) and store._redis.keys(f"{keys.PREFIX}import:*:of:w"):
            return whole
    raise AssertionError


@pytest.mark.parametrize("change", [_rows_change, _name_changes])
def test_nobody_sees_a_part_of_a_change_whose_editor_died(real: RedisStore, change: Callable[[Import], Edit]) -> None:
    """The editor dies after each round trip; another process looks, and both a command and the coordinator come by."""
    whole = _to_be_edited(real)
    before = _seen(real)
    real.at_once(*change(whole))
    after = _seen(real)
    assert before != after
    seen, parts, at = [], 0, 0
    while not seen or seen[-1] != "unharmed":
        whole = _to_be_edited(real)
        assert _seen(real) == before
        unharmed = False
        with killed(real, at):
            real.at_once(*change(whole))
            unharmed = True
        if unharmed:
            seen.append("unharmed")
        elif at % 2:
            _another(real, edits=False).reap(15)  # the coordinator, between two pages
        part = _seen(_another(real, edits=False))
        parts += part not in (before, after)
        found = _seen(_another(real))
        assert found in (before, after), f"a part is seen, {at} round trips after the beginning"
        if not unharmed:
            seen.append("old" if found == before else "new")
        assert _leftovers(real) == []
        assert _seen(real) == found
        # Whoever comes next can do the same.
        if found == before:
            real.at_once(*change(whole))
        assert _seen(real) == after
        at += 1
    assert seen == sorted(seen, key=["old", "new", "unharmed"].index)
    assert min(seen.count("old"), seen.count("new")) > 3, "it died both before and after it was decided"
    assert parts > 3, "the control: who does not make the rest first sees a part"


@pytest.mark.parametrize("at", range(12))
def test_an_act_on_an_import_that_is_being_changed_comes_after_the_change(real: RedisStore, at: int) -> None:
    whole = _to_be_edited(real)
    with killed(real, at):
        real.at_once(*_rows_change(whole))
    seventh = person(whole, 7).mailbox_id
    other = _another(real)
    other.seal(whole.import_id, {(seventh, "source"): b"mine", (whole.import_id, "source"): b"all"})
    there = seventh in [one.mailbox_id for one, _ in real.mailboxes(whole.import_id)]
    assert real.sealed(whole.import_id, seventh, "source") == (b"mine" if there else None)
    assert other.submit(whole.import_id) is None
    found = real.import_(whole.import_id)
    assert found is not None
    assert (found.state, found.passes) == (ImportState.RUNNING, 1)
    assert _leftovers(real) == []


def test_of_two_editors_at_once_one_is_refused(real: RedisStore) -> None:
    writing, whole = real, _to_be_edited(real)
    first = _another(real)
    ids, write = _rows_change(whole)
    first.at_once(ids, write)
    theirs = _seen(first)
    for at in range(4):
        whole = _to_be_edited(real)
        left, written = at, writing._write_down

        def write_down(*given: Any, written: Callable[..., None] = written, whole: Import = whole) -> None:
            nonlocal left
            written(*given)
            if left == 0:
                first.at_once(*_rows_change(whole))
            left -= 1

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writing, "_write_down", write_down)
            with pytest.raises(ChangedMeanwhile):
                writing.at_once(*_name_changes(whole))
        assert _seen(real) == theirs


def test_a_second_editor_makes_what_a_dead_one_had_decided_first(real: RedisStore) -> None:
    whole = _decided(real)
    rows: list[int] = []

    def write(changed: ChangedStore) -> None:
        rows.extend(mailbox.row for mailbox, _ in changed.mailboxes(whole.import_id))
        changed.close(whole.import_id)

    _another(real).at_once([whole.import_id], write)
    assert rows == [1, 2, 3, 4, 5, 6, 7, 8]
    assert real.imports() == []


def test_the_coordinator_does_not_wait_for_a_change_that_it_may_not_make(real: RedisStore) -> None:
    """An import whose hours have come is being changed: the others go on, and it comes when its change is made."""
    opening = f"{keys.PREFIX}opening"
    whole = _decided(real)
    real._redis.zadd(opening, {whole.import_id: 1})
    _another(real, edits=False).reap(15)
    assert real._redis.zcard(opening) == 1
    real.mailboxes(whole.import_id)
    real.reap(15)
    assert real._redis.zcard(opening) == 0
