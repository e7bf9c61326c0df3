"""Tests SIGTERM, pause, resume and cancel during copying."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from shared.model import Import
from shared.model.lifecycle import Control, ImportState
from tests.conftest import DovecotPair
from tests.integration.process_cluster import MIDDLE, Child, Gate, Person, ProcessCluster, folders_of, large

#: The promised time, and time for a busy machine: a bound, not a measurement. A batch takes longer.
PROMISED_SECONDS, SLACK_SECONDS = 2.0, 28.0


class Busy:
    """A running import over a line slow enough that it is still running when a test looks."""

    def __init__(self, admin_env: ProcessCluster, gate: Gate, person: Person) -> None:
        self.admin_env, self.gate, self.person = admin_env, gate, person
        self.worker: Child = admin_env.start_worker()
        admin_env.start_coordinator()
        self.whole: Import = admin_env.submit()

    def control(self, word: Control) -> float:
        """Pauses, resumes or cancels. Returns the seconds until no unit is leased any more."""
        began = time.monotonic()
        self.admin_env.operations.control(self.whole, word)
        if word is not Control.RUN:
            self.admin_env.until(lambda: not self.admin_env.leased(), f"the {word}")
        return time.monotonic() - began

    def at_least(self, messages: int) -> None:
        """Waits until this many messages are done, and asserts that there is more to do."""
        self.admin_env.until(lambda: self.admin_env.done(self.whole) >= messages, f"{messages} messages")
        assert not self.admin_env.finished(self.whole), "too fast for this test"

    def finish(self) -> None:
        """Removes the delay, waits for the end and checks the result."""
        self.gate.hurry()
        self.admin_env.await_finished(self.whole)
        self.admin_env.assert_exactly_once(self.whole)


@pytest.fixture
def busy(dovecot_pair: DovecotPair) -> Iterator[Busy]:
    with (
        Gate(dovecot_pair.destination, "c2s", b"", delay_ms=120.0) as gate,
        ProcessCluster(
            dovecot_pair.source,
            dovecot_pair.destination,
            MAILHAUL_GROUP_MESSAGES="5",
            MAILHAUL_BATCH_MESSAGES="900",
        ) as admin_env,
    ):
        admin_env.destination_port = gate.port
        yield Busy(admin_env, gate, admin_env.person(folders_of(41, {"INBOX": 900, "Work": 900}, twins=20)))


@pytest.fixture
def stuck(dovecot_pair: DovecotPair) -> Iterator[Busy]:
    """Yields an import in the middle of a large message that does not go on."""
    folders = folders_of(42, {"INBOX": 40})
    folders["INBOX"].insert(20, large(42, 3_000_000))
    with (
        Gate(dovecot_pair.destination, "c2s", MIDDLE) as gate,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination) as admin_env,
    ):
        admin_env.destination_port = gate.port
        found = Busy(admin_env, gate, admin_env.person(folders))
        gate.await_waiting()
        gate.pattern = b""
        yield found


def test_sigterm_drains(busy: Busy) -> None:
    admin_env = busy.admin_env
    busy.at_least(200)
    busy.worker.terminate()
    assert busy.worker.exit_code() == 0
    assert not admin_env.finished(busy.whole)
    assert (admin_env.intents(), admin_env.leased()) == (0, set())
    with admin_env.redis.client(1) as client:
        assert not list(client.scan_iter("*permits:*")), "connections are still counted"
        assert not list(client.scan_iter("*holders"))
    admin_env.start_worker()
    busy.finish()


def test_a_second_sigterm_changes_nothing(busy: Busy) -> None:
    """Sends SIGTERM several times, as an impatient supervisor.

    The worker drains all the same, or what it held is looked for.
    """
    busy.at_least(200)
    for _ in range(3):
        busy.worker.terminate()
    assert busy.worker.exit_code() == 0
    assert (busy.admin_env.intents(), busy.admin_env.leased()) == (0, set())
    busy.admin_env.start_worker()
    busy.finish()


def test_sigterm_ends_a_worker_that_waits_for_a_server(stuck: Busy) -> None:
    stuck.worker.terminate()
    assert stuck.worker.exit_code() == 0
    assert not stuck.admin_env.leased()
    stuck.admin_env.start_worker()
    stuck.finish()


def test_pause_and_resume(busy: Busy) -> None:
    admin_env = busy.admin_env
    busy.at_least(200)
    assert busy.control(Control.PAUSE) < PROMISED_SECONDS + SLACK_SECONDS
    done = admin_env.done(busy.whole)
    assert admin_env.intents() == 0, "in doubt"
    # Jobs do not wake a paused import: the idle lanes take these.
    admin_env.operations.control(busy.whole, Control.PAUSE)
    for unit in admin_env.store.ready_units(8):
        admin_env.ring(unit, busy.whole.import_id)
    there = admin_env.held_at(busy.person) + admin_env.held_at(busy.person, "Work")
    assert (admin_env.done(busy.whole), admin_env.leased(), there) == (done, set(), done)
    began = time.monotonic()
    busy.control(Control.RUN)
    admin_env.until(lambda: admin_env.done(busy.whole) > done, "the first message after the pause")
    assert time.monotonic() - began < PROMISED_SECONDS + SLACK_SECONDS
    busy.finish()


def test_pause_in_the_middle_of_a_message(stuck: Busy) -> None:
    assert stuck.control(Control.PAUSE) < PROMISED_SECONDS + SLACK_SECONDS
    stuck.control(Control.RUN)
    stuck.finish()


@pytest.mark.parametrize("how", ["busy", "stuck"])
def test_cancel_and_the_same_request_again(request: pytest.FixtureRequest, how: str) -> None:
    work: Busy = request.getfixturevalue(how)
    admin_env = work.admin_env
    if how == "busy":
        work.at_least(200)
    assert work.control(Control.CANCEL) < PROMISED_SECONDS + SLACK_SECONDS
    admin_env.until(lambda: admin_env.finished(work.whole), "the end of what is cancelled")
    tally = admin_env.tally(work.whole)
    assert 0 < tally.pending < tally.messages or how == "stuck"
    admin_env.assert_books(work.whole)
    admin_env.submit()
    found = admin_env.store.import_(work.whole.import_id)
    assert found is not None
    assert found.state is ImportState.RUNNING
    work.finish()
