"""Tests looks with real worker processes and Redis: workers are killed in the middle of them."""

from __future__ import annotations

from shared.rules.standing import Standing
from tests.conftest import DovecotPair
from tests.integration.process_cluster import Gate, ProcessCluster, folders_of
from tests.mail import populate


def test_a_worker_killed_in_a_look_costs_nothing(dovecot_pair: DovecotPair) -> None:
    with (
        Gate(dovecot_pair.source, "c2s", b"", delay_ms=100.0) as gate,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination) as office,
    ):
        office.source_port = gate.port
        people = [office.person(folders_of(70 + n, {"INBOX": 10, "Work": 3})) for n in range(3)]
        worker = office.start_worker()
        office.start_coordinator()
        whole = office.submit()
        office.await_finished(whole)
        office.store.set_standing(whole.import_id, "", Standing(least_seconds=1, most_seconds=1))
        for kill in range(3):
            fresh = folders_of(80 + kill, {"INBOX": 2})
            for person in people:
                populate(office.source.host, office.source.port, person.login, person.password, fresh)
            office.until(lambda: any(unit.endswith(".look") for unit in office.leased()), "a look")
            worker.kill()
            worker.start()
            wanted = sum(13 + 2 * (kill + 1) for _ in people)
            office.until_done(whole, wanted)
        office.store.set_standing(whole.import_id, "", None)
        office.await_finished(whole)
        for person in people:
            assert office.held_at(person) == 16, "10 at first, and 2 after each kill"
        tally = office.store.standing_tally(whole.import_id)
        assert tally.found >= 3
        assert tally.mailboxes == 0
