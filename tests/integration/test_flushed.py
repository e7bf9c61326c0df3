"""Tests that Redis is wiped during a run while the workers go on.

The same command again brings every message exactly once.
"""

from __future__ import annotations

import pytest

from tests.conftest import DovecotPair
from tests.integration.process_cluster import BLIND, WORKER, Gate, ProcessCluster, folders_of

#: Delay of the line, so that mail is on it when Redis is wiped.
SLOW_MS = 300.0
#: Disables what prevents second copies after a loss of the store: the wait for what is on the line, the check for other
#: writers, and the removal of second copies.
RECKLESS = (
    BLIND
    + """
import worker.verifying.doubles, worker.unit_work
worker.unit_work.UnitWork._unsettled_seconds = lambda *_: 0.0
worker.verifying.doubles._ours = lambda *_, **__: False
"""
)


@pytest.mark.parametrize("times", [1, 3])
def test_wiped_while_workers_go_on_the_same_command_again_brings_nothing_twice(
    dovecot_pair: DovecotPair, times: int
) -> None:
    with (
        Gate(dovecot_pair.destination, "c2s", b"", delay_ms=SLOW_MS) as slow,
        ProcessCluster(
            dovecot_pair.source, dovecot_pair.destination, MAILHAUL_GROUP_MESSAGES="5", MAILHAUL_SETTLE_SECONDS="3"
        ) as admin_env,
    ):
        admin_env.destination_port = slow.port
        person = admin_env.person(folders_of(41, {"INBOX": 400, "Work": 400}, twins=20))
        for _ in range(2):
            admin_env.start_worker()
        admin_env.start_coordinator()
        whole = admin_env.submit()
        for _ in range(times):
            before = admin_env.held_at(person) + admin_env.held_at(person, "Work")
            admin_env.until(
                lambda before=before: admin_env.held_at(person) + admin_env.held_at(person, "Work") >= before + 60,  # type: ignore[misc]
                "some more messages at the destination",
            )
            admin_env.redis.flush()
            again = admin_env.submit()
            assert again.import_id == whole.import_id
        slow.hurry()
        admin_env.await_finished(whole)
        admin_env.assert_exactly_once(whole, present_before=True)


@pytest.mark.parametrize("careful", [True, False])
def test_what_was_on_the_line_when_redis_was_wiped_arrives_once(dovecot_pair: DovecotPair, careful: bool) -> None:
    """Holds up the first group on its way; the workers, which have lost its record, get the same command.

    Without `careful` it is the negative control.
    """
    with (
        Gate(dovecot_pair.destination, "c2s", b"\r\nReceived: from ") as gate,
        ProcessCluster(
            dovecot_pair.source, dovecot_pair.destination, MAILHAUL_GROUP_MESSAGES="1", MAILHAUL_SETTLE_SECONDS="3"
        ) as admin_env,
    ):
        admin_env.destination_port = gate.port
        person = admin_env.person(folders_of(43, {"INBOX": 40}))
        admin_env.start_worker(WORKER if careful else RECKLESS + WORKER)
        admin_env.start_coordinator()
        whole = admin_env.submit()
        gate.await_waiting()
        gate.await_held(b"MIME-Version: 1.0")
        admin_env.redis.flush()
        admin_env.submit()
        if not careful:
            gate.await_waiting(2)
        gate.open()
        admin_env.await_finished(whole)
        if careful:
            admin_env.assert_exactly_once(whole, present_before=True)
        else:
            assert admin_env.difference(person).surplus, "nothing protects it, and nothing was doubled"
