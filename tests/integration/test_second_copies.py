"""Tests that second copies at the destination are found, removed where they are proved ours, and reported otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

import worker.batch_planner
import worker.doubles
import worker.verify
from producer.operations import verbs
from shared.model import Options
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import late
from worker.copy import CopyRules
from worker.neighbours import Neighbours

ONE_GROUP = CopyRules(group_messages=100, outstanding=1)
DATE = b" 1-Jan-2015 00:00:00 +0000"


def stage_of(wires: Wires, **options: object) -> InProcessImport:
    return InProcessImport(wires.source, wires.destination, copy_rules=ONE_GROUP, **options)  # type: ignore[arg-type]


def work_until_verifying(stage: InProcessImport) -> None:
    """Works until everything is copied and the mailbox is still to be verified."""
    stage.submit()
    for _ in range(30):
        stage.work()
        if not stage.tally().pending and stage.tally().messages:
            return
        stage.later()
    raise AssertionError("not copied")


@pytest.mark.parametrize("waits", [True, False])
def test_what_a_proxy_delivers_after_it_was_sent_again_is_waited_for_and_removed(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    if not waits:
        monkeypatch.setattr(worker.verify, "LATE_TIMES", 0)
    wires.fill(10)
    held_back = wires.destination.faults.add(late(rb"^APPEND"))
    stage = stage_of(wires)
    work_until_verifying(stage)
    assert stage.finished is not waits, "a first copy may still arrive: not a word of completeness before"
    stage.work()
    told = [(wait.what, wait.mailboxes, wait.until > stage.time) for wait in stage.store.waits(stage.import_id)]
    assert told == ([("settle", 1, True)] if waits else [])
    held_back.release()
    held_back.await_done()
    assert wires.bodies().total() == 20
    stage.to_the_end(submit=False)
    assert stage.outcomes() == {"copied": 10}
    assert (wires.bodies() == wires.sent()) is waits
    assert len(stage.noted("undone")) == (10 if waits else 0)


@pytest.mark.parametrize("early", [True, False])
def test_another_import_goes_on_meanwhile_and_nothing_stands_twice(wires: Wires, early: bool) -> None:
    """Delivers what was sent twice before the other import begins (`early`), or when it is done."""
    wires.fill(10)
    held_back = wires.destination.faults.add(late(rb"^APPEND"))
    stage, other = stage_of(wires), stage_of(wires)
    work_until_verifying(stage)
    if early:
        held_back.release()
        held_back.await_done()
    other.store, other.import_id, other.time = stage.store, f"{stage.import_id}2", stage.time
    wires.fill(1, first=11)
    other.to_the_end(limit=1)
    assert not stage.finished, "it waits still"
    assert other.outcomes() == {"already_present": 10, "copied": 1}
    if not early:
        held_back.release()
        held_back.await_done()
    assert wires.bodies().total() == 21
    stage.to_the_end(submit=False)
    assert wires.bodies() == wires.sent()
    assert len(stage.noted("undone")) == 10
    other.to_the_end()
    assert wires.bodies() == wires.sent()
    assert other.outcomes() == {"already_present": 10, "copied": 1}
    assert not other.noted("missing")


@pytest.mark.parametrize("when", ["before it plans", "before it copies", "when it is done"])
def test_another_import_that_knows_other_numbers_loses_nothing_to_it(wires: Wires, when: str) -> None:
    """Changes the source's UIDVALIDITY, so that the other import recognises messages by their bytes.

    It may take a copy that comes late for its own.
    """
    wires.fill(10)
    held_back = wires.destination.faults.add(late(rb"^APPEND"))
    stage, other = stage_of(wires), stage_of(wires)
    work_until_verifying(stage)

    def arrives() -> bool:
        held_back.release()
        held_back.await_done()
        return False

    def planned() -> bool:
        return arrives() if other.tally().messages and not held_back._released.is_set() else False

    if when == "before it plans":
        arrives()
    elif when == "before it copies":
        other.stopping = planned
    wires.old.folder(b"INBOX").uidvalidity += 1
    other.store, other.import_id = stage.store, f"{stage.import_id}2"
    wires.fill(1, first=11)
    other.submit()
    together(stage, other, until=lambda: other.finished)
    assert not stage.finished, "it waits still"
    arrives()
    together(stage, other)
    for one in (other, stage):
        one.submit()
        together(stage, other)
    assert wires.bodies() == wires.sent()
    assert not other.noted("missing")
    assert not stage.noted("missing")


@pytest.mark.parametrize("protected", [True, False])
def test_what_another_import_brought_is_no_second_copy(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    """Adds a twin of a message in doubt at the source; the other import, which knows other UIDs, copies it."""
    if not protected:  # the negative control
        monkeypatch.setattr(Neighbours, "held", lambda self, folder: self.beside(folder).taken)
    wires.fill(10)
    held_back = wires.destination.faults.add(late(rb"^APPEND"))
    stage, other = stage_of(wires), stage_of(wires)
    work_until_verifying(stage)
    inbox = wires.old.folder(b"INBOX")
    inbox.uidvalidity += 1
    twin = inbox.messages[2]
    inbox.add(twin.body, twin.flags, twin.internaldate)
    other.store, other.import_id = stage.store, f"{stage.import_id}2"
    other.submit()
    together(stage, other, until=lambda: other.finished)
    assert not stage.finished, "it waits still"
    assert other.outcomes() == {"already_present": 10, "copied": 1}
    held_back.release()
    held_back.await_done()
    together(stage, other)
    assert (wires.bodies() == wires.sent()) is protected
    other.submit()
    together(stage, other)
    assert (bool(other.noted("missing")), bool(other.noted("removed"))) == (False, not protected)


def together(stage: InProcessImport, other: InProcessImport, until: Callable[[], bool] = lambda: False) -> None:
    """Runs both imports with one store and clock until both are finished, or until the condition holds."""
    for _ in range(40):
        other.time = stage.time
        other.work()
        if until() or (stage.finished and other.finished):
            return
        stage.later(10)
    raise AssertionError(f"not finished: {stage.mailbox()}, {other.mailbox()}")


def test_what_was_all_found_is_not_waited_for(wires: Wires) -> None:
    wires.fill(10)
    proxy = wires.destination.faults.add(late(rb"^APPEND"))
    stage = stage_of(wires)
    stage.submit()
    stage.work()
    proxy.release()
    proxy.await_done()
    stage.later(10)
    stage.work()
    assert stage.finished
    assert stage.outcomes() == {"copied": 10}
    assert wires.bodies() == wires.sent()


@pytest.mark.parametrize("mode", ["default", "anew", "full"])
def test_what_arrives_after_all_was_verified_is_removed_by_the_next_pass_or_verification(
    wires: Wires, mode: str
) -> None:
    wires.fill(10)
    held_back = wires.destination.faults.add(late(rb"^APPEND"))
    stage = stage_of(wires)
    stage.to_the_end()
    assert stage.finished
    foreign = wires.new.folder(b"INBOX").add(plain(9000))
    held_back.release()
    held_back.await_done()
    assert wires.bodies().total() == 21
    stage.options = Options(verify=mode)
    stage.to_the_end()
    assert wires.bodies() == wires.sent() + Counter([foreign.body])
    assert set(stage.noted("undone")) == set(range(1, 11))
    assert stage.outcomes() == {"copied": 10}
    assert (stage.tally().undone, stage.tally().doubled) == (10, 0)
    stage.to_the_end()
    assert wires.bodies() == wires.sent() + Counter([foreign.body])
    assert stage.tally().undone == 10


def test_a_copy_that_nothing_proves_to_be_ours_is_told_and_left(wires: Wires) -> None:
    for number in range(3):
        wires.old.folder(b"INBOX").add(plain(number), internaldate=DATE)
    stage = stage_of(wires)
    stage.to_the_end()
    inbox = wires.new.folder(b"INBOX")
    inbox.add(plain(1), internaldate=DATE)  # a user's, or another program's
    inbox.add(plain(2, text="this is messagf 2"), internaldate=DATE)  # another message
    inbox.add(plain(77), internaldate=DATE)
    stage.to_the_end()
    assert wires.bodies().total() == 6
    assert stage.noted("doubled").keys() == {2}
    assert "UID 4" in stage.noted("doubled")[2]
    assert not stage.noted("undone")
    said = "messages that may stand twice at the destination: both copies were left"
    request = stage.store.import_(stage.import_id)
    assert request is not None
    for _ in range(2):  # a later pass finds it again
        assert (stage.tally().doubled, stage.tally().undone) == (1, 0)
        (group,) = verbs.errors(stage.store, request)
        assert (group.code, group.parked, [who.messages for who in group.sufferers]) == ("doubled", False, [1])
        assert group.sentence.startswith(said)
        assert "UID 4 at the destination" in group.sufferers[0].detail
        stage.to_the_end()
    inbox.remove(4)
    stage.to_the_end()
    assert stage.tally().doubled == 0, "a person removed it"
    assert not stage.noted("doubled")


@pytest.mark.parametrize("settled", [True, False])
def test_the_store_is_lost_while_its_workers_still_have_mail_on_the_line(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, settled: bool
) -> None:
    """Loses the first run's store; what its workers had sent arrives while the same command runs again."""
    if not settled:  # the negative control
        monkeypatch.setattr("worker.lane.Lane._unsettled_seconds", lambda self, lease: 0.0)
        monkeypatch.setattr(worker.doubles, "_ours", lambda folder, uid, copy, extra, *, lost: False)
    wires.fill(40)
    first = InProcessImport(wires.source, wires.destination, copy_rules=CopyRules(group_messages=10, outstanding=3))
    on_the_line = wires.destination.faults.add(late(rb"^APPEND", skip=2))
    first.submit()
    first.work()
    assert 0 < wires.bodies().total() < 40
    again = InProcessImport(wires.source, wires.destination, copy_rules=CopyRules(group_messages=10, outstanding=3))
    again.submit()
    again.work()
    assert again.finished is not settled, "the destination holds what no record tells of: is more on the line?"
    on_the_line.release()
    on_the_line.await_done()
    again.to_the_end(submit=False)
    again.to_the_end()
    assert (wires.bodies() == wires.sent()) is settled
    assert again.tally().messages == 40


