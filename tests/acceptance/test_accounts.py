"""Tests imports whose accounts are created at the destination, with the command as an operator runs it."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.processes import FORKED_WORKER
from tests.acceptance.conftest import AdminEnvironment, Box, children, until
from tests.servers.dovecot import Dovecot
from tests.servers.scim import SECRET, ScimServer

MAIL = {"INBOX": 6, "Work": 3}


class PasswdServers:
    """A destination that reads accounts from a passwd-file too, and its environment."""

    def __init__(self, admin_env: AdminEnvironment, destination: Dovecot, users: Path) -> None:
        self.admin_env = replace(admin_env, destination=destination)
        self.source, self.destination, self.users = admin_env.source, destination, users

    @property
    def passwd_file(self) -> list[str]:
        """Returns `--accounts` for the file."""
        owner = self.users.stat()
        home = f"{self.destination.home}/mail/made/{{login}}"
        return ["--accounts", f"passwd-file:{self.users}?uid={owner.st_uid}&gid={owner.st_gid}&home={home}"]

    def scim(self, server: ScimServer) -> list[str]:
        """Returns `--accounts` for a SCIM service."""
        secret = self.admin_env.home / "secret"
        secret.write_text(SECRET + "\n")
        return ["--accounts", f"scim+{server.url}/v2", "--accounts-secret-file", str(secret)]

    def person(self, name: str, new_password: str = "") -> tuple[Box, Box]:
        """Adds an account with mail at the source; there is none at the destination."""
        self.source.add_user(name, f"pw-{name}")
        box = Box(self.source, name, f"pw-{name}")
        box.fill(MAIL)
        return box, Box(self.destination, name, new_password or f"pw-{name}")


@pytest.fixture
def servers(admin_env: AdminEnvironment) -> Iterator[PasswdServers]:
    owner = admin_env.destination.home.stat()
    with tempfile.TemporaryDirectory(prefix="passwd-", ignore_cleanup_errors=True) as place:
        os.chmod(place, 0o755)
        users = Path(place) / "users"
        users.touch(0o600)
        os.chown(users, owner.st_uid, owner.st_gid)
        read = f"{{\n  driver = passwd-file\n  args = username_format=%u {users}\n}}\n"
        with Dovecot(mail_format="sdbox", extra=f"passdb {read}userdb {read}") as destination:
            yield PasswdServers(admin_env, destination, users)


def _mailbox(found: dict[str, Any], login: str) -> dict[str, Any]:
    return next(mailbox for mailbox in found["mailboxes"] if mailbox["login"] == login)


def test_accounts_are_made_in_a_passwd_file_and_one_that_is_there_keeps_its_password(servers: PasswdServers) -> None:
    admin_env = servers.admin_env
    made = servers.person("pf-made", "n3w secret, with: signs")
    there = servers.person("pf-there", "0wn password")
    wrong = servers.person("pf-wrong", "n0t its password")
    for _, box in (there, wrong):
        servers.destination.add_user(box.login, "0wn password")
    known = "pf-there:{PLAIN}0wn password\npf-wrong:{PLAIN}0wn password\n"
    with servers.users.open("w") as file:
        file.write(known)
    rows = [
        "login,password,new_password,first_name,quota",
        'pf-made,pw-pf-made,"n3w secret, with: signs",Anna,1 GB',
        "pf-there,pw-pf-there,0wn password,,",
        "pf-wrong,pw-pf-wrong,n0t its password,,",
    ]
    manifest = admin_env.manifest(rows)

    dry = admin_env.run("check", manifest, *admin_env.ends, *servers.passwd_file, "--json", code=3)
    checked = {one["login"]: one["destination"] for one in json.loads(dry.out)["mailboxes"]}
    assert checked["pf-made"]["would_create"]
    assert checked["pf-made"]["ok"]
    assert checked["pf-there"]["ok"]
    assert not checked["pf-there"]["would_create"]
    planned = admin_env.run("plan", manifest, *admin_env.ends, *servers.passwd_file, code=3)
    assert "pf-made: 2 folders, 9 messages" in planned.out
    assert "the account would be created" in planned.out
    assert "accounts to be created: 1" in planned.out
    assert servers.users.read_text() == known, "a dry run writes nothing"
    assert servers.destination.logins("pf-made") == servers.destination.login_attempts("pf-made") == 0
    refused_before = servers.destination.login_attempts("pf-wrong")

    found = admin_env.import_(manifest, *servers.passwd_file, code=3)
    assert [_mailbox(found, box.login)["state"] for box, _ in (made, there, wrong)] == [
        "complete",
        "complete",
        "parked",
    ]
    assert [_mailbox(found, box.login)["account"] for box, _ in (made, there)] == ["created", "adopted"]
    assert made[1].seen() == made[0].seen()
    assert there[1].seen() == there[0].seen()
    failure = _mailbox(found, "pf-wrong")["failure"]
    assert failure["code"] == "destination_auth_refused"
    assert "never changed" in failure["sentence"]
    assert servers.destination.login_attempts("pf-wrong") == refused_before + 1
    assert servers.destination.login_attempts("pf-made") == 0, "it is not tried before Dovecot knows it"
    lines = servers.users.read_text()
    assert lines.startswith(known)
    assert lines.count("\n") == 3
    assert "n3w secret" not in lines

    again = admin_env.import_(manifest, *servers.passwd_file, code=3)
    assert again["import"]["this_run"]["copied"] == 0
    assert servers.users.read_text() == lines
    assert _mailbox(again, "pf-made")["account"] == "created", "it is known to be ours"


def test_accounts_are_made_by_scim_and_what_it_refuses_is_parked_with_its_reason(servers: PasswdServers) -> None:
    admin_env = servers.admin_env
    made, there, refused = servers.person("sc-made", "n3w"), servers.person("sc-there"), servers.person("sc-refused")

    def no(login: str) -> str:
        return "userName is reserved" if login == "sc-refused" else ""

    with ScimServer(servers.destination.add_user, no) as scim:
        scim.add("sc-there", "another")
        servers.destination.add_user("sc-there", "pw-sc-there")
        scim.instead = [("429 Too Many Requests", [("Retry-After", "1")])]
        rows = [
            "login,password,new_password,last_name",
            "sc-made,pw-sc-made,n3w,Ö",
            "sc-there,pw-sc-there,,",
            "sc-refused,pw-sc-refused,,",
        ]
        found = admin_env.import_(admin_env.manifest(rows), *servers.scim(scim), code=3)
        assert [_mailbox(found, box.login)["state"] for box, _ in (made, there, refused)] == [
            "complete",
            "complete",
            "parked",
        ]
        assert made[1].seen() == made[0].seen()
        assert there[1].seen() == there[0].seen()
        assert scim.accounts["sc-there"] == "another", "an existing account is left as it is"
        failure = _mailbox(found, "sc-refused")["failure"]
        assert failure["code"] == "account_rejected"
        assert "userName is reserved" in failure["sentence"]
        assert "mailhaul retry" in failure["advice"]
        assert "userName is reserved" in admin_env.run("errors", "people").out
        assert {method for method, _ in scim.asked} <= {"GET", "POST"}
        for path in [path for path in admin_env.home.rglob("*") if path.is_file() and path.name != "secret"]:
            assert SECRET.encode() not in path.read_bytes(), path

        # The operator corrects the fault, and the import goes on.
        scim._refuse = None
        admin_env.run("retry", "people")
        done = admin_env.import_(admin_env.manifest(rows), *servers.scim(scim))
        assert refused[1].seen() == refused[0].seen()
        assert _mailbox(done, "sc-refused")["account"] == "created"


def test_a_worker_that_dies_between_creating_and_writing_it_down_does_no_harm(servers: PasswdServers) -> None:
    admin_env = servers.admin_env
    source, destination = servers.person("killed", "n3w")
    admin_env.variables |= {"MAILHAUL_LEASE_SECONDS": "3", "MAILHAUL_RENEW_SECONDS": "1"}
    killed: list[int] = []

    def kill_the_worker() -> None:
        if not killed:
            killed.extend(pid for pid, name in children(admin_env).items() if name == FORKED_WORKER)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            until(lambda: not {*killed} & {*children(admin_env)}, "its end")

    with ScimServer(servers.destination.add_user) as scim:
        scim.before_answer = kill_the_worker
        rows = ["login,password,new_password", "killed,pw-killed,n3w"]
        found = admin_env.import_(admin_env.manifest(rows), *servers.scim(scim))
        assert killed, "the worker was not killed"
        assert [method for method, _ in scim.asked].count("POST") == 1, "what is there is not asked for again"
    assert destination.seen() == source.seen()
    assert _mailbox(found, "killed")["account"] == "created", "what was about to be created is known to be ours"
    assert servers.destination.login_attempts("killed") == 0


def test_passwords_that_are_missing_are_made_and_handed_over_once(servers: PasswdServers) -> None:
    admin_env = servers.admin_env
    source, _ = servers.person("gen")
    other, own = servers.person("gen-own", "mine")
    rows = ["login,password,new_password", "gen,pw-gen,", "gen-own,pw-gen-own,mine"]
    manifest = admin_env.manifest(rows)
    said = admin_env.run("import", manifest, *admin_env.ends, *servers.passwd_file, "--generate-passwords").said
    (path,) = (admin_env.home / "state" / "passwords").glob("*.csv")
    assert str(path) in said
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = list(csv.DictReader(path.open()))
    assert [line["login"] for line in lines] == ["gen"]
    made = lines[0]["password"]
    assert made not in said
    assert Box(servers.destination, "gen", made).seen() == source.seen()
    assert own.seen() == other.seen()

    before = path.read_bytes()
    admin_env.import_(manifest, *servers.passwd_file, "--generate-passwords")
    assert path.read_bytes() == before
    path.unlink()
    again = admin_env.import_(manifest, *servers.passwd_file, "--generate-passwords")
    assert again["exit_code"] == 0, "what was made is still known"
    assert not path.exists(), "handed over once"
    assert servers.destination.login_attempts("gen") == 0


def test_bad_options_are_told_before_anything_starts(servers: PasswdServers) -> None:
    admin_env = servers.admin_env
    manifest = admin_env.manifest({"a": "b"})
    for options, why in (
        (["--accounts", "scim+https://id.example"], "--accounts-secret-file"),
        (["--accounts", "scim+http://id.example/x"], "in the clear"),
        (["--generate-passwords"], "go with --accounts"),
        (["--accounts", "scim+https://x", "--accounts-secret-file", "/nowhere"], "cannot be read"),
    ):
        assert why in admin_env.run("import", manifest, *admin_env.ends, *options, code=2).said
    assert not (admin_env.home / "state").exists()
