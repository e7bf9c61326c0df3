"""Tests workers killed and frozen while several of their lanes copy one folder of a slow destination."""

from __future__ import annotations

import pytest

from tests.conftest import DovecotPair
from tests.integration.process_cluster import BLIND, WORKER, ProcessCluster, folders_of
from tests.servers.slow_appends import SlowAppends

#: A worker that takes what an earlier one left for not sent: the negative control.
WITHOUT_LOOKING = """
from worker import copy, recovery
def withdrawn(lease, store, *rest):
    word = store.progress(lease, withdrawn=[intent.intent_id for intent in lease.intents]).word
    return recovery.Looked(found=recovery.NO_UIDS, absent=recovery.NO_UIDS, wait_seconds=0, wanted=word)
copy.look = withdrawn
"""

#: One folder of so many messages takes one lane 24 s.
MESSAGES, SECONDS = 1200, 0.02
LIMITS = {f"MAILHAUL_{side}_ACCOUNT_CONNECTIONS": "6" for side in ("SOURCE", "DESTINATION")} | {
    "MAILHAUL_WORKER_THREADS": "2",
    "MAILHAUL_BATCH_MESSAGES": "2000",
    "MAILHAUL_FOLDER_WRITERS": "16",
}


@pytest.mark.parametrize("program", ["whole", "without looking"])
def test_killed_while_several_lanes_copy_one_folder(dovecot_pair: DovecotPair, program: str) -> None:
    to = dovecot_pair.destination
    code = WORKER if program == "whole" else BLIND + WITHOUT_LOOKING + WORKER
    with (
        SlowAppends(to.host, to.port, SECONDS) as relay,
        ProcessCluster(dovecot_pair.source, to, **LIMITS) as admin_env,
    ):
        admin_env.destination_port = relay.port
        person = admin_env.person(folders_of(61, {"INBOX": MESSAGES}, twins=400))
        workers = [admin_env.start_worker(code) for _ in range(3)]
        admin_env.start_coordinator()
        whole = admin_env.submit()
        for worker, done in zip(workers, (250, 500, 750), strict=True):
            admin_env.until(
                lambda done=done: len(admin_env.leased()) > 2 and admin_env.done(whole) >= done, "several lanes"
            )
            worker.kill()
            worker.start()
        admin_env.await_finished(whole)
        assert any(worker.said(event="folder_widened") for worker in workers)
        if program == "whole":
            admin_env.assert_exactly_once(whole)
        else:
            assert admin_env.difference(person).surplus, "the oracle is blind"


def test_frozen_past_its_lease_while_others_copy_the_same_folder(dovecot_pair: DovecotPair) -> None:
    to = dovecot_pair.destination
    with (
        SlowAppends(to.host, to.port, SECONDS) as relay,
        ProcessCluster(dovecot_pair.source, to, **LIMITS) as admin_env,
    ):
        admin_env.destination_port = relay.port
        admin_env.person(folders_of(62, {"INBOX": MESSAGES}, twins=400))
        frozen, *others = [admin_env.start_worker() for _ in range(3)]
        admin_env.start_coordinator()
        whole = admin_env.submit()
        admin_env.until(lambda: len(admin_env.leased()) > 2 and admin_env.done(whole) >= 300, "several lanes")
        frozen.freeze()
        admin_env.until(lambda: admin_env.done(whole) == MESSAGES, "all messages")
        frozen.thaw()
        admin_env.await_finished(whole)
        assert any(worker.said(event="folder_widened") for worker in (frozen, *others))
        admin_env.assert_exactly_once(whole)
