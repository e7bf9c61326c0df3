"""Tests the count of messages that were deleted at the source: it stands in every sum, as it is now."""

from __future__ import annotations

from dataclasses import replace

from shared.store import Store
from shared.uids import UidSet
from tests.contract.store_kit import plan_of, start, take


def test_they_are_counted_as_they_are_now(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (1, 500))

    def counted() -> list[int]:
        ((_, own),) = store.mailboxes(whole.import_id)
        ((folder, tally),) = store.folders(mailbox.mailbox_id)
        every = [
            tally.deleted_at_source,
            own.deleted_at_source,
            store.import_tally(whole.import_id)[0].deleted_at_source,
        ]
        return [len(folder.deleted), *every]

    # Repeated, grown, shrunk, planned by an earlier holder (the same UIDNEXT), and void.
    scattered = UidSet.of(range(1, 500, 2))
    for uids in (UidSet.span(3, 4), UidSet.span(3, 4), scattered, UidSet.span(4, 4), UidSet()):
        store.plan_folders(lease, [(replace(plan, folder=replace(plan.folder, deleted=uids)), 1)])
        assert counted() == [len(uids)] * 4
        ((folder, _),) = store.folders(mailbox.mailbox_id)
        assert folder.deleted == uids
    store.plan_folders(lease, [(replace(plan, folder=replace(plan.folder, deleted=scattered)), 1)])
    store.plan_folders(lease, [(replace(plan, reset=True), 1)])
    assert counted() == [0] * 4
    assert store.import_tally(whole.import_id)[0].messages == 500
