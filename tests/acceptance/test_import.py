"""Tests `mailhaul import` as an operator runs it, between two real Dovecots."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from shared.processes import FORKED_WORKER
from tests.acceptance.conftest import AdminEnvironment, until

FOLDERS = {"INBOX": 40, "Work": 15, "Work/2024": 15, "&BB8EQAQ+BDUEOgRCBEs-": 10, "Empty": 0}


def _total(folders: dict[str, int]) -> int:
    return sum(folders.values())


def test_everything_arrives_exactly_once_and_a_second_run_copies_nothing(office: AdminEnvironment) -> None:
    boxes = office.accounts("e2e1", "e2e2")
    for source, _ in boxes.values():
        source.fill(FOLDERS)
    before = {name: source.uids() for name, (source, _) in boxes.items()}
    manifest = office.manifest({name: f"pw-{name}" for name in boxes})

    first = office.import_(manifest)
    assert first["exit_code"] == 0
    assert first["import"]["status"] == "complete"
    assert first["import"]["this_run"]["copied"] == first["import"]["copied"] == 2 * _total(FOLDERS)
    assert first["import"]["mailboxes"]["complete"] == 2
    for name, (source, destination) in boxes.items():
        assert destination.seen() == source.seen()
        assert source.uids() == before[name], "the source is never written to"
        assert b"Empty" in destination.uids()

    second = office.import_(manifest)
    assert second["import"]["this_run"]["copied"] == 0
    assert all(destination.seen() == source.seen() for source, destination in boxes.values())

    boxes["e2e1"][0].fill({"Work": 3}, seed=2)
    third = office.import_(manifest)
    assert third["import"]["this_run"]["copied"] == 3
    assert boxes["e2e1"][1].seen() == boxes["e2e1"][0].seen()


def test_one_wrong_password_costs_one_login_and_nobody_else_anything(office: AdminEnvironment) -> None:
    canary = "canary-7d1f-wrong"
    boxes = office.accounts("good1", "good2", "wrong", prefix="canary-9e2c-")
    for source, _ in boxes.values():
        source.fill({"INBOX": 10})
    rows = {name: f"canary-9e2c-{name}" for name in boxes} | {"wrong": canary}

    found = office.import_(office.manifest(rows), code=3)
    assert office.source.login_attempts("wrong") == 1
    assert found["import"]["mailboxes"]["complete"] == 2
    assert found["import"]["mailboxes"]["parked"] == 1
    parked = next(mailbox for mailbox in found["mailboxes"] if mailbox["state"] == "parked")
    assert (parked["row"], parked["login"], parked["failure"]["code"]) == (4, "wrong", "source_auth_refused")
    assert parked["failure"]["detail"]
    assert parked["failure"]["advice"]

    errors = office.run("errors", "people")
    assert "row 4, wrong" in errors.out
    assert "mailhaul credentials" in errors.out
    assert parked["failure"]["detail"] in errors.out

    report = office.run("report", "people", "--out", office.home / "report")
    assert len(report.out.splitlines()) == 7
    rows_of = list(csv.DictReader((office.home / "report" / "failures.csv").open()))
    assert [(row["row"], row["login"], row["what"]) for row in rows_of] == [("4", "wrong", "parked")]

    # No secret is in logs, in the store's files, in output or in the report.
    for path in [path for path in office.home.rglob("*") if path.is_file() and path.suffix != ".csv"]:
        content = path.read_bytes()
        assert canary.encode() not in content, path
        assert b"canary-9e2c" not in content, path
    assert "canary" not in errors.out + errors.said + report.out + report.said + str(found)
    assert any(b"credentials" in path.read_bytes() for path in (office.home / "state" / "redis").rglob("*.aof"))

    # With the right password the same mailbox goes on.
    fixed = office.manifest({"wrong": "canary-9e2c-wrong"}, name="fixed.csv")
    assert "passwords updated for 1 mailbox; 1 mailbox queued again" in office.run("credentials", "people", fixed).said
    done = office.import_(office.manifest(rows | {"wrong": "canary-9e2c-wrong"}))
    assert done["import"]["mailboxes"]["complete"] == 3
    assert boxes["wrong"][1].seen() == boxes["wrong"][0].seen()


def test_a_broken_manifest_names_every_row_and_starts_nothing(office: AdminEnvironment) -> None:
    manifest = office.manifest(["login,password", "a,x", "b", "a,y", ",z"])
    ended = office.run("import", manifest, *office.ends, code=2)
    for row in ("row 3", "row 4", "row 5"):
        assert row in ended.said
    assert ended.out == ""
    assert not (office.home / "state").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_the_same_command_goes_on_and_every_message_is_there_once(
    office: AdminEnvironment, fault_proxy: Any, number: signal.Signals
) -> None:
    name = f"broken-off-{number}"
    source, destination = office.accounts(name)[name]
    source.fill({"INBOX": 200, "Other": 200})
    # The line is slow enough that the import can be interrupted.
    office.variables["MAILHAUL_GROUP_MESSAGES"] = "1"
    slow = fault_proxy(office.destination.host, office.destination.port, delay_ms=150)
    ends = ["--source", office.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    manifest = office.manifest({name: f"pw-{name}"})
    process = office.start("import", manifest, *ends)
    until(lambda: sum(destination.seen().values()) > 0 or process.poll() is not None, "the first message")
    os.kill(process.pid, number)
    os.kill(process.pid, number)  # a second Ctrl-C does no harm
    ended = office.ended(process, code=4)
    assert "run the same command to go on" in ended.said
    assert _children(office) == []

    slow.delay_seconds = 0.0
    found = json.loads(office.run("import", manifest, *ends, "--json").out)
    assert found["import"]["copied"] == 400
    assert 0 < found["import"]["this_run"]["copied"] < 400
    assert destination.seen() == source.seen()


def _children(office: AdminEnvironment) -> list[str]:
    """Returns the names of the processes that write to the logs in this state folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "fd/2").readlink().is_relative_to(office.home / "state"):
                found.append((place / "comm").read_text().strip())
        except OSError:
            continue
    return found


def test_killing_the_command_leaves_no_orphan(office: AdminEnvironment, fault_proxy: Any) -> None:
    source, destination = office.accounts("orphan")["orphan"]
    source.fill({"INBOX": 200}, size=20_000)
    office.variables["MAILHAUL_GROUP_MESSAGES"] = "1"
    slow = fault_proxy(office.destination.host, office.destination.port, delay_ms=50)
    ends = ["--source", office.ends[1], "--destination", f"imap://127.0.0.1:{slow.port}"]
    process = office.start("import", office.manifest({"orphan": "pw-orphan"}), *ends)
    until(lambda: FORKED_WORKER in _children(office) and destination.seen(), "the worker")
    process.kill()
    office.ended(process, code=None)
    until(lambda: _children(office) == [], "the end of all children", seconds=15)


def test_who_comes_second_watches_and_takes_over_when_the_first_is_done(office: AdminEnvironment) -> None:
    boxes = office.accounts("early", "late")
    for source, _ in boxes.values():
        source.fill({"INBOX": 30})
    first = office.start("import", office.manifest({"early": "pw-early"}, name="one.csv"), *office.ends)
    until(lambda: (office.home / "state" / "redis.sock").exists(), "the embedded Redis")
    second = office.start("import", office.manifest({"late": "pw-late"}, name="two.csv"), *office.ends)
    office.ended(first)
    office.ended(second)
    assert all(destination.seen() == source.seen() for source, destination in boxes.values())
