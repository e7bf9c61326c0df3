"""Tests that a destination belongs to one mailbox at a time, of whichever import, and that no mailbox waits forever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.model import (
    Account,
    Endpoint,
    Import,
    Lease,
    Mailbox,
    Neighbour,
    Options,
    Tls,
    UnitKind,
    Wait,
    WaitKind,
    account_key,
    mailbox_id,
)
from shared.model.lifecycle import Control, MailboxState
from shared.model.uids import UidSet
from shared.store import Store
from tests.contract.store_kit import (
    DESTINATION,
    SOURCE,
    Clock,
    copy,
    intent,
    person,
    plan_of,
    request,
    run_out,
    take,
)


def _open(store: Store, name: str, to: str = "anna", *, login: str = "anna", rows: int = 1) -> tuple[Import, Mailbox]:
    """Opens an import whose mailboxes all go to the same destination account. Returns it and its first mailbox."""
    whole = request(name)
    people = [person(whole, n, login if n == 1 else f"{login}{n}", to) for n in range(1, rows + 1)]
    store.open_import(whole, people, 14)
    store.submit(whole.import_id)
    return whole, people[0]


def _plan(store: Store, lease: Lease, *spans: tuple[int, int]) -> None:
    store.plan_folders(lease, [(plan_of(lease.mailbox, "INBOX", *(spans or ((1, 10),))), 1)])
    store.finish(lease)


def _behind(store: Store, mailbox: Mailbox) -> str:
    found = store.mailbox(mailbox.mailbox_id)
    assert found is not None
    return found.behind


def test_a_second_import_waits_and_goes_on_by_itself_when_the_first_is_done(store: Store) -> None:
    first, one = _open(store, "pilot")
    lease = take(store, "a")
    second, two = _open(store, "accounts")
    assert store.claim("b") is None, "the plan of the other is not given out"
    assert store.claim("b", prefer=two.mailbox_id) is None
    assert store.claim("b", hint=f"{two.mailbox_id}.plan") is None
    assert _behind(store, two) == "import pilot"
    assert _behind(store, one) == ""
    waits = [Wait(what=WaitKind.DESTINATION, key="anna", why="import pilot", mailboxes=1)]
    assert store.waits(second.import_id) == waits
    assert store.waits(first.import_id) == []
    _plan(store, lease)
    assert store.waits(second.import_id) == waits
    assert store.overview().ready_mailboxes == 1, "one that waits for its destination is not ready"
    copy(store, take(store, "a"), 1)
    verification = take(store, "a")
    assert verification.unit.kind is UnitKind.VERIFY
    assert store.claim("b") is None
    store.finish(verification)
    assert _behind(store, two) == ""
    assert store.waits(second.import_id) == []
    lease = take(store, "b")
    assert (lease.mailbox.mailbox_id, lease.unit.kind) == (two.mailbox_id, UnitKind.PLAN)
    assert lease.neighbours == (Neighbour(mailbox_id=one.mailbox_id, same_source=True),)


@pytest.mark.parametrize("piece", [1, 2, 3, 4, 500])
def test_whom_many_wait_for_is_read_in_pieces(store: Any, piece: int) -> None:
    holders = [request(name) for name in ("pilot", "board", "paused")]
    logins = [f"person{n}" for n in range(6)]
    for whole, own in zip(holders, (logins[:2], logins[2:3], logins[3:]), strict=True):
        store.open_import(whole, [person(whole, row, login, login) for row, login in enumerate(own, 1)], 14)
        store.submit(whole.import_id)
        for lane, _ in enumerate(own):
            assert store.claim(f"{whole.name}/{lane}") is not None
    store.control(holders[2].import_id, None, Control.PAUSE)
    later = request("later")
    store.open_import(later, [person(later, row, login, login) for row, login in enumerate(logins, 1)], 14)
    store.submit(later.import_id)
    assert store.claim("later") is None
    store.piece = piece
    found = [(wait.what, wait.why, wait.key, wait.mailboxes) for wait in store.waits(later.import_id)]
    assert found == [
        (WaitKind.DESTINATION, "import pilot", "", 2),
        (WaitKind.DESTINATION, "import board", "person2", 1),
        (WaitKind.DESTINATION_PAUSED, "import paused", "", 3),
    ]


def test_it_is_known_by_server_and_login_whatever_the_door_and_the_capitals(store: Store) -> None:
    _open(store, "pilot")
    take(store, "a")
    for n, (host, port, login) in enumerate([("NEW.example.", 993, "Anna"), ("new.example", 143, "ANNA")]):
        where = Endpoint(host=host, port=port, tls=Tls.IMPLICIT)
        whole = request(f"again{n}", destination=where)
        store.open_import(whole, [person(whole, 1, "anna", login)], 14)
        store.submit(whole.import_id)
        assert store.claim("b") is None, "the same mailbox"
    for n, (host, port, login) in enumerate([("other.example", 143, "anna"), ("new.example", 1143, "anna")]):
        where = Endpoint(host=host, port=port, tls=Tls.IMPLICIT)
        whole = request(f"else{n}", destination=where)
        store.open_import(whole, [person(whole, 1, "anna", login)], 14)
        store.submit(whole.import_id)
        assert take(store, f"c{n}").mailbox.import_id == whole.import_id, "another server"


def test_capitals_count_where_that_was_asked_for(store: Store) -> None:
    exact = Options(case_sensitive_logins=True)
    for name, login in (("one", "anna"), ("two", "ANNA")):
        whole = replace(request(name), options=exact)
        store.open_import(whole, [person(whole, 1, login, login)], 14)
        store.submit(whole.import_id)
    assert {take(store, lane).mailbox.destination.login for lane in "ab"} == {"anna", "ANNA"}


@pytest.mark.parametrize("end", ["park", "cancel", "cancel one", "died"])
def test_it_is_free_when_its_holder_is_settled_or_dead(store: Store, clock: Clock, end: str) -> None:
    first, one = _open(store, "pilot")
    lease = take(store, "w/a")
    _, two = _open(store, "accounts")
    if end == "park":
        store.release(lease, how="park")
    elif end == "died":
        store.bury(["w"])  # the plan goes back: it is still that mailbox's
        lease = take(store, "x/b")
        assert lease.mailbox.mailbox_id == one.mailbox_id
        store.release(lease, how="park")
    else:
        store.release(lease, how="wait")
        store.control(first.import_id, one.mailbox_id if end == "cancel one" else None, Control.CANCEL)
    assert take(store, "b").mailbox.mailbox_id == two.mailbox_id


def test_what_may_still_be_on_the_wire_keeps_it_for_a_while(store: Store, clock: Clock) -> None:
    first, one = _open(store, "pilot")
    _plan(store, take(store, "a"))
    second, two = _open(store, "accounts")
    lease = take(store, "a")
    store.progress(lease, intents=[intent("1", UidSet.span(1, 5))])
    store.release(lease, how="park")
    assert store.claim("b") is None, "an append is in doubt"
    assert store.waits(second.import_id)
    clock.forward(59)
    store.reap(0)
    assert store.claim("b") is None
    clock.forward(1)
    store.reap(0)
    assert take(store, "b").mailbox.mailbox_id == two.mailbox_id
    # The first mailbox is tried again: it waits for its turn, with its open batches.
    store.retry(first.import_id, one.mailbox_id, [])
    assert store.claim("c") is None
    assert _behind(store, one) == "import accounts"


def test_a_lane_at_work_keeps_it_when_its_mailbox_is_cancelled(store: Store, clock: Clock) -> None:
    first, _ = _open(store, "pilot")
    _plan(store, take(store, "a"))
    _, two = _open(store, "accounts")
    lease = take(store, "a")
    store.control(first.import_id, None, Control.CANCEL)
    assert store.claim("b") is None, "its lane stops at the next group, not before"
    store.release(lease, how="wait")
    clock.forward(60)
    store.reap(0)
    assert take(store, "b").mailbox.mailbox_id == two.mailbox_id


def test_who_only_waits_to_verify_lets_others_in_and_verifies_after_them(store: Store, clock: Clock) -> None:
    _, one = _open(store, "pilot")
    _plan(store, take(store, "a"))
    copy(store, take(store, "a"), 1)
    second, two = _open(store, "accounts")
    verification = take(store, "a")
    assert verification.unit.kind is UnitKind.VERIFY
    store.release(verification, how="late", delay_seconds=120)
    assert store.waits(second.import_id) == []
    assert _behind(store, two) == ""
    lease = take(store, "b")
    assert lease.mailbox.mailbox_id == two.mailbox_id
    assert lease.neighbours == (Neighbour(mailbox_id=one.mailbox_id, same_source=True),)
    clock.forward(121)
    store.attend("b", [lease], extend=True)
    store.reap(100)
    store.release(lease, how="wait")
    lease = take(store, "b")
    assert lease.mailbox.mailbox_id == two.mailbox_id, "its time is over, and the other writes still"
    assert _behind(store, one) == "import accounts"
    _plan(store, lease)
    copy(store, take(store, "b"), 1)
    store.finish(take(store, "b"))
    lease = take(store, "a")
    assert (lease.mailbox.mailbox_id, lease.unit.kind) == (one.mailbox_id, UnitKind.VERIFY)
    assert lease.unit.attempts == 1, "to wait was no attempt"
    store.finish(lease)
    run_out(store)


def test_a_verification_that_is_put_off_for_another_reason_keeps_it(store: Store) -> None:
    _open(store, "pilot")
    _plan(store, take(store, "a"))
    copy(store, take(store, "a"), 1)
    _open(store, "accounts")
    store.release(take(store, "a"), how="wait", delay_seconds=120)
    assert store.claim("b") is None


def test_a_mailbox_that_is_begun_again_in_that_while_has_it_still(store: Store, clock: Clock) -> None:
    first, one = _open(store, "pilot")
    _plan(store, take(store, "a"))
    _open(store, "accounts")
    lease = take(store, "a")
    store.progress(lease, intents=[intent("1", UidSet.span(1, 5))])
    store.release(lease, how="park")
    store.retry(first.import_id, one.mailbox_id, [])
    assert take(store, "a").mailbox.mailbox_id == one.mailbox_id
    clock.forward(61)
    store.attend("w", [], extend=False)
    store.reap(100)
    assert take(store, "b").mailbox.mailbox_id == one.mailbox_id, "its batch, beside its plan"
    assert store.claim("c") is None


def test_a_paused_holder_is_told_apart(store: Store) -> None:
    first, _ = _open(store, "pilot")
    store.release(take(store, "a"), how="wait")
    second, two = _open(store, "accounts")
    store.control(first.import_id, None, Control.PAUSE)
    wait = Wait(what=WaitKind.DESTINATION_PAUSED, key="anna", why="import pilot", mailboxes=1)
    assert store.waits(second.import_id) == [wait]
    assert store.claim("b") is None
    store.control(second.import_id, None, Control.PAUSE)
    assert store.waits(second.import_id) == [], "whoever is paused waits for a person, not for that"
    assert _behind(store, two) == ""
    store.control(second.import_id, None, Control.RUN)
    assert store.waits(second.import_id) == [wait]


def test_rows_of_one_import_that_share_it_go_in_one_after_the_other(store: Store) -> None:
    whole, _ = _open(store, "all", "archive", rows=4)
    lease = take(store, "a")
    assert [store.claim(lane) for lane in "bcd"] == [None] * 3
    said = {m.behind for m, _ in store.mailboxes(whole.import_id) if m.mailbox_id != lease.mailbox.mailbox_id}
    assert said == {f"row {lease.mailbox.row}"}
    (wait,) = store.waits(whole.import_id)
    assert (wait.what, wait.key, wait.mailboxes) == ("destination", "", 3)
    store.release(lease, how="wait")
    seen: list[str] = []
    while lease_ := store.claim("a"):
        if not seen or seen[-1] != lease_.mailbox.mailbox_id:
            seen.append(lease_.mailbox.mailbox_id)
        assert {n.same_source for n in lease_.neighbours} <= {False}
        if lease_.unit.kind is UnitKind.PLAN:
            _plan(store, lease_)
        elif lease_.unit.kind is UnitKind.COPY:
            copy(store, lease_, 1)
        else:
            store.finish(lease_)
        store.leave("a", lease_.mailbox.mailbox_id)
    assert len(seen) == 4, "each from its plan to its verification, with nobody between"
    assert store.import_tally(whole.import_id)[1] == {MailboxState.COMPLETE: 4}


def test_imports_that_hold_what_the_other_waits_for_both_come_to_an_end(store: Store) -> None:
    """Opens two imports, each with one destination that the other wants too, in the other order."""
    whole = [request("one"), request("two")]
    for one, order in zip(whole, (("x", "y"), ("y", "x")), strict=True):
        store.open_import(one, [person(one, n, login) for n, login in enumerate(order, start=1)], 14)
        store.submit(one.import_id)
    held = [take(store, lane) for lane in "ab"]
    assert {lease.mailbox.destination.login for lease in held} == {"x", "y"}
    for lease in held:
        store.release(lease, how="wait")
        store.leave(lease.holder, lease.mailbox.mailbox_id)
    run_out(store)
    assert [store.import_tally(one.import_id)[1] for one in whole] == [{MailboxState.COMPLETE: 2}] * 2


def test_keys_are_of_the_account_and_ids_of_the_row() -> None:
    a = Account(endpoint=SOURCE, login="Anna@Old.example")
    by_pop3 = replace(a, endpoint=replace(SOURCE, protocol="pop3", port=995))
    assert account_key(a) == account_key(replace(a, login="anna@old.example")) == account_key(by_pop3)
    assert account_key(a, case_sensitive=True) != account_key(replace(a, login="anna@old.example"), case_sensitive=True)
    local = [Endpoint(host=host, port=993, tls=Tls.IMPLICIT) for host in ("127.0.0.1", "LOCALHOST", "::1")]
    assert len({account_key(Account(endpoint=end, login="x")) for end in local}) == 1
    assert mailbox_id("i", "Anna", "Anna") != mailbox_id("i", "anna", "anna"), (
        "ids are as they were: old stores keep theirs"
    )
    assert account_key(Account(endpoint=DESTINATION, login="x")) != account_key(Account(endpoint=SOURCE, login="x"))
