"""Tests the count of folders that the source lists and does not let be read: it stands in every sum."""

from __future__ import annotations

from dataclasses import replace

from shared.model.folders import UNREADABLE
from shared.store import Store
from tests.contract.store_kit import plan_of, start, take


def test_they_are_counted_as_they_are_now(store: Store) -> None:
    whole, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (1, 5))
    refused = replace(plan, folder=replace(plan.folder, note=f"{UNREADABLE}: NO"), batches=(), messages=0, size_bytes=0)

    def counted() -> list[int]:
        ((_, own),) = store.mailboxes(whole.import_id)
        ((_, folder),) = store.folders(mailbox.mailbox_id)
        return [folder.unreadable, own.unreadable, store.import_tally(whole.import_id)[0].unreadable]

    for now, wanted in ((refused, 1), (refused, 1), (plan, 0), (refused, 1), (replace(plan, reset=True), 0)):
        store.plan_folders(lease, [(now, 1)])
        assert counted() == [wanted] * 3
