"""Tests imports by an administrator's login, with the command as an operator runs it, between real Dovecots."""

from __future__ import annotations

import json
import os
import pty
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import ROOT, AdminEnvironment, Box
from tests.servers.dovecot import Dovecot
from tests.servers.faulty import FaultyServer
from tests.servers.oauth import TokenServer, dovecot_oauth2
from tests.servers.readable import readable

ADMIN, WORD = "chief", 'the "chief\'s" {user}\\w 1'
MAIL = {"INBOX": 4, "Work": 2}


def with_master() -> tuple[str, Path]:
    """Returns Dovecot's settings for master users, and the file of the masters."""
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
def desk(admin_env: AdminEnvironment, masters: tuple[Dovecot, Dovecot]) -> AdminEnvironment:
    return replace(admin_env, source=masters[0], destination=masters[1])


def secret(admin_env: AdminEnvironment, text: str = WORD, name: str = "chief.txt") -> str:
    path = admin_env.home / name
    path.write_text(text + "\n")
    return str(path)


def people(admin_env: AdminEnvironment, *names: str) -> dict[str, tuple[Box, Box]]:
    found = admin_env.accounts(*names)
    for there, _ in found.values():
        there.fill(MAIL)
    return found


def mailbox(found: dict[str, Any], login: str) -> dict[str, Any]:
    return next(one for one in found["mailboxes"] if one["login"] == login)


def test_a_list_of_logins_is_all_that_an_administrator_needs(desk: AdminEnvironment) -> None:
    boxes = people(desk, "m-one", "m-two", "m-three")
    manifest = desk.manifest(["login", *boxes])
    by_admin = [
        "--source-admin",
        ADMIN,
        "--source-password-file",
        secret(desk),
        "--destination-auth",
        "authzid",
        "--destination-admin",
        ADMIN,
        "--destination-password-file",
        secret(desk),
    ]
    checked = json.loads(desk.run("check", manifest, *desk.ends, *by_admin, "--json").out)
    assert checked["ok"] == 3
    assert "m-two: 2 folders, 6 messages" in desk.run("plan", manifest, *desk.ends, *by_admin).out
    found = desk.import_(manifest, *by_admin, "--workers", "2")
    assert found["import"]["copied"] == 18
    for there, here in boxes.values():
        assert here.seen() == there.seen()
    _nowhere(desk, WORD)


def test_a_rows_own_password_goes_before_the_administrators(desk: AdminEnvironment) -> None:
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
def test_a_wrong_administrators_password_is_refused_once_for_all_mailboxes(desk: AdminEnvironment, way: str) -> None:
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


def test_the_right_password_of_an_administrator_is_given_later(desk: AdminEnvironment) -> None:
    """Gives the right password later, for the mailboxes that the wrong one parked; no other option is repeated."""
    boxes = people(desk, "l-one", "l-two")
    manifest = desk.manifest(["login,new_password", *(f"{name},pw-{name}" for name in boxes)], "later.csv")
    options = ["--source-auth", "authzid", "--source-admin", ADMIN, "--source-password-file", secret(desk, "wrong")]
    failure = mailbox(desk.import_(manifest, *options, code=3), "l-one")["failure"]
    assert "mailhaul credentials" in failure["advice"]
    given, there = ["--source-password-file", secret(desk)], ["--destination-password-file", secret(desk)]
    assert "give FILE.csv" in desk.run("credentials", "later", code=2).said
    assert "nothing to be given for all" in desk.run("credentials", "later", *there, code=2).said
    assert "new at the source; 2 mailboxes queued again" in desk.run("credentials", "later", *given).said
    found = desk.import_(manifest, *options[:4], *given)
    assert found["import"]["copied"] == 12


