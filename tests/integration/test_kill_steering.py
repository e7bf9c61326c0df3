"""Tests SIGTERM, pause, resume and cancel during copying."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from producer.operations import verbs
from shared.model import Import
from shared.model.lifecycle import Control, ImportState
from tests.conftest import DovecotPair
from tests.integration.process_cluster import MIDDLE, Child, Gate, Person, ProcessCluster, folders_of, large

#: The promised time, and time for this busy machine: a bound, not a measurement.
PROMISED_SECONDS, SLACK_SECONDS = 2.0, 8.0
#: Longest time in which a worker drains: `worker.__main__.DRAIN_SECONDS`, and some more.
DRAINED_SECONDS = 25.0


class Busy:
    """A running import over a line slow enough that it is still running when a test looks."""

    def __init__(self, office: ProcessCluster, gate: Gate, person: Person) -> None:
        self.office, self.gate, self.person = office, gate, person
        self.worker: Child = office.start_worker()
        office.start_coordinator()
        self.whole: Import = office.submit()

    def control(self, word: Control) -> float:
        """Pauses, resumes or cancels. Returns the seconds until no unit is leased any more."""
        began = time.monotonic()
        verbs.control(self.office.store, self.office.ring, self.whole, word)
        if word is not Control.RUN:
            self.office.until(lambda: not self.office.leased(), f"the {word}")
        return time.monotonic() - began

    def at_least(self, messages: int) -> None:
        """Waits until this many messages are done, and asserts that there is more to do."""
        self.office.until(lambda: self.office.done(self.whole) >= messages, f"{messages} messages")
        assert not self.office.finished(self.whole), "too fast for this test"

    def finish(self) -> None:
        """Removes the delay, waits for the end and checks the result."""
        self.gate.hurry()
        self.office.await_finished(self.whole)
        self.office.assert_exactly_once(self.whole)


@pytest.fixture
def busy(dovecot_pair: DovecotPair) -> Iterator[Busy]:
    with (
        Gate(dovecot_pair.destination, "c2s", b"", delay_ms=120.0) as gate,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination, MAILHAUL_GROUP_MESSAGES="5") as office,
    ):
        office.destination_port = gate.port
        yield Busy(office, gate, office.person(folders_of(41, {"INBOX": 900, "Work": 900}, twins=20)))


@pytest.fixture
def stuck(dovecot_pair: DovecotPair) -> Iterator[Busy]:
    """Yields an import in the middle of a large message that does not go on."""
    folders = folders_of(42, {"INBOX": 40})
    folders["INBOX"].insert(20, large(42, 3_000_000))
    with (
        Gate(dovecot_pair.destination, "c2s", MIDDLE) as gate,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination) as office,
    ):
        office.destination_port = gate.port
        found = Busy(office, gate, office.person(folders))
        gate.await_waiting()
        gate.pattern = b""
        yield found


def test_sigterm_drains(busy: Busy) -> None:
    office = busy.office
    busy.at_least(200)
    busy.worker.terminate()
    assert busy.worker.exit_code(DRAINED_SECONDS) == 0
    assert not office.finished(busy.whole)
    assert (office.intents(), office.leased()) == (0, set())
    with office.redis.client(1) as client:
        assert not list(client.scan_iter("*permits:*")), "connections are still counted"
        assert not list(client.scan_iter("*holders"))
    office.start_worker()
    busy.finish()


def test_a_second_sigterm_changes_nothing(busy: Busy) -> None:
    """Sends SIGTERM several times, as an impatient supervisor.

    The worker drains all the same, or what it held is looked for.
    """
    busy.at_least(200)
    for _ in range(3):
        busy.worker.terminate()
    assert busy.worker.exit_code(DRAINED_SECONDS) == 0
    assert (busy.office.intents(), busy.office.leased()) == (0, set())
    busy.office.start_worker()
    busy.finish()


def test_sigterm_ends_a_worker_that_waits_for_a_server(stuck: Busy) -> None:
    stuck.worker.terminate()
    assert stuck.worker.exit_code(DRAINED_SECONDS) == 0
    assert not stuck.office.leased()
    stuck.office.start_worker()
    stuck.finish()


def test_pause_and_resume(busy: Busy) -> None:
    office = busy.office
    busy.at_least(200)
    assert busy.control(Control.PAUSE) < PROMISED_SECONDS + SLACK_SECONDS
    done = office.done(busy.whole)
    assert office.intents() == 0, "in doubt"
    # Jobs do not wake a paused import: the idle lanes take these.
    verbs.control(office.store, office.ring, busy.whole, Control.PAUSE)
    for unit in office.store.ready_units(8):
        office.ring(unit, busy.whole.import_id)
    there = office.held_at(busy.person) + office.held_at(busy.person, "Work")
    assert (office.done(busy.whole), office.leased(), there) == (done, set(), done)
    began = time.monotonic()
    busy.control(Control.RUN)
    office.until(lambda: office.done(busy.whole) > done, "the first message after the pause")
    assert time.monotonic() - began < PROMISED_SECONDS + SLACK_SECONDS
    busy.finish()


def test_pause_in_the_middle_of_a_message(stuck: Busy) -> None:
    assert stuck.control(Control.PAUSE) < PROMISED_SECONDS + SLACK_SECONDS
    stuck.control(Control.RUN)
    stuck.finish()


@pytest.mark.parametrize("how", ["busy", "stuck"])
def test_cancel_and_the_same_request_again(request: pytest.FixtureRequest, how: str) -> None:
    work: Busy = request.getfixturevalue(how)
    office = work.office
    if how == "busy":
        work.at_least(200)
    assert work.control(Control.CANCEL) < PROMISED_SECONDS + SLACK_SECONDS
    office.until(lambda: office.finished(work.whole), "the end of what is cancelled")
    tally = office.tally(work.whole)
    assert 0 < tally.pending < tally.messages or how == "stuck"
    office.assert_books(work.whole)
    office.submit()
    found = office.store.import_(work.whole.import_id)
    assert found is not None
    assert found.state is ImportState.RUNNING
    work.finish()
