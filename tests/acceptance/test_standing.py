"""Tests a standing import as an administrator uses it: by command line alone."""

from __future__ import annotations

import json

from tests.acceptance.conftest import AdminEnvironment, until


def test_new_mail_comes_by_itself_until_it_stands_no_longer(admin_env: AdminEnvironment) -> None:
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0"}
    boxes = admin_env.accounts("stands-a", "stands-b")
    for source, _ in boxes.values():
        source.fill({"INBOX": 5})
    manifest = admin_env.manifest(["login,password,wave", "stands-a,pw-stands-a,pilot", "stands-b,pw-stands-b,last"])
    admin_env.start("up", "--workers", "1", "--threads", "2")
    until(lambda: admin_env.run("limits", code=None).code == 0, "the embedded Redis")
    admin_env.run("import", manifest, *admin_env.ends)
    assert "does not stand" in admin_env.run("standing", "people").said

    for wrong in (["--least", "5"], ["--least", "1h", "--most", "1m"], ["--off", "--least", "1m"], ["--on", "--off"]):
        admin_env.run("standing", "people", *wrong, code=2)
    admin_env.run("standing", "people", "--wave", "nobody", "--on", code=2)
    said = admin_env.run("standing", "people", "--wave", "pilot", "--least", "10s", "--most", "10s").said
    assert "wave pilot stands: each mailbox is looked at again after 10s to 10s" in said
    boxes["stands-a"][0].fill({"Later": 3})
    boxes["stands-b"][0].fill({"Later": 3})
    until(lambda: boxes["stands-a"][1].seen() == boxes["stands-a"][0].seen(), "the new mail")
    until(lambda: "1 mailbox stands" in admin_env.run("status", "people").out, "the end of its pass")
    document = json.loads(admin_env.run("status", "people", "--json").out)
    ann, bob = document["mailboxes"]
    assert ann["synced_at"] > bob["synced_at"]
    assert (ann["look_at"] is None, bob["look_at"] is None) == (False, True)
    assert boxes["stands-b"][1].seen() != boxes["stands-b"][0].seen(), "its wave does not stand"
    assert "stands: its mailboxes are looked at again" in admin_env.run("close", "people", "--yes", code=2).said

    admin_env.run("standing", "people", "--off")
    assert json.loads(admin_env.run("standing", "people", "--json").out)["standing"] == []
    assert "standing set" in admin_env.run("audit").out
    admin_env.run("close", "people", "--yes")
