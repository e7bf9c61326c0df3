"""Tests that an erased person, or import, is gone from every key and from the bytes that Redis keeps on disk."""

from __future__ import annotations

import json

from tests.acceptance.conftest import AdminEnvironment
from tests.acceptance.test_forgotten import held

PEOPLE = {"anna-canary@old.example": "pw-a", "bob-canary@old.example": "pw-b"}
ANNA, BOB = PEOPLE


def _moved(office: AdminEnvironment) -> dict[str, str]:
    boxes = office.accounts(*PEOPLE, prefix="pw-")
    boxes[ANNA][0].fill({"INBOX": 5, "Sent": 3})
    boxes[BOB][0].fill({"INBOX": 4})
    people = {login: f"pw-{login}" for login in PEOPLE}
    office.import_(office.manifest(people), "--name", "move")
    office.run("status", "--mailbox", ANNA)
    office.run("check", office.manifest(people), *office.ends)
    return people


def test_an_erased_person_is_gone_and_the_others_stay(office: AdminEnvironment) -> None:
    people = _moved(office)
    assert ANNA.encode() in held(office), "the control"
    said = office.run("erase", "--login", ANNA, "--yes").said
    assert "erased: 1 mailbox" in said
    assert "none names them" in said
    kept = held(office)
    assert ANNA.encode() not in kept
    assert BOB.encode() in kept
    status = json.loads(office.run("status", "--json").out)
    assert [mailbox["login"] for mailbox in status["mailboxes"]] == [BOB]
    audit = office.run("audit", "--format", "jsonl").out
    assert ANNA not in audit
    (done,) = [json.loads(line) for line in audit.splitlines() if json.loads(line)["what"] == "erasure done"]
    assert (done["detail"]["mailboxes"], done["detail"]["left"]) == (1, [])
    # Whoever comes back is compared with what is at the destination: nothing comes twice.
    again = office.import_(office.manifest(people), "--name", "move")
    assert again["import"]["already_present"] == 8


def test_an_erased_import_is_gone(office: AdminEnvironment) -> None:
    _moved(office)
    said = office.run("erase", "move", "--yes").said
    assert "erased: 2 mailboxes" in said
    assert "none names them" in said
    kept = held(office)
    assert all(login.encode() not in kept for login in PEOPLE)
    assert "there is no import yet" in office.run("list").said + office.run("list").out


def test_who_is_unknown_or_not_named_is_said(office: AdminEnvironment) -> None:
    _moved(office)
    assert "Check its spelling" in office.run("erase", "--login", "nobody@old.example", "--yes", code=2).said
    assert "give either an import, or --login" in office.run("erase", code=2).said
    assert "give --yes" in office.run("erase", "move", code=2).said
    assert len(json.loads(office.run("status", "--json").out)["mailboxes"]) == 2