def test_what_a_lost_run_still_brings_after_that_is_undone_and_told(wires: Wires) -> None:
    wires.fill(40)
    first = InProcessImport(wires.source, wires.destination, copy_rules=CopyRules(group_messages=10, outstanding=3))
    on_the_line = wires.destination.faults.add(late(rb"^APPEND", skip=2))
    first.submit()
    first.work()
    again = InProcessImport(wires.source, wires.destination, copy_rules=CopyRules(group_messages=10, outstanding=3))
    again.submit()
    again.time += 3600
    again.store.reap(5)

    def arrives() -> bool:  # after everything was copied again, before it is verified
        if again.tally().messages and not again.tally().pending and not on_the_line._released.is_set():
            on_the_line.release()
            on_the_line.await_done()
        return False

    again.stopping = arrives
    again.to_the_end(submit=False)
    assert wires.bodies() == wires.sent()
    assert len(again.noted("undone")) == 10
    assert not again.noted("doubled")


def test_two_that_take_each_other_for_lost_never_remove_both(wires: Wires) -> None:
    """Runs two stores that cannot see each other, both with mail of a third run before them.

    Of two copies one stays.
    """
    wires.fill(30)
    for number in (1, 2, 3):  # mail that the third run had brought
        wires.new.folder(b"INBOX").add(plain(number), [b"\\Seen"], b"%2d-Feb-2021 10:20:30 +0100" % (number % 28 + 1))
    stages = [InProcessImport(wires.source, wires.destination, copy_rules=ONE_GROUP) for _ in range(2)]
    for stage in stages:
        stage.submit()
        stage.time += 3600  # long after the settle time
        stage.store.reap(5)
        lease = stage.store.claim("planner")
        assert lease is not None
        stage.store.release(lease, how="wait")
    one, other = stages
    met = []

    def both() -> bool:  # each has planned before the other copies
        if one.tally().messages and not met:
            met.append(True)
            other.to_the_end(submit=False)
        return False

    one.stopping = both
    one.to_the_end(submit=False)
    for stage in (other, one, other, one):
        stage.to_the_end()
    assert not wires.sent() - wires.bodies(), "something is lost"


@pytest.mark.parametrize("early", [True, False])
def test_the_source_is_numbered_anew_while_late_mail_is_waited_for(wires: Wires, early: bool) -> None:
    """Goes on with another UIDVALIDITY of the source: the ledger begins anew, and messages in doubt stay in doubt."""
    wires.fill(10)
    held_back = wires.destination.faults.add(late(rb"^APPEND"))
    stage = stage_of(wires)
    work_until_verifying(stage)
    if early:
        held_back.release()
        held_back.await_done()
    wires.old.folder(b"INBOX").uidvalidity += 1
    wires.fill(1, first=11)
    stage.submit()
    stage.work()
    if not early:
        held_back.release()
        held_back.await_done()
    assert wires.bodies().total() == 20
    stage.to_the_end(submit=False)
    for _ in range(2):
        stage.to_the_end()
    assert wires.bodies() == wires.sent()
    assert not stage.noted("missing")
    assert stage.outcomes() == {"already_present": 10, "copied": 1}
