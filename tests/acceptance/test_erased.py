"""Tests that an erased person, or import, is gone from every key and from the bytes that Redis keeps on disk."""

from __future__ import annotations

import json

from tests.acceptance.conftest import AdminEnvironment, Box
from tests.acceptance.test_forgotten import held


def _moved(admin_env: AdminEnvironment, of: str) -> tuple[str, str, dict[str, str], dict[str, tuple[Box, Box]]]:
    """Moves two people, whose logins no other test has. Returns both, the manifest's rows, and their mailboxes."""
    anna, bob = logins = [f"{name}-{of}@old.example" for name in ("anna", "bob")]
    boxes = admin_env.accounts(*logins, prefix="pw-")
    boxes[anna][0].fill({"INBOX": 5, "Sent": 3})
    boxes[bob][0].fill({"INBOX": 4})
    people = {login: f"pw-{login}" for login in logins}
    admin_env.import_(admin_env.manifest(people), "--name", "move")
    admin_env.run("status", "--mailbox", anna)
    admin_env.run("check", admin_env.manifest(people), *admin_env.ends)
    return anna, bob, people, boxes


def test_an_erased_person_is_gone_and_the_others_stay(admin_env: AdminEnvironment) -> None:
    anna, bob, people, boxes = _moved(admin_env, "person")
    assert anna.encode() in held(admin_env), "the control"
    said = admin_env.run("erase", "--login", anna, "--yes").said
    assert "erased: 1 mailbox" in said
    assert "none names them" in said
    kept = held(admin_env)
    assert anna.encode() not in kept
    assert bob.encode() in kept
    status = json.loads(admin_env.run("status", "--json").out)
    assert [mailbox["login"] for mailbox in status["mailboxes"]] == [bob]
    audit = admin_env.run("audit", "--format", "jsonl").out
    assert anna not in audit
    (done,) = [json.loads(line) for line in audit.splitlines() if json.loads(line)["what"] == "erasure done"]
    assert (done["detail"]["mailboxes"], done["detail"]["left"]) == (1, [])
    # Whoever comes back is compared with what is at the destination: nothing comes twice. A message more tells both sides apart:
    # where they stand on one machine, were made in one second and show the same, they are taken for one mailbox.
    boxes[anna][0].fill({"INBOX": 1})
    again = admin_env.import_(admin_env.manifest(people), "--name", "move")
    assert again["import"]["already_present"] == 8


def test_an_erased_import_is_gone(admin_env: AdminEnvironment) -> None:
    _, _, people, _ = _moved(admin_env, "whole")
    said = admin_env.run("erase", "move", "--yes").said
    assert "erased: 2 mailboxes" in said
    assert "none names them" in said
    kept = held(admin_env)
    assert all(login.encode() not in kept for login in people)
    assert "there is no import yet" in admin_env.run("list").said + admin_env.run("list").out


def test_who_is_unknown_or_not_named_is_said(admin_env: AdminEnvironment) -> None:
    _moved(admin_env, "asked")
    nobody = admin_env.run("erase", "--login", "nobody@old.example", "--yes", code=2).said
    assert "none has the login nobody@old.example (check its spelling)" in nobody
    assert "0 mailboxes" not in nobody
    assert "Check its spelling" in nobody
    assert "give either an import, or --login" in admin_env.run("erase", code=2).said
    assert "give --yes" in admin_env.run("erase", "move", code=2).said
    assert len(json.loads(admin_env.run("status", "--json").out)["mailboxes"]) == 2
