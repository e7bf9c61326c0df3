"""Tests that the command line says what it did to an import at rest, and asks before what nobody takes back."""

from __future__ import annotations

import json

from tests.acceptance.conftest import AdminEnvironment


def _finished(admin_env: AdminEnvironment, *logins: str) -> None:
    """Brings an import called "two words" to its end."""
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0"}
    for source, _ in admin_env.accounts(*logins).values():
        source.fill({"INBOX": 2})
    admin_env.import_(admin_env.manifest({login: f"pw-{login}" for login in logins}), "--name", "two words")


def test_a_pause_of_a_finished_import_is_told_and_named_until_it_ends(admin_env: AdminEnvironment) -> None:
    _finished(admin_env, "at-rest")
    admin_env.run("standing", "two words", "--on")
    named = "paused: nothing is looked at until it is resumed: mailhaul resume 'two words'"
    for verb in ("status", "standing"):
        assert "paused" not in "".join(vars(admin_env.run(verb, "two words"))[one] for one in ("out", "said"))
    assert named in admin_env.run("pause", "two words").said
    assert "is paused already" in admin_env.run("pause", "two words").said
    assert named in admin_env.run("status", "two words").out
    assert named in admin_env.run("standing", "two words").said
    assert "resumed: nothing of it is under way" in admin_env.run("resume", "two words").said
    assert "nothing was changed" in admin_env.run("resume", "two words").said
    acts = [
        (one["what"], one["detail"].get("act", ""))
        for one in map(json.loads, admin_env.run("audit", "--format", "jsonl").out.splitlines())
    ]
    assert acts[-6:] == [
        ("import pause", ""),
        ("import pause", ""),
        ("act changed nothing", "import pause"),
        ("import run", ""),
        ("import run", ""),
        ("act changed nothing", "import run"),
    ]


def test_a_cancelled_mailbox_goes_on_by_the_command_that_was_named(admin_env: AdminEnvironment) -> None:
    logins = ("goes-on", "other-one")
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0"}
    boxes = admin_env.accounts(*logins)
    for source, _ in boxes.values():
        source.fill({"INBOX": 2})
    manifest = admin_env.manifest({"goes-on": "wrong", "other-one": "pw-other-one"})
    admin_env.import_(manifest, "--name", "two words", code=3)
    said = admin_env.run("cancel", "two words", "--mailbox", "goes-on").said
    assert "go on with: mailhaul resume 'two words' --mailbox goes-on (1 mailbox)" in said
    right = admin_env.manifest({"goes-on": "pw-goes-on"}, "right.csv")
    admin_env.run("credentials", "two words", right)
    assert "goes on (1 mailbox)" in admin_env.run("resume", "two words", "--mailbox", "goes-on").said
    assert boxes["goes-on"][1].seen() == boxes["goes-on"][0].seen()


def test_a_cutover_by_hand_says_what_to_change_and_what_comes_first(admin_env: AdminEnvironment) -> None:
    admin_env.variables["MAILHAUL_SWITCHES"] = "dns=by-hand:"
    _finished(admin_env, "hand@x.example")
    words = "by hand: let the MX record of x.example name 127.0.0.1 and no other host"
    assert f"to do when it is switched: {words}" in admin_env.run("cutover", "plan", "two words", code=None).out
    assert "cutover" not in admin_env.run("status", "two words").out
    admin_env.run("cutover", "start", "two words")
    said = admin_env.run("cutover", "switch", "two words", "--yes", code=2).said
    assert "nobody can switch it now; next: " in said
    assert "  cutover: drafted for " in admin_env.run("status", "two words").out
    for verb in ("switch", "rollback", "close"):
        said = admin_env.run("cutover", verb, "two words", code=2).said
        assert f"cutover {verb}: nobody can be asked here; give --yes" in said
    admin_env.run("cutover", "close", "two words", "--yes")
    assert "cutover" not in admin_env.run("status", "two words").out


def test_nobody_is_taken_to_agree_where_nobody_can_be_asked(admin_env: AdminEnvironment) -> None:
    _finished(admin_env, "asked")
    for verb in ("forget", "close"):
        said = admin_env.run(verb, "two words", code=2).said
        assert f"{verb}: nobody can be asked here; give --yes" in said
    assert "passwords deleted" in admin_env.run("forget", "two words", "--yes").said
