"""Tests claims: which lanes may claim, in which order, and how many at once.

It also tests what stands beside the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.model import Endpoint, Import, Mailbox, Tls, UnitKind
from shared.model.lifecycle import Control, ImportState
from shared.rules.batching import Worth
from shared.store import SCOPES, Store
from tests.contract.store_kit import (
    SOURCE,
    START,
    Clock,
    copy,
    person,
    plan_of,
    planned,
    request,
    run_out,
    start,
    take,
)

# -- one writer


def test_one_writer_a_folder_and_as_many_as_there_are_folders(store: Store) -> None:
    _, (mailbox,) = start(store)
    lease = take(store, "p")
    for n in range(3):
        store.plan_folders(lease, [(plan_of(mailbox, f"f{n}", (1, 5), (6, 9)), n)])
    store.finish(lease)
    store.leave("p", mailbox.mailbox_id)
    leases = [take(store, lane) for lane in "abc"]
    assert len({lease.unit.folder_id for lease in leases}) == 3
    assert store.claim("d") is None
    store.release(leases[0], how="again", delay_seconds=5)
    assert store.claim("d") is None, "a delayed batch keeps its place: nobody else writes in its folder"
    copy(store, leases[1], 1)
    assert take(store, "d").unit.folder_id == leases[1].unit.folder_id


# -- one lane more, when it is worth its logins


@pytest.mark.parametrize("worth", [Worth(messages=10, size_bytes=1 << 40)])
def test_a_mailbox_gets_another_lane_only_when_so_much_is_left_for_each(store: Store) -> None:
    _, (small, large) = start(store, 2)
    for mailbox, messages in ((small, 6), (large, 12)):
        lease = take(store, "p", prefer=mailbox.mailbox_id)
        assert lease.mailbox.mailbox_id == mailbox.mailbox_id
        store.plan_folders(lease, [(plan_of(mailbox, f"f{n}", (1, messages)), n) for n in range(2)])
        store.finish(lease)
        store.leave("p", mailbox.mailbox_id)
    # 12 messages are worth one lane, 24 two.
    first, second, third = (take(store, lane) for lane in "abc")
    assert sorted(lease.mailbox.row for lease in (first, second, third)) == [1, 2, 2]
    assert store.claim("d") is None
    alone = next(lease for lease in (first, second, third) if lease.mailbox.row == 1)
    waiting = store.ready_units(10)
    assert [unit.mailbox_id for unit in waiting] == [small.mailbox_id]
    assert store.claim("d", hint=waiting[0].unit_id) is None, "not by its doorbell either"
    copy(store, alone, 1)
    following = take(store, alone.holder, prefer=small.mailbox_id, held=small.mailbox_id)
    assert following.mailbox.row == 1, "who is there already goes on"
    store.release(following, how="wait", delay_seconds=0)
    store.leave(following.holder, small.mailbox_id)
    assert take(store, "d").mailbox.row == 1, "nobody is there any more"


@pytest.mark.parametrize("worth", [Worth(messages=1 << 40, size_bytes=5_000)])
def test_bytes_are_worth_a_lane_too(store: Store) -> None:
    _, (mailbox,) = start(store)
    lease = take(store, "p")
    store.plan_folders(lease, [(plan_of(mailbox, f"f{n}", (1, 5)), n) for n in range(3)])
    store.finish(lease)
    store.leave("p", mailbox.mailbox_id)
    assert sum(batch.size_bytes for batch in store.ready_units(10)) == 15_000
    assert [store.claim(lane) is not None for lane in "abcd"] == [True, True, True, False]


@pytest.mark.parametrize("worth", [Worth(messages=1 << 40, size_bytes=1 << 40)])
def test_a_folder_that_takes_long_is_worth_as_many_lanes_as_it_has_writers(store: Store) -> None:
    _, (mailbox,) = start(store)
    plan = take(store, "p")
    store.plan_folders(plan, [(plan_of(mailbox, "INBOX", *((n, n) for n in range(1, 9))), 1)])
    store.finish(plan)
    store.leave("p", mailbox.mailbox_id)
    first = take(store, "a")
    store.widen(first, 4)
    store.widen(first, 3)
    lanes = [take(store, "b"), take(store, "c")]
    store.widen(lanes[0], 5)
    lanes.append(take(store, "d"))
    store.widen(first, 0)
    for n, lease in enumerate((first, *lanes)):
        copy(store, lease, 100 + n)
    for lease in (first, *lanes):
        store.leave(lease.holder, mailbox.mailbox_id)
    for n in range(4):
        lease = take(store, "a")
        assert store.claim("b") is None, "it is worth one lane again"
        copy(store, lease, 200 + n)


# -- limits


def _open_for_lanes(store: Store, scope: str, whole: Import, rows: Sequence[Mailbox]) -> None:
    """Prepares as many units as there are rows, so that as many lanes could work.

    They are one mailbox each, or all folders of the first where the scope is the destination account, which belongs to
    one mailbox at a time.
    """
    one = scope == "destination_account"
    store.open_import(whole, rows[:1] if one else rows, 14)
    store.submit(whole.import_id)
    if one:
        store.set_usual({f"source_account:{whole.source.url}": 99})  # only the destination decides here
        lease = take(store, "planner")
        plans = [(plan_of(lease.mailbox, f"f{n}", (1, 1000)), n + 1) for n in range(len(rows))]
        store.plan_folders(lease, plans)
        store.finish(lease)
        store.leave("planner", lease.mailbox.mailbox_id)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_limit_holds_and_may_be_changed_while_it_runs(store: Store, clock: Clock, scope: str) -> None:
    whole = request()
    login = "shared" if scope == "source_account" else "u{}"
    to = "shared" if scope == "destination_account" else "t{}"
    rows = [person(whole, n, login.format(n), to.format(n)) for n in range(6)]
    if scope.endswith("account"):
        rows = [replace(row, mailbox_id=f"m{row.row}") for row in rows]
    _open_for_lanes(store, scope, whole, rows)
    store.set_limit(scope, 2)
    assert store.limits() == {scope: 2}
    leases = [take(store, "a"), take(store, "b")]
    assert store.claim("c") is None
    key = store.limits_of(rows[0].mailbox_id)[scope]
    store.set_limit(f"{scope}:{key}", 3)
    leases.append(take(store, "c"))
    assert store.claim("d") is None
    store.set_limit(f"{scope}:{key}", 1)
    assert store.attend("worker", leases, extend=True) == ["run"] * 3, "who is in stays in"
    store.release(leases[2], how="wait")
    assert store.claim("d") is None
    store.leave("c", leases[2].mailbox.mailbox_id)
    assert store.claim("d") is None
    store.set_limit(f"{scope}:{key}", None)
    store.set_limit(scope, None)
    assert store.limits() == {}
    if scope == "source_host":
        store.set_limit(f"{scope}:{key}", 3)
    take(store, "d")


def test_a_mailbox_from_elsewhere_has_the_limits_of_its_own_server(store: Store) -> None:
    whole = request()
    first, other, third = (person(whole, n) for n in range(3))
    elsewhere = replace(SOURCE, host="older.example", protocol="pop3", port=110, tls=Tls.IMPLICIT)
    other = replace(other, source=replace(other.source, endpoint=elsewhere))
    store.open_import(whole, [first, other, third], 14)
    store.submit(whole.import_id)
    found = store.mailbox(other.mailbox_id)
    assert found
    assert found.source.endpoint == elsewhere
    assert store.limits_of(other.mailbox_id)["source_host"] == "older.example"
    assert store.limits_of(other.mailbox_id)["source_account"] == f"{elsewhere.url}/{other.source.login}"
    store.set_limit("source_host:old.example", 1)
    taken = {take(store, lane).mailbox.mailbox_id for lane in "ab"}
    assert other.mailbox_id in taken, "the limit of the one server holds nobody back at the other"
    assert store.claim("c") is None
    # The import's servers may get another CA file with another run; a row's own server stays.
    changed = replace(whole, source=replace(SOURCE, ca_file="/ca.pem"))
    store.open_import(changed, [first, other, third], 14)
    assert [one.source.endpoint for one, _ in store.mailboxes(whole.import_id)] == [
        changed.source,
        elsewhere,
        changed.source,
    ]


def _lanes(store: Store, most: int = 12) -> int:
    """Returns how many more lanes may claim."""
    found = [store.claim(f"lane{n}") for n in range(most)]
    for n, lease in enumerate(found):
        if lease:
            store.release(lease, how="wait")
            store.leave(f"lane{n}", lease.mailbox.mailbox_id)
    return sum(lease is not None for lease in found)


@pytest.mark.parametrize("scope", SCOPES)
def test_what_is_usual_at_a_server_holds_where_nobody_says_otherwise(store: Store, scope: str) -> None:
    whole = request()
    login = "a/shared@login" if scope == "source_account" else "u{}"
    to = "shared" if scope == "destination_account" else "t{}"
    rows = [replace(person(whole, n, login.format(n), to.format(n)), mailbox_id=f"m{n}") for n in range(8)]
    _open_for_lanes(store, scope, whole, rows)
    key = store.limits_of("m0")[scope]
    end = whole.source if scope.startswith("source") else whole.destination
    server = end.url if scope.endswith("account") else end.host
    default = 4 if scope.endswith("account") else 8  # eight rows, and 32 by default
    store.set_usual({f"{scope}:elsewhere.example": 1, f"{scope}:imap://elsewhere.example:143": 1})
    assert _lanes(store) == default, "another server's"
    store.set_usual({f"{scope}:{server}": 3})
    assert _lanes(store) == 3
    assert store.limits() == {}, "nobody set anything"
    assert store.usual()[f"{scope}:{server}"] == 3
    for everywhere, expected in ((2, 2), (5, 3), (0, 0)):
        store.set_limit(scope, everywhere)
        assert _lanes(store) == expected, "the lower of both"
    for here in (5, 1):
        store.set_limit(f"{scope}:{key}", here)
        assert _lanes(store) == here, "what a person set for just this one"
    store.set_limit(f"{scope}:{key}", None)
    store.set_limit(scope, None)
    store.set_usual({f"{scope}:{server}": 6})
    assert _lanes(store) == 6, "above the default too"


def test_a_connection_is_counted_until_its_lane_leaves_or_is_silent(store: Store, clock: Clock) -> None:
    start(store, 3)
    store.set_limit("destination_host", 1)
    lease = take(store, "a")
    store.finish(lease)
    assert store.claim("b") is None, "the connections are still open"
    assert take(store, "a", held=lease.mailbox.mailbox_id).mailbox != lease.mailbox
    clock.forward(61)
    store.reap(0)
    take(store, "b")
    assert store.claim("a") is None


def test_connections_of_the_mailbox_held_are_exchanged(store: Store) -> None:
    _, rows = start(store, 2)
    for scope in ("source_account", "destination_account"):
        store.set_limit(scope, 1)
    first = take(store, "a")
    store.finish(first)
    second = take(store, "a", held=first.mailbox.mailbox_id)
    assert second.mailbox.mailbox_id != first.mailbox.mailbox_id
    assert take(store, "b").mailbox.mailbox_id == first.mailbox.mailbox_id, "its accounts are free"
    assert len(rows) == 2


def test_a_lane_that_holds_what_the_store_does_not_know_is_served(store: Store) -> None:
    start(store)
    assert take(store, held="gone", prefer="gone", hint="gone")


def test_defaults_are_four_lanes_an_account(store: Store) -> None:
    _, (mailbox,) = start(store)
    lease = take(store, "p")
    for n in range(6):
        store.plan_folders(lease, [(plan_of(mailbox, f"f{n}", (1, 5)), n)])
    store.finish(lease)
    store.leave("p", mailbox.mailbox_id)
    assert [store.claim(lane) is not None for lane in "abcde"] == [True] * 4 + [False]


# -- holds


@pytest.mark.parametrize("scope", SCOPES)
def test_a_hold_keeps_everybody_away_until_its_moment(store: Store, clock: Clock, scope: str) -> None:
    _, rows = start(store, 2)
    lease = take(store)
    name = f"{scope}:{store.limits_of(lease.mailbox.mailbox_id)[scope]}"
    store.release(lease, how="wait", hold=name, hold_seconds=30)
    assert store.overview().holds == {name: START + 30}
    following = store.claim("b")
    if scope.endswith("host"):
        assert following is None
    else:
        assert following is not None
        assert following.mailbox.mailbox_id != lease.mailbox.mailbox_id
        store.release(following, how="wait", hold=name, hold_seconds=1)
        store.control(following.mailbox.import_id, following.mailbox.mailbox_id, Control.PAUSE)
    clock.forward(29.9)
    assert store.claim("b", prefer=lease.mailbox.mailbox_id, hint=lease.unit.unit_id) is None, "never shortened"
    clock.forward(0.1)
    assert store.overview().holds == {}
    assert take(store, "b", prefer=lease.mailbox.mailbox_id).mailbox.mailbox_id == lease.mailbox.mailbox_id
    assert len(rows) == 2


def test_a_host_on_hold_does_not_keep_other_routes_waiting(store: Store) -> None:
    first, _ = start(store, 3)
    elsewhere = request("b", source=Endpoint(host="third.example", port=143, tls=Tls.NONE))
    store.open_import(elsewhere, [person(elsewhere, 1)], 14)
    store.submit(elsewhere.import_id)
    leases = [take(store, lane) for lane in "ab"]
    lease = next(le for le in leases if le.mailbox.import_id == first.import_id)
    rest = [le for le in leases if le is not lease]
    store.release(lease, how="wait", hold="source_host:old.example", hold_seconds=99)
    for one in rest:
        store.release(one, how="wait")
    assert take(store, "z").mailbox.import_id == elsewhere.import_id
    assert store.claim("y") is None


# -- fairness


# -- credentials, leadership, overview


def test_credentials_are_forgotten_at_the_end_or_at_once(store: Store, clock: Clock, backend: str) -> None:
    whole = request()
    mailbox = person(whole, 1)
    store.open_import(whole, [mailbox], 0)
    store.seal(whole.import_id, {(mailbox.mailbox_id, side): b"\x00\xff" for side in ("source", "destination")})
    store.submit(whole.import_id)
    assert store.sealed(whole.import_id, mailbox.mailbox_id, "source") == b"\x00\xff"
    assert store.sealed(whole.import_id, "no", "source") is None
    run_out(store)
    assert store.sealed(whole.import_id, mailbox.mailbox_id, "source") is None, "settled, and kept for no time at all"
    store.open_import(whole, [mailbox], 14)
    store.seal(whole.import_id, {(mailbox.mailbox_id, "source"): b"new"})
    store.submit(whole.import_id)
    run_out(store)
    assert store.sealed(whole.import_id, mailbox.mailbox_id, "source") == b"new"
    assert store.forget(whole.import_id) is True
    assert store.forget(whole.import_id) is False
    assert store.sealed(whole.import_id, mailbox.mailbox_id, "source") is None


def test_there_is_one_leader_and_its_term_grows(store: Store, clock: Clock) -> None:
    term = store.lead("a", 10)
    assert term > 0
    assert store.lead("b", 10) == 0
    clock.forward(9)
    assert store.lead("a", 10) == term
    clock.forward(9)
    assert store.lead("b", 10) == 0
    clock.forward(1)
    later = store.lead("b", 10)
    assert later > term
    assert store.lead("a", 10) == 0


def test_the_overview_counts_what_there_is(store: Store, clock: Clock) -> None:
    start(store, 3, name="first")
    paused, _ = start(store, 2, name="second")
    store.control(paused.import_id, None, Control.PAUSE)
    a, b = take(store, "a"), take(store, "b")
    store.attend("w1", [a], extend=False)
    clock.forward(20)
    store.attend("w2", [b], extend=False)
    store.release(b, how="again", delay_seconds=40)
    seen = store.overview()
    assert (seen.ready_mailboxes, seen.ready_units, seen.delayed_units, seen.leased_units) == (1, 1, 1, 1)
    assert seen.workers == store.workers() == 2
    assert seen.imports == {ImportState.OPENING: 0, ImportState.RUNNING: 2, ImportState.FINISHED: 0}
    clock.forward(15)
    assert store.overview().workers == 1
    (ready,) = store.ready_units(10)
    assert ready.kind is UnitKind.PLAN
    assert store.ready_units(0) == []
    assert store.overview().busy_lanes == 0, "a is of no worker that was heard of"
    take(store, "w2/7")
    assert store.overview().busy_lanes == 1
    clock.forward(20)
    assert store.overview().busy_lanes == 0, "w2 was not heard of for 35 s"


def test_ready_units_are_what_a_lane_could_claim(store: Store) -> None:
    planned(store, (1, 5), (6, 9))
    (ready,) = store.ready_units(5)
    assert take(store, hint=ready.unit_id).unit.unit_id == ready.unit_id
    assert store.ready_units(5) == []


def test_a_ready_mailbox_keeps_its_place_until_it_is_given_work(store: Store) -> None:
    planned(store, (1, 5), (6, 9))
    (before,) = store.ready_mailboxes().items()
    assert dict([before]) == store.ready_mailboxes()
    lease = take(store)
    assert lease.mailbox.mailbox_id == before[0]
    store.release(lease, how="again")
    assert store.ready_mailboxes()[before[0]] > before[1]
