"""Tests age bands: the recent mail of every mailbox is claimed before the archive of any."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import FolderPlan, Import, Mailbox, UnitKind, part_id
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.store import Store
from tests.contract.store_kit import batch, copy, person, plan_of, request, run_out, take

#: UIDs of the archive, and of the recent mail, which is planned first.
ARCHIVE, RECENT = [(1, 10), (11, 20)], [(21, 30)]


def banded(plan: FolderPlan, bands: dict[int, int]) -> FolderPlan:
    """Returns the plan whose batches have the band of their lowest UID here, the youngest first; others are of band 0."""
    batches = [replace(one, band=bands.get(one.uids.low, 0)) for one in plan.batches]
    return replace(plan, batches=tuple(sorted(batches, key=lambda one: one.band)))


def begin(
    store: Store, mailboxes: int, *, archive: int = 2, rows: dict[int, dict[str, int]] | None = None
) -> tuple[Import, list[Mailbox]]:
    """Starts an import and plans each mailbox as an INBOX with an archive of this band and with recent mail."""
    whole = request()
    people = [replace(person(whole, row), **(rows or {}).get(row, {})) for row in range(1, mailboxes + 1)]
    store.open_import(whole, people, 14)
    store.submit(whole.import_id)
    for mailbox in people:
        lease = take(store, "planner", prefer=mailbox.mailbox_id)
        plan = banded(plan_of(mailbox, "INBOX", *ARCHIVE, *RECENT), {1: archive, 11: archive})
        store.plan_folders(lease, [(plan, 1)])
        store.finish(lease)
        store.leave("planner", mailbox.mailbox_id)
    return whole, people


def serve(store: Store, *, staying: bool = False) -> list[tuple[int, int]]:
    """Copies everything with one lane and returns (row, lowest UID), in order; `staying`: it keeps its connections."""
    served: list[tuple[int, int]] = []
    following: dict[str, int] = {}
    prefer = ""
    while (lease := store.claim("lane", prefer=prefer, held=prefer)) is not None:
        if lease.unit.kind is UnitKind.COPY:
            served.append((lease.mailbox.row, lease.unit.uids.low))
            following[lease.unit.folder_id] = copy(store, lease, following.get(lease.unit.folder_id, 1))
        else:
            store.finish(lease)
        if staying:
            prefer = lease.mailbox.mailbox_id
        else:
            store.leave("lane", lease.mailbox.mailbox_id)
    return served


@pytest.mark.parametrize("staying", [False, True])
def test_recent_mail_of_all_goes_before_the_archive_of_any(store: Store, staying: bool) -> None:
    begin(store, 4)
    served = serve(store, staying=staying)
    assert {low for _, low in served[:4]} == {21}
    assert sorted(row for row, _ in served[:4]) == [1, 2, 3, 4]
    assert len(served) == 12


def test_without_bands_a_lane_stays_with_its_mailbox(store: Store) -> None:
    """Shows, as the negative control, that it is the band that sends the lane on."""
    begin(store, 4, archive=0)
    served = serve(store, staying=True)
    assert [row for row, _ in served[:3]] == [served[0][0]] * 3


def test_a_lane_stays_with_an_archive_while_nobody_s_recent_mail_waits(store: Store) -> None:
    begin(store, 2)
    served = serve(store, staying=True)
    assert [low for _, low in served[:2]] == [21, 21]
    assert [row for row, _ in served[2:4]] == [served[2][0]] * 2


def test_recent_mail_that_may_not_be_served_stops_no_archive(store: Store) -> None:
    _, people = begin(store, 2)
    store.hold(
        f"source_account:{store.limits_of(people[1].mailbox_id)['source_account']}", 600, import_id="", why="slow"
    )
    lease = take(store, "lane", prefer=people[0].mailbox_id)
    copy(store, lease, 1)
    lease = take(store, "lane", prefer=people[0].mailbox_id, held=people[0].mailbox_id)
    assert (lease.mailbox.row, lease.unit.uids.low) == (1, 1)


def test_a_job_s_hint_is_no_way_around(store: Store) -> None:
    _, people = begin(store, 2)
    following = take(store, "lane", prefer=people[0].mailbox_id)
    copy(store, following, 1)
    store.leave("lane", people[0].mailbox_id)
    archive = batch(plan_of(people[0]).folder, UidSet.span(1, 10)).unit_id
    lease = take(store, "lane", hint=archive)
    assert (lease.mailbox.row, lease.unit.uids.low) == (2, 21)


def test_a_hint_of_a_batch_is_followed_within_its_band(store: Store) -> None:
    _, people = begin(store, 3)
    recent = batch(plan_of(people[2]).folder, UidSet.span(21, 30)).unit_id
    assert take(store, "lane", hint=recent).mailbox.row == 3


def test_priority_goes_before_the_band(store: Store) -> None:
    begin(store, 3, rows={3: {"priority": 1}})
    assert [row for row, _ in serve(store)[:3]] == [3, 3, 3]


@pytest.mark.parametrize("row", [1, 2])
def test_new_mail_goes_before_the_archives_that_wait(store: Store, row: int) -> None:
    """Plans new mail into a folder whose archive waits: the batch that is at its head takes over the younger band."""
    whole = request()
    people = [person(whole, 1), person(whole, 2)]
    store.open_import(whole, people, 14)
    store.submit(whole.import_id)
    for mailbox in people:
        lease = take(store, "planner", prefer=mailbox.mailbox_id)
        store.plan_folders(lease, [(banded(plan_of(mailbox, "INBOX", *ARCHIVE), {1: 2, 11: 2}), 1)])
        if mailbox.row == row:
            store.plan_folders(lease, [(plan_of(mailbox, "INBOX", (31, 40), uidnext=41), 1)])
        store.finish(lease)
        store.leave("planner", mailbox.mailbox_id)
    served = serve(store)
    assert served[:2] == [(row, 1), (row, 31)]
    assert (row, 11) in served[2:]


def test_the_parts_of_a_batch_that_killed_its_workers_keep_its_band(store: Store) -> None:
    _, (mailbox, other) = begin(store, 2)
    lease = take(store, "lane", prefer=mailbox.mailbox_id)
    copy(store, lease, 1)
    copy(store, take(store, "lane", prefer=other.mailbox_id), 1)
    lease = take(store, "lane", prefer=mailbox.mailbox_id)
    assert (lease.unit.uids.low, lease.unit.band) == (1, 2)
    uids = list(lease.unit.uids.pieces(5))
    store.split(
        lease, [(replace(lease.unit, unit_id=part_id(lease.unit.folder_id, part), uids=part), ()) for part in uids]
    )
    lease = take(store, "lane", prefer=mailbox.mailbox_id)
    assert (len(lease.unit.uids), lease.unit.band) == (5, 2)


def test_an_import_with_bands_comes_to_its_end(store: Store) -> None:
    whole, people = begin(store, 5)
    run_out(store)
    assert store.import_tally(whole.import_id)[0][Outcome.COPIED] == 150
    assert {store.mailbox(one.mailbox_id).state for one in people} == {"complete"}  # type: ignore[union-attr]
