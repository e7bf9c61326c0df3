"""Tests a worker killed in a literal, between the server's OK and the record, or by a message."""

from __future__ import annotations

import pytest

from shared.model.lifecycle import Outcome
from tests.conftest import DovecotPair
from tests.integration.process_cluster import BLIND, MIDDLE, WORKER, Gate, ProcessCluster, folders_of, large, marked

#: A worker that does not store its intents: the negative control.
WITHOUT_INTENTS = """
import sys
from shared.store.redis.redis_store import RedisStore
from worker.__main__ import main
progress = RedisStore.progress
RedisStore.progress = lambda self, lease, **given: progress(self, lease, **{**given, "intents": ()})
sys.exit(main())
"""

#: A worker that dies of one message, as by a parser's crash or the kernel's OOM killer.
MORTAL = """
import os, sys
from shared.mail.imap.imap_source import ImapSource
from worker.__main__ import main
fetch = ImapSource.fetch
def fatal(self, uids, **known):
    for message in fetch(self, uids, **known):
        if b"this kills its reader" in (message.body or b""):
            os._exit(9)
        yield message
ImapSource.fetch = fatal
sys.exit(main())
"""

#: A coordinator that does not wait for dead workers to close their sockets.
HASTY = """
import sys
import producer.coordinator.tick as tick
from producer.coordinator.__main__ import main
tick.GRACE_SECONDS = 0.2
sys.exit(main())
"""


def test_killed_in_the_middle_of_a_literal(dovecot_pair: DovecotPair) -> None:
    folders = folders_of(11, {"INBOX": 30, "Work": 40}, twins=3)
    folders["INBOX"].insert(15, large(11, 3_000_000))
    with (
        Gate(dovecot_pair.destination, "c2s", MIDDLE) as gate,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination) as admin_env,
    ):
        admin_env.destination_port = gate.port
        admin_env.person(folders)
        first = admin_env.start_worker()
        admin_env.start_coordinator()
        whole = admin_env.submit()
        gate.await_waiting()
        first.kill()
        gate.pattern = b""
        admin_env.start_worker()
        admin_env.await_finished(whole)
        admin_env.assert_exactly_once(whole)


@pytest.mark.parametrize("program", ["whole", "without intents"])
def test_killed_after_the_servers_ok_and_before_the_record(dovecot_pair: DovecotPair, program: str) -> None:
    with (
        Gate(dovecot_pair.destination, "s2c", b"[APPENDUID") as gate,
        ProcessCluster(dovecot_pair.source, dovecot_pair.destination) as admin_env,
    ):
        admin_env.destination_port = gate.port
        person = admin_env.person(folders_of(12, {"INBOX": 60}, twins=5))
        first = admin_env.start_worker(WITHOUT_INTENTS) if program == "without intents" else admin_env.start_worker()
        admin_env.start_coordinator()
        whole = admin_env.submit()
        gate.await_waiting()
        first.kill()
        assert admin_env.held_at(person) >= 20
        gate.pattern = b""
        admin_env.start_worker(BLIND + WORKER if program == "without intents" else WORKER)
        admin_env.await_finished(whole)
        if program == "whole":
            admin_env.assert_exactly_once(whole)
        else:
            assert admin_env.difference(person).surplus.total() >= 20, "the oracle is blind"


@pytest.mark.slow
def test_a_message_that_kills_its_worker_costs_nobody_else(dovecot_pair: DovecotPair) -> None:
    folders = folders_of(13, {"INBOX": 60, "Bad": 12, "Work": 150, "Work/Deep": 90})
    folders["Bad"][6] = marked(folders["Bad"][6], b"this kills its reader")
    quick = {"MAILHAUL_LEASE_SECONDS": "1.5", "MAILHAUL_RENEW_SECONDS": "0.5", "MAILHAUL_SETTLE_SECONDS": "0.2"}
    with ProcessCluster(dovecot_pair.source, dovecot_pair.destination, **quick) as admin_env:
        person = admin_env.person(folders)
        worker = admin_env.start_worker(MORTAL)
        admin_env.start_coordinator(HASTY)
        whole = admin_env.submit()
        deaths = 0

        def finished() -> bool:
            nonlocal deaths
            deaths += worker.restart_if_dead()
            return admin_env.finished(whole)

        admin_env.until(finished, "the end of the import", 240)
        assert deaths >= 4, "it was not deadly"
        wrong = admin_env.difference(person)
        assert not wrong.surplus
        assert [kept.folder for kept in wrong.lost.elements()] == [b"Bad"]
        tally = admin_env.tally(whole)
        assert (tally[Outcome.FAILED], tally[Outcome.COPIED]) == (1, person.messages - 1)
        bad = next(
            f
            for f, _ in admin_env.store.folders(admin_env.store.mailboxes(whole.import_id)[0][0].mailbox_id)
            if f.display == "Bad"
        )
        (note,) = admin_env.store.notes(bad.folder_id)
        assert (note.uid, note.what) == (7, Outcome.FAILED)
        admin_env.assert_books(whole)
