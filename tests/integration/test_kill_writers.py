"""Tests workers killed and frozen while several of their lanes copy one folder of a slow destination."""

from __future__ import annotations

import math

import pytest

from tests.conftest import DovecotPair
from tests.integration.process_cluster import BLIND, WORKER, Child, ProcessCluster, folders_of
from tests.servers.slow_appends import SlowAppends

#: A worker to which a lane more is worth it for little: the folder may be small then, and the test short.
EAGER = """
from shared.rules.batching import USUAL_WORTH
from worker.decisions.shares import Widening
object.__setattr__(USUAL_WORTH, "messages", 10)
Widening.__init__.__kwdefaults__.update(
    least_messages=100, probe_messages=20, probe_group=5, lane_seconds=0.5, share_messages=10
)
"""
#: A worker that takes what an earlier one left for not sent: the negative control.
WITHOUT_LOOKING = """
from worker.copying import copy_search, recovery
def withdrawn(lease, store, *rest):
    word = store.progress(lease, withdrawn=[intent.intent_id for intent in lease.intents]).word
    return recovery.Looked(found=recovery.NO_UIDS, absent=recovery.NO_UIDS, wait_seconds=0, wanted=word)
copy_search.look = withdrawn
"""

MESSAGES, SECONDS = 400, 0.02
LIMITS = {f"MAILHAUL_{side}_ACCOUNT_CONNECTIONS": "6" for side in ("SOURCE", "DESTINATION")} | {
    "MAILHAUL_WORKER_THREADS": "2",
    "MAILHAUL_BATCH_MESSAGES": "2000",
    "MAILHAUL_GROUP_MESSAGES": "2",
}


def hold_while_both_send(admin_env: ProcessCluster, relay: SlowAppends, victim: Child) -> None:
    """Keeps answers back until a lane of the victim and one of another worker wait for theirs.

    That always comes while there is work for both, since nothing gets done meanwhile. What is held back stands at the
    destination already.
    """
    relay.pace(math.inf)
    live = {child.pid for child in admin_env.children if child.running}
    admin_env.until(
        lambda: victim.pid in (busy := admin_env.sending() & live) and len(busy) > 1, "lanes of two workers"
    )


@pytest.mark.parametrize("program", ["whole", "without looking"])
def test_killed_while_several_lanes_copy_one_folder(dovecot_pair: DovecotPair, program: str) -> None:
    to = dovecot_pair.destination
    code = EAGER + (WORKER if program == "whole" else BLIND + WITHOUT_LOOKING + WORKER)
    with (
        SlowAppends(to.host, to.port, SECONDS) as relay,
        ProcessCluster(dovecot_pair.source, to, **LIMITS) as admin_env,
    ):
        admin_env.destination_port = relay.port
        person = admin_env.person(folders_of(61, {"INBOX": MESSAGES}, twins=130))
        workers = [admin_env.start_worker(code) for _ in range(3)]
        admin_env.start_coordinator()
        whole = admin_env.submit()
        for worker, done in zip(workers, (40, 120, 200), strict=True):
            admin_env.until_done(whole, done)
            hold_while_both_send(admin_env, relay, worker)
            worker.kill()
            worker.start()
            relay.pace(SECONDS)
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
        admin_env.person(folders_of(62, {"INBOX": MESSAGES}, twins=130))
        frozen, *others = [admin_env.start_worker(EAGER + WORKER) for _ in range(3)]
        admin_env.start_coordinator()
        whole = admin_env.submit()
        admin_env.until_done(whole, 60)
        hold_while_both_send(admin_env, relay, frozen)
        frozen.freeze()
        relay.pace(SECONDS)
        admin_env.until_done(whole, MESSAGES)
        frozen.thaw()
        admin_env.await_finished(whole)
        assert any(worker.said(event="folder_widened") for worker in (frozen, *others))
        admin_env.assert_exactly_once(whole)
