"""Tests that an erased person, or import, is gone from every key and from the bytes that Redis keeps on disk."""

from __future__ import annotations

import json

from tests.acceptance.conftest import AdminEnvironment
from tests.acceptance.test_forgotten import held


def _moved(office: AdminEnvironment, of: str) -> tuple[str, str, dict[str, str]]:
    """Moves two people, whose logins no other test has. Returns both, and the manifest's rows."""
    anna, bob = logins = [f"{name}-{of}@old.example" for name in ("anna", "bob")]
    boxes = office.accounts(*logins, prefix="pw-")
    boxes[anna][0].fill({"INBOX": 5, "Sent": 3})
    boxes[bob][0].fill({"INBOX": 4})
    people = {login: f"pw-{login}" for login in logins}
    office.import_(office.manifest(people), "--name", "move")
    office.run("status", "--mailbox", anna)
    office.run("check", office.manifest(people), *office.ends)
    return anna, bob, people


def test_an_erased_person_is_gone_and_the_others_stay(office: AdminEnvironment) -> None:
    anna, bob, people = _moved(office, "person")
    assert anna.encode() in held(office), "the control"
    said = office.run("erase", "--login", anna, "--yes").said
    assert "erased: 1 mailbox" in said
    assert "none names them" in said
    kept = held(office)
    assert anna.encode() not in kept
    assert bob.encode() in kept
    status = json.loads(office.run("status", "--json").out)
    assert [mailbox["login"] for mailbox in status["mailboxes"]] == [bob]
    audit = office.run("audit", "--format", "jsonl").out
    assert anna not in audit
    (done,) = [json.loads(line) for line in audit.splitlines() if json.loads(line)["what"] == "erasure done"]
    assert (done["detail"]["mailboxes"], done["detail"]["left"]) == (1, [])
    # Whoever comes back is compared with what is at the destination: nothing comes twice.
    again = office.import_(office.manifest(people), "--name", "move")
    assert again["import"]["already_present"] == 8


def test_an_erased_import_is_gone(office: AdminEnvironment) -> None:
    _, _, people = _moved(office, "whole")
    said = office.run("erase", "move", "--yes").said
    assert "erased: 2 mailboxes" in said
    assert "none names them" in said
    kept = held(office)
    assert all(login.encode() not in kept for login in people)
    assert "there is no import yet" in office.run("list").said + office.run("list").out


def test_who_is_unknown_or_not_named_is_said(office: AdminEnvironment) -> None:
    _moved(office, "asked")
    assert "Check its spelling" in office.run("erase", "--login", "nobody@old.example", "--yes", code=2).said
    assert "give either an import, or --login" in office.run("erase", code=2).said
    assert "give --yes" in office.run("erase", "move", code=2).said
    assert len(json.loads(office.run("status", "--json").out)["mailboxes"]) == 2
