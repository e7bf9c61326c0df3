"""Tests pause, resume, cancel, retry and limits while an import runs; start and stop; and dry runs."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from shared.store.redis.redis_store import RedisStore, connect
from tests.acceptance.conftest import AdminEnvironment, until


def _status(office: AdminEnvironment) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(office.run("status", "--json").out)
    return found


def test_pause_resume_and_cancel_work_within_two_seconds(office: AdminEnvironment, fault_proxy: Any) -> None:
    # The line is slow enough to stop the import, and one mailbox gets no connection until the test says so.
    office.variables |= {"MAILHAUL_COORDINATOR_PORT": "0", "MAILHAUL_GROUP_MESSAGES": "1"}
    slow = fault_proxy(office.destination.host, office.destination.port, delay_ms=150)
    ends = ["--source", office.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    boxes = office.accounts("steer1", "steer2")
    boxes["steer1"][0].fill({"INBOX": 600})
    boxes["steer2"][0].fill({"INBOX": 20})
    up = office.start("up", "--workers", "1", "--threads", "4")
    held = f"source_account:imap://127.0.0.1:{office.source.port}/steer2"
    until(lambda: office.run("limits", held, "0", code=None).code == 0, "the embedded Redis")
    running = office.start("import", office.manifest({name: f"pw-{name}" for name in boxes}), *ends, "--json")
    until(lambda: _copied(office) > 0, "the first message")
    store = RedisStore(connect(f"unix://{office.home / 'state' / 'redis.sock'}?db=1"))

    office.run("pause", "people")
    # Two seconds, and one for two busy cores. Without a lease no worker writes anything.
    until(lambda: store.overview().leased_units == 0, "the pause", seconds=3)
    still = _copied(office)
    assert 0 < still < 600, "it was done before it could be paused"
    assert _status(office)["import"]["status"] == "paused"
    slow.delay_seconds = 0.0

    office.run("resume", "people")
    until(lambda: _copied(office) > still, "more messages", seconds=5)

    office.run("cancel", "people", "--mailbox", "steer2")
    ended = office.ended(running, code=3)
    found = json.loads(ended.out)
    states = {mailbox["login"]: mailbox["state"] for mailbox in found["mailboxes"]}
    assert states == {"steer1": "complete", "steer2": "cancelled"}
    assert boxes["steer1"][1].seen() == boxes["steer1"][0].seen()

    office.run("limits", held, "default")
    office.run("retry", "people", "--mailbox", "steer2")
    office.run("watch", "people")
    assert boxes["steer2"][1].seen() == boxes["steer2"][0].seen()

    assert "has stopped" in office.run("down").said
    assert office.ended(up).code == 0
    assert "nothing runs here" in office.run("down").said


def _copied(office: AdminEnvironment) -> int:
    ended = office.run("list", "--json")
    found = json.loads(ended.out)
    return int(found[0]["copied"]) if found else 0


def test_check_and_plan_write_nothing_and_say_what_is_there(office: AdminEnvironment) -> None:
    source, destination = office.accounts("rehearse")["rehearse"]
    source.fill({"INBOX": 7, "Work/Deep": 3, "Trash": 2})
    office.source.add_user("nobody-there", "x")
    before = destination.uids()
    manifest = office.manifest({"rehearse": "pw-rehearse", "nobody-there": "pw"})

    checked = json.loads(office.run("check", manifest, *office.ends, "--json", code=3).out)
    good, bad = checked["mailboxes"]
    assert (good["ok"], good["source"]["messages"]) == (True, 12)
    assert good["source"]["size_bytes"] > 12 * 100
    assert not bad["ok"]
    assert bad["source"]["advice"]
    assert office.source.login_attempts("nobody-there") == 1

    planned = office.run("plan", manifest, *office.ends, "--exclude", "Trash", code=3)
    assert "Work/Deep" in planned.out
    assert "excluded by 'Trash'" in planned.out
    dry = json.loads(office.run("plan", manifest, *office.ends, "--exclude", "Trash", "--json", code=3).out)
    assert dry["totals"]["messages"] == 10
    assert destination.uids() == before
    assert not (office.home / "state").exists()


def test_the_demo_runs_by_itself_and_leaves_nothing(office: AdminEnvironment) -> None:
    ended = office.run("demo", "--json")
    found = json.loads(ended.out)
    assert found["import"]["copied"] == found["import"]["messages"] > 300
    assert "0 copied" in ended.said


def test_limits_are_shown_set_and_taken_back(office: AdminEnvironment) -> None:
    office.run("limits", "source_host", "7")
    assert "source_host  7  (default 32)" in office.run("limits").out
    office.run("limits", "source_host", "default")
    assert "source_host  32  (default 32)" in office.run("limits").out
    office.run("limits", "source_account.bytes_per_day", "2GB")
    assert "source_account.bytes_per_day  2000000000" in office.run("limits").out
    office.run("limits", "source_account.bytes_per_day", "default")
    assert "bytes_per_day" not in office.run("limits").out
    assert "no limit" in office.run("limits", "nonsense", "3", code=2).said


def test_with_a_redis_of_ones_own_import_starts_workers_only_when_asked(office: AdminEnvironment) -> None:
    source, destination = office.accounts("remote")["remote"]
    source.fill({"INBOX": 5})
    up = office.start("up", "--workers", "1")
    socket = office.home / "state" / "redis.sock"
    until(socket.exists, "the embedded Redis")
    office.variables["MAILHAUL_REDIS_URL"] = f"unix://{socket}"
    office.import_(office.manifest({"remote": "pw-remote"}), "--workers", "1")
    assert destination.seen() == source.seen()
    del office.variables["MAILHAUL_REDIS_URL"]
    office.run("down")
    office.ended(up)


@pytest.mark.parametrize(
    "verb",
    ["list", "status", "errors", "report", "pause", "resume", "cancel", "retry", "verify", "forget", "watch", "limits"],
)
def test_who_only_looks_leaves_nothing_behind(office: AdminEnvironment, verb: str) -> None:
    more = ["--out", str(office.home / "report")] if verb == "report" else []
    ended = office.run(verb, *more, code=0 if verb in ("list", "limits") else 2)
    if verb == "limits":
        assert "source_host  32" in ended.out
    else:
        assert "there is no import yet" in (ended.out if verb == "list" else ended.said)
    assert not (office.home / "state").exists()


def test_what_was_cancelled_is_called_so_and_goes_on_when_resumed(office: AdminEnvironment, fault_proxy: Any) -> None:
    office.variables |= {"MAILHAUL_COORDINATOR_PORT": "0", "MAILHAUL_GROUP_MESSAGES": "1"}
    slow = fault_proxy(office.destination.host, office.destination.port, delay_ms=150)
    ends = ["--source", office.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    source, destination = office.accounts("given-up")["given-up"]
    source.fill({"INBOX": 300})
    running = office.start("import", office.manifest({"given-up": "pw-given-up"}), *ends)
    until(lambda: (office.home / "state" / "redis.sock").exists(), "the embedded Redis")
    until(lambda: _copied(office) > 0, "the first message")
    assert "is not paused" in office.run("resume", "people").said, "an act that changed nothing says so"
    office.run("pause", "people")
    assert "is paused already" in office.run("pause", "people").said
    # Without a terminal there is no question.
    assert "cancelled; what was copied stays" in office.run("cancel", "people").said
    assert "import people" in office.ended(running, code=3).said
    assert _status(office)["import"]["status"] == "cancelled"
    assert "  cancelled  " in office.run("list").out

    slow.delay_seconds = 0.0
    resumed = office.run("resume", "people")  # no other process works here, so it runs in the foreground
    assert "goes on (1 mailbox)" in resumed.said
    assert ": complete after" in resumed.said
    assert destination.seen() == source.seen()
    assert "nothing was changed" in office.run("resume", "people").said


def test_verify_and_retry_work_in_the_foreground_unless_detached(office: AdminEnvironment) -> None:
    office.variables |= {"MAILHAUL_COORDINATOR_PORT": "0"}
    source, destination = office.accounts("looked-at")["looked-at"]
    source.fill({"INBOX": 5})
    office.import_(office.manifest({"looked-at": "pw-looked-at"}))
    source.fill({"INBOX": 3}, seed=2)
    verified = office.run("verify", "people")
    assert "1 mailbox queued for verification" in verified.said
    assert ": complete after" in verified.said
    assert destination.seen() == source.seen()
    assert "nothing was changed" in office.run("retry", "people").said
    detached = office.run("verify", "people", "--detach")
    assert "mailhaul up" in detached.said
    assert _status(office)["import"]["status"] == "interrupted"
    assert ": complete after" in office.run("resume", "people").said
    assert _status(office)["import"]["status"] == "complete"


def test_an_interrupted_import_says_how_far_it_came(office: AdminEnvironment, fault_proxy: Any) -> None:
    office.variables |= {"MAILHAUL_COORDINATOR_PORT": "0", "MAILHAUL_GROUP_MESSAGES": "1"}
    slow = fault_proxy(office.destination.host, office.destination.port, delay_ms=150)
    ends = ["--source", office.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    source, destination = office.accounts("broken")["broken"]
    source.fill({"INBOX": 300})
    manifest = office.manifest({"broken": "pw-broken"})
    running = office.start("import", manifest, *ends)
    until(lambda: (office.home / "state" / "redis.sock").exists(), "the embedded Redis")
    until(lambda: _copied(office) > 0, "the first message")
    running.send_signal(signal.SIGINT)
    said = office.ended(running, code=4).said
    assert "interrupted with 0 of 1 mailbox complete, " in said
    assert "  interrupted  " in office.run("list").out
    assert "interrupted: " in office.run("status").out
    # A pause is not overridden silently.
    office.run("pause", "people")
    slow.delay_seconds = 0.0
    assert "import people was paused; this command resumes it" in office.run("import", manifest, *ends).said
    assert destination.seen() == source.seen()
