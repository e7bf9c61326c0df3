"""Tests waits that end by themselves, with real processes: full mailboxes and allowed hours."""

from __future__ import annotations

import json
import signal
import socket
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.store.redis import keys
from shared.store.redis.redis_store import connect
from tests.acceptance.conftest import AdminEnvironment, until
from tests.servers.dovecot import Dovecot


@pytest.fixture
def small() -> Iterator[AdminEnvironment]:
    """Starts a destination with 100 KB for each mailbox."""
    with (
        Dovecot() as source,
        Dovecot(quota_bytes=100 * 1024) as destination,
        tempfile.TemporaryDirectory(prefix="office-", ignore_cleanup_errors=True) as place,
    ):
        admin_env = AdminEnvironment(source, destination, Path(place))
        admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0", "MAILHAUL_GROUP_MESSAGES": "4"}
        yield admin_env


def test_an_import_with_full_mailboxes_ends_and_goes_on_where_somebody_runs(small: AdminEnvironment) -> None:
    boxes = small.accounts("full", "fits")
    boxes["full"][0].fill({"INBOX": 30}, size=10_000)
    boxes["fits"][0].fill({"INBOX": 3})
    manifest = small.manifest({name: f"pw-{name}" for name in boxes})
    found = small.import_(manifest, code=3)
    mailboxes = {mailbox["login"]: mailbox for mailbox in found["mailboxes"]}
    assert mailboxes["fits"]["state"] == "complete"
    full = mailboxes["full"]
    assert (full["state"], full["failure"]["code"]) == ("parked", "destination_over_quota")
    assert 100_000 < full["failure"]["missing_bytes"] < 300_000
    assert full["again_at"] > found["import"]["finished_at"]
    assert 0 < full["copied"] < 30
    (wait,) = found["import"]["waits"]
    assert (wait["what"], wait["mailboxes"]) == ("room", 1)
    said = small.run("status").out
    assert "1 mailbox is full: next attempt at " in said
    assert ", while workers run" in said
    assert "it needs " in said
    assert " kB more, next attempt at " in said

    small.destination.set_quota(10 << 20)
    up = small.start("up", "--workers", "1")
    until(lambda: (small.home / "state" / "redis.sock").exists(), "the embedded Redis")
    store = connect(f"unix://{small.home / 'state' / 'redis.sock'}?db=1")
    assert small.run("status", "--json").out
    # Moves the time of the next try into the past, in the store.
    until(lambda: bool(store.ping()), "the embedded Redis")
    store.zadd(f"{keys.PREFIX}again", {full["id"]: 1}, xx=True)
    until(lambda: json.loads(small.run("status", "--json").out)["import"]["status"] == "complete", "the rest")
    assert boxes["full"][1].seen() == boxes["full"][0].seen()
    small.run("down")
    assert small.ended(up).code == 0


def test_an_import_waits_for_its_hours_and_goes_on_when_they_are_taken_away(admin_env: AdminEnvironment) -> None:
    source, destination = admin_env.accounts("night")["night"]
    source.fill({"INBOX": 5})
    source_logins = admin_env.source.logins("night")
    opens = datetime.now(UTC) + timedelta(hours=2)
    window = f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M} UTC"
    wrong = admin_env.run(
        "import", admin_env.manifest({"night": "pw-night"}), *admin_env.ends, "--window", "25:00 UTC", code=2
    )
    assert "--window: " in wrong.said
    running = admin_env.start(
        "import", admin_env.manifest({"night": "pw-night"}), *admin_env.ends, "--json", "--window", window
    )
    waiting = f"waiting until {opens:%H:%M} (UTC): its hours are {window}"
    until(lambda: waiting in admin_env.run("status", code=None).out, "the line")
    found = json.loads(admin_env.run("status", "--json").out)["import"]
    assert (found["status"], found["control"], found["window"]) == ("waiting", "run", window)
    assert admin_env.source.logins("night") == source_logins, "nobody signs in"
    assert f"works in these hours: {window}" in admin_env.run("window", "people").said
    admin_env.run("pause", "people")
    admin_env.run("resume", "people")
    assert json.loads(admin_env.run("status", "--json").out)["import"]["status"] == "waiting"
    assert "works at any time" in admin_env.run("window", "people", "none").said
    ended = admin_env.ended(running)
    assert json.loads(ended.out)["import"]["copied"] == 5
    assert destination.seen() == source.seen()


def test_a_server_that_does_not_answer_is_named_wherever_one_looks(admin_env: AdminEnvironment) -> None:
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0"}
    boxes = admin_env.accounts("stalled")
    boxes["stalled"][0].fill({"INBOX": 5})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # no process listens, and no other gets the port
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        ends = ["--source", admin_env.ends[1], "--destination", f"imap://{place}"]
        running = admin_env.start("import", admin_env.manifest({"stalled": "pw-stalled"}), *ends)
        until(lambda: (admin_env.home / "state" / "redis.sock").exists(), "the embedded Redis")
        said = f"waiting for {place}: Connection refused since "
        until(lambda: said in admin_env.run("status", code=None).out, "the cause in status")
        status = admin_env.run("status").out
        assert "next try in " in status or "trying again now" in status
        assert "messages/s" not in status
        assert "100%" not in status
        assert admin_env.run("errors").out.startswith(said)
        (wait,) = json.loads(admin_env.run("status", "--json").out)["import"]["waits"]
        assert (wait["what"], wait["key"]) == ("destination_server", place)
        assert wait["since"] <= wait["until"]
        running.send_signal(signal.SIGINT)
        ended = admin_env.ended(running, code=4)
    assert said in ended.said, "and on the screen of who waits for it"


def test_a_store_that_takes_no_writes_is_named(admin_env: AdminEnvironment, fault_proxy: Any) -> None:
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0", "MAILHAUL_GROUP_MESSAGES": "1"}
    slow = fault_proxy(admin_env.destination.host, admin_env.destination.port, delay_ms=150)
    boxes = admin_env.accounts("unwritten")
    boxes["unwritten"][0].fill({"INBOX": 300})
    ends = ["--source", admin_env.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    running = admin_env.start("import", admin_env.manifest({"unwritten": "pw-unwritten"}), *ends)
    path = admin_env.home / "state" / "redis.sock"
    until(path.exists, "the embedded Redis")
    until(lambda: "1 copying" in admin_env.run("status", code=None).out, "the first batch")
    store = connect(f"unix://{path}?db=1")
    store.config_set("maxmemory", "1")
    said = "the state store takes no writes: it is out of memory"
    assert said in admin_env.run("status").out
    assert "stopped responding" not in admin_env.run("status").out
    store.config_set("maxmemory", "0")
    assert said not in admin_env.run("status").out
    slow.delay_seconds = 0.0
    admin_env.ended(running, code=0)
    assert boxes["unwritten"][1].seen() == boxes["unwritten"][0].seen()
