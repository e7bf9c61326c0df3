"""Tests that an import in the foreground tells what happened, although no page runs."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.conftest import AdminEnvironment
from tests.servers.smtp_server import SmtpServer


def test_the_end_of_an_import_is_told_before_the_command_ends(admin_env: AdminEnvironment, tmp_path: Path) -> None:
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0"}
    for source, _ in admin_env.accounts("told-a").values():
        source.fill({"INBOX": 3})
    manifest = admin_env.manifest(["login,password", "told-a,pw-told-a", "told-b,pw-wrong"])
    with SmtpServer(tmp_path / "smtp", tls="none") as mail:
        server = f"smtp://localhost:{mail.port}"
        admin_env.run("notify", "add", "email", "boss@corp.example", "--server", server)
        admin_env.run("notify", "add", "email", "it@corp.example", "--server", server, "--what", "person", "--logins")
        admin_env.run("import", manifest, *admin_env.ends, code=3)
        boss = [str(one["Subject"]) for one in mail.mails if one["To"] == "boss@corp.example"]
        assert any("something is left to do" in subject for subject in boss)
        assert any("1 mailbox waits for a person" in subject for subject in boss)
        (it,) = (one for one in mail.mails if one["To"] == "it@corp.example")
        assert "These are: told-b" in it.get_content()
        assert "told-b" not in "".join(one.get_content() for one in mail.mails if one["To"] == "boss@corp.example")
