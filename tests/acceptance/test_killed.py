"""Tests a kill of all processes during an import: the same command goes on.

On one machine no process waits for the dead. Where workers may be on other machines, their leases must expire, and the
command says so.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from typing import Any

import pytest

from tests.acceptance.conftest import AdminEnvironment, Box, until
from tests.mail import make_message
from tests.servers.faulty import FaultyServer
from tests.servers.gmail import Gmail, fetched
from tests.servers.proxy import FaultProxy
from tests.servers.redis_server import RedisServer

MESSAGES = 300


@pytest.fixture
def line(admin_env: AdminEnvironment, fault_proxy: Any) -> FaultProxy:
    """Returns a proxy with a long delay, so that the messages take a while."""
    admin_env.variables |= {"MAILHAUL_GROUP_MESSAGES": "1", "MAILHAUL_SETTLE_SECONDS": "1"}
    proxy: FaultProxy = fault_proxy(admin_env.destination.host, admin_env.destination.port, delay_ms=150)
    return proxy


@pytest.fixture
def slow(admin_env: AdminEnvironment, line: FaultProxy) -> list[str]:
    """Returns the options of an import over this line."""
    return ["--source", admin_env.ends[1], "--destination", f"imap://127.0.0.1:{line.port}"]


def _killed_in_the_middle(admin_env: AdminEnvironment, slow: list[str], name: str, *more: str) -> tuple[Box, Box]:
    source, destination = admin_env.accounts(name)[name]
    source.fill({"INBOX": MESSAGES})
    process = admin_env.start("import", admin_env.manifest({name: f"pw-{name}"}), *slow, *more)
    until(lambda: sum(destination.seen().values()) > 5 or process.poll() is not None, "the first messages")
    os.killpg(process.pid, signal.SIGKILL)
    admin_env.ended(process, code=-signal.SIGKILL)
    return source, destination


def _goes_on(admin_env: AdminEnvironment, line: FaultProxy, slow: list[str], *more: str) -> str:
    """Runs the same command once more, without the delay. Returns what it said."""
    line.delay_seconds = 0.0
    ended = admin_env.run("import", admin_env.home / "people.csv", *slow, *more, "--json")
    found = json.loads(ended.out)["import"]
    assert found["copied"] == MESSAGES
    assert 0 < found["this_run"]["copied"] < MESSAGES
    assert found["waiting_for_lost_worker"] == {"messages": 0, "seconds": 0}
    return ended.said


def test_after_a_kill_of_everything_the_same_command_goes_on_at_once(
    admin_env: AdminEnvironment, line: FaultProxy, slow: list[str]
) -> None:
    # The lease is far longer than the deadline of a command: waiting for it, or for a connection, would fail the test.
    admin_env.variables |= {"MAILHAUL_LEASE_SECONDS": "3600", "MAILHAUL_DESTINATION_ACCOUNT_CONNECTIONS": "1"}
    source, destination = _killed_in_the_middle(admin_env, slow, "cut-down")
    said = _goes_on(admin_env, line, slow)
    assert "stopped responding" not in said
    assert destination.seen() == source.seen()


def test_with_a_redis_that_others_may_use_the_lease_runs_out_and_the_command_says_so(
    admin_env: AdminEnvironment, line: FaultProxy, slow: list[str], redis_server: RedisServer
) -> None:
    """Waits for the lease, too: without the check for dead processes it must expire.

    This is also the negative control of the test above.
    """
    admin_env.variables |= {
        "MAILHAUL_REDIS_URL": redis_server.url(0),
        "MAILHAUL_LEASE_SECONDS": "45",
        "MAILHAUL_RENEW_SECONDS": "5",
    }
    source, destination = _killed_in_the_middle(admin_env, slow, "elsewhere", "--workers", "1")
    said = _goes_on(admin_env, line, slow, "--workers", "1")
    assert "messages are held by a worker that stopped responding, free in about" in said
    assert destination.seen() == source.seen()


def test_gmails_labels_survive_a_kill_and_no_copy_is_made_twice(
    admin_env: AdminEnvironment, fault_proxy: Any, faulty_server: FaultyServer
) -> None:
    """Kills the processes while messages are copied at the destination."""
    gmail = Gmail(faulty_server, "labels", "pw-labels")
    for number in range(120):
        gmail.add(make_message(number), b"\\Inbox", b"Home", b"Work", flags=(b"\\Seen",) if number % 2 else ())
    admin_env.destination.add_user("labels", "pw-labels")
    destination = Box(admin_env.destination, "labels", "pw-labels")
    proxy = fault_proxy(admin_env.destination.host, admin_env.destination.port, delay_ms=40)
    ends = [
        "--source",
        f"imap://127.0.0.1:{faulty_server.port}",
        "--destination",
        f"imap://127.0.0.1:{proxy.port}",
        "--exclude",
        "*All Mail",
    ]
    admin_env.variables |= {
        "MAILHAUL_GROUP_MESSAGES": "20",
        "MAILHAUL_SETTLE_SECONDS": "1",
        "MAILHAUL_BATCH_MESSAGES": "20",
    }
    manifest = admin_env.manifest({"labels": "pw-labels"})
    for enough in (130, 200):
        process = admin_env.start("import", manifest, *ends)
        until(lambda: destination.seen().total() > enough or process.poll() is not None, "the first copies")  # noqa: B023
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    admin_env.run("import", manifest, *ends)
    seen = destination.seen()
    assert set(seen.values()) == {1}
    assert Counter(kept.folder for kept in seen) == {b"INBOX": 120, b"Home": 120, b"Work": 120}
    assert sum(fetched(faulty_server).values()) < 240, "360 without copies"
    assert Counter(("\\seen" in kept.flags) for kept in seen) == {True: 180, False: 180}
