"""Tests Redis dying during an import and coming back, with its data or without."""

from __future__ import annotations

import pytest

from shared.model.lifecycle import MailboxState, Outcome
from tests.conftest import DovecotPair
from tests.integration.process_cluster import WORKER, Gate, ProcessCluster, folders_of

#: One-way delay in milliseconds that keeps the import busy; it is removed afterwards.
SLOW_MS = 100.0
#: Makes a worker that parks a mailbox at the first message that somebody else brought, and does not know that Redis was
#: started again.
HASTY = """
from dataclasses import replace
from shared.store.redis import scripts
from worker.decisions import failures
kept = scripts.sources
scripts.sources = lambda: {name: text.replace("'restarted', 'at'", "'restarted', '-'") for name, text in kept().items()}
failures.TABLE = tuple(replace(row, attempts=1) if row.attempts else row for row in failures.TABLE)
"""


def test_killed_and_restarted_several_times_workers_go_on_by_themselves(dovecot_pair: DovecotPair) -> None:
    with (
        Gate(dovecot_pair.destination, "c2s", b"", delay_ms=SLOW_MS) as slow,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination, MAILHAUL_GROUP_MESSAGES="5") as admin_env,
    ):
        admin_env.destination_port = slow.port
        person = admin_env.person(folders_of(31, {"INBOX": 500, "Work": 500}, twins=20))
        lives = [admin_env.start_worker(), admin_env.start_worker(), admin_env.start_coordinator()]
        pids = [child.pid for child in lives]
        whole = admin_env.submit()
        for share in (0.1, 0.4, 0.7):
            admin_env.until_done(whole, int(share * person.messages))
            admin_env.redis.kill()
            admin_env.redis.start()
        slow.hurry()
        admin_env.await_finished(whole)
        assert [child.pid for child in lives if child.running] == pids, "somebody had to be started again"
        admin_env.assert_exactly_once(whole)


@pytest.mark.slow
def test_away_for_longer_than_a_lease(dovecot_pair: DovecotPair) -> None:
    with (
        Gate(dovecot_pair.destination, "c2s", b"", delay_ms=SLOW_MS) as slow,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination, MAILHAUL_GROUP_MESSAGES="5") as admin_env,
    ):
        admin_env.destination_port = slow.port
        person = admin_env.person(folders_of(32, {"INBOX": 300, "Work": 300}, twins=20))
        worker = admin_env.start_worker()
        admin_env.start_coordinator()
        whole = admin_env.submit()
        admin_env.until_done(whole, 100)
        admin_env.redis.freeze()
        admin_env.until(
            lambda: bool(worker.said(event="lease_lost")), "the end of the leases by the worker's own clock"
        )
        # Without an intent no message is appended: data on its way has arrived, and nothing more comes.
        admin_env.redis.thaw()
        slow.hurry()
        admin_env.await_finished(whole)
        admin_env.assert_exactly_once(whole)
        assert person.messages == 600


@pytest.mark.parametrize("how", ["flushed", "a fresh server"])
def test_lost_altogether_the_same_manifest_again_adopts_what_is_there(dovecot_pair: DovecotPair, how: str) -> None:
    with (
        Gate(dovecot_pair.destination, "c2s", b"", delay_ms=SLOW_MS) as slow,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination, MAILHAUL_GROUP_MESSAGES="5") as admin_env,
    ):
        admin_env.destination_port = slow.port
        person = admin_env.person(folders_of(33, {"INBOX": 400, "Work": 400}, twins=20))
        worker = admin_env.start_worker()
        admin_env.start_coordinator()
        whole = admin_env.submit()
        admin_env.until_done(whole, 200)
        worker.freeze()
        held = admin_env.leased()
        assert held
        if how == "flushed":
            admin_env.redis.flush()
        else:
            admin_env.redis.restart(empty=True)
        worker.thaw()
        # The worker notices and ends its unit; an operator who runs the command again would be slower than that.
        admin_env.until(
            lambda: held <= {entry["unit"] for entry in worker.said(event="unit_ended")},
            "the end of what was under way",
        )
        slow.cut()  # no data is on its way any more
        slow.hurry()
        present = admin_env.held_at(person) + admin_env.held_at(person, "Work")
        assert present >= 200
        again = admin_env.submit()
        assert again.import_id == whole.import_id
        admin_env.await_finished(again)
        tally = admin_env.tally(again)
        # A group that the server had received may have become visible since it was counted.
        assert tally[Outcome.ALREADY_PRESENT] >= present
        assert tally[Outcome.COPIED] == person.messages - tally[Outcome.ALREADY_PRESENT]
        admin_env.assert_exactly_once(again, present_before=True)


@pytest.mark.parametrize("patient", [True, False])
def test_what_a_power_cut_dropped_is_found_again_and_blamed_on_nobody(
    dovecot_pair: DovecotPair, *, patient: bool
) -> None:
    """Drops the end of the append-only file, as `everysec` does: messages are there of which the ledger knows nothing."""
    with (
        Gate(dovecot_pair.destination, "c2s", b"", delay_ms=SLOW_MS) as slow,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination, MAILHAUL_GROUP_MESSAGES="5") as admin_env,
    ):
        admin_env.destination_port = slow.port
        person = admin_env.person(folders_of(34, {"INBOX": 300, "Work": 300}, twins=20))
        admin_env.start_worker(WORKER if patient else HASTY + WORKER)
        admin_env.start_coordinator()
        whole = admin_env.submit()
        admin_env.until_done(whole, 100)
        kept = admin_env.redis.written()
        admin_env.until_done(whole, 200)
        admin_env.redis.kill()
        admin_env.redis.cut_back(kept)
        admin_env.redis.start()
        slow.hurry()
        admin_env.await_finished(whole)
        ((mailbox, _),) = admin_env.store.mailboxes(whole.import_id)
        if not patient:
            assert mailbox.state is MailboxState.PARKED
            return
        assert mailbox.state is MailboxState.COMPLETE
        tally = admin_env.tally(whole)
        assert tally[Outcome.ALREADY_PRESENT] > 0, "nothing was dropped"
        assert tally[Outcome.COPIED] + tally[Outcome.ALREADY_PRESENT] == person.messages
        admin_env.assert_exactly_once(whole, present_before=True)
