"""Tests the search for the number of lanes with real processes: a server that refuses connections, and one that is good for few."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from shared.model.lanes import LanePlace, Reason
from tests.integration.process_cluster import COORDINATOR, WORKER, ProcessCluster, folders_of
from tests.servers.dovecot import Dovecot
from tests.servers.slow_appends import SlowAppends

CAP = 3
#: Windows are short, so that the test is.
SHORT = """
from producer.coordinator import lane_steering, tick
from shared.rules import lane_search as lanes
lanes.WINDOW_SECONDS, lanes.REST_SECONDS = 2.0, 1.0
lane_steering.SETTLE_SECONDS, tick.STEER_SECONDS = 0.5, 0.4
"""
#: A worker for which little work is worth a lane, and one that believes of no refusal that there are too many connections.
EAGER = """
from shared.rules.batching import USUAL_WORTH
object.__setattr__(USUAL_WORTH, "messages", 10)
"""
BLIND = """
from worker import failed_units
failed_units.Throttled = type("Throttled", (), {})
"""
MANY = {f"MAILHAUL_{side}_ACCOUNT_CONNECTIONS": "6" for side in ("SOURCE", "DESTINATION")} | {
    "MAILHAUL_WORKER_THREADS": "6",
    "MAILHAUL_GROUP_MESSAGES": "2",
    "MAILHAUL_BATCH_MESSAGES": "20",
}


@pytest.fixture(scope="module")
def strict() -> Iterator[tuple[Dovecot, Dovecot]]:
    """Returns a source, and a destination that takes few connections of one account."""
    with Dovecot() as source, Dovecot() as destination:
        destination.configure(extra=f"protocol imap {{\n  mail_max_userip_connections = {CAP}\n}}\n")
        yield source, destination


def imported(strict: tuple[Dovecot, Dovecot], program: str) -> tuple[LanePlace | None, list[str]]:
    """Imports a mailbox, and returns what was found at its destination account, and the codes of its failures."""
    source, destination = strict
    with (
        SlowAppends(destination.host, destination.port, 0.02) as relay,
        ProcessCluster(source, destination, **MANY) as office,
    ):
        office.destination_port = relay.port
        office.person(folders_of(3, {f"F{n}": 40 for n in range(10)}))
        relay.pace(math.inf)  # nobody ends, so that more lanes come until one is refused
        office.start_worker(program)
        office.start_coordinator()
        whole = office.submit()
        if BLIND in program:
            office.until(lambda: bool(office.store.overview().holds), "a hold")
            relay.pace(0.02)
        else:
            office.until(lambda: any(p.search for p in office.store.lane_places()), "a refusal")
            relay.pace(0.02)
            office.await_finished(whole)
            office.assert_exactly_once(whole)
        (row, _), *_ = office.store.mailboxes(whole.import_id)
        codes = [failure.code for failure in office.store.failures(row.mailbox_id)]
        return next((p for p in office.store.lane_places() if p.name.startswith("destination_account:")), None), codes


def test_a_server_that_refuses_one_more_gets_as_many_as_it_takes(strict: tuple[Dovecot, Dovecot]) -> None:
    found, codes = imported(strict, EAGER + WORKER)
    assert codes == [], "no failure, and no alarm"
    assert found
    assert found.search
    assert CAP - 1 <= found.search.limit < 6
    assert found.search.reason is Reason.REFUSED
    assert found.search.version <= 5, "each refusal says one thing, and no more lanes than are let in ask again"


def test_without_it_a_refusal_stops_everybody_for_a_minute(strict: tuple[Dovecot, Dovecot]) -> None:
    """Proves it (negative control): the refusal of one connection would hold those that are in."""
    _, codes = imported(strict, EAGER + BLIND + WORKER)
    assert "destination_throttled" in codes


def test_a_server_that_is_good_for_one_at_a_time_has_one_or_two(strict: tuple[Dovecot, Dovecot]) -> None:
    source, _ = strict
    limits = {name: "3" for name in MANY if name.endswith("CONNECTIONS")}
    with (
        Dovecot() as destination,
        # Slow until fewer lanes were found: a busy coordinator finds them late, and there has to be mail until then.
        SlowAppends(destination.host, destination.port, 0.06, at_once=1) as relay,
        ProcessCluster(source, destination, **(MANY | limits)) as office,
    ):
        office.destination_port = relay.port
        office.person(folders_of(5, {f"F{n}": 90 for n in range(8)}))
        office.start_worker(EAGER + WORKER)
        office.start_coordinator(SHORT + COORDINATOR)
        whole = office.submit()

        def fewer() -> bool:
            places = [p for p in office.store.lane_places() if p.name.startswith("destination_account:")]
            return any(p.search and p.search.kept <= 2 and p.lanes <= 2 for p in places)

        office.until(fewer, "fewer are as good as three")
        relay.pace(0.01)
        office.await_finished(whole)
        office.assert_exactly_once(whole)
