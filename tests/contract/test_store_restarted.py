"""Tests a store that was started again without its last writes, as after a power cut, or as a replica that lagged."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import redis

from shared.model.errors import LeaseLost, StoreRestarted
from shared.model.lifecycle import MailboxState
from shared.store.memory.memory_store import MemoryStore
from shared.store.submitting import submit_whole
from tests.contract.store_kit import (
    CLOCK,
    Clock,
    copy,
    person,
    plan_of,
    planned,
    redis_store,
    request,
    run_out,
    start,
    take,
)

NOTED = "mailhaul:1:restarted"


@pytest.fixture(params=["redis", "valkey"])
def client(request: Any) -> redis.Redis:
    found: redis.Redis = request.getfixturevalue(f"{request.param}_client")
    found.flushdb()
    return found


def kept(client: redis.Redis) -> Callable[[], None]:
    """Keeps all keys. Returns what sets the server back to them, as one that has just started."""
    before = {key: client.dump(key) for key in client.scan_iter() if key.decode() != CLOCK}

    def set_back() -> None:
        client.delete(*(key for key in client.scan_iter() if key.decode() != CLOCK))
        for key, value in before.items():
            client.restore(key, 0, value)
        started_again(client)

    return set_back


def started_again(client: redis.Redis, field: str = "run_id") -> None:
    """Lets the server look as one that was started again: it is not the one that was noted, and ended its connections."""
    client.hset(NOTED, field, "another")
    client.connection_pool.disconnect()


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "control: not noted"])
def test_a_plan_of_which_the_first_half_is_lost_is_made_again(client: redis.Redis, noted: bool) -> None:
    store = redis_store(client, lease_seconds=60, limits={})
    Clock(client)
    whole, (mailbox,) = start(store)
    lease = take(store)
    plans = [(plan_of(mailbox, "INBOX", (1, 10)), 1), (plan_of(mailbox, "Work", (1, 5)), 2)]
    set_back = kept(client)
    store.plan_folders(lease, plans[:1])
    set_back()
    store.plan_folders(lease, plans[1:])
    if not noted:
        client.hdel(NOTED, "term", "at")
        store.finish(lease)
        run_out(store)
        assert store.import_tally(whole.import_id)[0].messages == 5, (
            "INBOX is not in the import, and nobody hears of it"
        )
        return
    with pytest.raises(LeaseLost, match="started again"):
        store.finish(lease)
    with pytest.raises(LeaseLost, match="another worker"):
        store.finish(lease)  # as after an answer that was lost
    assert client.zcard("mailhaul:1:leases") == 0, "the unit is free, whoever asks"
    again = take(store)
    assert again.unit.unit_id == lease.unit.unit_id
    assert again.unit.attempts == 1, "that attempt was none"
    store.plan_folders(again, plans)
    store.finish(again)
    run_out(store)
    tally, states = store.import_tally(whole.import_id)
    assert (tally.messages, tally.pending, states) == (15, 0, {MailboxState.COMPLETE: 1})


def test_a_lane_learns_that_records_of_its_mailbox_may_be_lost_until_it_is_planned_anew(client: redis.Redis) -> None:
    store = redis_store(client, lease_seconds=60, limits={})
    clock = Clock(client)
    _, mailbox, _ = planned(store, (1, 10), (11, 20), (21, 30))
    lease = take(store)
    assert not lease.restarted
    copy(store, lease, 1)
    started_again(client, "master_replid")
    clock.forward(1)
    after = take(store)
    assert after.restarted
    copy(store, after, 11)
    run_out(store)
    store.open_import(store.imports()[0], [mailbox], 14)
    store.submit(mailbox.import_id)
    clock.forward(1)
    again = take(store)
    store.plan_folders(again, [(plan_of(mailbox, "INBOX", (1, 40), uidnext=41), 1)])
    store.finish(again)
    assert not take(store).restarted


def test_only_another_server_counts_as_started_again(client: redis.Redis) -> None:
    """A version with other scripts, or somebody who makes the server forget them, loses nothing."""
    store = redis_store(client, lease_seconds=60, limits={})
    Clock(client)
    planned(store, (1, 10), (11, 20))
    lease = take(store)
    client.connection_pool.disconnect()
    noted = client.hgetall(NOTED)
    client.script_flush()
    copy(store, lease, 1)
    client.script_flush()
    client.connection_pool.disconnect()
    assert not take(store).restarted
    assert client.hgetall(NOTED) == noted


def test_scripts_that_are_known_and_others_that_are_not_run_once_each(client: redis.Redis) -> None:
    store = redis_store(client, lease_seconds=60, limits={})
    Clock(client)
    start(store)
    lease = take(store)
    client.script_flush()
    client.script_load(store._scripts["lead"].script)
    fence = (lease.unit.unit_id, lease.term, lease.holder)
    turns = [
        ("account_turn", (*fence, "service", 0)),
        ("lead", ("me", 0, "leader")),
        ("account_turn", (*fence, "service", 0)),
    ]
    assert store._run_all(turns) == [0, 2, 0]
    assert client.hget("mailhaul:1:leader", "term") == b"2", "given out once"


def test_a_connection_asks_once_and_no_call_takes_longer(client: redis.Redis) -> None:
    store = redis_store(client, lease_seconds=60, limits={})
    Clock(client)
    for _ in range(3):
        store.overview()
    sha = store._scripts["restarted"].sha
    client.config_resetstat()
    client.connection_pool.disconnect()
    for _ in range(3):
        store.overview()
    calls = client.info("commandstats")
    assert calls["cmdstat_script|exists"]["calls"] == 1
    assert calls["cmdstat_evalsha"]["calls"] == 4, "three and one"
    assert client.script_exists(sha) == [True]


def test_a_script_is_loaded_when_it_is_needed_and_before_any_of_its_flight_runs(client: redis.Redis) -> None:
    store = redis_store(client, lease_seconds=60, limits={})
    Clock(client)
    client.script_flush()
    client.connection_pool.disconnect()
    client.config_resetstat()
    for _ in range(2):
        store._run_all([("lead", ("me", 0, "leader")), ("overview", ())])
    calls = client.info("commandstats")
    assert calls["cmdstat_script|load"]["calls"] == 3, "restarted, and the two that are called"
    assert calls["cmdstat_evalsha"]["calls"] == 2 * 2 + 2, (
        "and the note of the start, refused and made: none of the others twice"
    )
    assert sum(client.script_exists(*(one.sha for one in store._scripts.values()))) == 3


@pytest.mark.parametrize("protected", [True, False], ids=["protected", "control: not protected"])
def test_rows_that_were_lost_before_the_submission_are_written_again(client: redis.Redis, protected: bool) -> None:
    """Loses the first rows in a power cut while the others are written."""
    store = redis_store(client, lease_seconds=60, limits={})
    clock = Clock(client)
    start(store, name="other")
    take(store)
    whole, writes = request(), 0
    first, second = ([person(whole, row) for row in rows] for rows in ((1, 2), (3,)))

    def write() -> int:
        nonlocal writes
        writes += 1
        set_back = kept(client)
        store.open_import(whole, first, 14)
        if writes == 1:
            clock.forward(1)
            set_back()
        return store.open_import(whole, second, 14)

    if protected:
        submit_whole(store, whole.import_id, write)
    else:
        write()
        store.submit(whole.import_id)
    found = [mailbox.mailbox_id for mailbox, _ in store.mailboxes(whole.import_id)]
    assert len(found) == (3 if protected else 1)
    assert writes == (2 if protected else 1)


def test_a_store_that_is_started_again_each_time_is_told() -> None:
    store, whole, lives = MemoryStore(), request(), count(2)

    def write() -> int:
        store.open_import(whole, [person(whole, 1)], 14)
        store.present_life = str(next(lives))
        return 1

    for hold in (True, False):
        with pytest.raises(StoreRestarted):
            submit_whole(store, whole.import_id, write, hold=hold)
    found = store.import_(whole.import_id)
    assert found is not None
    assert found.state == "opening"
