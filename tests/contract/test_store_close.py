"""Tests that an import's ledger lives until the operator closes the import, and that nothing is left then."""

from __future__ import annotations

import pytest

from shared.model import Failure
from shared.model.errors import StoreError
from shared.model.lifecycle import Control, MailboxState
from shared.model.search import Search
from shared.rules.standing import Standing
from shared.store import Store
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import Clock, planned, run_out, start, take

TEN_YEARS = 10 * 365 * 86_400
#: Keys that belong to all imports.
SHARED = {"terms", "served", "routes", "ready_units", "restarted"}


def _finished(store: Store) -> str:
    whole, mailbox, _ = planned(store, (1, 10), (11, 20))
    store.seal(whole.import_id, {(mailbox.mailbox_id, "source"): b"x"})
    run_out(store)
    return whole.import_id


def test_the_ledger_outlives_the_passwords(store: Store, clock: Clock) -> None:
    import_id = _finished(store)
    ((mailbox, _),) = store.mailboxes(import_id)
    ((folder, _),) = store.folders(mailbox.mailbox_id)
    if isinstance(store, RedisStore):
        expiring = [key for key in store._read("keys", f"{keys.PREFIX}*") if store._read("ttl", key) >= 0]
        assert [key.decode().rpartition(":")[2] for key in expiring] == ["credentials"]
    clock.forward(TEN_YEARS)
    store.reap(5)
    assert sum(len(record.source) for entry in store.ledger(folder.folder_id) for record in entry.records) == 20


@pytest.mark.parametrize("end", ["complete", "parked", "cancelled"])
def test_what_is_closed_leaves_nothing(store: Store, end: str) -> None:
    if end == "complete":
        import_id = _finished(store)
    else:
        whole, _, _ = planned(store, (1, 10), (11, 20))
        import_id = whole.import_id
        if end == "parked":
            lease = take(store)
            store.release(lease, how="park", failure=Failure(code="x", sentence="y"), again_seconds=60)
            store.leave("lane", lease.mailbox.mailbox_id)
        else:
            store.control(import_id, None, Control.CANCEL)
    assert store.close(import_id)
    assert store.import_(import_id) is None
    assert store.imports() == []
    assert store.claim("lane") is None
    assert store.overview().ready_units == 0
    assert not store.close(import_id), "again changes nothing"
    if isinstance(store, RedisStore):
        left = {key.decode().removeprefix(keys.PREFIX) for key in store._read("keys", f"{keys.PREFIX}*")}
        assert left <= SHARED, left - SHARED


def test_others_go_on(store: Store) -> None:
    import_id = _finished(store)
    other, _ = start(store, name="other")
    assert store.close(import_id)
    assert take(store).mailbox.import_id == other.import_id


def test_one_that_is_under_way_is_not_closed(store: Store) -> None:
    whole, _ = start(store)
    with pytest.raises(StoreError, match="under way"):
        store.close(whole.import_id)
    assert store.import_(whole.import_id) is not None
    run_out(store)
    assert store.close(whole.import_id)


def test_whoever_waited_for_its_destination_goes_on(store: Store, clock: Clock) -> None:
    whole, _, _ = planned(store, (1, 10))
    lease = take(store)
    store.release(lease, how="wait")
    store.control(whole.import_id, None, Control.CANCEL)
    assert store.close(whole.import_id)
    again, _ = start(store)
    lease = take(store)
    assert (lease.mailbox.import_id, lease.neighbours) == (again.import_id, ())


def test_one_that_is_closed_in_part_is_listed_by_state(store: Store) -> None:
    whole, mailboxes = start(store, 2)
    store.control(whole.import_id, None, Control.CANCEL)
    if not isinstance(store, RedisStore):
        return  # memory closes in one step
    store._run("close", whole.import_id, mailboxes[0].mailbox_id)
    for wanted in (Search(state=MailboxState.CANCELLED), Search(order="state"), Search(order="messages")):
        total, found = store.find_mailboxes(whole.import_id, wanted)
        assert (total, [mailbox.mailbox_id for mailbox, _ in found]) == (1, [mailboxes[1].mailbox_id])


def test_the_archive_takes_what_does_not_run_and_gives_it_back(store: Store, clock: Clock) -> None:
    whole, _, _ = planned(store, (1, 10), (11, 20))
    import_id = whole.import_id
    assert not store.archive("nobody", away=True)
    assert not store.archive(import_id, away=False)
    with pytest.raises(StoreError, match="under way"):
        store.archive(import_id, away=True)
    run_out(store)
    at = clock()
    for changed in (True, False):  # the second time the moment stays
        assert store.archive(import_id, away=True) is changed
        clock.forward(5)
    found = store.import_(import_id)
    assert found is not None
    assert (found.archived, found.archived_at) == (True, at)
    ((mailbox, _),) = store.mailboxes(import_id)
    store.open_import(whole, [mailbox], 14)
    store.submit(import_id)
    running = store.import_(import_id)
    assert running is not None
    assert not running.archived, "what runs again is seen"
    run_out(store)
    assert not store.archive(import_id, away=False), "and stays seen when it has ended"
    store.archive(import_id, away=True)
    store.set_standing(import_id, "", Standing(least_seconds=60, most_seconds=60))
    assert not store.archive(import_id, away=False), "what stands is seen"
    store.archive(import_id, away=True)
    store.control(import_id, mailbox.mailbox_id, Control.CANCEL)
    assert store.retry(import_id, mailbox.mailbox_id, [])
    store.control(import_id, None, Control.CANCEL)
    assert not store.archive(import_id, away=False), "what is tried again is seen"
    store.archive(import_id, away=True)
    for changed in (True, False):
        assert store.archive(import_id, away=False) is changed
    (found,) = store.imports()
    assert (found.archived, found.archived_at) == (False, 0)


def test_an_import_that_is_opened_again_while_a_lane_is_at_it_is_not_archived(store: Store) -> None:
    whole, (mailbox,) = start(store)
    take(store)
    store.open_import(whole, [mailbox], 14)
    with pytest.raises(StoreError, match="under way"):
        store.archive(whole.import_id, away=True)
