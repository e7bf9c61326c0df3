"""Tests pause, resume, cancel, retry and limits while an import runs; start and stop; and dry runs."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

import pytest

from shared.store.redis.redis_store import RedisStore, connect
from tests.acceptance.conftest import AdminEnvironment, until


def _status(admin_env: AdminEnvironment) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(admin_env.run("status", "--json").out)
    return found


def test_pause_resume_and_cancel_work_while_it_runs(admin_env: AdminEnvironment, fault_proxy: Any) -> None:
    # The line is slow enough to stop the import, and one mailbox gets no connection until the test says so.
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0", "MAILHAUL_GROUP_MESSAGES": "1"}
    slow = fault_proxy(admin_env.destination.host, admin_env.destination.port, delay_ms=150)
    ends = ["--source", admin_env.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    boxes = admin_env.accounts("steer1", "steer2")
    boxes["steer1"][0].fill({"INBOX": 600})
    boxes["steer2"][0].fill({"INBOX": 20})
    up = admin_env.start("up", "--workers", "1", "--threads", "4")
    held = f"source_account:imap://127.0.0.1:{admin_env.source.port}/steer2"
    until(lambda: admin_env.run("limits", held, "0", code=None).code == 0, "the embedded Redis")
    running = admin_env.start("import", admin_env.manifest({name: f"pw-{name}" for name in boxes}), *ends, "--json")
    until(lambda: _copied(admin_env) > 0, "the first message")
    store = RedisStore(connect(f"unix://{admin_env.home / 'state' / 'redis.sock'}?db=1"))

    admin_env.run("pause", "people")
    # Without a lease no worker writes anything. All of it would take three minutes at least.
    until(lambda: store.overview().leased_units == 0, "the pause")
    still = _copied(admin_env)
    assert 0 < still < 600, "it was done before it could be paused"
    assert _status(admin_env)["import"]["status"] == "paused"
    slow.delay_seconds = 0.0

    admin_env.run("resume", "people")
    until(lambda: _copied(admin_env) > still, "more messages")

    admin_env.run("cancel", "people", "--mailbox", "steer2")
    ended = admin_env.ended(running, code=3)
    found = json.loads(ended.out)
    states = {mailbox["login"]: mailbox["state"] for mailbox in found["mailboxes"]}
    assert states == {"steer1": "complete", "steer2": "cancelled"}
    assert boxes["steer1"][1].seen() == boxes["steer1"][0].seen()

    admin_env.run("limits", held, "default")
    admin_env.run("retry", "people", "--mailbox", "steer2")
    admin_env.run("watch", "people")
    assert boxes["steer2"][1].seen() == boxes["steer2"][0].seen()

    assert "has stopped" in admin_env.run("down").said
    assert admin_env.ended(up).code == 0
    assert "nothing runs here" in admin_env.run("down").said


def _copied(admin_env: AdminEnvironment) -> int:
    ended = admin_env.run("list", "--json")
    found = json.loads(ended.out)
    return int(found[0]["copied"]) if found else 0


def test_check_and_plan_write_nothing_and_say_what_is_there(admin_env: AdminEnvironment) -> None:
    source, destination = admin_env.accounts("rehearse")["rehearse"]
    source.fill({"INBOX": 7, "Work/Deep": 3, "Trash": 2})
    admin_env.source.add_user("nobody-there", "x")
    before = destination.uids()
    manifest = admin_env.manifest({"rehearse": "pw-rehearse", "nobody-there": "pw"})

    checked = json.loads(admin_env.run("check", manifest, *admin_env.ends, "--json", code=3).out)
    good, bad = checked["mailboxes"]
    assert (good["ok"], good["source"]["messages"]) == (True, 12)
    assert good["source"]["size_bytes"] > 12 * 100
    assert not bad["ok"]
    assert bad["source"]["advice"]
    assert admin_env.source.login_attempts("nobody-there") == 1

    planned = admin_env.run("plan", manifest, *admin_env.ends, "--exclude", "Trash", code=3)
    assert "Work/Deep" in planned.out
    assert "excluded by 'Trash'" in planned.out
    dry = json.loads(admin_env.run("plan", manifest, *admin_env.ends, "--exclude", "Trash", "--json", code=3).out)
    assert dry["totals"]["messages"] == 10
    assert destination.uids() == before
    assert not (admin_env.home / "state").exists()


def test_the_demo_runs_by_itself_and_leaves_nothing(admin_env: AdminEnvironment) -> None:
    ended = admin_env.run("demo", "--json")
    found = json.loads(ended.out)
    assert found["import"]["copied"] == found["import"]["messages"] > 300
    assert "0 copied" in ended.said


def test_limits_are_shown_set_and_taken_back(admin_env: AdminEnvironment) -> None:
    admin_env.run("limits", "source_host", "7")
    assert "source_host  7  (default 32)" in admin_env.run("limits").out
    admin_env.run("limits", "source_host", "default")
    assert "source_host  32  (default 32)" in admin_env.run("limits").out
    admin_env.run("limits", "source_account.bytes_per_day", "2GB")
    assert "source_account.bytes_per_day  2000000000" in admin_env.run("limits").out
    admin_env.run("limits", "source_account.bytes_per_day", "default")
    assert "bytes_per_day" not in admin_env.run("limits").out
    assert "no limit" in admin_env.run("limits", "nonsense", "3", code=2).said


def test_with_a_redis_of_ones_own_import_starts_workers_only_when_asked(admin_env: AdminEnvironment) -> None:
    source, destination = admin_env.accounts("remote")["remote"]
    source.fill({"INBOX": 5})
    up = admin_env.start("up", "--workers", "1")
    socket = admin_env.home / "state" / "redis.sock"
    until(socket.exists, "the embedded Redis")
    admin_env.variables["MAILHAUL_REDIS_URL"] = f"unix://{socket}"
    admin_env.import_(admin_env.manifest({"remote": "pw-remote"}), "--workers", "1")
    assert destination.seen() == source.seen()
    del admin_env.variables["MAILHAUL_REDIS_URL"]
    admin_env.run("down")
    admin_env.ended(up)


@pytest.mark.parametrize(
    "verb",
    ["list", "status", "errors", "report", "pause", "resume", "cancel", "retry", "verify", "forget", "watch", "limits"],
)
def test_who_only_looks_leaves_nothing_behind(admin_env: AdminEnvironment, verb: str) -> None:
    more = ["--out", str(admin_env.home / "report")] if verb == "report" else []
    ended = admin_env.run(verb, *more, code=0 if verb in ("list", "limits") else 2)
    if verb == "limits":
        assert "source_host  32" in ended.out
    else:
        assert "there is no import yet" in (ended.out if verb == "list" else ended.said)
    assert not (admin_env.home / "state").exists()


def test_what_was_cancelled_is_called_so_and_goes_on_when_resumed(
    admin_env: AdminEnvironment, fault_proxy: Any
) -> None:
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0", "MAILHAUL_GROUP_MESSAGES": "1"}
    slow = fault_proxy(admin_env.destination.host, admin_env.destination.port, delay_ms=150)
    ends = ["--source", admin_env.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    source, destination = admin_env.accounts("given-up")["given-up"]
    source.fill({"INBOX": 300})
    running = admin_env.start("import", admin_env.manifest({"given-up": "pw-given-up"}), *ends)
    until(lambda: (admin_env.home / "state" / "redis.sock").exists(), "the embedded Redis")
    until(lambda: _copied(admin_env) > 0, "the first message")
    assert "is not paused" in admin_env.run("resume", "people").said, "an act that changed nothing says so"
    admin_env.run("pause", "people")
    assert "is paused already" in admin_env.run("pause", "people").said
    # Without a terminal there is no question.
    assert "cancelled; what was copied stays" in admin_env.run("cancel", "people").said
    assert "import people" in admin_env.ended(running, code=3).said
    assert _status(admin_env)["import"]["status"] == "cancelled"
    assert "  cancelled  " in admin_env.run("list").out

    slow.delay_seconds = 0.0
    resumed = admin_env.run("resume", "people")  # no other process works here, so it runs in the foreground
    assert "goes on (1 mailbox)" in resumed.said
    assert ": complete after" in resumed.said
    assert destination.seen() == source.seen()
    assert "nothing was changed" in admin_env.run("resume", "people").said


def test_verify_and_retry_work_in_the_foreground_unless_detached(admin_env: AdminEnvironment) -> None:
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0"}
    source, destination = admin_env.accounts("looked-at")["looked-at"]
    source.fill({"INBOX": 5})
    admin_env.import_(admin_env.manifest({"looked-at": "pw-looked-at"}))
    source.fill({"INBOX": 3}, seed=2)
    verified = admin_env.run("verify", "people")
    assert "1 mailbox queued for verification" in verified.said
    assert ": complete after" in verified.said
    assert destination.seen() == source.seen()
    assert "nothing was changed" in admin_env.run("retry", "people").said
    detached = admin_env.run("verify", "people", "--detach")
    assert "mailhaul up" in detached.said
    assert _status(admin_env)["import"]["status"] == "interrupted"
    assert ": complete after" in admin_env.run("resume", "people").said
    assert _status(admin_env)["import"]["status"] == "complete"


def test_an_interrupted_import_says_how_far_it_came(admin_env: AdminEnvironment, fault_proxy: Any) -> None:
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0", "MAILHAUL_GROUP_MESSAGES": "1"}
    slow = fault_proxy(admin_env.destination.host, admin_env.destination.port, delay_ms=150)
    ends = ["--source", admin_env.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    source, destination = admin_env.accounts("broken")["broken"]
    source.fill({"INBOX": 300})
    manifest = admin_env.manifest({"broken": "pw-broken"})
    running = admin_env.start("import", manifest, *ends)
    until(lambda: (admin_env.home / "state" / "redis.sock").exists(), "the embedded Redis")
    until(lambda: _copied(admin_env) > 0, "the first message")
    running.send_signal(signal.SIGINT)
    said = admin_env.ended(running, code=4).said
    assert "interrupted with 0 of 1 mailbox complete, " in said
    assert "  interrupted  " in admin_env.run("list").out
    status = admin_env.run("status").out
    assert "interrupted: " in status
    # What the workers finished after the signal is in it.
    how_far = re.findall(r"[\d,]+ of 300 messages", said)[-1]
    assert f" {how_far};" in status
    # A pause is not overridden silently.
    admin_env.run("pause", "people")
    slow.delay_seconds = 0.0
    assert "import people was paused; this command resumes it" in admin_env.run("import", manifest, *ends).said
    assert destination.seen() == source.seen()


def test_whose_workers_are_of_others_is_told_that_they_go_on(admin_env: AdminEnvironment, fault_proxy: Any) -> None:
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0", "MAILHAUL_GROUP_MESSAGES": "1"}
    slow = fault_proxy(admin_env.destination.host, admin_env.destination.port, delay_ms=150)
    ends = ["--source", admin_env.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    admin_env.accounts("watched")["watched"][0].fill({"INBOX": 300})
    manifest = admin_env.manifest({"watched": "pw-watched"})
    at_work = admin_env.start("import", manifest, *ends)
    until(lambda: (admin_env.home / "state" / "redis.sock").exists(), "the embedded Redis")
    until(lambda: _copied(admin_env) > 0, "the first message")
    watching = admin_env.start("import", manifest, *ends)
    heard = iter(watching.stderr or ())
    next(line for line in heard if line.startswith("import people"))
    watching.send_signal(signal.SIGINT)
    said = admin_env.ended(watching, code=4).said
    assert "no longer watched; the workers go on; stop it with: mailhaul pause people" in said
    assert "interrupted" not in said
    at_work.send_signal(signal.SIGINT)
    assert "interrupted with " in admin_env.ended(at_work, code=4).said
