"""Tests one list of sixty mailboxes of every kind, as an administrator may have it.

The final report is right for each.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests import mail
from tests.acceptance.conftest import AdminEnvironment, Box
from tests.acceptance.test_admin_sign_in import ADMIN, WORD, with_master
from tests.acceptance.test_pop3 import held
from tests.mail import Mail, make_message
from tests.servers.dovecot import Dovecot
from tests.servers.scim import SECRET, ScimServer

QUOTA_BYTES = 300_000
FOLDERS = {"INBOX": 4, "Projekte/M&APw-nz": 2}
COLUMNS = "login,password,new_login,new_password,server"


@dataclass
class MixedServers:
    """The two source servers, a destination, and their accounts."""

    #: Server with a master user.
    old: Dovecot
    #: Server with IMAP and POP3.
    older: Dovecot
    #: Server with quotas, and a passwd-file beside its own accounts.
    new: Dovecot
    #: The destination's passwd-file.
    users: Path
    #: Lines of the manifest.
    lines: list[str] = field(default_factory=list)
    #: Source and destination account of each login.
    boxes: dict[str, tuple[Box, Box]] = field(default_factory=dict)

    def person(
        self,
        login: str,
        *,
        server: Dovecot | None = None,
        protocol: str = "",
        word: str | None = None,
        to: str = "",
        there: bool = True,
        bodies: list[bytes] | None = None,
    ) -> None:
        """Adds an account with mail, and its row.

        `word` is a wrong password in the row. `to` is another login at the destination. `there` tells whether that
        account exists.
        """
        home = server or self.old
        source, destination = Box(home, login, f"pw-{login}"), Box(self.new, to or login, f"new-{login}")
        home.add_user(login, source.password)
        if bodies is None:
            source.fill({"INBOX": 5} if protocol == "pop3" else FOLDERS, seed=len(self.lines))
        else:
            mail.populate(*source._place, {"INBOX": [Mail(body) for body in bodies]})
        if there:
            self.new.add_user(destination.login, destination.password)
        port = home.pop3_port if protocol == "pop3" else home.port
        where = f"{protocol or 'imap'}://127.0.0.1:{port}" if server else ""
        given = source.password if word is None else word
        self.lines.append(",".join((login, given, to, destination.password, where)))
        self.boxes[login] = (source, destination)


@pytest.fixture(scope="module")
def mixed_servers() -> Iterator[MixedServers]:
    extra, masters = with_master()
    with tempfile.TemporaryDirectory(prefix="town-", ignore_cleanup_errors=True) as place:
        os.chmod(place, 0o755)
        users = Path(place) / "users"
        users.touch(0o600)
        read = f"{{\n  driver = passwd-file\n  args = username_format=%u {users}\n}}\n"
        with (
            Dovecot(mail_format="sdbox", extra=extra) as old,
            Dovecot(pop3=True) as older,
            Dovecot(mail_format="sdbox", quota_bytes=QUOTA_BYTES, extra=f"passdb {read}userdb {read}") as new,
        ):
            owner = new.home.stat()
            os.chown(users, owner.st_uid, owner.st_gid)
            yield MixedServers(old, older, new, users)
    masters.unlink()
    masters.parent.rmdir()


def test_where_each_row_names_its_server_none_is_named_for_all(admin_env: AdminEnvironment) -> None:
    lines, to = [], f"imap://127.0.0.1:{admin_env.destination.port}"
    boxes = []
    with Dovecot(pop3=True) as older:
        for login, server, port, kind in (
            ("byrow1", admin_env.source, admin_env.source.port, "imap"),
            ("byrow2", older, older.port, "imap"),
            ("byrow3", older, older.pop3_port, "pop3"),
        ):
            for one in (server, admin_env.destination):
                one.add_user(login, "pw")
            boxes.append((Box(server, login, "pw"), Box(admin_env.destination, login, "pw")))
            boxes[-1][0].fill({"INBOX": 3})
            lines.append(f"{login},pw,{kind}://127.0.0.1:{port}")
        manifest = admin_env.manifest(["login,password,server", *lines])
        for command in ("check", "plan", "import"):
            admin_env.run(command, manifest, "--destination", to)
        assert all(held(one) == held(other) and held(one).total() == 3 for one, other in boxes)
        # The order of rows does not matter: it is the same import, and only new mail is copied.
        boxes[0][0].fill({"INBOX": 1}, seed=9)
        manifest = admin_env.manifest(["login,password,server", *reversed(lines)])
        found = json.loads(admin_env.run("import", manifest, "--destination", to, "--json").out)
    assert (found["import"]["source"], found["import"]["passes"]) == ("by row", 2)
    assert found["import"]["copied"] == 10
    assert [held(other).total() for _, other in boxes] == [4, 3, 3]
    assert f"by row → {to}" in admin_env.run("status").out


def test_sixty_mailboxes_of_every_kind_end_in_their_right_states(
    admin_env: AdminEnvironment, mixed_servers: MixedServers
) -> None:
    admin_env = replace(admin_env, source=mixed_servers.old, destination=mixed_servers.new)
    for n in range(20):
        mixed_servers.person(f"imap{n}@old.example")
    for n in range(15):
        mixed_servers.person(f"pop{n}@older.example", server=mixed_servers.older, protocol="pop3")
    for n in range(15):
        mixed_servers.person(f"chief{n}@old.example", word="")
    for n in range(4):
        mixed_servers.person(f"elsewhere{n}@older.example", server=mixed_servers.older, protocol="imap")
    mixed_servers.person("wrong@old.example", word="n0t this")
    mixed_servers.person("wrong@older.example", server=mixed_servers.older, protocol="pop3", word="nor th1s")
    mixed_servers.person("full@old.example", bodies=[make_message(seed, 30_000) for seed in range(20)])
    mixed_servers.person("made@old.example", to="made@scim.example", there=False)
    mixed_servers.person("there@old.example", to="there@scim.example")
    mixed_servers.person("filed@old.example", to="filed@file.example", there=False)
    assert len(mixed_servers.lines) == 60
    made = {"made@old.example": "created", "there@old.example": "adopted", "filed@old.example": "created"}
    parked = {
        "wrong@old.example": "source_auth_refused",
        "wrong@older.example": "source_auth_refused",
        "full@old.example": "destination_over_quota",
    }

    chief, token = admin_env.home / "chief", admin_env.home / "token"
    chief.write_text(WORD)
    token.write_text(SECRET)
    owner = mixed_servers.users.stat()
    home = f"{mixed_servers.new.home}/mail/made/{{login}}"
    with ScimServer(mixed_servers.new.add_user) as scim:
        scim.add("there@scim.example", "its own")
        found = admin_env.import_(
            admin_env.manifest([COLUMNS, *mixed_servers.lines]),
            "--source-admin",
            ADMIN,
            "--source-password-file",
            str(chief),
            "--accounts",
            f"scim.example=scim+{scim.url}/v2",
            "--accounts-secret-file",
            f"scim.example={token}",
            "--accounts",
            f"file.example=passwd-file:{mixed_servers.users}?uid={owner.st_uid}&gid={owner.st_gid}&home={home}",
            "--workers",
            "2",
            code=3,
        )
        assert list(scim.accounts) == ["there@scim.example", "made@scim.example"], "of this domain only"
    assert mixed_servers.users.read_text().count("\n") == 1
    assert mixed_servers.users.read_text().startswith("filed@file.example:")

    # Every row is in its right state …
    by_login = {one["login"]: one for one in found["mailboxes"]}
    assert len(by_login) == 60
    states = {login: one["state"] for login, one in by_login.items()}
    assert states == {login: "parked" if login in parked else "complete" for login in mixed_servers.boxes}
    assert {login: by_login[login]["failure"]["code"] for login in parked} == parked
    assert {login: by_login[login]["account"] for login in made} == made
    # … all its mail is there, once; for the full one as much as the report says …
    for login, (source, destination) in mixed_servers.boxes.items():
        if login in parked:
            continue
        if "pop" in login:  # POP3 has no flags and no dates
            assert held(destination) == held(source), login
        else:
            assert destination.seen() == source.seen(), login
    full = by_login["full@old.example"]
    assert full["copied"] + full["pending"] == 20
    arrived, wanted = held(mixed_servers.boxes["full@old.example"][1]), held(mixed_servers.boxes["full@old.example"][0])
    assert arrived <= wanted
    assert arrived.total() == full["copied"]
    # … and no account is locked: a wrong password was sent once.
    assert mixed_servers.old.login_attempts("wrong@old.example") == 1
    assert mixed_servers.older.login_attempts("wrong@older.example") == 1
    assert (
        mixed_servers.old.login_attempts(),
        mixed_servers.older.login_attempts(),
        mixed_servers.new.login_attempts(),
    ) == (1, 1, 0)

    # The report has one line each, with the state and, where it stopped, the reason.
    folder = admin_env.home / "report"
    admin_env.run("report", "people", "--out", folder)
    lines = list(csv.DictReader((folder / "results.csv").open()))
    assert Counter(line["login"] for line in lines) == Counter(list(mixed_servers.boxes))
    assert {line["login"]: line["state"] for line in lines} == states
    assert {line["login"]: line["failure"] for line in lines if line["failure"]} == parked
    for line in lines:
        source = mixed_servers.boxes[line["login"]][0].server
        pop = "pop" in line["login"] or line["login"] == "wrong@older.example"
        port = source.pop3_port if pop else source.port
        assert line["server"] == f"{'pop3' if pop else 'imap'}://127.0.0.1:{port}"
        assert int(line["messages"]) == int(line["copied"]) + int(line["pending"])
    said = admin_env.run("errors", "people").out
    for login in parked:
        row = next(number for number, line in enumerate(mixed_servers.lines, start=2) if line.startswith(login))
        assert f"row {row}, {login}" in said
    refused = [line for line in said.splitlines() if line.startswith("source_auth_refused: ")]
    assert [line.partition(", at ")[2] for line in refused] == ["", f"pop3://127.0.0.1:{mixed_servers.older.pop3_port}"]
    assert "mailhaul credentials" in said
    assert sum(line.startswith("    row ") for line in said.splitlines()) == len(parked)
