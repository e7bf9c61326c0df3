"""Tests messages that several folders show: one batch copies each, and the others learn its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.store import BRINGING_SECONDS, SHARED_SECONDS, Store
from shared.store.redis import keys
from tests.contract.store_kit import World, copy, planned, take

PLACE = bytes(range(12))
#: Message ids like Gmail's; the last two differ only in their low bits.
MESSAGES = [1_278_455_344_230_334_865, 2**64 - 1, 0, 1_700_000_000_000_000_001, 1_700_000_000_000_000_002]


def test_who_asks_first_brings_it_and_the_others_are_told(store: Store) -> None:
    assert store.share("m1", "u1", MESSAGES) == [b""] * 5
    assert store.share("m1", "u1", MESSAGES) == [b""] * 5, "asked again after a crash"
    assert store.share("m1", "u2", MESSAGES) == [b"?"] * 5
    assert store.share("m2", "u2", MESSAGES) == [b""] * 5, "another mailbox's"
    store.stand("m1", {MESSAGES[0]: PLACE, MESSAGES[1]: b"r00ff:17\0:99", MESSAGES[3]: b""})
    assert store.share("m1", "u2", MESSAGES) == [PLACE, b"r00ff:17\0:99", b"?", b"", b"?"]
    assert store.share("m1", "u1", MESSAGES) == [PLACE, b"r00ff:17\0:99", b"", b"?", b""]
    assert store.share("m1", "u3", []) == []
    store.stand("m1", {})


def test_a_batch_that_never_comes_back_is_not_waited_for(world: World) -> None:
    store = world.store
    assert store.share("m1", "u1", MESSAGES) == [b""] * 5
    world.clock.forward(BRINGING_SECONDS - 60)
    assert store.share("m1", "u2", MESSAGES) == [b"?"] * 5
    world.clock.forward(120)
    assert store.share("m1", "u2", MESSAGES) == [b""] * 5
    assert store.share("m1", "u1", MESSAGES) == [b"?"] * 5


def test_it_is_forgotten_by_itself(store: Store) -> None:
    client = getattr(store, "_redis", None)
    if client is None:
        pytest.skip("the memory store is gone with its process")
    store.share("m1", "u1", MESSAGES)
    store.stand("m1", {MESSAGES[0]: PLACE})
    lives = [client.ttl(key) for key in client.scan_iter(f"{keys.mailbox('m1', 'shared')}*")]
    assert len(lives) == 5
    assert all(0 < left <= SHARED_SECONDS for left in lives)


def test_when_the_mailbox_is_verified_it_is_forgotten(store: Store) -> None:
    _, mailbox, _ = planned(store, (1, 3))
    lease = take(store)
    assert store.share(mailbox.mailbox_id, lease.unit.unit_id, MESSAGES) == [b""] * 5
    store.stand(mailbox.mailbox_id, {MESSAGES[0]: PLACE})
    store.share("another", lease.unit.unit_id, MESSAGES)
    copy(store, lease, 1)
    assert store.share(mailbox.mailbox_id, "u2", MESSAGES[:1]) == [PLACE]
    store.finish(take(store))
    assert store.share(mailbox.mailbox_id, "u2", MESSAGES) == [b""] * 5
    assert store.share("another", "u2", MESSAGES) == [b"?"] * 5


def test_many_at_once_keep_their_order(store: Store) -> None:
    many = [n * 77_777_777_777_777 for n in range(1_700)]
    assert store.share("m1", "u1", many) == [b""] * len(many)
    store.stand("m1", {message: message.to_bytes(12) for message in many[::3]})
    found = store.share("m1", "u2", many)
    assert found == [message.to_bytes(12) if at % 3 == 0 else b"?" for at, message in enumerate(many)]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_no_two_messages_have_one_place(one: int, other: int) -> None:
    assert (keys.shared(one) == keys.shared(other)) == (one == other)
