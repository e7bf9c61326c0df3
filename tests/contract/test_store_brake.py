"""Tests the brake: when a server refuses every login, the others are not tried; one accepted login ends that."""

from __future__ import annotations

import pytest

from shared.model import Failure
from shared.model.lifecycle import Control, ImportState, MailboxState
from shared.model.sides import Side
from shared.store import BRAKE_AFTER, Store
from tests.contract.store_kit import Clock, start, take

PEOPLE = BRAKE_AFTER + 4
STOPPED = Failure(code="source_logins_stopped", sentence="source: not tried", at=1.0)


class Hall:
    """An import with many own logins at one server."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.request, people = start(store, PEOPLE)
        self.people = list(people)

    def turn(self, at: int, side: Side = Side.SOURCE, digest: str = "d", holder: str = "") -> str:
        place = (self.request.import_id, self.people[at].mailbox_id, side, digest, holder or f"h{at}")
        return self.store.login_turn(*place, shared=False, seconds=30).state

    def told(self, at: int, result: str, side: Side = Side.SOURCE, digest: str = "d") -> None:
        place = (self.request.import_id, self.people[at].mailbox_id, side, digest, f"h{at}")
        self.store.login_told(*place, shared=False, result=result, words="no")

    def refuse(self, *which: int, side: Side = Side.SOURCE, digest: str = "d") -> None:
        for at in which:
            assert self.turn(at, side, digest) == "trial"
            self.told(at, "refused", side, digest)

    def state(self, at: int) -> MailboxState:
        found = self.store.mailbox(self.people[at].mailbox_id)
        assert found is not None
        return found.state


@pytest.fixture
def hall(store: Store) -> Hall:
    return Hall(store)


def test_after_some_refusals_no_other_login_is_tried(hall: Hall) -> None:
    hall.refuse(*range(BRAKE_AFTER))
    assert [hall.turn(at) for at in range(BRAKE_AFTER, PEOPLE)] == ["stopped"] * 4
    assert hall.turn(0) == "refused"
    assert hall.turn(0, Side.DESTINATION) == "trial", "the other server is another matter"


def test_no_more_are_tried_at_once_than_may_be_refused(hall: Hall, clock: Clock) -> None:
    assert [hall.turn(at) for at in range(PEOPLE)] == ["trial"] * BRAKE_AFTER + ["wait"] * 4
    assert hall.turn(0) == "trial", "the same call again changes nothing"
    for at in range(BRAKE_AFTER - 1):
        hall.told(at, "refused")
    assert hall.turn(PEOPLE - 1) == "wait"
    clock.forward(31)  # the lane of the last try died
    assert hall.turn(PEOPLE - 1) == "trial"


def test_the_same_login_again_is_no_other_login(hall: Hall) -> None:
    for digest in map(str, range(BRAKE_AFTER + 2)):
        hall.refuse(0, digest=digest)
    assert hall.turn(1) == "trial"


@pytest.mark.parametrize("before", range(BRAKE_AFTER))
def test_a_server_that_lets_anybody_in_is_never_braked(hall: Hall, before: int) -> None:
    hall.refuse(*range(before))
    assert hall.turn(before) == "trial"
    hall.told(before, "in")
    hall.refuse(*range(before + 1, PEOPLE))
    hall.store.forgive_logins(hall.request.import_id)
    hall.refuse(*range(before + 1, PEOPLE), digest="another")


def test_one_that_was_on_its_way_and_is_let_in_releases_it(hall: Hall) -> None:
    for at in range(BRAKE_AFTER):
        hall.turn(at)
    for at in range(BRAKE_AFTER - 1):
        hall.told(at, "refused")
    hall.told(BRAKE_AFTER - 1, "in")
    assert hall.turn(BRAKE_AFTER) == "trial"


def test_another_trouble_than_a_refusal_lets_more_be_tried_at_once_and_refusals_count_on(hall: Hall) -> None:
    for at in range(BRAKE_AFTER):
        hall.turn(at)
    hall.told(0, "unknown")
    assert hall.turn(0) == hall.turn(BRAKE_AFTER) == "trial"
    for at in range(BRAKE_AFTER):
        hall.told(at, "refused")
    assert hall.turn(BRAKE_AFTER + 1) == "stopped"


def test_what_is_refused_alone_counts_for_nobody_else(hall: Hall) -> None:
    for at in range(PEOPLE):
        assert hall.turn(at) == "trial"
        hall.told(at, "alone")
        assert hall.turn(at) == "refused"


def test_what_a_person_does_lifts_it(hall: Hall) -> None:
    store, import_id = hall.store, hall.request.import_id
    hall.refuse(*range(BRAKE_AFTER))
    store.forgive_logins(import_id, hall.people[-1].mailbox_id)
    assert hall.turn(BRAKE_AFTER) == "stopped", "that was said of another's login"
    store.forgive_logins(import_id)
    assert hall.turn(BRAKE_AFTER) == "trial"
    hall.told(BRAKE_AFTER, "refused")
    hall.refuse(*range(BRAKE_AFTER - 1), digest="second")
    assert hall.turn(BRAKE_AFTER + 1) == "stopped"
    store.seal(import_id, {(hall.people[0].mailbox_id, Side.SOURCE): b"x"})
    assert hall.turn(BRAKE_AFTER + 1) == "trial"


def test_an_account_that_is_still_being_made_does_not_count(hall: Hall) -> None:
    for at in range(PEOPLE):
        hall.refuse(at, side=Side.DESTINATION)
        hall.store.forgive_logins(hall.request.import_id, hall.people[at].mailbox_id)


def _park_one(hall: Hall) -> int:
    """Parks a mailbox that is not tried. Returns its index."""
    lease = take(hall.store, f"lane{hall.store.import_tally(hall.request.import_id)[1].get(MailboxState.PARKED, 0)}")
    hall.store.release(lease, how="park", failure=STOPPED)
    return [person.mailbox_id for person in hall.people].index(lease.mailbox.mailbox_id)


def test_one_login_that_is_accepted_lets_what_was_stopped_go_on(hall: Hall) -> None:
    store, import_id = hall.store, hall.request.import_id
    store.seal(import_id, {(hall.people[0].mailbox_id, Side.SOURCE): b"x"})
    hall.refuse(*range(BRAKE_AFTER))
    parked = [_park_one(hall) for _ in range(PEOPLE)]
    assert sorted(parked) == list(range(PEOPLE))
    import_ = store.import_(import_id)
    assert import_ is not None
    assert import_.state is ImportState.FINISHED
    store.forgive_logins(import_id)
    assert hall.turn(0, digest="new") == "trial"
    assert hall.state(1) is MailboxState.PARKED
    hall.told(0, "in", digest="new")
    assert {hall.state(at) for at in range(PEOPLE)} == {MailboxState.QUEUED}
    import_ = store.import_(import_id)
    assert import_ is not None
    assert import_.state is ImportState.RUNNING
    assert all(mailbox.failure is None for mailbox, _ in store.mailboxes(import_id))
    assert take(store).mailbox.import_id == import_id


def test_another_cause_and_a_pause_are_left_alone(hall: Hall, clock: Clock) -> None:
    store, import_id = hall.store, hall.request.import_id
    store.seal(import_id, {(hall.people[0].mailbox_id, Side.SOURCE): b"x"})
    lease = take(store, "lane")
    store.release(lease, how="park", failure=Failure(code="source_auth_refused", sentence="no", at=1.0))
    other = [person.mailbox_id for person in hall.people].index(lease.mailbox.mailbox_id)
    paused = _park_one(hall)
    store.control(import_id, hall.people[paused].mailbox_id, Control.PAUSE)
    free = next(at for at in range(PEOPLE) if at not in (other, paused))
    hall.turn(free)
    hall.told(free, "in")
    assert hall.state(other) is hall.state(paused) is MailboxState.PARKED
    clock.forward(1)
    store.reap(0)
    assert hall.state(paused) is MailboxState.PARKED
    store.control(import_id, hall.people[paused].mailbox_id, Control.RUN)
    clock.forward(61)
    store.reap(0)
    assert hall.state(paused) is MailboxState.QUEUED
    assert hall.state(other) is MailboxState.PARKED


def test_who_is_stopped_while_the_brake_is_released_goes_on_too(hall: Hall, clock: Clock) -> None:
    store = hall.store
    store.seal(hall.request.import_id, {(hall.people[0].mailbox_id, Side.SOURCE): b"x"})
    hall.turn(0)
    hall.told(0, "in")
    late = _park_one(hall)
    assert hall.state(late) is MailboxState.PARKED
    clock.forward(1)
    store.reap(0)
    assert hall.state(late) is MailboxState.QUEUED


def test_a_closed_import_leaves_nothing_of_it(hall: Hall) -> None:
    hall.refuse(*range(BRAKE_AFTER))
    for at in range(PEOPLE):
        hall.store.control(hall.request.import_id, hall.people[at].mailbox_id, Control.CANCEL)
    assert hall.store.close(hall.request.import_id)
    again = Hall(hall.store)
    assert again.turn(BRAKE_AFTER) == "trial"
