"""Tests the passwd-file adapter with a real Dovecot, and with two writers at the same time."""

from __future__ import annotations

import imaplib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from shared.accounts import NewAccount, passwd_file
from shared.accounts.passwd_file import PasswdFile
from shared.model.accounts import Created
from shared.runtime.secret import Secret
from tests.servers.dovecot import Dovecot, available

if not available():
    pytest.skip("no Dovecot here", allow_module_level=True)


@pytest.fixture
def users() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="passwd-") as place:
        os.chmod(place, 0o755)
        path = Path(place) / "users"
        path.touch(0o600)
        yield path


def _wanted(login: str, password: str = "x", quota_bytes: int | None = None) -> NewAccount:
    return NewAccount(login=login, password=Secret(password), quota_bytes=quota_bytes)


def test_dovecot_lets_the_account_in_and_knows_its_quota(users: Path) -> None:
    read = f"{{\n  driver = passwd-file\n  args = username_format=%u {users}\n}}\n"
    with Dovecot(mail_format="sdbox", quota_bytes=1 << 30, extra=f"passdb {read}userdb {read}") as server:
        owner = server.home.stat()
        os.chown(users, owner.st_uid, owner.st_gid)
        home = f"{server.home}/mail/made/{{domain}}/{{user}}"
        service = PasswdFile(str(users), uid=str(owner.st_uid), gid=str(owner.st_gid), home=home)
        password = 'пароль: "\\ 100%'
        assert service.ensure(_wanted("анна@new.example", password, 5 << 20), lambda: None) == Created(
            ready_seconds=passwd_file.READY_SECONDS
        )
        assert users.stat().st_uid == owner.st_uid
        # Dovecot reads a file that it has not opened yet at once.
        with imaplib.IMAP4(server.host, server.port) as client:
            client.authenticate("PLAIN", lambda _: f"\0анна@new.example\0{password}".encode())
            _, found = client.getquotaroot("INBOX")
            assert b"STORAGE 0 5120" in found[1][0]
        with imaplib.IMAP4(server.host, server.port) as client, pytest.raises(imaplib.IMAP4.error):
            client.authenticate("PLAIN", lambda _: "\0анна@new.example\0пароль".encode())


def _crossed(users: Path) -> list[str]:
    """Lets a second writer start between the first one's read and write.

    Returns the accounts in the file at the end.
    """
    service = PasswdFile(str(users))
    second = threading.Thread(target=service.ensure, args=(_wanted("second"), lambda: None))

    def while_writing() -> None:
        second.start()
        second.join(0.5)  # with the lock the second writer waits; without it, it has this time to do harm

    service.ensure(_wanted("first"), while_writing)
    second.join(180)
    return sorted(line.split(":")[0] for line in users.read_text().splitlines())


def test_two_writers_lose_nobody(users: Path) -> None:
    assert _crossed(users) == ["first", "second"]


def test_without_the_lock_one_would_be_lost(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the test above."""
    monkeypatch.setattr(passwd_file, "locked", lambda path: nullcontext())
    assert _crossed(users) == ["first"]


def test_a_file_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    found = PasswdFile(str(tmp_path / "nowhere" / "users")).ensure(_wanted("a"), _never)
    assert "cannot be read or written" in getattr(found, "reason", "")


_never: Callable[[], None] = lambda: pytest.fail("nothing may be intended")  # noqa: E731