def test_an_account_that_is_not_there_costs_the_others_nothing(desk: AdminEnvironment) -> None:
    people(desk, "t-one", "t-two")
    manifest = desk.manifest(["login,new_login", "t-one,", "t-typo,t-else", "t-two,"])
    desk.destination.add_user("t-else", "x")
    options = [
        option
        for side in ("source", "destination")
        for option in (f"--{side}-auth", "authzid", f"--{side}-admin", ADMIN, f"--{side}-password-file", secret(desk))
    ]
    found = desk.import_(manifest, *options, code=3)
    states = {login: mailbox(found, login)["state"] for login in ("t-one", "t-typo", "t-two")}
    assert states == {"t-one": "complete", "t-typo": "parked", "t-two": "complete"}


def test_the_password_is_asked_for_on_the_terminal(desk: AdminEnvironment) -> None:
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
    said, deadline = b"", time.monotonic() + 240
    while text not in said:
        assert time.monotonic() < deadline, said
        if readable([terminal], 1):
            said += os.read(terminal, 4096)
    return said


def _nowhere(admin_env: AdminEnvironment, word: str) -> None:
    """Asserts that the secret is in no file of the state folder, and in no log."""
    hidden = [word.encode(), json.dumps(word).encode(), re.sub(r"(?=[\"\\])", r"\\", word).encode()]
    for path in (admin_env.home / "state").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(text in content for text in hidden), path


# -- PROXYAUTH


def test_proxyauth_at_the_source(desk: AdminEnvironment) -> None:
    with FaultyServer() as old:
        old.add_account(ADMIN, WORD)
        old.behaviour.admins.add(ADMIN)
        for name in ("x-one", 'x "two"'):
            inbox = old.add_account(name, "unknown to us").folder("INBOX")
            for number in range(3):
                inbox.add(b"Subject: %d\r\n\r\nx\r\n" % number)
        for name in ("x-one", "x-two"):
            desk.destination.add_user(name, "pw")
        manifest = desk.manifest(["login,new_login,new_password", "x-one,,pw", '"x ""two""",x-two,pw', "x-gone,,pw"])
        ends = ["--source", f"imap://127.0.0.1:{old.port}", *desk.ends[2:]]
        by_proxy = ["--source-auth", "proxyauth", "--source-admin", ADMIN, "--source-password-file", secret(desk)]
        ended = desk.run("import", manifest, *ends, *by_proxy, "--json", code=3)
        found = json.loads(ended.out)
        states = [one["state"] for one in found["mailboxes"]]
        assert found["import"]["copied"] == 6, json.dumps([one["failure"] for one in found["mailboxes"]])
        assert states == ["complete", "complete", "parked"]
        assert "no such user" in found["mailboxes"][2]["failure"]["detail"]
        assert {attempt.login for attempt in old.behaviour.attempts} == {ADMIN}

        old.behaviour.attempts.clear()
        by_proxy[-1] = secret(desk, "wrong")
        desk.run("import", manifest, *ends, *by_proxy, "--workers", "2", code=3)
        assert len(old.behaviour.attempts) == 1


# -- tokens


@pytest.fixture(scope="module")
def mint() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@pytest.fixture
def modern(admin_env: AdminEnvironment, mint: TokenServer) -> Iterator[AdminEnvironment]:
    with (
        tempfile.TemporaryDirectory(prefix="oauth-", ignore_cleanup_errors=True) as place,
        Dovecot(mail_format="sdbox", extra=dovecot_oauth2(mint, Path(place))) as source,
    ):
        mint.users = None
        yield replace(admin_env, source=source)


def test_a_google_service_account_opens_every_mailbox(modern: AdminEnvironment, mint: TokenServer) -> None:
    boxes = people(modern, "g-one@example.org", "g-two@example.org")
    mint.users = set(boxes)
    rows = [f"{login},pw-{login}" for login in (*boxes, "g-gone@example.org")]
    manifest = modern.manifest(["login,new_password", *rows])
    key = secret(modern, mint.service_account, "key.json")
    found = modern.import_(manifest, "--source-auth", "google", "--source-password-file", key, "--workers", "2", code=3)
    for there, here in boxes.values():
        assert mailbox(found, there.login)["state"] == "complete"
        assert here.seen() == there.seen()
    failure = mailbox(found, "g-gone@example.org")["failure"]
    assert failure["code"] == "source_auth_refused"
    assert "Invalid email or User ID" in failure["detail"]
    assert mint.tokens_asked == 3, "one token a user, for all workers and connections"
    private = json.loads(mint.service_account)["private_key"].splitlines()[1]
    _nowhere(modern, private)
    for token in mint.issued:
        _nowhere(modern, token)


