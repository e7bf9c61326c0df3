"""Tests a wipe of Redis during a run while workers go on: the same command again brings every message exactly once."""

from __future__ import annotations

import pytest

from tests.conftest import DovecotPair
from tests.integration.office import BLIND, WORKER, Gate, Office, folders_of

#: One-way delay that keeps mail on the line while Redis is wiped.
SLOW_MS = 300.0
#: Disables the three protections against second copies after a wipe: the wait for mail on the line, the check for other
#: writers, and the removal of second copies.
RECKLESS = (
    BLIND
    + """
import worker.doubles, worker.lane
worker.lane.Lane._unsettled_seconds = lambda self, lease: 0.0
worker.doubles._ours = lambda *_, **__: False
"""
)


@pytest.mark.parametrize(("times", "careful"), [(1, True), (3, True), (1, False)])
def test_wiped_while_workers_go_on_the_same_command_again_brings_nothing_twice(
    dovecot_pair: DovecotPair, times: int, careful: bool
) -> None:
    """Runs the negative control unless `careful`."""
    with (
        Gate(dovecot_pair.destination, "c2s", b"", delay_ms=SLOW_MS) as slow,
        Office(
            dovecot_pair.source, dovecot_pair.destination, MAILHAUL_GROUP_MESSAGES="5", MAILHAUL_SETTLE_SECONDS="3"
        ) as office,
    ):
        office.destination_port = slow.port
        person = office.person(folders_of(41, {"INBOX": 400, "Work": 400}, twins=20))
        program = WORKER if careful else RECKLESS + WORKER
        for _ in range(2):
            office.start_worker(program)
        office.start_coordinator()
        whole = office.submit()
        for _ in range(times):
            before = office.held_at(person) + office.held_at(person, "Work")
            office.until(
                lambda before=before: office.held_at(person) + office.held_at(person, "Work") >= before + 60,  # type: ignore[misc]
                "some more messages at the destination",
            )
            office.redis.flush()
            again = office.submit()
            assert again.import_id == whole.import_id
        slow.hurry()
        office.await_finished(whole)
        if careful:
            office.assert_exactly_once(whole, present_before=True)
        else:
            assert office.difference(person).surplus, "nothing protects it, and nothing was doubled"
