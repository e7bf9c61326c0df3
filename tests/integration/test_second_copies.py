"""Tests that second copies at the destination are found, removed where they are proved ours, and reported otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

import worker.planning.batch_planner
import worker.verifying.doubles
import worker.verifying.verify
from producer.operations.finding import errors_of
from shared.model import Options
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import late
from worker.copying.copy import CopyRules
from worker.copying.neighbours import Neighbours

ONE_GROUP = CopyRules(group_messages=100, outstanding=1)
DATE = b" 1-Jan-2015 00:00:00 +0000"


def stage_of(wires: Wires, **options: object) -> InProcessImport:
    return InProcessImport(wires.source, wires.destination, copy_rules=ONE_GROUP, **options)  # type: ignore[arg-type]


def work_until_verifying(in_process: InProcessImport) -> None:
    """Works until everything is copied and the mailbox is still to be verified."""
    in_process.submit()
    for _ in range(30):
        in_process.work()
        if not in_process.tally().pending and in_process.tally().messages:
            return
        in_process.later()
    raise AssertionError("not copied")


@pytest.mark.parametrize("waits", [True, False])
def test_what_a_proxy_delivers_after_it_was_sent_again_is_waited_for_and_removed(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    if not waits:
        monkeypatch.setattr(worker.verifying.verify, "LATE_TIMES", 0)
    wires.fill(10)
    held_back = wires.destination.faults.add(late(rb"^APPEND"))
    in_process = stage_of(wires)
    work_until_verifying(in_process)
    assert in_process.finished is not waits, "a first copy may still arrive: not a word of completeness before"
    in_process.work()
    told = [
        (wait.what, wait.mailboxes, wait.until > in_process.time)
        for wait in in_process.store.waits(in_process.import_id)
    ]
    assert told == ([("settle", 1, True)] if waits else [])
    held_back.release()
    held_back.await_done()
    assert wires.bodies().total() == 20
    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"copied": 10}
    assert (wires.bodies() == wires.sent()) is waits
    assert len(in_process.noted("undone")) == (10 if waits else 0)


@pytest.mark.parametrize("early", [True, False])
def test_another_import_goes_on_meanwhile_and_nothing_stands_twice(wires: Wires, early: bool) -> None:
    """Delivers what was sent twice before the other import begins (`early`), or when it is done."""
    wires.fill(10)
    held_back = wires.destination.faults.add(late(rb"^APPEND"))
    in_process, other = stage_of(wires), stage_of(wires)
    work_until_verifying(in_process)
    if early:
        held_back.release()
        held_back.await_done()
    other.store, other.import_id, other.time = in_process.store, f"{in_process.import_id}2", in_process.time
    wires.fill(1, first=11)
    other.to_the_end(limit=1)
    assert not in_process.finished, "it waits still"
    assert other.outcomes() == {"already_present": 10, "copied": 1}
    if not early:
        held_back.release()
        held_back.await_done()
    assert wires.bodies().total() == 21
    in_process.to_the_end(submit=False)
    assert wires.bodies() == wires.sent()
    assert len(in_process.noted("undone")) == 10
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
    in_process, other = stage_of(wires), stage_of(wires)
    work_until_verifying(in_process)

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
    other.store, other.import_id = in_process.store, f"{in_process.import_id}2"
    wires.fill(1, first=11)
    other.submit()
    together(in_process, other, until=lambda: other.finished)
    assert not in_process.finished, "it waits still"
    arrives()
    together(in_process, other)
    for one in (other, in_process):
        one.submit()
        together(in_process, other)
    assert wires.bodies() == wires.sent()
    assert not other.noted("missing")
    assert not in_process.noted("missing")


@pytest.mark.parametrize("protected", [True, False])
def test_what_another_import_brought_is_no_second_copy(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    """Adds a twin of a message in doubt at the source; the other import, which knows other UIDs, copies it."""
    if not protected:  # the negative control
        monkeypatch.setattr(Neighbours, "held", lambda self, folder: self.beside(folder).taken)
    wires.fill(10)
    held_back = wires.destination.faults.add(late(rb"^APPEND"))
    in_process, other = stage_of(wires), stage_of(wires)
    work_until_verifying(in_process)
    inbox = wires.old.folder(b"INBOX")
    inbox.uidvalidity += 1
    twin = inbox.messages[2]
    inbox.add(twin.body, twin.flags, twin.internaldate)
    other.store, other.import_id = in_process.store, f"{in_process.import_id}2"
    other.submit()
    together(in_process, other, until=lambda: other.finished)
    assert not in_process.finished, "it waits still"
    assert other.outcomes() == {"already_present": 10, "copied": 1}
    held_back.release()
    held_back.await_done()
    together(in_process, other)
    assert (wires.bodies() == wires.sent()) is protected
    other.submit()
    together(in_process, other)
    assert (bool(other.noted("missing")), bool(other.noted("removed"))) == (False, not protected)


def together(in_process: InProcessImport, other: InProcessImport, until: Callable[[], bool] = lambda: False) -> None:
    """Runs both imports with one store and clock until both are finished, or until the condition holds."""
    for _ in range(40):
        other.time = in_process.time
        other.work()
        if until() or (in_process.finished and other.finished):
            return
        in_process.later(10)
    raise AssertionError(f"not finished: {in_process.mailbox()}, {other.mailbox()}")


def test_what_was_all_found_is_not_waited_for(wires: Wires) -> None:
    wires.fill(10)
    proxy = wires.destination.faults.add(late(rb"^APPEND"))
    in_process = stage_of(wires)
    in_process.submit()
    in_process.work()
    proxy.release()
    proxy.await_done()
    in_process.later(10)
    in_process.work()
    assert in_process.finished
    assert in_process.outcomes() == {"copied": 10}
    assert wires.bodies() == wires.sent()


@pytest.mark.parametrize("mode", ["default", "anew", "full"])
def test_what_arrives_after_all_was_verified_is_removed_by_the_next_pass_or_verification(
    wires: Wires, mode: str
) -> None:
    wires.fill(10)
    held_back = wires.destination.faults.add(late(rb"^APPEND"))
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.finished
    foreign = wires.new.folder(b"INBOX").add(plain(9000))
    held_back.release()
    held_back.await_done()
    assert wires.bodies().total() == 21
    in_process.options = Options(verify=mode)
    in_process.to_the_end()
    assert wires.bodies() == wires.sent() + Counter([foreign.body])
    assert set(in_process.noted("undone")) == set(range(1, 11))
    assert in_process.outcomes() == {"copied": 10}
    assert (in_process.tally().undone, in_process.tally().doubled) == (10, 0)
    in_process.to_the_end()
    assert wires.bodies() == wires.sent() + Counter([foreign.body])
    assert in_process.tally().undone == 10


def test_a_copy_that_nothing_proves_to_be_ours_is_told_and_left(wires: Wires) -> None:
    for number in range(3):
        wires.old.folder(b"INBOX").add(plain(number), internaldate=DATE)
    in_process = stage_of(wires)
    in_process.to_the_end()
    inbox = wires.new.folder(b"INBOX")
    inbox.add(plain(1), internaldate=DATE)  # a user's, or another program's
    inbox.add(plain(2, text="this is messagf 2"), internaldate=DATE)  # another message
    inbox.add(plain(77), internaldate=DATE)
    in_process.to_the_end()
    assert wires.bodies().total() == 6
    assert in_process.noted("doubled").keys() == {2}
    assert "UID 4" in in_process.noted("doubled")[2]
    assert not in_process.noted("undone")
    said = "messages that may stand twice at the destination: both copies were left"
    import_ = in_process.store.import_(in_process.import_id)
    assert import_ is not None
    for _ in range(2):  # a later pass finds it again
        assert (in_process.tally().doubled, in_process.tally().undone) == (1, 0)
        (group,) = errors_of(in_process.store, import_)
        assert (group.code, group.parked, [who.messages for who in group.sufferers]) == ("doubled", False, [1])
        assert group.sentence.startswith(said)
        assert "UID 4 at the destination" in group.sufferers[0].detail
        in_process.to_the_end()
    inbox.remove(4)
    in_process.to_the_end()
    assert in_process.tally().doubled == 0, "a person removed it"
    assert not in_process.noted("doubled")


@pytest.mark.parametrize("settled", [True, False])
def test_the_store_is_lost_while_its_workers_still_have_mail_on_the_line(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, settled: bool
) -> None:
    """Loses the first run's store; what its workers had sent arrives while the same command runs again."""
    if not settled:  # the negative control
        monkeypatch.setattr("worker.unit_work.UnitWork._unsettled_seconds", lambda *_: 0.0)
        monkeypatch.setattr(worker.verifying.doubles, "_ours", lambda folder, uid, copy, extra, *, lost: False)
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
    for in_process in stages:
        in_process.submit()
        in_process.time += 3600  # long after the settle time
        in_process.store.reap(5)
        lease = in_process.store.claim("planner")
        assert lease is not None
        in_process.store.release(lease, how="wait")
    one, other = stages
    met = []

    def both() -> bool:  # each has planned before the other copies
        if one.tally().messages and not met:
            met.append(True)
            other.to_the_end(submit=False)
        return False

    one.stopping = both
    one.to_the_end(submit=False)
    for in_process in (other, one, other, one):
        in_process.to_the_end()
    assert not wires.sent() - wires.bodies(), "something is lost"


@pytest.mark.parametrize("early", [True, False])
def test_the_source_is_numbered_anew_while_late_mail_is_waited_for(wires: Wires, early: bool) -> None:
    """Goes on with another UIDVALIDITY of the source: the ledger begins anew, and messages in doubt stay in doubt."""
    wires.fill(10)
    held_back = wires.destination.faults.add(late(rb"^APPEND"))
    in_process = stage_of(wires)
    work_until_verifying(in_process)
    if early:
        held_back.release()
        held_back.await_done()
    wires.old.folder(b"INBOX").uidvalidity += 1
    wires.fill(1, first=11)
    in_process.submit()
    in_process.work()
    if not early:
        held_back.release()
        held_back.await_done()
    assert wires.bodies().total() == 20
    in_process.to_the_end(submit=False)
    for _ in range(2):
        in_process.to_the_end()
    assert wires.bodies() == wires.sent()
    assert not in_process.noted("missing")
    assert in_process.outcomes() == {"already_present": 10, "copied": 1}