def test_a_key_without_delegation_is_asked_once_and_the_advice_names_the_scope(
    modern: AdminEnvironment, mint: TokenServer
) -> None:
    people(modern, *(names := [f"d-{number}@example.org" for number in range(6)]))
    manifest = modern.manifest(["login,new_password", *(f"{name},pw-{name}" for name in names)])
    key = secret(modern, mint.service_account, "key.json")
    before = mint.tokens_asked
    scope = "google:https://example.org/not-delegated"
    options = ["--source-auth", scope, "--source-password-file", key, "--workers", "2"]
    found = modern.import_(manifest, *options, code=3)
    assert mint.tokens_asked == before + 1
    assert modern.source.login_attempts() == 0
    for name in names:
        failure = mailbox(found, name)["failure"]
        assert failure["code"] == "source_auth_refused"
    assert any("112233" in mailbox(found, name)["failure"]["sentence"] for name in names)


def test_a_program_gives_the_tokens_and_rows_may_have_their_own(modern: AdminEnvironment, mint: TokenServer) -> None:
    (there, here), (_, ours) = people(modern, "c-one@example.org", "c-two@example.org").values()
    script = modern.home / "token"
    given = {login: mint.give(login) for login in ("c-one@example.org", "c-two@example.org")}
    script.write_text("#!/bin/sh\ncat " + str(modern.home) + '/"$1".token\n')
    script.chmod(0o700)
    (modern.home / "c-one@example.org.token").write_text(given["c-one@example.org"])
    manifest = modern.manifest(["login,new_password", "c-one@example.org,pw-c-one@example.org"], "command.csv")
    modern.import_(manifest, "--source-auth", f"command:{script} {{user}}")
    assert here.seen() == there.seen()
    rows = ["login,password,new_password", f"c-two@example.org,{given['c-two@example.org']},pw-c-two@example.org"]
    modern.import_(modern.manifest(rows, "own.csv"), "--source-auth", "token")
    assert len(ours.seen()) > 0
    for token in given.values():
        _nowhere(modern, token)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--source-auth", "kerberos"], "is none of"),
        (["--source-auth", "master"], "needs --source-admin"),
        (["--source-auth", "password", "--source-admin", "x"], "goes with"),
        (["--source-auth", "master:{user}", "--source-admin", "x"], "{admin}"),
        (["--source-auth", "password:md4"], "CRAM-MD5"),
        (["--source-auth", "google"], "--source-password-file"),
        (["--source-auth", "google", "--source-password-file", "word"], "service account"),
        (["--source-auth", "microsoft", "--source-password-file", "word"], "tenant"),
        (["--source-auth", "command:token"], "full path"),
        (["--source-auth", "command:/no/such/token"], "not there"),
        (["--source-admin", "x", "--source-password-file", "/no/such/file"], "cannot be read"),
        (["--source-admin", "x", "--source-password-file", "lines"], "one line"),
        (["--source-auth", "kerberos", "--source-password-file", "word"], "is none of"),
        ([], "password"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_started(
    admin_env: AdminEnvironment, options: list[str], said: str
) -> None:
    manifest = admin_env.manifest(["login", "anna"])
    (admin_env.home / "word").write_text("word\n")
    (admin_env.home / "lines").write_text("a\nb\n")
    ended = admin_env.run("import", manifest, *admin_env.ends, *options, code=2)
    assert said in ended.said
    lines = ended.said.splitlines()
    assert len(lines) == len({*lines}), "nothing is said twice"
    assert ("cannot be read" in ended.said) + ("one line" in ended.said) < 2, "a file that cannot be read holds no line"
    assert not (admin_env.home / "state").exists()
