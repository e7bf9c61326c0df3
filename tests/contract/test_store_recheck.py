"""Tests that a mailbox is verified once more when mail may have arrived after its verification."""

from __future__ import annotations

import pytest

from shared.model import UnitKind
from shared.model.lifecycle import Control, ImportState, MailboxState
from shared.store import Store
from tests.contract.store_kit import Clock, copy, planned, take


def _state(store: Store, mailbox_id: str) -> MailboxState:
    found = store.mailbox(mailbox_id)
    assert found is not None
    return found.state


def _finished(store: Store) -> tuple[str, str]:
    """Returns (import id, mailbox id) of a finished import, with credentials."""
    whole, mailbox, _ = planned(store, (1, 10))
    store.seal(whole.import_id, {(mailbox.mailbox_id, "source"): b"x"})
    copy(store, take(store), 1)
    store.finish(take(store))
    assert _state(store, mailbox.mailbox_id) is MailboxState.COMPLETE
    return whole.import_id, mailbox.mailbox_id


def test_what_is_complete_is_planned_and_verified_again_after_the_delay(store: Store, clock: Clock) -> None:
    import_id, mailbox_id = _finished(store)
    assert store.recheck(mailbox_id, 30)
    assert not store.recheck(mailbox_id, 30), "once is enough"
    found = store.import_(import_id)
    assert found is not None
    assert (found.state, found.finished_at) == (ImportState.RUNNING, 0)
    assert store.claim("lane") is None
    clock.forward(31)
    for kind in (UnitKind.PLAN, UnitKind.VERIFY):
        lease = take(store)
        assert lease.unit.kind is kind
        store.finish(lease)
    found = store.import_(import_id)
    assert found is not None
    assert found.state is ImportState.FINISHED


def test_a_verification_under_way_begins_anew(store: Store) -> None:
    whole, mailbox, _ = planned(store, (1, 10))
    store.seal(whole.import_id, {(mailbox.mailbox_id, "source"): b"x"})
    copy(store, take(store), 1)
    assert take(store).unit.kind is UnitKind.VERIFY
    assert store.recheck(mailbox.mailbox_id, 0)
    assert take(store).unit.kind is UnitKind.PLAN


@pytest.mark.parametrize("why", ["forgotten", "cancelled", "copying", "unknown"])
def test_what_nobody_may_verify_or_will_be_anyway_is_left_alone(store: Store, why: str) -> None:
    if why == "copying":
        _, mailbox, _ = planned(store, (1, 10))
        mailbox_id = mailbox.mailbox_id
    else:
        import_id, mailbox_id = _finished(store)
        if why == "forgotten":
            store.forget(import_id)
        elif why == "cancelled":
            store.control(import_id, None, Control.CANCEL)
        else:
            mailbox_id = "nobody"
    before = store.mailbox(mailbox_id)
    assert not store.recheck(mailbox_id, 0)
    assert store.mailbox(mailbox_id) == before
