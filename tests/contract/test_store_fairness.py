"""Tests in which order mailboxes are served: nobody starves, and no newcomer overtakes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from shared.model import Endpoint, Mailbox, Tls, UnitKind
from shared.model.lifecycle import MailboxState
from shared.model.uids import UidSet
from shared.store import Store
from tests.contract.store_kit import (
    batch,
    copied,
    folder_of,
    person,
    plan_of,
    request,
    start,
    take,
)


def _plan_all(store: Store, sizes: dict[str, tuple[int, int]]) -> None:
    """Plans every queued mailbox with this (number of batches, bytes of each), by mailbox id."""
    leases = {}
    for n in range(len(sizes)):
        lease = take(store, f"planner{n}")
        leases[lease.mailbox.mailbox_id] = lease
    for mailbox_id, lease in leases.items():
        count, size = sizes[mailbox_id]
        folder = folder_of(lease.mailbox, uidnext=10 * count + 1, source_messages=10 * count)
        spans = [UidSet.span(10 * n + 1, 10 * n + 10) for n in range(count)]
        plan = plan_of(lease.mailbox)
        batches = tuple(batch(folder, uids, size) for uids in spans)
        store.plan_folders(lease, [(replace(plan, folder=folder, batches=batches, messages=10 * count), 1)])
        store.finish(lease)
        store.leave(lease.holder, mailbox_id)


def _serve(store: Store, claims: int, lane: str = "lane") -> list[Mailbox]:
    """Serves up to `claims` batches one after the other. Returns their mailboxes."""
    served = []
    for _ in range(claims):
        lease = store.claim(lane)
        if lease is None:
            break
        served.append(lease.mailbox)
        if lease.unit.kind is UnitKind.COPY:
            store.progress(lease, settled=[copied(lease.unit.uids, lease.unit.uids.low)])
        store.finish(lease)
        store.leave(lane, lease.mailbox.mailbox_id)
    return served


def test_twenty_small_mailboxes_are_not_starved_by_a_huge_one(store: Store) -> None:
    _, rows = start(store, 21)
    huge = rows[0].mailbox_id
    _plan_all(store, {row.mailbox_id: (500, 10_000_000) if row.mailbox_id == huge else (2, 100_000) for row in rows})
    served = _serve(store, 70)
    ends = {m.mailbox_id for m in served if m.state is MailboxState.VERIFYING}
    assert len(ends) == 20, "all small ones came to their end while the huge one was under way"
    assert sum(m.mailbox_id == huge for m in served) <= 10


def test_a_newcomer_gets_its_turn_and_no_more(store: Store) -> None:
    whole, rows = start(store, 2)
    _plan_all(store, {row.mailbox_id: (100, 1_000_000) for row in rows})
    _serve(store, 60)
    newcomer = person(whole, 3)
    store.open_import(whole, [newcomer], 14)
    store.submit(whole.import_id)
    lease = take(store)
    assert lease.mailbox.mailbox_id == newcomer.mailbox_id, "within one claim"
    plan = plan_of(newcomer, "INBOX", *[(10 * n + 1, 10 * n + 10) for n in range(100)])
    plan = replace(plan, batches=tuple(replace(b, size_bytes=1_000_000) for b in plan.batches))
    store.plan_folders(lease, [(plan, 1)])
    store.finish(lease)
    turns = Counter(m.mailbox_id for m in _serve(store, 60))
    assert len(turns) == 3
    assert max(turns.values()) - min(turns.values()) <= 3, f"equal shares from here on: {turns}"


def test_a_newcomer_does_not_overtake_those_whose_batches_are_all_out(store: Store) -> None:
    """Adds a mailbox while everything is leased and the queue is empty: it must not count as never served for hours."""
    whole, rows = start(store, 2)
    _plan_all(store, {row.mailbox_id: (200, 1_000_000) for row in rows})
    _serve(store, 100)
    out = [take(store, lane) for lane in "ab"]
    newcomer = person(whole, 3)
    store.open_import(whole, [newcomer], 14)
    store.submit(whole.import_id)
    lease = take(store, "c")
    plan = plan_of(newcomer, "INBOX", *[(10 * n + 1, 10 * n + 10) for n in range(200)])
    store.plan_folders(
        lease, [(replace(plan, batches=tuple(replace(b, size_bytes=1_000_000) for b in plan.batches)), 1)]
    )
    store.finish(lease)
    for one in out:
        store.release(one, how="wait")
    turns = Counter(m.mailbox_id for m in _serve(store, 30))
    assert turns[newcomer.mailbox_id] <= 15, turns


def test_two_imports_between_other_servers_share_the_lanes(store: Store) -> None:
    first, rows = start(store, 3)
    _plan_all(store, {row.mailbox_id: (100, 1_000_000) for row in rows})
    _serve(store, 60)
    second = request("b", source=Endpoint(host="third.example", port=143, tls=Tls.NONE))
    others = [person(second, n, to=f"other{n}") for n in range(3)]
    store.open_import(second, others, 14)
    store.submit(second.import_id)
    lane = "lane"
    for _ in others:
        lease = take(store, lane, hint="")
        assert lease.mailbox.import_id == second.import_id
        plan = plan_of(lease.mailbox, "INBOX", *[(10 * n + 1, 10 * n + 10) for n in range(100)])
        batches = tuple(replace(b, size_bytes=1_000_000) for b in plan.batches)
        store.plan_folders(lease, [(replace(plan, batches=batches), 1)])
        store.finish(lease)
    turns = Counter(m.import_id for m in _serve(store, 60))
    assert abs(turns[first.import_id] - turns[second.import_id]) <= 4, turns


def test_many_mailboxes_that_may_not_be_served_do_not_hide_one_that_may(store: Store) -> None:
    whole = request()
    rows = [person(whole, n, f"u{n}", "archive") for n in range(1500)] + [person(whole, 9999)]
    store.open_import(whole, rows, 14)
    store.submit(whole.import_id)
    store.set_limit("destination_account", 1)
    served = {take(store, lane).mailbox.destination.login for lane in "ab"}
    assert served == {"archive", "user9999"}
    assert store.claim("c") is None


def test_preferred_then_hinted_then_fair(store: Store) -> None:
    _, rows = start(store, 3)
    _plan_all(store, {row.mailbox_id: (3, 1000) for row in rows})
    a, b, c = (row.mailbox_id for row in rows)
    hint = next(u.unit_id for u in store.ready_units(10) if u.mailbox_id == b)
    lease = take(store, prefer=c, hint=hint)
    assert lease.mailbox.mailbox_id == c
    lease = take(store, "l2", prefer="nobody", hint=hint)
    assert lease.unit.unit_id == hint
    assert take(store, "l3", prefer=c, hint=hint).mailbox.mailbox_id == a, "both are taken: the fairest other"
