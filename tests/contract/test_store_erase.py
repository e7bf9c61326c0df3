"""Tests that an erased mailbox leaves nothing, and that its import goes on without it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import Failure
from shared.model.errors import StoreError
from shared.model.lifecycle import Control, ImportState, MailboxState
from shared.store import Store
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import person, plan_of, request, run_out, start, sums_agree, take

STATES = ("complete", "parked", "cancelled")


def _with_two(store: Store, end: str) -> tuple[str, str, str]:
    """Starts an import of two mailboxes, brings the first to an end, and returns its id and theirs."""
    whole, (first, second) = start(store, 2)
    for mailbox in (first, second):
        store.seal(whole.import_id, {(mailbox.mailbox_id, side): b"sealed" for side in ("source", "destination")})
        lease = take(store, prefer=mailbox.mailbox_id)
        store.plan_folders(lease, [(plan_of(mailbox, "INBOX", (1, 10), (11, 20)), 1)])
        store.finish(lease)
        store.leave("lane", mailbox.mailbox_id)
    if end == "complete":
        run_out(store)
    elif end == "parked":
        lease = take(store, prefer=first.mailbox_id)
        store.release(lease, how="park", failure=Failure(code="x", sentence="y"), again_seconds=60)
        store.leave("lane", first.mailbox_id)
    else:
        store.control(whole.import_id, first.mailbox_id, Control.CANCEL)
    return whole.import_id, first.mailbox_id, second.mailbox_id


@pytest.mark.parametrize("end", STATES)
def test_an_erased_mailbox_leaves_nothing(store: Store, end: str) -> None:
    import_id, first, second = _with_two(store, end)
    folders = [folder.folder_id for folder, _ in store.folders(first)]
    assert store.erase(import_id, first)
    assert not store.erase(import_id, first), "again changes nothing"
    assert [mailbox.mailbox_id for mailbox, _ in store.mailboxes(import_id)] == [second]
    assert store.failures(first) == []
    assert store.folders(first) == []
    assert store.sealed(import_id, first, "source") is None
    assert store.sealed(import_id, second, "source") == b"sealed"
    sums_agree(store, import_id)
    run_out(store)
    whole = store.import_(import_id)
    assert whole is not None
    assert whole.state is ImportState.FINISHED
    assert store.import_tally(import_id)[1] == {MailboxState.COMPLETE: 1}
    if isinstance(store, RedisStore):
        names = [key.decode() for key in store._read("keys", f"{keys.PREFIX}*")]
        assert not [name for name in names for one in (first, *folders) if one in name]


def test_one_that_is_under_way_is_not_erased(store: Store) -> None:
    import_id, _, second = _with_two(store, "parked")
    with pytest.raises(StoreError, match="under way"):
        store.erase(import_id, second)
    assert len(store.mailboxes(import_id)) == 2
    run_out(store)
    assert store.erase(import_id, second)


def test_one_whose_lane_still_writes_is_not_erased(store: Store) -> None:
    import_id, first, _ = _with_two(store, "parked")
    store.control(import_id, first, Control.RUN)
    assert store.retry(import_id, first, [])
    lease = take(store, prefer=first)
    store.control(import_id, first, Control.CANCEL)
    with pytest.raises(StoreError, match="under way"):
        store.erase(import_id, first)
    store.release(lease, how="wait")
    assert store.erase(import_id, first)


def test_a_mailbox_of_another_import_is_not_erased(store: Store) -> None:
    import_id, first, _ = _with_two(store, "cancelled")
    other, _ = start(store, name="other")
    assert not store.erase(other.import_id, first)
    assert not store.erase(import_id, "nobody")
    assert len(store.mailboxes(import_id)) == 2


def test_who_comes_back_begins_anew(store: Store) -> None:
    import_id, first, _ = _with_two(store, "complete")
    whole = store.import_(import_id)
    assert whole is not None
    mailbox = next(mailbox for mailbox, _ in store.mailboxes(import_id) if mailbox.mailbox_id == first)
    assert store.erase(import_id, first)
    store.open_import(whole, [mailbox], 14)
    store.submit(import_id)
    assert len(store.mailboxes(import_id)) == 2
    assert take(store, prefer=first).unit.unit_id == f"{first}.plan"


def test_a_row_of_an_import_that_was_never_started_is_erased(store: Store) -> None:
    whole = request()
    first, second = person(whole, 1), person(whole, 2)
    store.open_import(whole, [first, second], 14)
    store.seal(whole.import_id, {(one.mailbox_id, "source"): b"sealed" for one in (first, second)})
    assert store.erase(whole.import_id, first.mailbox_id)
    assert not store.erase(whole.import_id, first.mailbox_id), "again changes nothing"
    sums_agree(store, whole.import_id)
    assert store.sealed(whole.import_id, first.mailbox_id, "source") is None
    store.seal(whole.import_id, {(second.mailbox_id, "source"): b""})
    assert store.sealed(whole.import_id, second.mailbox_id, "source") is None, "an empty seal deletes"
    store.seal(whole.import_id, {(first.mailbox_id, "source"): b"sealed", (whole.import_id, "source"): b"all"})
    assert store.sealed(whole.import_id, first.mailbox_id, "source") is None, "its row is gone, and so is its password"
    assert store.sealed(whole.import_id, whole.import_id, "source") == b"all"
    for group in ("board", "", "board"):
        store.open_import(whole, [first, replace(second, group=group)], 14)
        assert [mailbox.group for mailbox, _ in store.mailboxes(whole.import_id)] == ["", group]
    store.control(whole.import_id, second.mailbox_id, Control.CANCEL)
    assert store.open_import(whole, [first, second], 14) == 0, "what was cancelled by itself stays so"
    assert store.retry(whole.import_id, second.mailbox_id, [])
    store.submit(whole.import_id)
    with pytest.raises(StoreError, match="under way"):
        store.erase(whole.import_id, second.mailbox_id)
    assert {take(store).mailbox.mailbox_id for _ in range(2)} == {first.mailbox_id, second.mailbox_id}
