"""Tests waves with real worker processes between real servers: who is at work within five seconds, and who is not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from producer.operations import verbs
from shared.model import Import, Mailbox
from shared.model.lifecycle import Control, MailboxState
from tests.conftest import DovecotPair
from tests.integration.process_cluster import Gate, Person, ProcessCluster, folders_of

#: The promised time: a mailbox that is moved is at work within it.
PROMISED_SECONDS = 5.0


class Crowded:
    """An import whose two lanes are both at large mailboxes, over a slow line, while the others wait in wave "later"."""

    def __init__(self, office: ProcessCluster, gate: Gate) -> None:
        self.office, self.gate = office, gate
        self.large = [office.person(folders_of(50 + n, {"INBOX": 700})) for n in range(2)]
        self.small = [office.person(folders_of(60 + n, {"INBOX": 30})) for n in range(2)]
        self.whole: Import = office.submit()
        for person in self.small:
            verbs.move(office.store, office.ring, self.whole, person.login, wave="later")
        office.store.control(self.whole.import_id, None, Control.PAUSE, wave="later")
        self.worker = office.start_worker(MAILHAUL_WORKER_THREADS="2")
        office.start_coordinator()
        office.until(self._both_at_work, "both lanes to copy")

    def _both_at_work(self) -> bool:
        return all(self.at_work(person) and self.mailbox(person).state is MailboxState.COPYING for person in self.large)

    def mailbox(self, person: Person) -> Mailbox:
        """Returns the person's mailbox."""
        (found,) = verbs.find_mailboxes(self.office.store, self.whole, person.login)
        return found[0]

    def at_work(self, person: Person) -> bool:
        """Tells whether a lane holds one of the mailbox's units."""
        mine = self.mailbox(person).mailbox_id
        units = self.office.leased()
        with self.office.redis.client(1) as client:
            keys = [f"mailhaul:1:unit:{unit}" for unit in units]
            return mine.encode() in [client.hget(key, "mailbox") for key in keys]

    def until_at_work(self, person: Person) -> float:
        """Waits until a lane is at the mailbox. Returns the seconds."""
        began = time.monotonic()
        self.office.until(lambda: self.at_work(person), "the mailbox that was moved")
        return time.monotonic() - began

    def finish(self) -> None:
        """Lets everything run to its end, and checks the result."""
        self.gate.hurry()
        self.office.store.control(self.whole.import_id, None, Control.RUN, wave="later")
        self.office.await_finished(self.whole)
        self.office.assert_exactly_once(self.whole)


@pytest.fixture
def crowded(dovecot_pair: DovecotPair) -> Iterator[Crowded]:
    with (
        Gate(dovecot_pair.destination, "c2s", b"", delay_ms=120.0) as gate,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination, MAILHAUL_GROUP_MESSAGES="5") as office,
    ):
        office.destination_port = gate.port
        yield Crowded(office, gate)


def test_a_mailbox_that_is_moved_is_at_work_within_five_seconds(crowded: Crowded) -> None:
    first, second = crowded.small
    office = crowded.office
    assert not crowded.at_work(first)
    # Its wave is paused, so it does not wait for a free lane: another takes it out of there.
    verbs.move(office.store, office.ring, crowded.whole, first.login, wave="now")
    assert crowded.until_at_work(first) <= PROMISED_SECONDS
    assert not crowded.at_work(second), "only what was moved"
    office.until(lambda: crowded.mailbox(first).state is MailboxState.COMPLETE, "the end of the first")
    assert not office.finished(crowded.whole), "too fast for this test"
    office.store.control(crowded.whole.import_id, None, Control.RUN, wave="later")
    verbs.move(office.store, office.ring, crowded.whole, second.login, front=True)
    assert crowded.until_at_work(second) <= PROMISED_SECONDS
    crowded.finish()


def test_where_nobody_gives_way_it_is_not(crowded: Crowded) -> None:
    """The control: without `urgent`, a mailbox that is moved waits until a lane's batch or slice is over."""
    person, office = crowded.small[0], crowded.office
    with office.redis.client(1) as client:
        verbs.move(office.store, office.ring, crowded.whole, person.login, wave="now")
        client.delete("mailhaul:1:urgent")
    began = time.monotonic()
    office.until(
        lambda: crowded.at_work(person) or time.monotonic() > began + PROMISED_SECONDS + 1, "it, or the promised time"
    )
    assert time.monotonic() - began > PROMISED_SECONDS
    crowded.finish()


def test_a_worker_that_dies_while_it_gives_way_loses_nothing(crowded: Crowded) -> None:
    person, office = crowded.small[0], crowded.office
    verbs.move(office.store, office.ring, crowded.whole, person.login, wave="now")
    with office.redis.client(1) as client:
        office.until(
            lambda: (
                any(client.hget(f"mailhaul:1:unit:{u}", "yields") == b"1" for u in office.leased())
                or crowded.at_work(person)
            ),
            "a lane that gives way",
        )
    crowded.worker.kill()
    crowded.worker.start()
    crowded.finish()


def test_who_is_paused_by_wave_stops_while_the_other_goes_on(crowded: Crowded) -> None:
    office, (one, other) = crowded.office, crowded.large
    verbs.move(office.store, office.ring, crowded.whole, one.login, wave="later")
    office.until(lambda: not crowded.at_work(one), "the pause")
    done = office.done(crowded.whole)
    office.until(lambda: office.done(crowded.whole) > done, "the other wave's mail")
    assert crowded.mailbox(one).state is MailboxState.COPYING
    assert office.store.waits(crowded.whole.import_id)[0].what == "wave_paused"
    crowded.finish()
    assert crowded.mailbox(other).state is MailboxState.COMPLETE


def test_before_its_time_no_mailbox_of_a_wave_is_at_work(crowded: Crowded) -> None:
    office, whole = crowded.office, crowded.whole
    verbs.set_wave(office.store, office.ring, whole, "later", starts_at=time.time() + 4)
    office.store.control(whole.import_id, None, Control.RUN, wave="later")
    crowded.gate.hurry()
    office.until(lambda: any(map(crowded.at_work, crowded.small)), "the start of the wave")
    (wave,) = office.store.waves(whole.import_id)
    assert time.time() >= wave.starts_at
    crowded.finish()
