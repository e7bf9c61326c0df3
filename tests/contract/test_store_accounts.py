"""Tests the store's turns at account services, and its state of each account."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import AccountState, Profile
from shared.model.errors import LeaseLost
from shared.store import Store
from tests.contract.store_kit import Clock, person, request, start, take


def _state(store: Store, mailbox_id: str) -> tuple[AccountState, float]:
    found = store.mailbox(mailbox_id)
    assert found is not None
    return found.account, found.account_at


def test_turns_are_so_far_apart_for_all_together_and_each_finds_its_own_again(store: Store, clock: Clock) -> None:
    start(store, 4)
    leases = [take(store, f"lane{number}") for number in range(4)]
    waits = [store.account_turn(lease, "scim x", 2.0) for lease in leases]
    assert waits == [0.0, 2.0, 4.0, 6.0]
    assert store.account_turn(leases[1], "scim x", 2.0) == 2.0, "asked again, it does not lose its place"
    clock.forward(4)
    assert store.account_turn(leases[2], "scim x", 2.0) == 0.0
    assert store.account_turn(leases[1], "scim x", 2.0) == 0.0
    assert store.account_turn(leases[1], "scim x", 2.0) == 4.0, "a turn is used once: the next free one"
    assert store.account_turn(leases[0], "another", 2.0) == 0.0


def test_a_service_that_asks_to_wait_is_left_alone_by_everybody(store: Store, clock: Clock) -> None:
    start(store, 2)
    leases = [take(store, f"lane{number}") for number in range(2)]
    assert store.account_turn(leases[0], "scim x", 1.0) == 0.0
    assert store.account_turn(leases[1], "scim x", 1.0) == 1.0
    store.account_hold("scim x", 60)
    store.account_hold("scim x", 5)  # never shortens
    clock.forward(2)
    assert store.account_turn(leases[1], "scim x", 1.0) == 58.0, "the turn that was given before is void"
    assert store.account_turn(leases[0], "scim x", 1.0) == 59.0
    clock.forward(58)
    assert store.account_turn(leases[1], "scim x", 1.0) == 0.0


def test_what_is_known_of_an_account_keeps_its_time_and_survives_another_pass(store: Store, clock: Clock) -> None:
    whole, (mailbox,) = start(store)
    assert _state(store, mailbox.mailbox_id) == (AccountState.UNKNOWN, 0.0)
    lease = take(store)
    store.note_account(lease, AccountState.CREATING)
    began = clock()
    clock.forward(3)
    store.note_account(lease, AccountState.CREATING)
    assert _state(store, mailbox.mailbox_id) == (AccountState.CREATING, began)
    store.note_account(lease, AccountState.CREATED)
    assert _state(store, mailbox.mailbox_id) == (AccountState.CREATED, clock())
    store.release(lease, how="wait")
    assert take(store).mailbox.account is AccountState.CREATED
    store.open_import(whole, [mailbox], 14)
    assert _state(store, mailbox.mailbox_id)[0] is AccountState.CREATED


@pytest.mark.parametrize("call", ["turn", "note"])
def test_a_lost_lease_writes_nothing(store: Store, call: str) -> None:
    _, (mailbox,) = start(store)
    lease = take(store)
    store.release(lease, how="wait")
    with pytest.raises(LeaseLost):
        _ = store.account_turn(lease, "x", 1) if call == "turn" else store.note_account(lease, AccountState.CREATED)  # type: ignore[func-returns-value]
    assert _state(store, mailbox.mailbox_id) == (AccountState.UNKNOWN, 0.0)


def test_a_profile_is_kept_and_replaced(store: Store) -> None:
    whole = request()
    anna = Profile(first_name="Анна", last_name='"}', quota_bytes=5 << 40)
    row = replace(person(whole, 1), profile=anna)
    store.open_import(whole, [row], 14)
    found = store.mailbox(row.mailbox_id)
    assert found is not None
    assert found.profile == anna
    store.open_import(whole, [replace(row, profile=Profile())], 14)
    found = store.mailbox(row.mailbox_id)
    assert found is not None
    assert found.profile == Profile()
