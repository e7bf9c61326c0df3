"""Tests rates.

Worker processes and Dovecots test the budgets of single accounts; the test's own clock measures the pace of lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from shared.model import Failure, Import, Mailbox
from shared.model.lifecycle import MailboxState
from shared.store import Store
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, Wires
from tests.integration.process_cluster import WORKER, Person, ProcessCluster, folders_of

#: A worker that ignores rates: the negative control.
IMPATIENT = """
import sys
import worker.copying.copy
from worker.__main__ import main
worker.copying.copy.wait_out = lambda *given: None
sys.exit(main())
"""
#: Excess that is allowed: 4 lanes each of 2 workers may be in a group of 20 messages of about 2 kB.
OVER_BYTES = 8 * 20 * 2_500
BUDGET_BYTES = 100_000


class Bounded:
    """An import of two accounts, of which the first has a daily budget at the source."""

    def __init__(self, admin_env: ProcessCluster, counts: Mapping[str, int], program: str = WORKER) -> None:
        self.admin_env = admin_env
        self.frugal = admin_env.person(folders_of(71, counts))
        self.free = admin_env.person(folders_of(72, counts))
        self.rate = f"source_account.bytes_per_day:imap://127.0.0.1:{admin_env.source_port}/{self.frugal.login}"
        admin_env.store.set_limit(self.rate, BUDGET_BYTES)
        for _ in range(2):
            admin_env.start_worker(program)
        admin_env.start_coordinator()
        self.whole: Import = admin_env.submit()

    def row(self, person: Person) -> Mailbox:
        """Returns the account's mailbox."""
        rows = self.admin_env.store.mailboxes(self.whole.import_id)
        return next(mailbox for mailbox, _ in rows if mailbox.source.login == person.login)

    def moved(self, person: Person) -> int:
        """Returns the bytes moved for this account."""
        rows = self.admin_env.store.mailboxes(self.whole.import_id)
        return next(tally.done_bytes for mailbox, tally in rows if mailbox.source.login == person.login)

    def complete(self, person: Person) -> bool:
        """Tells whether the account's mailbox is complete."""
        return self.row(person).state is MailboxState.COMPLETE

    def waiting(self) -> Failure | None:
        """Returns what the account with the budget waits for."""
        failure = self.row(self.frugal).failure
        return failure if failure and failure.code == "rate_waiting" and not self.admin_env.leased() else None


def test_a_spent_day_stops_that_account_only_and_a_raised_budget_lets_it_finish(dovecot_pair: DovecotPair) -> None:
    with ProcessCluster(dovecot_pair.source, dovecot_pair.destination) as admin_env:
        both = Bounded(admin_env, {"INBOX": 100, "Work": 400})
        admin_env.until(lambda: both.complete(both.free) and both.waiting() is not None, "one complete, one waiting")
        assert admin_env.store.claim("somebody") is None, "nobody else may either"
        frugal = both.row(both.frugal)
        assert frugal.state is MailboxState.COPYING
        assert BUDGET_BYTES <= both.moved(both.frugal) < BUDGET_BYTES + OVER_BYTES
        failure = frugal.failure
        assert failure is not None
        assert "waiting until" in failure.sentence
        assert "of the 100 kB of 24 hours are used" in failure.sentence
        assert "mailhaul limits source_account.bytes_per_day" in failure.advice
        assert all(not unit.attempts for unit in admin_env.store.ready_units(20)), "no attempt was spent"
        admin_env.store.set_limit(both.rate, 10**9)
        admin_env.await_finished(both.whole)
        admin_env.assert_exactly_once(both.whole)
        assert not [f for f in admin_env.store.failures(both.row(both.free).mailbox_id) if f.code == "rate_waiting"]


def test_without_waiting_more_is_moved_than_the_budget(dovecot_pair: DovecotPair) -> None:
    with ProcessCluster(dovecot_pair.source, dovecot_pair.destination, MAILHAUL_BATCH_MESSAGES="1000") as admin_env:
        both = Bounded(admin_env, {"INBOX": 500}, IMPATIENT)  # one batch, which no lane claims again
        admin_env.until(lambda: both.complete(both.free) and both.complete(both.frugal), "both, whatever is owed")
        assert both.moved(both.frugal) > BUDGET_BYTES + OVER_BYTES


