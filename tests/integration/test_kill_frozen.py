"""Tests a worker that stops for longer than its lease and comes back, as on a paused or swapping machine."""

from __future__ import annotations

import pytest

from tests.conftest import DovecotPair
from tests.integration.process_cluster import BLIND, WORKER, Gate, ProcessCluster, folders_of, marked

FIRST_STOP, SECOND_STOP = b"-- here the first one stops --", b"-- here the second one stops --"

#: Makes the store accept old terms, in this process only: other processes have their own scripts.
FENCE_OFF = """
from shared.store.redis import scripts
sources = scripts.sources
LINE = "if h[1] ~= term or h[2] ~= holder or h[3] ~= 'leased' then return false end"
def spoilt():
    found = sources()
    assert any(LINE in text for text in found.values())
    return {name: text.replace(LINE, "") for name, text in found.items()}
scripts.sources = spoilt
"""

#: Makes the worker ignore its own clock and keep its sessions open.
CLOCK_OFF = """
from worker.lease_keeper import LeaseKeeper
from shared.model.lifecycle import Wish
LeaseKeeper.wish = lambda self, lease: Wish.RUN
LeaseKeeper._shut = lambda self, one, word: None
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before verification", "after the end"])
def test_what_a_frozen_worker_had_sent_arrives_late_and_is_removed(dovecot_pair: DovecotPair, when: str) -> None:
    # All messages have the same flags, so that the client never has to wait for the server before it sends.
    alike = [one._replace(flags=("\\Seen",)) for one in folders_of(21, {"INBOX": 100}, twins=8)["INBOX"]]
    alike[24] = marked(alike[24], FIRST_STOP)
    alike[69] = marked(alike[69], SECOND_STOP)
    with (
        Gate(dovecot_pair.source, "s2c", SECOND_STOP) as source,
        Gate(dovecot_pair.destination, "c2s", FIRST_STOP) as destination,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination) as admin_env,
    ):
        admin_env.source_port, admin_env.destination_port = source.port, destination.port
        person = admin_env.person({"INBOX": alike})
        frozen = admin_env.start_worker()
        admin_env.start_coordinator()
        whole = admin_env.submit()
        destination.await_waiting()
        source.await_waiting()
        destination.await_held(alike[59].body)  # the last data that it will send
        frozen.freeze()
        destination.pattern = b""
        if when == "after the end":
            source.pattern = b""
        # Another worker takes the batch, and is kept from finishing it, or not.
        admin_env.start_worker()
        if when == "after the end":
            admin_env.await_finished(whole)
        else:
            source.await_waiting(2)
        admin_env.until(lambda: admin_env.held_at(person) >= 60, "the second worker's copies")
        there = admin_env.held_at(person)
        # The data on the line now arrives: messages 21 to 60 a second time.
        destination.open()
        admin_env.until(lambda: admin_env.held_at(person) >= there + 40, "the late copies")
        frozen.thaw()
        admin_env.until(lambda: bool(frozen.said(event="unit_ended", result="lease_lost")), "the end of its lease")
        assert bool(frozen.said(event="verified_again")) == (when == "after the end")
        source.open()
        admin_env.await_finished(whole)
        admin_env.assert_exactly_once(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoilt", [(), ("clock",), ("fence",), ("clock", "fence")], ids=lambda names: " ".join(names) or "whole"
)
def test_a_frozen_worker_that_wakes_does_nothing_any_more(dovecot_pair: DovecotPair, spoilt: tuple[str, ...]) -> None:
    folders = folders_of(22, {"INBOX": 100}, twins=8)
    folders["INBOX"][29] = marked(folders["INBOX"][29], FIRST_STOP)
    folders["INBOX"][69] = marked(folders["INBOX"][69], SECOND_STOP)
    whatever_else = BLIND if len(spoilt) == 2 else ""
    program = "".join({"clock": CLOCK_OFF, "fence": FENCE_OFF}[name] for name in spoilt) + whatever_else + WORKER
    with (
        Gate(dovecot_pair.source, "s2c", FIRST_STOP) as source,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination) as admin_env,
    ):
        admin_env.source_port = source.port
        person = admin_env.person(folders)
        frozen = admin_env.start_worker(program)
        admin_env.start_coordinator()
        whole = admin_env.submit()
        source.await_waiting()
        frozen.freeze()
        source.pattern = SECOND_STOP
        admin_env.start_worker(whatever_else + WORKER)
        source.await_waiting(2)
        admin_env.until(lambda: admin_env.held_at(person) >= 60, "the second worker's copies")
        ended = len(frozen.said(event="unit_ended"))
        frozen.thaw()
        source.release_first()
        admin_env.until(lambda: len(frozen.said(event="unit_ended")) > ended, "the end of what it was at")
        source.open()
        admin_env.await_finished(whole)
        if len(spoilt) < 2:
            admin_env.assert_exactly_once(whole)
        else:
            assert admin_env.difference(person).surplus, "the oracle is blind"
