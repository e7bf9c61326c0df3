"""Tests `mailhaul import` as an operator runs it, between two real Dovecots."""

from __future__ import annotations

import csv
import json
import os
import signal
from typing import Any

import pytest

from shared.runtime.processes import FORKED_WORKER
from tests.acceptance.conftest import AdminEnvironment, children, until

FOLDERS = {"INBOX": 40, "Work": 15, "Work/2024": 15, "&BB8EQAQ+BDUEOgRCBEs-": 10, "Empty": 0}


def _total(folders: dict[str, int]) -> int:
    return sum(folders.values())


def test_everything_arrives_exactly_once_and_a_second_run_copies_nothing(admin_env: AdminEnvironment) -> None:
    boxes = admin_env.accounts("e2e1", "e2e2")
    for source, _ in boxes.values():
        source.fill(FOLDERS)
    before = {name: source.uids() for name, (source, _) in boxes.items()}
    manifest = admin_env.manifest({name: f"pw-{name}" for name in boxes})

    first = admin_env.import_(manifest)
    assert first["exit_code"] == 0
    assert first["import"]["status"] == "complete"
    assert first["import"]["this_run"]["copied"] == first["import"]["copied"] == 2 * _total(FOLDERS)
    assert first["import"]["mailboxes"]["complete"] == 2
    for name, (source, destination) in boxes.items():
        assert destination.seen() == source.seen()
        assert source.uids() == before[name], "the source is never written to"
        assert b"Empty" in destination.uids()

    second = admin_env.import_(manifest)
    assert second["import"]["this_run"]["copied"] == 0
    assert all(destination.seen() == source.seen() for source, destination in boxes.values())

    boxes["e2e1"][0].fill({"Work": 3}, seed=2)
    third = admin_env.import_(manifest)
    assert third["import"]["this_run"]["copied"] == 3
    assert boxes["e2e1"][1].seen() == boxes["e2e1"][0].seen()


def test_one_wrong_password_costs_one_login_and_nobody_else_anything(admin_env: AdminEnvironment) -> None:
    canary = "canary-7d1f-wrong"
    boxes = admin_env.accounts("good1", "good2", "wrong", prefix="canary-9e2c-")
    for source, _ in boxes.values():
        source.fill({"INBOX": 10})
    rows = {name: f"canary-9e2c-{name}" for name in boxes} | {"wrong": canary}

    found = admin_env.import_(admin_env.manifest(rows), code=3)
    assert admin_env.source.login_attempts("wrong") == 1
    assert found["import"]["mailboxes"]["complete"] == 2
    assert found["import"]["mailboxes"]["parked"] == 1
    parked = next(mailbox for mailbox in found["mailboxes"] if mailbox["state"] == "parked")
    assert (parked["row"], parked["login"], parked["failure"]["code"]) == (4, "wrong", "source_auth_refused")
    assert parked["failure"]["detail"]
    assert parked["failure"]["advice"]

    errors = admin_env.run("errors", "people")
    assert "row 4, wrong" in errors.out
    assert "mailhaul credentials" in errors.out
    assert parked["failure"]["detail"] in errors.out

    report = admin_env.run("report", "people", "--out", admin_env.home / "report")
    assert len(report.out.splitlines()) == 7
    rows_of = list(csv.DictReader((admin_env.home / "report" / "failures.csv").open()))
    assert [(row["row"], row["login"], row["what"]) for row in rows_of] == [("4", "wrong", "parked")]

    # No secret is in logs, in the store's files, in output or in the report.
    for path in [path for path in admin_env.home.rglob("*") if path.is_file() and path.suffix != ".csv"]:
        content = path.read_bytes()
        assert canary.encode() not in content, path
        assert b"canary-9e2c" not in content, path
    assert "canary" not in errors.out + errors.said + report.out + report.said + str(found)
    assert any(b"credentials" in path.read_bytes() for path in (admin_env.home / "state" / "redis").rglob("*.aof"))

    # With the right password the same mailbox goes on.
    fixed = admin_env.manifest({"wrong": "canary-9e2c-wrong"}, name="fixed.csv")
    assert (
        "passwords updated for 1 mailbox; 1 mailbox queued again" in admin_env.run("credentials", "people", fixed).said
    )
    done = admin_env.import_(admin_env.manifest(rows | {"wrong": "canary-9e2c-wrong"}))
    assert done["import"]["mailboxes"]["complete"] == 3
    assert boxes["wrong"][1].seen() == boxes["wrong"][0].seen()


