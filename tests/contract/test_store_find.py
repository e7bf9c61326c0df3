"""A page of mailboxes, filtered and ordered by the store: the same over memory, Redis and Valkey."""

from __future__ import annotations

import pytest

from shared.lifecycle import Control, MailboxState
from shared.model import Failure
from shared.model.search import Search
from shared.store import Store
from tests.contract.store_kit import start, take


def _logins(store: Store, import_id: str, **wanted: object) -> tuple[int, list[str]]:
    total, found = store.find_mailboxes(import_id, Search(**wanted))  # type: ignore[arg-type]
    return total, [mailbox.source.login for mailbox, _ in found]


def test_without_a_wish_they_come_by_row_page_by_page(store: Store) -> None:
    whole, mailboxes = start(store, 5)
    everyone = [mailbox.source.login for mailbox in mailboxes]

    assert _logins(store, whole.import_id) == (5, everyone)
    assert _logins(store, whole.import_id, start=2, count=2) == (5, everyone[2:4])
    assert _logins(store, whole.import_id, start=9) == (5, [])
    assert _logins(store, whole.import_id, descending=True, count=2) == (5, everyone[:2:-1])
    assert _logins(store, "nothing") == (0, [])


@pytest.mark.parametrize("order", ["login", "destination_login"])
def test_they_can_be_ordered_and_looked_for_by_login(store: Store, order: str) -> None:
    whole, mailboxes = start(store, 3)
    everyone = sorted(mailbox.source.login for mailbox in mailboxes)

    assert _logins(store, whole.import_id, order=order, descending=True) == (3, everyone[::-1])
    assert _logins(store, whole.import_id, text=everyone[1].upper()) == (1, [everyone[1]])
    assert _logins(store, whole.import_id, text="%w") == (0, [])  # a text, no pattern


def test_they_can_be_chosen_by_state_and_by_what_went_wrong(store: Store) -> None:
    whole, mailboxes = start(store, 3)
    lease = take(store)
    failure = Failure(code="source_auth_refused", sentence="refused", detail='it said "code": "other"')
    store.release(lease, how="park", failure=failure)
    parked = next(mailbox.source.login for mailbox in mailboxes if mailbox.mailbox_id == lease.unit.mailbox_id)
    others = [mailbox.source.login for mailbox in mailboxes if mailbox.source.login != parked]

    assert _logins(store, whole.import_id, state=MailboxState.PARKED) == (1, [parked])
    assert _logins(store, whole.import_id, code="source_auth_refused") == (1, [parked])
    assert _logins(store, whole.import_id, code="other") == (0, [])
    assert _logins(store, whole.import_id, state=MailboxState.QUEUED, descending=True) == (2, others[::-1])
    assert _logins(store, whole.import_id, order="messages") == (3, [mailbox.source.login for mailbox in mailboxes])

    store.control(whole.import_id, None, Control.CANCEL)
    assert _logins(store, whole.import_id, state=MailboxState.CANCELLED, count=1)[0] == 3
