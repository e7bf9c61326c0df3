"""Tests `--quiet`: only errors and the last line are printed."""

from __future__ import annotations

import re

from tests.acceptance.conftest import AdminEnvironment


def test_a_quiet_command_prints_one_line_when_all_is_well_and_the_errors_when_it_is_not(
    admin_env: AdminEnvironment,
) -> None:
    boxes = admin_env.accounts("quiet-a", "quiet-b")
    for there, _ in boxes.values():
        there.fill({"INBOX": 3})
    right = admin_env.manifest({"quiet-a": "pw-quiet-a", "quiet-b": "pw-quiet-b"})
    loud = admin_env.run("import", right, *admin_env.ends)
    assert "messages:" in loud.said, "the control: without it there is more"
    for command in (["import", right, *admin_env.ends], ["verify"], ["watch"]):
        found = admin_env.run(*command, "--quiet")
        assert re.fullmatch(r"import people \(\w{8}\): complete after .+\n", found.said), (command, found.said)
        assert not found.out

    wrong = admin_env.manifest({"quiet-a": "pw-quiet-a", "quiet-b": "wrong"}, "wrong.csv")
    found = admin_env.run("import", wrong, *admin_env.ends, "-q", code=3)
    lines = found.said.splitlines()
    assert any(line.startswith("source_auth_refused") for line in lines)
    assert re.fullmatch(r"import wrong \(\w{8}\): incomplete after .+", lines[-1])
    assert "mailboxes:" not in found.said

    found = admin_env.run("retry", "wrong", "--quiet", code=3)
    assert "queued again" not in found.said
    assert "source_auth_refused" in found.said
    assert admin_env.run("retry", "people", "--quiet").said.strip().endswith("nothing was changed"), (
        "nothing to wait for"
    )