def test_a_broken_manifest_names_every_row_and_starts_nothing(admin_env: AdminEnvironment) -> None:
    manifest = admin_env.manifest(["login,password", "a,x", "b", "a,y", ",z"])
    ended = admin_env.run("import", manifest, *admin_env.ends, code=2)
    for row in ("row 3", "row 4", "row 5"):
        assert row in ended.said
    assert ended.out == ""
    assert not (admin_env.home / "state").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_the_same_command_goes_on_and_every_message_is_there_once(
    admin_env: AdminEnvironment, fault_proxy: Any, number: signal.Signals
) -> None:
    name = f"broken-off-{number}"
    source, destination = admin_env.accounts(name)[name]
    source.fill({"INBOX": 200, "Other": 200})
    # The line is slow enough that the import can be interrupted.
    admin_env.variables["MAILHAUL_GROUP_MESSAGES"] = "1"
    slow = fault_proxy(admin_env.destination.host, admin_env.destination.port, delay_ms=150)
    ends = ["--source", admin_env.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    manifest = admin_env.manifest({name: f"pw-{name}"})
    process = admin_env.start("import", manifest, *ends)
    until(lambda: sum(destination.seen().values()) > 0 or process.poll() is not None, "the first message")
    os.kill(process.pid, number)
    os.kill(process.pid, number)  # a second Ctrl-C does no harm
    ended = admin_env.ended(process, code=4)
    assert "run the same command to go on" in ended.said
    assert children(admin_env) == {}

    slow.delay_seconds = 0.0
    found = json.loads(admin_env.run("import", manifest, *ends, "--json").out)
    assert found["import"]["copied"] == 400
    assert 0 < found["import"]["this_run"]["copied"] < 400
    assert destination.seen() == source.seen()


def test_killing_the_command_leaves_no_orphan(admin_env: AdminEnvironment, fault_proxy: Any) -> None:
    source, destination = admin_env.accounts("orphan")["orphan"]
    source.fill({"INBOX": 200}, size=20_000)
    admin_env.variables["MAILHAUL_GROUP_MESSAGES"] = "1"
    slow = fault_proxy(admin_env.destination.host, admin_env.destination.port, delay_ms=150)
    ends = ["--source", admin_env.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    process = admin_env.start("import", admin_env.manifest({"orphan": "pw-orphan"}), *ends)
    until(lambda: FORKED_WORKER in children(admin_env).values() and destination.seen(), "the worker")
    process.kill()
    admin_env.ended(process, code=None)
    until(lambda: children(admin_env) == {}, "the end of all children")


def test_who_comes_second_watches_and_takes_over_when_the_first_is_done(admin_env: AdminEnvironment) -> None:
    boxes = admin_env.accounts("early", "late")
    for source, _ in boxes.values():
        source.fill({"INBOX": 30})
    first = admin_env.start("import", admin_env.manifest({"early": "pw-early"}, name="one.csv"), *admin_env.ends)
    until(lambda: (admin_env.home / "state" / "redis.sock").exists(), "the embedded Redis")
    second = admin_env.start("import", admin_env.manifest({"late": "pw-late"}, name="two.csv"), *admin_env.ends)
    admin_env.ended(first)
    admin_env.ended(second)
    assert all(destination.seen() == source.seen() for source, destination in boxes.values())