# -- pace, with a clock that moves only when a lane sleeps


class Paced:
    """An import of 100 messages in groups of 10, at 5 messages a second unless `most` says otherwise."""

    def __init__(self, wires: Wires, rate: str = "source_account.messages_per_second", most: int = 5) -> None:
        wires.fill(100)
        self.wires = wires
        self.in_process = InProcessImport(wires.source, wires.destination)
        self.in_process.store.set_limit(rate, most)
        self.slept = 0.0
        #: Called with each sleep.
        self.meanwhile: Callable[[], Any] = lambda: None
        self.in_process.sleep = self.sleep

    @property
    def store(self) -> Store:
        """The stage's store."""
        return self.in_process.store

    def sleep(self, seconds: float) -> None:
        """Moves the clock instead of sleeping."""
        self.slept += seconds
        self.in_process.time += seconds
        self.meanwhile()


@pytest.mark.parametrize("side", ["source_account", "source_host", "destination_account", "destination_host"])
def test_a_lane_waits_with_its_connections_open(wires: Wires, side: str) -> None:
    paced = Paced(wires, f"{side}.messages_per_second")
    paced.in_process.to_the_end()
    assert paced.in_process.outcomes() == {"copied": 100}
    assert wires.bodies() == wires.sent()
    # No lane waits after the last group: 90 messages had to be paid for, less the first second's.
    assert 90 / 5 - 1 - 0.25 <= paced.slept <= 90 / 5 + 1
    assert not paced.in_process.failures(), "waiting is not failing"
    assert wires.source.logins() <= 2, "planned and copied, and verified"


def test_without_a_cap_nobody_sleeps(wires: Wires) -> None:
    paced = Paced(wires, most=0)
    paced.in_process.to_the_end()
    assert paced.slept == 0


def test_a_raised_rate_counts_while_a_lane_waits(wires: Wires) -> None:
    paced = Paced(wires, most=2)
    paced.meanwhile = lambda: paced.store.set_limit("source_account.messages_per_second", 1000)
    paced.in_process.to_the_end()
    assert paced.in_process.outcomes() == {"copied": 100}
    assert 0 < paced.slept <= 1, "asked again within a second"


def test_one_who_is_told_to_stop_does_not_wait_on(wires: Wires) -> None:
    paced = Paced(wires, most=2)
    paced.meanwhile = lambda: setattr(paced.in_process, "stopping", lambda: True)
    paced.in_process.submit()
    paced.in_process.work()
    assert paced.slept <= 0.25
    assert paced.in_process.outcomes() == {"copied": 10, "pending": 90}, "what was sent is entered"
    paced.in_process.stopping = lambda: False
    paced.meanwhile = lambda: None
    paced.store.set_limit("source_account.messages_per_second", None)
    paced.in_process.to_the_end(submit=False)
    assert wires.bodies() == wires.sent()


def test_a_long_debt_gives_the_unit_back_and_a_message_larger_than_the_budget_passes(wires: Wires) -> None:
    paced = Paced(wires, "destination_account.bytes_per_day", 100)
    days = 0
    paced.in_process.submit()
    while not paced.in_process.finished:
        paced.in_process.work()
        days += 1
        if days == 1:
            assert paced.in_process.outcomes() == {"copied": 10, "pending": 90}, "one group, whatever its size"
            (failure,) = paced.in_process.failures()
            assert failure.code == "rate_waiting"
            assert failure.sentence == (
                "destination: waiting until 2023-11-15 22:14 UTC: 1 kB of the 100 bytes of 24 hours are used"
            )
            assert all(not unit.attempts for unit in paced.store.ready_units(20)), "no attempt was spent"
            logins = wires.source.logins()
            paced.in_process.later(3600)
            paced.in_process.work()
            assert wires.source.logins() == logins, "nobody so much as knocks before the time"
        paced.in_process.later(86_400)
    assert 9 <= days <= 11, "ten groups, one a day"
    assert paced.slept == 0
    assert wires.bodies() == wires.sent()
