"""Dovecot's passwd-file, on this machine: `login:{PBKDF2}…:uid:gid::home::userdb_quota_rule=…`.

`shared.runtime.replaced_files` lets one writer at a time change it, and Dovecot never read half a line.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Final

from shared.accounts import Intend, NewAccount
from shared.accounts.kinds import AccountKind, ServicePlace, ServiceUrl, register
from shared.model.accounts import Adopted, Created, Ensured, Looked, Missing, Rejected
from shared.runtime.replaced_files import locked, replace_file
from shared.runtime.secret import Secret
from shared.wording.often_said import CANNOT_BE_READ_OR_WRITTEN
from shared.wording.phrases import Phrase

RUN_WORKER_WHERE_THE_FILE_IS: Final = Phrase(
    "run_worker_where_the_file_is",
    "run the worker on the machine with this file, as a user who may write it and its folder",
)
CANNOT_BE_LOGIN: Final = Phrase("cannot_be_login", "{login} cannot be a login in {path}")
CHOOSE_NEW_LOGIN_WITHOUT_SEPARATORS: Final = Phrase(
    "choose_new_login_without_separators", 'choose a new_login without ":", "/", ".." and line breaks'
)

#: Dovecot looks at the file once in a second of its clock, so it may not know a new line before that.
READY_SECONDS: Final = 2.0
#: The rounds of PBKDF2-HMAC-SHA1, the one derivation that every Dovecot from 2.3 on knows and Python has built in. They
#: take about 15 ms of Dovecot's time at each sign-in.
_ROUNDS: Final = 20_000
_FORBIDDEN: Final = frozenset(":\r\n\0")


class PasswdFile:
    """The adapter for a passwd-file."""

    settling_seconds = 0.0

    def __init__(self, path: str, *, uid: str = "", gid: str = "", home: str = "") -> None:
        self._path = Path(path)
        self._uid, self._gid, self._home = uid, gid, home

    def ensure(self, account: NewAccount, intend: Intend) -> Ensured:
        """Makes the account as `AccountService.ensure` says."""
        if wrong := self._wrong(account):
            return wrong
        line = self._line(account)  # hashing takes a moment, so it is done outside the lock
        try:
            with locked(self._path):
                content = self._path.read_bytes() if self._path.exists() else b""
                if _holds(content, account.login):
                    return Adopted()
                intend()
                replace_file(self._path, content + (b"" if not content or content.endswith(b"\n") else b"\n") + line)
        except OSError as error:
            return self._unwritable(error)
        return Created(ready_seconds=READY_SECONDS)

    def look(self, account: NewAccount) -> Looked:
        """Looks for the account as `AccountService.look` says."""
        if wrong := self._wrong(account):
            return wrong
        try:
            content = self._path.read_bytes() if self._path.exists() else b""
        except OSError as error:
            return self._unwritable(error)
        return Adopted() if _holds(content, account.login) else Missing()

    def close(self) -> None:
        """Does nothing: no connection is kept."""

    def _wrong(self, account: NewAccount) -> Rejected | None:
        login = account.login
        # A "#" begins a comment, and the login becomes part of the home's path.
        hostile = set(login) & _FORBIDDEN or login.startswith("#") or (self._home and ("/" in login or ".." in login))
        if hostile or not login.strip():
            return Rejected(
                reason=CANNOT_BE_LOGIN.says(login=repr(login), path=str(self._path)),
                advice=CHOOSE_NEW_LOGIN_WITHOUT_SEPARATORS.says(),
            )
        return None

    def _line(self, account: NewAccount) -> bytes:
        home = self._home
        for name, value in (("login", account.login), ("user", account.user), ("domain", account.domain)):
            home = home.replace(f"{{{name}}}", value)
        quota = f"userdb_quota_rule=*:bytes={account.quota_bytes}" if account.quota_bytes is not None else ""
        fields = (account.login, hashed(account.password.reveal()), self._uid, self._gid, "", home, "", quota)
        return (":".join(fields) + "\n").encode()

    def _unwritable(self, error: OSError) -> Rejected:
        return Rejected(
            reason=CANNOT_BE_READ_OR_WRITTEN.says(path=str(self._path), cause=error.strerror or ""),
            advice=RUN_WORKER_WHERE_THE_FILE_IS.says(),
        )


def hashed(password: str) -> str:
    """Returns the password's hash in Dovecot's notation, with a new salt."""
    salt = secrets.token_hex(8)
    digest = hashlib.pbkdf2_hmac("sha1", password.encode(), salt.encode(), _ROUNDS)
    return f"{{PBKDF2}}$1${salt}${_ROUNDS}${digest.hex()}"


def _holds(content: bytes, login: str) -> bool:
    # Dovecot compares logins in lower case by default, so two spellings are one account.
    wanted = login.casefold()
    return any(
        line.split(b":", 1)[0].decode("utf-8", "replace").casefold() == wanted for line in content.split(b"\n") if line
    )


def _opened(url: ServiceUrl, _: Secret, __: float) -> PasswdFile:
    return PasswdFile(url.place, **{name: url.options.get(name, "") for name in ("uid", "gid", "home")})


register(
    AccountKind(
        name="passwd-file",
        place=ServicePlace.PATH,
        example="passwd-file:/path",
        title="passwd-file of Dovecot",
        open=_opened,
        options=frozenset({"uid", "gid", "home"}),
        secretive=False,
    )
)
