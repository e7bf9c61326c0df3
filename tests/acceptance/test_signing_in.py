"""Imports by an administrator's login, by the command as a person runs it, between real Dovecots."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import ROOT, Box, Office
from tests.servers.dovecot import Dovecot

ADMIN, WORD = "chief", 'the "chief\'s" {user}\\w 1'
MAIL = {"INBOX": 4, "Work": 2}


def with_master() -> tuple[str, Path]:
    """What Dovecot is told, and the file of its masters."""
    place = Path(tempfile.mkdtemp(prefix="masters-"))
    place.chmod(0o755)
    masters = place / "masters"
    masters.write_text(f"{ADMIN}:{{PLAIN}}{WORD}\n")
    return (
        "auth_master_user_separator = *\n"
        f"passdb {{\n  driver = passwd-file\n  args = {masters}\n  master = yes\n  result_success = continue\n}}\n",
        masters,
    )


@pytest.fixture(scope="module")
def masters() -> Iterator[tuple[Dovecot, Dovecot]]:
    extra, file = with_master()
    with Dovecot(mail_format="sdbox", extra=extra) as source, Dovecot(mail_format="sdbox", extra=extra) as destination:
        yield source, destination
    file.unlink()
    file.parent.rmdir()


@pytest.fixture
def desk(office: Office, masters: tuple[Dovecot, Dovecot]) -> Office:
    return replace(office, source=masters[0], destination=masters[1])


def secret(office: Office, text: str = WORD, name: str = "chief.txt") -> str:
    path = office.home / name
    path.write_text(text + "\n")
    return str(path)


def people(office: Office, *names: str) -> dict[str, tuple[Box, Box]]:
    found = office.accounts(*names)
    for there, _ in found.values():
        there.fill(MAIL)
    return found


def mailbox(found: dict[str, Any], login: str) -> dict[str, Any]:
    return next(one for one in found["mailboxes"] if one["login"] == login)


def test_a_list_of_logins_is_all_that_an_administrator_needs(desk: Office) -> None:
    boxes = people(desk, "m-one", "m-two", "m-three")
    manifest = desk.manifest(["login", *boxes])
    by_admin = ["--source-admin", ADMIN, "--source-password-file", secret(desk),
                "--destination-auth", "authzid", "--destination-admin", ADMIN,
                "--destination-password-file", secret(desk)]  # fmt: skip
    checked = json.loads(desk.run("check", manifest, *desk.ends, *by_admin, "--json").out)
    assert checked["ok"] == 3
    assert "m-two: 2 folders, 6 messages" in desk.run("plan", manifest, *desk.ends, *by_admin).out
    found = desk.import_(manifest, *by_admin, "--workers", "2")
    assert found["import"]["copied"] == 18
    for there, here in boxes.values():
        assert here.seen() == there.seen()
    _nowhere(desk, WORD)


def test_a_rows_own_password_goes_before_the_administrators(desk: Office) -> None:
    boxes = people(desk, "o-own", "o-admin", "o-wrong")
    manifest = desk.manifest(
        ["login,password,new_password", "o-own,pw-o-own,pw-o-own", "o-admin,,pw-o-admin", "o-wrong,wrong,pw-o-wrong"]
    )
    found = desk.import_(manifest, "--source-admin", ADMIN, "--source-password-file", secret(desk), code=3)
    states = {login: mailbox(found, login)["state"] for login in boxes}
    assert states == {"o-own": "complete", "o-admin": "complete", "o-wrong": "parked"}
    assert desk.source.login_attempts("o-wrong") == 1
    assert desk.source.logins("o-own") > 0


@pytest.mark.parametrize("way", ["master", "authzid"])
def test_a_wrong_administrators_password_is_refused_once_for_all_mailboxes(desk: Office, way: str) -> None:
    names = [f"w-{way}-{number}" for number in range(12)]
    people(desk, *names)
    manifest = desk.manifest(["login,new_password", *(f"{name},pw-{name}" for name in names)], f"{way}.csv")
    before = desk.source.login_attempts()
    options = ["--source-auth", way, "--source-admin", ADMIN, "--source-password-file"]
    found = desk.import_(manifest, *options, secret(desk, "wrong"), "--workers", "3", code=3)
    assert desk.source.login_attempts() == before + 1
    failures = [mailbox(found, name)["failure"] for name in names]
    assert {mailbox(found, name)["state"] for name in names} == {"parked"}
    assert {failure["code"] for failure in failures} == {"source_auth_refused"}
    assert all(ADMIN in failure["sentence"] for failure in failures)
    assert all("Authentication failed" in failure["detail"] for failure in failures)
    assert all("--source-password-file" in failure["advice"] for failure in failures)

    checked = desk.run("check", manifest, *desk.ends, *options, secret(desk, "wrong"), code=3)
    assert desk.source.login_attempts() == before + 2
    assert "0 of 12" in checked.out

    found = desk.import_(manifest, *options, secret(desk), "--workers", "3")
    assert found["import"]["copied"] == 12 * 6
    assert desk.source.login_attempts() == before + 2


def test_an_account_that_is_not_there_costs_the_others_nothing(desk: Office) -> None:
    people(desk, "t-one", "t-two")
    manifest = desk.manifest(["login,new_login", "t-one,", "t-typo,t-else", "t-two,"])
    desk.destination.add_user("t-else", "x")
    options = [option for side in ("source", "destination") for option in
               (f"--{side}-auth", "authzid", f"--{side}-admin", ADMIN, f"--{side}-password-file", secret(desk))]  # fmt: skip
    found = desk.import_(manifest, *options, code=3)
    states = {login: mailbox(found, login)["state"] for login in ("t-one", "t-typo", "t-two")}
    assert states == {"t-one": "complete", "t-typo": "parked", "t-two": "complete"}


def test_the_password_is_asked_for_on_the_terminal(desk: Office) -> None:
    boxes = people(desk, "p-one")
    manifest = desk.manifest(["login,new_password", "p-one,pw-p-one"])
    command = ["check", manifest, *desk.ends, "--source-admin", ADMIN]
    refused = desk.run(*command, code=2)
    assert "--source-password-file" in refused.said
    assert not refused.out
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(desk.home)
        env = {**os.environ, "MAILHAUL_STATE_DIR": str(desk.home / "state"), "PYTHONPATH": str(ROOT)}
        os.execve(sys.executable, [sys.executable, "-m", "producer", *map(str, command)], env)
    said = _until(terminal, b"Password of chief at the source")
    os.write(terminal, WORD.encode() + b"\n")
    said += _until(terminal, b"mailboxes work")
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert WORD.encode() not in said
    assert boxes


def _until(terminal: int, text: bytes) -> bytes:
    said, deadline = b"", time.monotonic() + 60
    while text not in said:
        assert time.monotonic() < deadline, said
        if select.select([terminal], [], [], 1)[0]:
            said += os.read(terminal, 4096)
    return said


def _nowhere(office: Office, word: str) -> None:
    """The secret is in no file of the state folder, and in no log."""
    hidden = [word.encode(), json.dumps(word).encode(), re.sub(r"(?=[\"\\])", r"\\", word).encode()]
    for path in (office.home / "state").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(text in content for text in hidden), path
