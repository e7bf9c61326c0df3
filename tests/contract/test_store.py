"""Tests the store's port (`shared.store`) over memory, Redis and Valkey: from a request to its end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import Endpoint, Failure, LedgerEntry, Note, Options, Settled, Tls, UnitKind
from shared.model.errors import LeaseLost, StoreError
from shared.model.lifecycle import Control, ImportState, MailboxState, Outcome, UnitState
from shared.model.uids import Record, UidSet
from shared.store import Store
from tests.contract.store_kit import (
    DESTINATION,
    SOURCE,
    START,
    Clock,
    Twice,
    World,
    batch,
    copied,
    copy,
    intent,
    ledger_is_bijection,
    other,
    person,
    plan_of,
    planned,
    request,
    run_out,
    start,
    sums_agree,
    take,
)

# -- opening and submitting


def test_an_opened_import_reads_back_as_it_was_written(store: Store) -> None:
    source = Endpoint(host="2001:db8::1", port=993, tls=Tls.IMPLICIT, ca_file="/ca.pem", certificate_sha256="ab")
    options = Options(include=("INBOX", "Arc*"), exclude=("Späm",), verify="full")
    whole = replace(request("Umzug ü", source=source), options=options)
    rows = [person(whole, 2, "zoë@old.example"), person(whole, 1)]
    assert store.open_import(whole, rows, 14) == 2
    found = store.import_(whole.import_id)
    assert found == replace(whole, state=ImportState.OPENING, created_at=START)
    assert [m for m, _ in store.mailboxes(whole.import_id)] == [rows[1], rows[0]], "in the manifest's order"
    assert store.mailbox(rows[0].mailbox_id) == rows[0]
    assert store.mailbox_state(rows[0].mailbox_id) is rows[0].state
    assert store.imports() == [found]


def test_unknown_ids_are_none_or_empty(store: Store) -> None:
    assert store.import_("no") is None
    assert store.mailbox("no") is None
    assert store.mailbox_state("no") is None
    assert store.folder("no") is None
    assert store.mailboxes("no") == []
    for method in (store.folders, store.notes, store.failures, store.ledger):
        assert method("no") == []
    assert store.flags("no") == {}
    assert store.import_tally("no")[1] == {}
    assert store.control("no", None, Control.PAUSE) == 0
    assert store.retry("no", "no", []) is False
    assert store.forget("no") is False
    assert store.import_("no") is None, "asking or commanding creates nothing"
    assert store.imports() == []
    store.leave("lane", "no")
    with pytest.raises(StoreError):
        store.submit("no")


def test_what_a_command_names_wrongly_is_left_alone(store: Store) -> None:
    whole, (mailbox,) = start(store)
    foreign, _ = start(store, name="another")
    assert store.control(whole.import_id, "no", Control.PAUSE) == 0
    assert store.control(foreign.import_id, mailbox.mailbox_id, Control.CANCEL) == 0
    assert store.retry(foreign.import_id, mailbox.mailbox_id, []) is False
    found = store.mailbox(mailbox.mailbox_id)
    assert found is not None
    assert found.control == "run"


def test_nothing_is_served_before_the_request_is_whole(store: Store) -> None:
    whole = request()
    first, second = person(whole, 1), person(whole, 2)
    store.open_import(whole, [first], 14)
    assert store.claim("lane") is None
    assert store.claim("lane", prefer=first.mailbox_id, hint=f"{first.mailbox_id}.plan") is None
    store.open_import(whole, [second], 14)
    store.submit(whole.import_id)
    assert {take(store, lane).mailbox.mailbox_id for lane in "ab"} == {first.mailbox_id, second.mailbox_id}


def test_opening_a_running_import_again_adds_rows_and_leaves_alone_what_is_under_way(store: Store) -> None:
    whole, mailbox, _ = planned(store, (1, 10), (11, 20))
    lease = take(store)
    newcomer = person(whole, 2)
    assert store.open_import(whole, [mailbox, newcomer], 14) == 1
    copy(store, lease, 1)
    assert take(store).mailbox.mailbox_id == mailbox.mailbox_id, "under way goes on while the command is writing"
    assert store.claim("b") is None, "the newcomer waits for the request to be whole"
    store.submit(whole.import_id)
    assert take(store, "b").mailbox.mailbox_id == newcomer.mailbox_id


def test_an_import_without_mailboxes_is_finished_at_once(store: Store) -> None:
    whole = request()
    store.open_import(whole, [], 14)
    store.submit(whole.import_id)
    store.submit(whole.import_id)
    found = store.import_(whole.import_id)
    assert found is not None
    assert (found.state, found.passes, found.finished_at) == (ImportState.FINISHED, 1, START)


def test_submitting_again_does_not_undo_a_pause(store: Store) -> None:
    whole, _ = start(store)
    store.control(whole.import_id, None, Control.PAUSE)
    store.submit(whole.import_id)
    found = store.import_(whole.import_id)
    assert found is not None
    assert (found.control, found.passes) == (Control.PAUSE, 1)


def test_another_ca_file_reaches_the_next_lease(store: Store) -> None:
    whole, (mailbox,) = start(store)
    store.release(take(store), how="wait")
    store.open_import(replace(whole, source=replace(SOURCE, ca_file="/new.pem")), [mailbox], 14)
    store.submit(whole.import_id)
    assert take(store).mailbox.source.endpoint.ca_file == "/new.pem"


def test_imports_are_listed_newest_first_and_mailboxes_in_pages(store: Store, clock: Clock) -> None:
    whole, rows = start(store, 5)
    clock.forward(1)
    later, _ = start(store, name="later")
    assert [i.import_id for i in store.imports()] == [later.import_id, whole.import_id]
    page = store.mailboxes(whole.import_id, 1, 2)
    assert [m.row for m, _ in page] == [2, 3]
    assert len(store.mailboxes(whole.import_id, 4, 10)) == 1
    assert len(rows) == 5


# -- the whole way


def test_an_import_runs_to_its_end_and_settles_once(store: Store, clock: Clock) -> None:
    whole, mailbox, folder = planned(store, (1, 150), (151, 300))
    tally, states = store.import_tally(whole.import_id)
    assert (tally.messages, tally.pending, states) == (300, 300, {MailboxState.COPYING: 1})
    clock.forward(10)
    assert run_out(store) == 3, "two batches and the verification"
    found = store.import_(whole.import_id)
    assert found is not None
    assert (found.state, found.finished_at) == (ImportState.FINISHED, START + 10)
    tally, states = store.import_tally(whole.import_id)
    assert (tally.pending, tally[Outcome.COPIED], tally.done_bytes) == (0, 300, 300_000)
    assert states == {MailboxState.COMPLETE: 1}
    sums_agree(store, whole.import_id)
    ledger_is_bijection(store, folder.folder_id)
    clock.forward(10)
    assert store.claim("lane") is None
    assert store.import_(whole.import_id) == found, "settled once"
    assert store.control(whole.import_id, mailbox.mailbox_id, Control.PAUSE) == 0, "it concerns nobody any more"


def test_every_call_made_twice_is_as_good_as_once(world: World) -> None:
    """Makes each writing call twice, as after a lost answer; the result is that of a run where each was made once."""
    store: Store = Twice(world.store)
    whole, mailbox, folder = planned(store, (1, 10), (11, 20), (21, 24))
    store.seal(whole.import_id, {(mailbox.mailbox_id, "source"): b"s"})
    lease = take(store)
    assert lease.unit.attempts == 1, "a claim whose answer was lost is no attempt"
    uids = lease.unit.uids
    store.progress(lease, intents=[intent("1.1", uids)], doubts=UidSet.span(1, 3))
    assert store.attend("worker", [lease], extend=True) == ["run"]
    store.progress(lease, settled=[copied(UidSet.span(1, 8), 101, "1.1"), other(Outcome.VANISHED, UidSet.span(9, 10))])
    merged = Record(UidSet.span(1, 8), UidSet.span(101, 108))
    store.finish(lease, [LedgerEntry(name="", records=(merged,), digest=0)])

    lease = take(store)
    adopted = Settled(
        records=(Record(UidSet.span(11, 12), UidSet.span(201, 202)),),
        outcome=Outcome.ALREADY_PRESENT,
        size_bytes=2,
        digest=1,
    )
    altered = Note(uid=13, what="altered", reason="shorter")
    store.progress(lease, settled=[adopted, replace(copied(UidSet.of([13]), 213), notes=(altered,))])
    rest = UidSet.span(14, 20)
    halves = [batch(folder, UidSet.span(14, 17)), batch(folder, UidSet.span(18, 20))]
    store.split(lease, [(half, [intent("9.1", half.uids)]) for half in halves])
    lease = take(store)
    assert (lease.unit.unit_id, lease.intents[0].uids) == (halves[0].unit_id, UidSet.span(14, 17))
    store.progress(lease, settled=[other(Outcome.REFUSED, UidSet.span(14, 17), "9.1")])
    store.finish(lease)
    lease = take(store)
    store.release(lease, how="again", failure=Failure(code="net", sentence="Lost."))
    lease = take(store)
    assert lease.unit.attempts == 2
    store.progress(lease, settled=[copied(lease.unit.uids, 300, "9.1")])
    store.finish(lease)
    copy(store, take(store), 400)
    lease = take(store)
    assert lease.unit.kind is UnitKind.VERIFY
    store.finish(lease)

    refused = [note for note in store.notes(folder.folder_id) if note.what == "refused"]
    again = batch(folder, UidSet.span(14, 17))
    assert store.retry(whole.import_id, mailbox.mailbox_id, [(again, refused)])
    sums_agree(store, whole.import_id)
    lease = take(store)
    assert lease.unit.kind is UnitKind.PLAN
    store.plan_folders(lease, [(plan_of(mailbox, "INBOX", (1, 24)), 1)])
    store.finish(lease)
    copy(store, take(store), 500)
    store.finish(take(store))

    found = store.import_(whole.import_id)
    assert found is not None
    assert (found.state, found.passes) == (ImportState.FINISHED, 1)
    tally, _ = store.import_tally(whole.import_id)
    assert tally.outcomes == {Outcome.COPIED: 8 + 1 + 3 + 4 + 4, Outcome.ALREADY_PRESENT: 2, Outcome.VANISHED: 2}
    assert (tally.messages, tally.pending, tally.altered, tally.size_bytes) == (24, 0, 1, 24_000)
    assert tally.done_bytes == 8000 + 2000 + 2 + 1000 + 3000 + 4000 + 4000
    assert len(store.failures(mailbox.mailbox_id)) == 1
    assert rest
    sums_agree(store, whole.import_id)
    ledger_is_bijection(store, folder.folder_id)


# -- planning


# -- a second pass


def test_a_second_pass_copies_what_came_since_and_verifies_again(store: Store, clock: Clock) -> None:
    whole, mailbox, folder = planned(store, (1, 10))
    run_out(store)
    clock.forward(100)
    assert store.open_import(whole, [mailbox], 14) == 1
    assert store.open_import(whole, [mailbox], 14) == 0, "queued by the first call"
    store.submit(whole.import_id)
    found = store.import_(whole.import_id)
    assert found is not None
    assert (found.state, found.passes, found.finished_at) == (ImportState.RUNNING, 2, 0)
    lease = take(store)
    known = store.folder(folder.folder_id)
    assert known is not None
    assert known.uidnext == 11
    store.plan_folders(lease, [(plan_of(mailbox, "INBOX", (11, 13), source_messages=13), 1)])
    store.finish(lease)
    assert run_out(store) == 2
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.messages, tally[Outcome.COPIED]) == (13, 13)
    found = store.import_(whole.import_id)
    assert found is not None
    assert (found.state, found.finished_at) == (ImportState.FINISHED, START + 100)
    assert len(store.ledger(folder.folder_id)) == 2


# -- failures of messages, tried again


def test_refused_and_failed_messages_are_tried_again(store: Store) -> None:
    whole, mailbox, folder = planned(store, (1, 10))
    lease = take(store)
    refused, failed = UidSet.of([3, 5]), UidSet.of([9])
    done = UidSet.span(1, 10) - refused - failed
    store.progress(lease, settled=[copied(done, 1), other(Outcome.REFUSED, refused), other(Outcome.FAILED, failed)])
    store.finish(lease)
    store.finish(take(store))
    notes = store.notes(folder.folder_id)
    assert [note.uid for note in notes] == [3, 5, 9]
    again = batch(folder, refused | failed)
    assert store.retry(whole.import_id, mailbox.mailbox_id, [(again, notes)]) is True
    tally, states = store.import_tally(whole.import_id)
    assert (tally.outcomes, tally.pending, tally.done_bytes) == ({Outcome.COPIED: 7}, 3, 7000)
    assert states == {MailboxState.QUEUED: 1}
    assert store.notes(folder.folder_id) == []
    found = store.import_(whole.import_id)
    assert found is not None
    assert (found.state, found.finished_at) == (ImportState.RUNNING, 0)
    store.retry(whole.import_id, mailbox.mailbox_id, [(again, notes)])
    assert store.import_tally(whole.import_id)[0].pending == 3
    assert run_out(store) == 3, "plan, the batch, verification"
    store.retry(whole.import_id, mailbox.mailbox_id, [(again, notes)])
    tally, _ = store.import_tally(whole.import_id)
    assert tally.outcomes == {Outcome.COPIED: 10}, "those notes are gone: there is nothing to try"
    sums_agree(store, whole.import_id)


def test_messages_tried_again_while_the_mailbox_is_verified_are_not_left_behind(store: Store) -> None:
    whole, mailbox, folder = planned(store, (1, 4))
    lease = take(store)
    store.progress(lease, settled=[copied(UidSet.span(1, 3), 1), other(Outcome.REFUSED, UidSet.of([4]))])
    store.finish(lease)
    verify = take(store)
    assert verify.unit.kind is UnitKind.VERIFY
    store.retry(whole.import_id, mailbox.mailbox_id, [(batch(folder, UidSet.of([4])), store.notes(folder.folder_id))])
    with pytest.raises(LeaseLost):
        store.finish(verify)
    assert run_out(store) == 3
    tally, states = store.import_tally(whole.import_id)
    assert (tally.outcomes, states) == ({Outcome.COPIED: 4}, {MailboxState.COMPLETE: 1})


def test_a_mailbox_under_way_has_nothing_to_be_tried_again(store: Store) -> None:
    whole, mailbox, _ = planned(store, (1, 4))
    assert store.retry(whole.import_id, mailbox.mailbox_id, []) is False


def test_retrying_one_mailbox_does_not_resume_a_paused_import(store: Store) -> None:
    whole, mailbox, _ = planned(store, (1, 4))
    store.release(take(store), how="park")
    store.control(whole.import_id, None, Control.PAUSE)
    assert store.retry(whole.import_id, mailbox.mailbox_id, []) is True
    assert store.claim("lane") is None
    store.control(whole.import_id, None, Control.RUN)
    assert run_out(store) == 3


def test_the_state_of_a_claimed_unit_says_so(store: Store) -> None:
    _, mailbox, folder = planned(store, (1, 4))
    lease = take(store)
    assert lease.unit.state is UnitState.LEASED
    assert lease.mailbox.mailbox_id == mailbox.mailbox_id
    assert lease.folder == store.folder(folder.folder_id)
    assert lease.claimed_at == START
    assert lease.mailbox.source.endpoint == SOURCE
    assert lease.mailbox.destination.endpoint == DESTINATION


def test_a_reset_takes_out_counts_that_came_back_to_nothing(store: Store) -> None:
    """Retries a failed message, which leaves a count of 0: subtracting that from the sums is no error."""
    whole, mailbox, folder = planned(store, (1, 2))
    lease = take(store)
    failed = replace(
        other(Outcome.FAILED, UidSet.span(1, 2)),
        notes=tuple(Note(uid=uid, what="failed", reason="x") for uid in (1, 2)),
    )
    store.progress(lease, settled=[failed])
    store.finish(lease)
    again = replace(batch(folder, UidSet.span(1, 2)), unit_id="tried-again")
    assert store.retry(whole.import_id, mailbox.mailbox_id, [(again, store.notes(folder.folder_id))])
    assert store.import_tally(whole.import_id)[0][Outcome.FAILED] == 0
    store.release(take(store), how="replan")
    lease = take(store, "planner")
    assert lease.unit.kind is UnitKind.PLAN
    store.plan_folders(lease, [(replace(plan_of(mailbox, "INBOX", (1, 3), uidvalidity=9), reset=True), 1)])
    store.finish(lease)
    run_out(store)
    tally, states = store.import_tally(whole.import_id)
    assert (tally.messages, tally.pending, states) == (3, 0, {MailboxState.COMPLETE: 1})
    sums_agree(store, whole.import_id)
