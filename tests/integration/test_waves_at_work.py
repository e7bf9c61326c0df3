"""Tests waves with real worker processes between real servers: who is at work while others copy, and who is not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from producer.operations.finding import find_mailboxes
from shared.model import Import, Mailbox
from shared.model.lifecycle import Control, MailboxState
from tests.conftest import DovecotPair
from tests.integration.process_cluster import Gate, Person, ProcessCluster, folders_of

#: The promised time: a mailbox that is moved is at work within it. What is tested is that it does not wait for a lane to
#: become free, whatever a busy machine needs for that.
PROMISED_SECONDS = 5.0


class Crowded:
    """An import whose two lanes are both at large mailboxes, over a slow line, while the others wait in wave "later"."""

    def __init__(self, admin_env: ProcessCluster, gate: Gate) -> None:
        self.admin_env, self.gate = admin_env, gate
        self.large = [admin_env.person(folders_of(50 + n, {"INBOX": 700})) for n in range(2)]
        self.small = [admin_env.person(folders_of(60 + n, {"INBOX": 30})) for n in range(2)]
        self.whole: Import = admin_env.submit()
        for person in self.small:
            admin_env.operations.move(self.whole, person.login, wave="later")
        admin_env.store.control(self.whole.import_id, None, Control.PAUSE, wave="later")
        # No lane becomes free by itself before its large mailbox is complete.
        self.worker = admin_env.start_worker(MAILHAUL_WORKER_THREADS="2", MAILHAUL_SLICE_SECONDS="3600")
        admin_env.start_coordinator()
        admin_env.until(self._both_at_work, "both lanes to copy")

    def _both_at_work(self) -> bool:
        return all(self.at_work(person) for person in self.large) and self.copying()

    def copying(self) -> bool:
        """Tells whether no large mailbox is complete yet."""
        return all(self.mailbox(person).state is MailboxState.COPYING for person in self.large)

    def mailbox(self, person: Person) -> Mailbox:
        """Returns the person's mailbox."""
        (found,) = find_mailboxes(self.admin_env.store, self.whole, person.login)
        return found[0]

    def at_work(self, person: Person) -> bool:
        """Tells whether a lane holds one of the mailbox's units."""
        mine = self.mailbox(person).mailbox_id
        units = self.admin_env.leased()
        with self.admin_env.redis.client(1) as client:
            keys = [f"mailhaul:1:unit:{unit}" for unit in units]
            return mine.encode() in [client.hget(key, "mailbox") for key in keys]

    def gave_way(self, person: Person) -> bool:
        """Waits until a lane is at the mailbox. Tells whether one gave way to it."""
        self.admin_env.until(lambda: self.at_work(person), "the mailbox that was moved")
        return self.copying()

    def finish(self) -> None:
        """Lets everything run to its end, and checks the result."""
        self.gate.hurry()
        self.admin_env.store.control(self.whole.import_id, None, Control.RUN, wave="later")
        self.admin_env.await_finished(self.whole)
        self.admin_env.assert_exactly_once(self.whole)


@pytest.fixture
def crowded(dovecot_pair: DovecotPair) -> Iterator[Crowded]:
    with (
        Gate(dovecot_pair.destination, "c2s", b"", delay_ms=120.0) as gate,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination, MAILHAUL_GROUP_MESSAGES="2") as admin_env,
    ):
        admin_env.destination_port = gate.port
        yield Crowded(admin_env, gate)


def test_a_mailbox_that_is_moved_is_at_work_before_a_lane_is_free(crowded: Crowded) -> None:
    first, second = crowded.small
    admin_env = crowded.admin_env
    assert not crowded.at_work(first)
    # Its wave is paused, so it does not wait for a free lane: another takes it out of there.
    admin_env.operations.move(crowded.whole, first.login, wave="now")
    assert crowded.gave_way(first)
    assert not crowded.at_work(second), "only what was moved"
    admin_env.until(lambda: crowded.mailbox(first).state is MailboxState.COMPLETE, "the end of the first")
    assert crowded.copying(), "too fast for this test"
    admin_env.store.control(crowded.whole.import_id, None, Control.RUN, wave="later")
    admin_env.operations.move(crowded.whole, second.login, front=True)
    assert crowded.gave_way(second)
    crowded.finish()


def test_where_nobody_gives_way_it_is_not(crowded: Crowded) -> None:
    """The control: without `urgent`, a mailbox that is moved waits until a lane's batch or slice is over."""
    person, admin_env = crowded.small[0], crowded.admin_env
    with admin_env.redis.client(1) as client:
        crowded.worker.freeze()  # or it may look in between
        admin_env.operations.move(crowded.whole, person.login, wave="now")
        client.delete("mailhaul:1:urgent")
        crowded.worker.thaw()
    began = time.monotonic()
    admin_env.until(
        lambda: crowded.at_work(person) or time.monotonic() > began + PROMISED_SECONDS + 1, "it, or the promised time"
    )
    assert time.monotonic() - began > PROMISED_SECONDS
    crowded.finish()


def test_a_worker_that_dies_while_it_gives_way_loses_nothing(crowded: Crowded) -> None:
    person, admin_env = crowded.small[0], crowded.admin_env
    admin_env.operations.move(crowded.whole, person.login, wave="now")
    with admin_env.redis.client(1) as client:
        admin_env.until(
            lambda: (
                any(client.hget(f"mailhaul:1:unit:{u}", "yields") == b"1" for u in admin_env.leased())
                or crowded.at_work(person)
            ),
            "a lane that gives way",
        )
    crowded.worker.kill()
    crowded.worker.start()
    crowded.finish()


def test_who_is_paused_by_wave_stops_while_the_other_goes_on(crowded: Crowded) -> None:
    admin_env, (one, other) = crowded.admin_env, crowded.large
    admin_env.operations.move(crowded.whole, one.login, wave="later")
    admin_env.until(lambda: not crowded.at_work(one), "the pause")
    done = admin_env.done(crowded.whole)
    admin_env.until(lambda: admin_env.done(crowded.whole) > done, "the other wave's mail")
    assert crowded.mailbox(one).state is MailboxState.COPYING
    assert admin_env.store.waits(crowded.whole.import_id)[0].what == "wave_paused"
    crowded.finish()
    assert crowded.mailbox(other).state is MailboxState.COMPLETE


def test_before_its_time_no_mailbox_of_a_wave_is_at_work(crowded: Crowded) -> None:
    admin_env, whole = crowded.admin_env, crowded.whole
    admin_env.operations.set_wave(whole, "later", starts_at=time.time() + 4)
    admin_env.store.control(whole.import_id, None, Control.RUN, wave="later")
    crowded.gate.hurry()

    def begun() -> bool:  # a small mailbox may be done between two looks
        done = [crowded.mailbox(person).state is MailboxState.COMPLETE for person in crowded.small]
        return any(done) or any(map(crowded.at_work, crowded.small))

    admin_env.until(begun, "the start of the wave")
    (wave,) = admin_env.store.waves(whole.import_id)
    assert time.time() >= wave.starts_at
    crowded.finish()
