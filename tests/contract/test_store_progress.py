"""Tests what a worker enters under its lease: intents, records, digests, doubts and notes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import LedgerEntry, Note, Settled
from shared.model.errors import LedgerConflict, StoreError
from shared.model.lifecycle import Outcome
from shared.model.uids import Record, UidSet
from shared.store import Store
from tests.contract.store_kit import (
    START,
    Clock,
    copied,
    copy,
    everything,
    intent,
    other,
    planned,
    start,
    sums_agree,
    take,
)


def test_progress_keeps_intents_until_they_are_settled_or_withdrawn(store: Store, clock: Clock) -> None:
    _, _, _ = planned(store, (1, 30))
    lease = take(store)
    groups = [UidSet.span(1, 10), UidSet.span(11, 20), UidSet.span(21, 30)]
    store.progress(lease, intents=[intent("1", groups[0], 100)])
    clock.forward(2)
    store.progress(lease, intents=[intent("2", groups[1], 110), intent("3", groups[2], 120)])
    store.progress(lease, settled=[copied(groups[1], 110, "2")])
    clock.forward(61)
    store.reap(0)
    lease = take(store, "b")
    assert [i.intent_id for i in lease.intents] == ["1", "3"]
    first = lease.intents[0]
    assert (first.uids, first.destination_uidvalidity, first.destination_uidnext) == (groups[0], 9, 100)
    assert (first.at, lease.intents[1].at) == (START, START + 2)
    assert [str(record) for record in lease.records] == ["11:20 110:119"]
    assert lease.digest == 5
    with pytest.raises(StoreError):
        store.finish(lease)
    store.progress(lease, settled=[copied(groups[0], 100, "1")], withdrawn=["3"])
    store.progress(lease, intents=[intent("9.1", groups[2], 130)])
    with pytest.raises(StoreError):
        store.progress(lease, intents=[intent("9.1", UidSet.span(21, 25), 140)])
    store.progress(lease, settled=[copied(groups[2], 130, "9.1")])
    store.finish(lease)


def test_the_folder_is_the_one_that_the_next_intent_names(store: Store) -> None:
    """An empty folder may have got another UIDVALIDITY since it was planned."""
    planned(store, (1, 10))
    lease = take(store)
    for uidvalidity in (4_294_967_295, 4_294_967_294):
        named = replace(intent(str(uidvalidity), UidSet.span(1, 10)), destination_uidvalidity=uidvalidity)
        store.progress(lease, intents=[named])
        folders = [folder for folder, _ in store.folders(lease.mailbox.mailbox_id)]
        assert [folder.destination_uidvalidity for folder in folders] == [uidvalidity]


def test_an_intent_written_again_keeps_its_moment(store: Store, clock: Clock) -> None:
    planned(store, (1, 10))
    lease = take(store)
    store.progress(lease, intents=[intent("1", UidSet.span(1, 10))])
    clock.forward(30)
    store.progress(lease, intents=[intent("1", UidSet.span(1, 10))])
    store.release(lease, how="wait")
    assert take(store).intents[0].at == START


def test_a_group_that_was_refused_as_a_whole_only_clears_its_intent(store: Store) -> None:
    planned(store, (1, 10))
    lease = take(store)
    store.progress(lease, intents=[intent("1", UidSet.span(1, 10))])
    store.progress(lease, settled=[Settled(intent_id="1")])
    store.release(lease, how="wait")
    lease = take(store)
    assert (lease.intents, lease.records, lease.others) == ((), (), UidSet())


def test_a_destination_uid_is_given_away_once(store: Store) -> None:
    whole, _, folder = planned(store, (1, 100), (101, 200))
    copy(store, take(store), 1000)
    lease = take(store)
    store.progress(lease, intents=[intent("1", UidSet.span(101, 120), 1100), intent("2", UidSet.span(121, 140), 1100)])
    before = everything(store, [whole.import_id])
    for offered in (
        [copied(UidSet.span(101, 110), 1050, "1")],
        [copied(UidSet.span(101, 110), 991, "1")],
        [copied(UidSet.span(101, 110), 1099, "1")],
        [copied(UidSet.span(101, 110), 1200, "1"), copied(UidSet.span(121, 130), 1209, "2")],
        [copied(UidSet.span(101, 110), 1200, "1"), copied(UidSet.span(121, 130), 1000, "2")],
        [
            replace(
                copied(UidSet.span(101, 110), 1200, "1"),
                records=tuple(Record(UidSet.of([n]), UidSet.of([1200])) for n in (101, 102)),
            )
        ],
    ):
        with pytest.raises(LedgerConflict):
            store.progress(lease, settled=offered, withdrawn=["1", "2"], doubts=UidSet.span(101, 140))
        assert everything(store, [whole.import_id]) == before, "nothing was written, not even the first half"
    store.progress(lease, settled=[copied(UidSet.span(101, 120), 1100, "1"), copied(UidSet.span(121, 140), 1120, "2")])
    assert store.import_tally(whole.import_id)[0][Outcome.COPIED] == 140
    with pytest.raises(LedgerConflict):
        store.progress(lease, settled=[copied(UidSet.span(141, 142), 1139)])
    assert folder


def test_the_same_pairs_without_an_intent_are_entered_once(store: Store) -> None:
    whole, _, _ = planned(store, (1, 20))
    lease = take(store)
    skipped, vanished = other(Outcome.SKIPPED, UidSet.span(6, 9)), other(Outcome.VANISHED, UidSet.of([12]))
    settled = [copied(UidSet.span(1, 5), 1), skipped, vanished]
    for _ in range(3):
        store.progress(lease, settled=settled)
    tally, _ = store.import_tally(whole.import_id)
    assert tally.outcomes == {Outcome.COPIED: 5, Outcome.SKIPPED: 4, Outcome.VANISHED: 1}
    assert (tally.pending, tally.done_bytes) == (10, 10_000)
    store.release(lease, how="wait")
    assert take(store).others == UidSet.parse("6:9,12")


def test_a_batch_with_messages_that_have_no_outcome_is_not_closed(store: Store) -> None:
    planned(store, (1, 20))
    lease = take(store)
    store.progress(lease, settled=[copied(UidSet.span(1, 19), 1)])
    with pytest.raises(StoreError):
        store.finish(lease)
    store.progress(lease, settled=[copied(UidSet.of([20]), 20)])
    store.finish(lease)


def test_progress_is_for_batches(store: Store) -> None:
    start(store)
    with pytest.raises(StoreError):
        store.progress(take(store), settled=[other(Outcome.SKIPPED, UidSet.of([1]))])


def test_digests_are_added_up_exactly(store: Store) -> None:
    _, _, folder = planned(store, (1, 4))
    lease = take(store)
    most = (1 << 48) - 1
    for n in range(1, 5):
        store.progress(lease, settled=[copied(UidSet.of([n]), n, digest=most - n)])
    (entry,) = store.ledger(folder.folder_id)
    assert entry.digest == sum(most - n for n in range(1, 5)) % (1 << 48)


def test_a_ledger_entry_may_be_kept_in_less_room(store: Store) -> None:
    _, _, folder = planned(store, (1, 1000))
    lease = take(store)
    for low in range(1, 1000, 100):
        store.progress(lease, settled=[copied(UidSet.span(low, low + 99), low, digest=1)])
    merged = (Record(UidSet.span(1, 1000), UidSet.span(1, 1000)),)
    store.finish(lease, [LedgerEntry(name=lease.unit.unit_id, records=merged, digest=0)])
    assert store.ledger(folder.folder_id) == [LedgerEntry(name=lease.unit.unit_id, records=merged, digest=10)]


def test_doubts_are_only_ever_added_to(store: Store, clock: Clock) -> None:
    _, _, folder = planned(store, (1, 20))
    lease = take(store)
    assert folder.doubted_at == 0
    store.progress(lease, doubts=UidSet.span(1, 3))
    first = store.folder(folder.folder_id)
    assert first is not None
    clock.forward(5)
    store.progress(lease, doubts=UidSet.span(7, 8))
    found = store.folder(folder.folder_id)
    store.progress(lease)
    assert found is not None
    assert found == store.folder(folder.folder_id)
    assert found.doubts == UidSet.parse("1:3,7:8")
    assert found.doubted_at > first.doubted_at > 0


def test_notes_are_counted_once_a_message(store: Store) -> None:
    whole, _, folder = planned(store, (1, 20))
    lease = take(store)
    notes = (
        Note(uid=2, what="keywords_lost", reason="ü\ud800 \"'", message_id="<a@b>", internaldate=-1, size_bytes=2**53),
        Note(uid=2, what="date_clamped", reason=""),
        Note(uid=10, what="altered", reason=""),
    )
    store.progress(lease, settled=[replace(copied(UidSet.span(1, 10), 1), notes=notes)])
    assert store.notes(folder.folder_id) == sorted(notes, key=lambda n: (n.uid, n.what))
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.altered, tally.keywords_lost) == (1, 1)
    sums_agree(store, whole.import_id)
