"""Tests opening an import again: settled mailboxes are queued once more, those under way are left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import Account, Failure, Import, Lease, Mailbox, Options, Profile
from shared.model.errors import UsageError
from shared.model.lifecycle import Control, ImportState, MailboxState
from shared.store import Store
from tests.contract.store_kit import Clock, copy, person, plan_of, run_out, start, take

TROUBLE = Failure(code="source_unreachable", sentence="source: nobody answers", at=1.0, times=3)
FULL = Options(verify="full")


def _found(store: Store, whole: Import) -> Import:
    found = store.import_(whole.import_id)
    assert found is not None
    return found


def _mailbox(store: Store, mailbox: Mailbox) -> Mailbox:
    found = store.mailbox(mailbox.mailbox_id)
    assert found is not None
    return found


def _reach(store: Store, state: MailboxState) -> tuple[Import, Mailbox, Lease | None]:
    """Returns an import of one mailbox in this state, with trouble noted, and the lease that a lane holds."""
    whole, (mailbox,) = start(store)
    lease = take(store)
    if state is MailboxState.QUEUED:
        store.release(lease, how="replan", failure=TROUBLE, delay_seconds=20)
        return whole, mailbox, None
    store.release(lease, how="wait", failure=TROUBLE)
    lease = take(store)
    if state is MailboxState.PLANNING:
        return whole, mailbox, lease
    store.plan_folders(lease, [(plan_of(mailbox, "INBOX", (1, 10)), 1)])
    store.finish(lease)
    lease = take(store)
    if state is MailboxState.VERIFYING:
        copy(store, lease, 1)
        lease = take(store)
    return whole, mailbox, lease


UNDER_WAY = [MailboxState.QUEUED, MailboxState.PLANNING, MailboxState.COPYING, MailboxState.VERIFYING]


@pytest.mark.parametrize("state", UNDER_WAY)
def test_what_is_under_way_keeps_its_trouble_its_turn_and_its_pass(
    store: Store, clock: Clock, state: MailboxState
) -> None:
    whole, mailbox, lease = _reach(store, state)
    before, asked = _mailbox(store, mailbox), _found(store, whole)
    assert (before.state, before.failure) == (state, TROUBLE)
    units, delayed = store.ready_units(10), store.overview().delayed_units
    clock.forward(1)
    for _ in range(2):
        assert store.open_import(whole, [replace(mailbox, row=7)], 14) == 0
    store.submit(whole.import_id)
    assert _mailbox(store, mailbox) == replace(before, row=7), "only its line in the manifest may be another"
    assert _found(store, whole) == asked, "whoever opens what is under way joins its pass"
    assert (store.ready_units(10), store.overview().delayed_units) == (units, delayed)
    if lease:
        assert store.attend("w", [lease], extend=True) == ["run"]


@pytest.mark.parametrize("state", UNDER_WAY)
def test_other_options_are_refused_while_anything_is_under_way(store: Store, state: MailboxState) -> None:
    whole, mailbox, _ = _reach(store, state)
    asked, before = _found(store, whole), _mailbox(store, mailbox)
    other = replace(whole, options=Options(verify="full", exclude=("Trash",)))
    with pytest.raises(UsageError, match="under way with another --exclude, --verify: give the same as before"):
        store.open_import(other, [mailbox, person(whole, 2)], 14)
    assert (_found(store, whole), _mailbox(store, mailbox)) == (asked, before)
    assert len(store.mailboxes(whole.import_id)) == 1


def test_other_options_are_taken_when_nothing_is_under_way(store: Store) -> None:
    whole, (mailbox,) = start(store)
    store.release(take(store), how="park", failure=TROUBLE)
    other = replace(whole, options=FULL)
    assert store.open_import(other, [mailbox], 14) == 1
    assert store.open_import(other, [mailbox], 14) == 0, "the answer was lost"
    store.submit(whole.import_id)
    found = _found(store, whole)
    assert (found.state, found.options, found.passes) == (ImportState.RUNNING, FULL, 2)
    opened = _mailbox(store, mailbox)
    assert (opened.state, opened.failure) == (MailboxState.QUEUED, None)


def test_other_options_are_taken_before_the_request_is_whole(store: Store) -> None:
    """Opens an import that a crash left half written again, with other options."""
    whole, (mailbox,) = start(store)
    run_out(store)
    for options in (FULL, Options(include=("INBOX",))):
        store.open_import(replace(whole, options=options), [mailbox], 14)
    store.submit(whole.import_id)
    found = _found(store, whole)
    assert (found.options, found.passes) == (Options(include=("INBOX",)), 2), "one pass, however often it was written"


def test_one_that_is_settled_joins_the_pass_of_those_under_way(store: Store) -> None:
    whole, (first, second) = start(store, 2)
    lease = take(store)
    store.release(take(store, "another"), how="park", failure=TROUBLE)
    parked, working = (first, second) if lease.mailbox.mailbox_id == second.mailbox_id else (second, first)
    assert store.open_import(whole, [first, second], 14) == 1
    store.submit(whole.import_id)
    assert _found(store, whole).passes == 1
    assert _mailbox(store, parked).state is MailboxState.QUEUED
    assert _mailbox(store, working).state is MailboxState.PLANNING
    store.finish(lease)
    run_out(store)
    assert _found(store, whole).state is ImportState.FINISHED
    store.open_import(whole, [first], 14)
    store.submit(whole.import_id)
    assert _found(store, whole).passes == 2


def test_what_nobody_began_to_plan_is_still_written_anew(store: Store) -> None:
    whole, (mailbox,) = start(store)
    profile = Profile(first_name="Anna")
    account = Account(endpoint=whole.destination, login=mailbox.destination.login)
    store.open_import(whole, [replace(mailbox, profile=profile, destination=account)], 14)
    assert _mailbox(store, mailbox).profile == profile
    store.submit(whole.import_id)
    take(store)
    store.open_import(whole, [mailbox], 14)
    assert _mailbox(store, mailbox).profile == profile, "its account may be in the making"


def test_a_paused_import_goes_on_when_it_is_asked_for_again(store: Store) -> None:
    whole, (mailbox,) = start(store)
    store.control(whole.import_id, None, Control.PAUSE)
    store.open_import(whole, [mailbox], 14)
    assert store.claim("lane") is None
    store.submit(whole.import_id)
    assert _found(store, whole).control is Control.RUN
    assert take(store)


def test_a_folder_keeps_which_folders_of_other_imports_it_is(store: Store) -> None:
    _, (mailbox,) = start(store)
    lease = take(store, "planner")
    same_as = frozenset({"aa", "bb"})
    store.plan_folders(lease, [(plan_of(mailbox, "INBOX", (1, 2)), 1), (plan_of(mailbox, "Job", same_as=same_as), 2)])
    assert [folder.same_as for folder, _ in store.folders(mailbox.mailbox_id)] == [frozenset(), same_as]
