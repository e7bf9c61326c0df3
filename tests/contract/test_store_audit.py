"""Tests verification: the findings of an audit, second copies, the progress of a comparison, and flags."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import Audit, Note, Settled
from shared.model.errors import LeaseLost
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.store import Store
from tests.contract.store_kit import copy, plan_of, planned, start, sums_agree, take


def test_an_audit_replaces_what_was_found_before_and_nothing_else(store: Store) -> None:
    whole, _, folder = planned(store, (1, 10))
    lease = take(store)
    kinds = ("watched", "keywords_lost", "date_clamped", "date_unusable", "odd")
    notes = tuple(Note(uid=uid, what=what, reason="") for uid, what in enumerate(kinds, start=1))
    copy(store, lease, 1, notes=(*notes, Note(uid=7, what="watched", reason="")))
    lease = take(store)
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.watched, tally.keywords_lost, tally.dates_changed) == (2, 1, 2)
    amiss = (Note(uid=1, what="altered", reason="other bytes"), Note(uid=8, what="normalised", reason="line ends"))
    audit = Audit(folder_id=folder.folder_id, verified="x", altered=1, normalised=1, notes=amiss)
    for _ in range(2):
        store.audit(lease, [audit])
        assert {(n.uid, n.what) for n in store.notes(folder.folder_id)} == {
            (1, "altered"),
            (8, "normalised"),
            *((n.uid, n.what) for n in notes[1:]),
        }
        tally, _ = store.import_tally(whole.import_id)
        assert (tally.altered, tally.normalised, tally.watched) == (1, 1, 0)
        assert (tally.keywords_lost, tally.dates_changed) == (1, 2)
        sums_agree(store, whole.import_id)


def test_keywords_that_verification_finds_lost_are_counted_once_and_stay(store: Store) -> None:
    whole, _, folder = planned(store, (1, 10))
    lease = take(store)
    copy(store, lease, 1, notes=(Note(uid=1, what="keywords_lost", reason="cannot hold"),))
    lease = take(store)
    lost = tuple(Note(uid=uid, what="keywords_lost", reason="shown without") for uid in (1, 2))
    for notes in (lost, lost, ()):
        store.audit(lease, [Audit(folder_id=folder.folder_id, verified="x", notes=notes)])
        assert {(n.uid, n.reason) for n in store.notes(folder.folder_id)} == {
            (1, "shown without"),
            (2, "shown without"),
        }
        assert store.import_tally(whole.import_id)[0].keywords_lost == 2
        sums_agree(store, whole.import_id)


def test_a_note_without_a_record_is_entered_once_and_counted(store: Store) -> None:
    """The note of a read-back comes behind the records of its copies."""
    whole, _, folder = planned(store, (1, 10))
    lease = take(store)
    told = Settled(notes=(Note(uid=3, what="keywords_lost", reason="shown without"),))
    for _ in range(2):
        store.progress(lease, settled=[told])
        assert store.import_tally(whole.import_id)[0].keywords_lost == 1
    assert [(n.uid, n.what) for n in store.notes(folder.folder_id)] == [(3, "keywords_lost")]
    sums_agree(store, whole.import_id)


def test_what_users_took_away_is_counted_apart(store: Store) -> None:
    whole, _, folder = planned(store, (1, 10))
    copy(store, take(store), 1, notes=(Note(uid=9, what="removed", reason="a neighbour's note"),))
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.missing, tally.moved, tally.removed) == (0, 0, 1)
    notes = (
        Note(uid=4, what="moved", reason=""),
        Note(uid=5, what="moved", reason=""),
        Note(uid=9, what="removed", reason=""),
    )
    lease = take(store)
    for _ in range(2):
        store.audit(lease, [Audit(folder_id=folder.folder_id, verified="x", moved=2, removed=1, notes=notes)])
        tally, _ = store.import_tally(whole.import_id)
        assert (tally.missing, tally.moved, tally.removed) == (0, 2, 1)
        assert {(note.uid, note.what) for note in store.notes(folder.folder_id)} == {
            (4, "moved"),
            (5, "moved"),
            (9, "removed"),
        }
        sums_agree(store, whole.import_id)


def test_what_verification_found_is_absolute(store: Store) -> None:
    whole, _, folder = planned(store, (1, 10))
    lease = take(store)
    name = lease.unit.unit_id
    copy(store, lease, 1)
    lease = take(store)
    found = Audit(
        folder_id=folder.folder_id,
        verified="7:11/9:11:10",
        digests={name: (1 << 48) - 1},
        altered=2,
        missing=1,
        notes=(Note(uid=4, what="missing", reason="gone"),),
    )
    for _ in range(2):
        store.audit(lease, [found])
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.altered, tally.missing, tally[Outcome.COPIED]) == (2, 1, 10)
    assert store.ledger(folder.folder_id)[0].digest == (1 << 48) - 1
    kept = store.folder(folder.folder_id)
    assert kept is not None
    assert kept.verified == "7:11/9:11:10"
    store.audit(lease, [replace(found, altered=0, missing=0, notes=(), verified="later")])
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.altered, tally.missing) == (0, 0)
    assert not store.notes(folder.folder_id), "what is no longer so is not reported"
    sums_agree(store, whole.import_id)


def test_second_copies_are_counted_as_they_stand_and_those_removed_once(store: Store) -> None:
    whole, _, folder = planned(store, (1, 10))
    lease = take(store)
    copy(store, lease, 1)
    lease = take(store)
    removed = tuple(Note(uid=uid, what="undone", reason="removed") for uid in (1, 2))
    found = Audit(
        folder_id=folder.folder_id,
        verified="x",
        doubled=1,
        notes=(Note(uid=4, what="doubled", reason="left"), *removed),
    )
    for _ in range(2):
        store.audit(lease, [found])
        tally, _ = store.import_tally(whole.import_id)
        assert (tally.doubled, tally.undone) == (1, 2)
        sums_agree(store, whole.import_id)
    store.audit(lease, [Audit(folder_id=folder.folder_id, verified="x", notes=removed[:1])])
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.doubled, tally.undone) == (0, 2)
    assert {(note.uid, note.what) for note in store.notes(folder.folder_id)} == {(1, "undone"), (2, "undone")}
    sums_agree(store, whole.import_id)


def test_how_far_a_comparison_is_until_the_mailbox_is_opened_again(store: Store) -> None:
    whole, mailbox, folder = planned(store, (1, 10))
    lease = take(store)
    copy(store, lease, 1)
    lease = take(store)

    def known() -> tuple[int, ...]:
        ((one, own),) = store.mailboxes(whole.import_id)
        again = store.mailbox(mailbox.mailbox_id)
        assert again is not None
        return store.import_tally(whole.import_id)[0].compared, own.compared, one.compared, again.compared

    assert known() == (0, 0, 0, 0)
    for number in (3, 3, 10, 4):  # it is begun anew by another worker
        store.compared(lease, number)
        assert known() == (number,) * 4
    store.audit(lease, [Audit(folder_id=folder.folder_id, verified="x")])
    store.finish(lease)
    with pytest.raises(LeaseLost):
        store.compared(lease, 5)
    assert known() == (4, 4, 4, 4)
    store.open_import(whole, [mailbox], 1)
    assert known() == (0, 0, 0, 0)


def test_flags_are_kept_as_last_carried_over(store: Store) -> None:
    _, (mailbox,) = start(store)
    lease = take(store)
    plan = plan_of(mailbox, "INBOX", (1, 5))
    store.plan_folders(lease, [(plan, 1)])
    seen = {"": UidSet.span(1, 3), "\\Seen $Label1": UidSet.of([4, 5])}
    store.set_flags(lease, plan.folder.folder_id, 2**62 + 1, seen)
    kept = store.folder(plan.folder.folder_id)
    assert kept is not None
    assert kept.highestmodseq == 2**62 + 1
    assert store.flags(plan.folder.folder_id) == seen
    more = plan_of(mailbox, "INBOX", (1, 5), (6, 7))
    store.plan_folders(lease, [(more, 1)])
    assert store.flags(plan.folder.folder_id) == seen, "a plan that says nothing of them changes nothing"
    now = {"\\Seen": UidSet.span(1, 7)}
    store.plan_folders(lease, [(replace(more, flags=now, messages=0), 1)])
    assert store.flags(plan.folder.folder_id) == now
    store.plan_folders(lease, [(replace(more, reset=True), 1)])
    assert store.flags(plan.folder.folder_id) == {}
    store.plan_folders(lease, [(replace(more, reset=True, flags=now), 1)])
    assert store.flags(plan.folder.folder_id) == now
