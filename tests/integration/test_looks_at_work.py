"""Tests looks with real worker processes and Redis: workers are killed in the middle of them."""

from __future__ import annotations

from shared.rules.standing import Standing
from tests.conftest import DovecotPair
from tests.integration.process_cluster import Gate, ProcessCluster, folders_of
from tests.mail import populate


def test_a_worker_killed_in_a_look_costs_nothing(dovecot_pair: DovecotPair) -> None:
    with (
        Gate(dovecot_pair.source, "c2s", b"", delay_ms=100.0) as gate,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination) as admin_env,
    ):
        admin_env.source_port = gate.port
        people = [admin_env.person(folders_of(70 + n, {"INBOX": 10, "Work": 3})) for n in range(3)]
        worker = admin_env.start_worker()
        admin_env.start_coordinator()
        whole = admin_env.submit()
        admin_env.await_finished(whole)
        admin_env.store.set_standing(whole.import_id, "", Standing(least_seconds=1, most_seconds=1))
        for kill in range(3):
            fresh = folders_of(80 + kill, {"INBOX": 2})
            for person in people:
                populate(admin_env.source.host, admin_env.source.port, person.login, person.password, fresh)
            admin_env.until(lambda: any(unit.endswith(".look") for unit in admin_env.leased()), "a look")
            worker.kill()
            worker.start()
            wanted = sum(13 + 2 * (kill + 1) for _ in people)
            admin_env.until_done(whole, wanted)
        admin_env.store.set_standing(whole.import_id, "", None)
        admin_env.await_finished(whole)
        for person in people:
            assert admin_env.held_at(person) == 16, "10 at first, and 2 after each kill"
        tally = admin_env.store.standing_tally(whole.import_id)
        assert tally.found >= 3
        assert tally.mailboxes == 0
