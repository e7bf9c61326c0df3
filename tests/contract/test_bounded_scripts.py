"""Tests that no script's work grows with the mailboxes of an import: everybody waits for a script.

The server tells each command that a script sends (MONITOR), so that they are counted and nothing is timed.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product

import redis

from shared.model import Failure, Import
from shared.model.lifecycle import Control, MailboxState
from shared.model.search import ORDERS, Search
from shared.rules.standing import Standing
from shared.store import ChangedStore
from shared.store.redis.redis_at_once import _GUARDED
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import Clock, person, redis_store, request, take

#: The mailboxes of an import, and twice as many; a script changes so many, and looks at so many.
FEW, MANY, PIECE = 40, 80, 5
END = "the end"


@contextmanager
def counted(store: RedisStore) -> Iterator[dict[str, int]]:
    """Gives how many commands the longest run of each script sent, once the `with` block is over."""
    texts = {name: one.script for name, one in store._scripts.items()}
    names = {hashlib.sha1(text.encode()).hexdigest(): name for name, text in texts.items()}
    guarded = {name: _GUARDED % (text, name) for name, text in texts.items()}
    names |= {hashlib.sha1(text.encode()).hexdigest(): f"{name} of a change" for name, text in guarded.items()}
    longest: dict[str, int] = {}

    def listen(monitor: redis.client.Monitor) -> None:
        running, sent = "", 0
        for line in monitor.listen():
            if line["client_type"] == "lua":
                sent += 1
                longest[running] = max(longest.get(running, 0), sent)
            elif line["command"] == f"ECHO {END}":
                return
            elif line["command"].upper().startswith("EVALSHA"):
                running, sent = names[line["command"].split()[1]], 0

    with store._redis.monitor() as monitor:
        thread = threading.Thread(target=listen, args=(monitor,))
        thread.start()
        try:
            yield longest
        finally:
            store._redis.echo(END)
            thread.join()


def _opened(store: RedisStore, many: int, name: str = "move") -> Import:
    whole = request(name)
    rows = [replace(person(whole, n), wave=f"w{n % 2}") for n in range(many)]
    store.open_import(whole, rows, 14)
    store.seal(whole.import_id, {(one.mailbox_id, "source"): b"sealed" for one in rows})
    return whole


def _renamed(store: RedisStore, whole: Import, many: int) -> None:
    def write(changed: ChangedStore) -> None:
        other = _opened(changed, many, "other")  # type: ignore[arg-type]
        changed.set_window(other.import_id, "Sat UTC", 4_000_000_000, 4_000_003_600)
        changed.control(other.import_id, None, Control.CANCEL)
        changed.close(whole.import_id)

    store.at_once(sorted([whole.import_id, request("other").import_id]), write)


def _found(store: RedisStore, whole: Import) -> None:
    """Looks for all that fits, in every way, first as an older version left it."""
    store._redis.hdel(f"mailhaul:1:import:{whole.import_id}", "by_trouble")
    for state, code, text, wave, order in product(
        (None, MailboxState.QUEUED), ("", "refused"), ("", "user", "r7"), ("", "w1"), ORDERS
    ):
        wanted = Search(state=state, code=code, text=text, wave=wave, order=order, descending=True, count=3)
        store.find_mailboxes(whole.import_id, wanted)


def _parked(store: RedisStore, whole: Import, many: int) -> None:
    """Lets each mailbox wait for room."""
    store.submit(whole.import_id)
    failure = Failure(code="destination_quota_exceeded", sentence="full")
    for n in range(many):
        store.release(take(store, f"lane/{n}"), how="park", failure=failure, again_seconds=3600)
        store.leave(f"lane/{n}", "")


def _life(store: RedisStore, many: int) -> None:
    """Does all that is done to an import with so many mailboxes."""
    whole = _opened(store, many)
    store.at_once([whole.import_id], lambda changed: _again(changed, many))
    _renamed(store, whole, many)
    store.close(request("other").import_id)
    whole = _opened(store, many)
    _found(store, whole)
    _parked(store, whole, many)
    for one in (store.waits, store.stranded, store.mailboxes, store.waves):
        one(whole.import_id)
    store.overview()
    acts: tuple[Callable[[], object], ...] = (
        lambda: store.control(whole.import_id, None, Control.PAUSE),
        lambda: store.control(whole.import_id, None, Control.RUN),
        lambda: store.set_wave(whole.import_id, "w1", starts_at=4_000_000_000),
        lambda: store.set_window(whole.import_id, "Sat UTC", 4_000_000_000, 4_000_003_600),
        lambda: store.set_standing(whole.import_id, "", Standing(least_seconds=10, most_seconds=10)),
        lambda: store.control(whole.import_id, None, Control.CANCEL),
        lambda: store.forget(whole.import_id),
    )
    for act in acts:
        act()
        store.reap(15)
    store.close(whole.import_id)


def _again(changed: ChangedStore, many: int) -> None:
    _opened(changed, many)  # type: ignore[arg-type]
    changed.control(request().import_id, None, Control.CANCEL, wave="w1")


def _longest(client: redis.Redis, many: int, piece: int) -> dict[str, int]:
    client.flushdb()
    Clock(client)
    store = redis_store(client, limits={"source_host": 1000, "destination_host": 1000})
    store.piece, store.walk, store.flight = piece, 2 * piece, 3
    with counted(store) as longest:
        _life(store, many)
    return longest


def test_no_script_sends_more_commands_for_more_mailboxes(redis_client: redis.Redis) -> None:
    few, many = (_longest(redis_client, number, PIECE) for number in (FEW, MANY))
    assert {"open", "open of a change", "close of a change", "find", "gather", "rank", "sweep", "waits"} <= few.keys()
    grown = {name: (few[name], sent) for name, sent in many.items() if sent > few[name]}
    assert grown == {}


def test_with_a_piece_of_all_mailboxes_they_do(redis_client: redis.Redis) -> None:
    """The negative control."""
    few, many = (_longest(redis_client, number, 1000) for number in (FEW, MANY))
    grown = {name for name, sent in many.items() if sent > 1.5 * few[name]}
    assert {"open", "open of a change", "close of a change", "find", "submit", "control"} <= grown
