"""Tests a store that was started again without its last writes, as after a power cut, or as a replica that lagged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from shared.model.errors import LeaseLost
from shared.model.lifecycle import MailboxState
from tests.contract.store_kit import CLOCK, Clock, copy, plan_of, planned, redis_store, run_out, start, take


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
        client.script_flush()

    return set_back


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
        client.delete("mailhaul:1:restarted")
        store.finish(lease)
        run_out(store)
        assert store.import_tally(whole.import_id)[0].messages == 5, (
            "INBOX is not in the import, and nobody hears of it"
        )
        return
    with pytest.raises(LeaseLost, match="started again"):
        store.finish(lease)
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
    client.script_flush()
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
