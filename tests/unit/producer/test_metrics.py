"""Every label has a fixed set of values, and all of them are there from the start."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from prometheus_client import generate_latest

from shared.metrics import IMAP_COMMANDS, UNIT_RESULTS, CoordinatorMetrics, WebMetrics, WorkerMetrics, start_http
from shared.model import UnitKind, Wave
from shared.model.cutover import Cutover
from shared.model.events import (
    CommandEnded,
    DeletedAtSource,
    DeletionsFollowed,
    DoubtResolved,
    GroupSettled,
    HeldBack,
    MovedAtSource,
    SessionEnded,
    SignedIn,
    TakenAway,
    UnitEnded,
    VerifyMismatch,
)
from shared.model.lifecycle import CutoverState, MailboxState
from shared.runtime.redis_condition import Condition
from worker.decisions.failures import TABLE


def test_every_code_of_the_failure_table_is_known_to_the_metrics() -> None:
    codes = {row.code.format(side=side) for row in TABLE for side in ("source", "destination")}
    assert codes <= set(UNIT_RESULTS)


def test_outcomes_are_born_at_zero_and_counted() -> None:
    metrics = WorkerMetrics()
    assert b'mailhaul_messages_total{outcome="copied"} 0.0' in generate_latest(metrics.registry)
    metrics(GroupSettled(outcome="copied", messages=7, size_bytes=70))
    metrics(SignedIn(side="source", result="AuthenticationRefused", seconds=0.1))
    metrics(DoubtResolved(found=2, absent=1))
    metrics(VerifyMismatch(what="missing", messages=1))
    metrics(TakenAway(what="moved", messages=4))
    metrics(DeletedAtSource(messages=5))
    metrics(MovedAtSource(messages=6))
    metrics(DeletionsFollowed(messages=3))
    text = generate_latest(metrics.registry).decode()
    assert 'mailhaul_messages_total{outcome="copied"} 7.0' in text
    assert 'mailhaul_imap_logins_total{result="auth_refused",side="source"} 1.0' in text
    assert 'mailhaul_in_doubt_messages_total{found="found"} 2.0' in text
    assert "mailhaul_moved_at_source_messages_total 6.0" in text
    assert "mailhaul_deleted_at_source_messages_total 5.0" in text
    assert "mailhaul_deletions_followed_messages_total 3.0" in text
    assert 'mailhaul_taken_away_messages_total{what="moved"} 4.0' in text


def test_an_unknown_result_cannot_make_a_new_series() -> None:
    metrics = WorkerMetrics()
    before = generate_latest(metrics.registry).count(b"\n")
    metrics(UnitEnded(kind=UnitKind.COPY, result="anna@example.org", seconds=1))
    text = generate_latest(metrics.registry)
    assert text.count(b"\n") == before
    assert b"anna" not in text


def test_a_standby_shows_zeros() -> None:
    metrics = CoordinatorMetrics()
    metrics.publish_leader(True)
    metrics.publish_imports({"running": 2}, {}, 5, 50)
    metrics.publish_leader(False)
    text = generate_latest(metrics.registry).decode()
    assert "mailhaul_leader 0.0" in text
    assert "mailhaul_backlog_messages 0.0" in text
    assert 'mailhaul_imports{state="running"} 0.0' in text


def test_the_page_and_the_two_healths() -> None:
    metrics = WorkerMetrics()
    server = start_http(metrics.registry, 0, "127.0.0.1", ready=lambda: (False, "no store"))
    base = f"http://127.0.0.1:{server.server_port}"
    try:
        assert b"mailhaul_messages_total" in urllib.request.urlopen(f"{base}/metrics").read()
        assert urllib.request.urlopen(f"{base}/healthz").status == 200
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{base}/readyz")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{base}/etc/passwd")
    finally:
        server.shutdown()


def test_workers_of_one_machine_take_the_next_free_port() -> None:
    metrics = WorkerMetrics()
    first = start_http(metrics.registry, 0, "127.0.0.1")
    second = start_http(metrics.registry, first.server_port, "127.0.0.1", ports=30)
    try:
        assert first.server_port < second.server_port < first.server_port + 30
        with pytest.raises(OSError, match="in use"):
            start_http(metrics.registry, first.server_port, "127.0.0.1")
    finally:
        first.shutdown()
        second.shutdown()


def _series(metrics: WorkerMetrics | CoordinatorMetrics | WebMetrics) -> set[tuple[str, str]]:
    return {
        (sample.name, str(sorted(sample.labels.items())))
        for family in metrics.registry.collect()
        for sample in family.samples
    }


def test_ten_thousand_mailboxes_make_no_series_more() -> None:
    worker, coordinator = WorkerMetrics(), CoordinatorMetrics()
    before = _series(worker), _series(coordinator)
    for number in range(10_000):
        worker(UnitEnded(kind=UnitKind.COPY, result="finished", seconds=number))
        worker(SignedIn(side="source", result="ok", seconds=0.1))
        worker(SessionEnded(side="source"))
        worker(HeldBack(scope="source_account", seconds=1))
    for command in IMAP_COMMANDS:
        worker(CommandEnded(side="destination", command=command, seconds=1))
    coordinator.publish_imports({"running": 1}, {MailboxState.COPYING: 10_000}, 1, 1, 60.0)
    coordinator.publish_jobs({UnitKind.COPY: 16}, {UnitKind.COPY: 1})
    coordinator.publish_redis(Condition(memory_used=1))
    assert (_series(worker), _series(coordinator)) == before


def test_the_waves_make_few_series_however_many_there_are() -> None:
    metrics = CoordinatorMetrics()
    waves = [Wave(name=f"w{n:02}", mailboxes={MailboxState.COPYING: 2}) for n in range(100)]
    metrics.publish_imports({"running": 2}, {}, 0, 0, 1.0, [*waves, waves[0]])

    def value(wave: str, state: str) -> float | None:
        return metrics.registry.get_sample_value("mailhaul_wave_mailboxes", {"wave": wave, "state": state})

    assert (value("w00", "copying"), value("w00", "parked"), value("w19", "copying")) == (4, 0, 2)
    assert (value("w20", "copying"), value("(others)", "copying")) == (None, 160)
    metrics.publish_leader(False)
    assert value("w00", "copying") is None, "a wave that is gone has no series"


def test_a_standby_wakes_nobody() -> None:
    metrics = CoordinatorMetrics()
    metrics.publish_redis(Condition(aof=False, memory_used=9, memory_limit=10))
    assert metrics.registry.get_sample_value("mailhaul_redis_aof_ok") == 0
    metrics.publish_leader(False)
    assert metrics.registry.get_sample_value("mailhaul_redis_aof_ok") == 1
    assert metrics.registry.get_sample_value("mailhaul_redis_memory_used_bytes") == 0


def test_what_the_page_answers_makes_no_series_more() -> None:
    metrics = WebMetrics()
    before = _series(metrics)
    for status in (101, 200, 204, 303, 404, 421, 503, 999):
        metrics.observe_request(status, 0.01)
    assert _series(metrics) == before


def test_who_was_refused_has_a_series_in_every_state_and_the_others_none() -> None:
    metrics = CoordinatorMetrics()
    switched = Cutover(import_id="a" * 16, wave="pilot", state=CutoverState.SWITCHED, since=10.0)
    back = Cutover(import_id="a" * 16, wave="rest", state=CutoverState.ROLLED_BACK, since=10.0)
    metrics.publish_cutovers([(switched, {"turned": (False, 3.0)}), (back, {})], [3, 2], 70.0)
    told = generate_latest(metrics.registry).decode()
    assert 'mailhaul_cutover_refused{import="aaaaaaaa",wave="pilot"} 3.0' in told
    assert 'mailhaul_cutover_refused{import="aaaaaaaa",wave="rest"} 2.0' in told
    assert 'mailhaul_cutover_state_seconds{import="aaaaaaaa",state="switched",wave="pilot"} 60.0' in told
    assert 'wave="rest"' not in told.replace('mailhaul_cutover_refused{import="aaaaaaaa",wave="rest"}', "")
    metrics.publish_cutovers([(switched, {}), (back, {})], [0, 0], 70.0)
    assert "mailhaul_cutover_refused{" not in generate_latest(metrics.registry).decode()
