"""Dovecot's proxy: the row of a passwd-file says by `proxy` and `host` which server a user is passed on to.

`anna@example.org:::::::proxy=y nopassword=y host=10.0.0.2 destuser=anna`. Of a row that is there only these fields change:
`proxy`, `host`, `port`, `destuser`; the file is replaced as a whole under a lock.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from shared.model.sides import Side
from shared.runtime.replaced_files import locked, replace_file, why_not_replaced
from shared.runtime.secret import Secret
from shared.switching import SwitchedMailbox, Turned, TurnOutcome, TurnRefused
from shared.switching.kinds import SwitchKind, SwitchPlace, SwitchUrl, register
from shared.switching.row import RowChange, value_of
from shared.wording.often_said import (
    CANNOT_BE_READ_OR_WRITTEN,
    RUN_COORDINATOR_WHERE_THE_FILE_IS,
    THERE_IS_NO_FILE,
)
from shared.wording.phrases import Phrase

KEY_WITH_LOGINS_CANNOT_STAND_IN_FILE: Final = Phrase(
    "key_with_logins_cannot_stand_in_file", "{key} with the logins {login} and {other_login} cannot stand in {file}"
)
USE_LOGINS_WITHOUT_BLANKS: Final = Phrase("use_logins_without_blanks", 'use logins without ":", blanks and line breaks')
MAKE_EMPTY_PASSDB: Final = Phrase(
    "make_empty_passdb",
    "make an empty one on the coordinator's machine, and a passdb of the proxy that reads it",
)

USER: Final = Phrase("switch_dovecot_user", "dovecot: user must be address, old or new")
BLANK: Final = Phrase("switch_dovecot_host", "dovecot: a host holds no blank")

#: The fields of the passdb that this adapter writes.
_OURS: Final = ("proxy", "host", "port", "destuser")
_FORBIDDEN: Final = frozenset(":\r\n\0")
#: Colons before the extra fields: user, password, uid, gid, gecos, home, shell.
_COLONS: Final = 7


class DovecotPassdb:
    """The adapter for a passwd-file of a Dovecot proxy."""

    per_domain = False

    def __init__(self, path: str, hosts: dict[Side, str], user: str = "address") -> None:
        """Knows the file. `hosts` are the values that the options give, "none" for no fields.

        The hosts that an import names get into no row: whoever opens an import chooses them.
        """
        self._path, self._hosts, self._user = Path(path), hosts, user
        self.shown = f"dovecot {path}"

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Looks as `Switch.rehearse` says: at the file, its owner, its folder and the row."""
        if refused := self._wrong(mailbox):
            return refused
        try:
            outcome = self._change(self._path.read_bytes(), mailbox, to)[0]
            if why := why_not_replaced(self._path):
                return self._unwritable(PermissionError(errno.EACCES, why))
        except OSError as error:
            return self._unwritable(error)
        return outcome

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Turns as `Switch.turn` says."""
        if refused := self._wrong(mailbox):
            return refused
        try:
            with locked(self._path):
                outcome, content = self._change(self._path.read_bytes(), mailbox, to)
                if isinstance(outcome, Turned):
                    replace_file(self._path, content)
        except OSError as error:
            return self._unwritable(error)
        return outcome

    def close(self) -> None:
        """Does nothing: no connection is kept."""

    def _key(self, mailbox: SwitchedMailbox) -> str:
        return {"address": mailbox.address, "old": mailbox.old_login, "new": mailbox.new_login}[self._user]

    def _change(self, content: bytes, mailbox: SwitchedMailbox, to: Side) -> tuple[TurnOutcome, bytes]:
        """Returns the outcome, and the content of the file with the row changed."""
        key, lines = self._key(mailbox), content.splitlines(keepends=True)
        at = next((i for i, line in enumerate(lines) if _user_of(line) == key.casefold()), None)
        row = "" if at is None else lines[at].decode("utf-8", "surrogateescape").rstrip("\r\n")
        wanted, other = (self._value(mailbox, side) for side in (to, *(set(Side) - {to})))
        outcome = RowChange(
            table=str(self._path), key=key, now=_proxied_to(row), wanted=wanted, other=other, to=to
        ).judged()
        fresh = _row(row, key, wanted)
        line = (fresh + "\n").encode("utf-8", "surrogateescape") if fresh else b""
        if at is not None:
            lines[at] = line
        else:
            if lines and not lines[-1].endswith(b"\n"):
                lines[-1] += b"\n"
            lines.append(line)
        return outcome, b"".join(lines)

    def _value(self, mailbox: SwitchedMailbox, side: Side) -> str | None:
        """Returns the fields that send the user to this side, as they stand in the row; None for none."""
        host = value_of(self._hosts[side])
        if host is None:
            return None
        name, port = _split_port(host)
        fields = [f"host={name}"] + ([f"port={port}"] if port else [])
        login = mailbox.login(side)
        return " ".join(fields + ([f"destuser={login}"] if login != self._key(mailbox) else []))

    def _wrong(self, mailbox: SwitchedMailbox) -> TurnRefused | None:
        key = self._key(mailbox)
        logins = (mailbox.old_login, mailbox.new_login)
        if (
            set(key) & _FORBIDDEN
            or key.startswith("#")
            or not key.strip()
            or any(set(x) & set(" \t\r\n\0") for x in logins)
        ):
            return TurnRefused(
                words=KEY_WITH_LOGINS_CANNOT_STAND_IN_FILE.says(
                    key=repr(key), login=repr(logins[0]), other_login=repr(logins[1]), file=str(self._path)
                ),
                advice=USE_LOGINS_WITHOUT_BLANKS.says(),
            )
        return None

    def _unwritable(self, error: OSError) -> TurnRefused:
        if isinstance(error, FileNotFoundError):
            return TurnRefused(
                words=THERE_IS_NO_FILE.says(file=str(self._path)),
                advice=MAKE_EMPTY_PASSDB.says(),
            )
        return TurnRefused(
            words=CANNOT_BE_READ_OR_WRITTEN.says(path=str(self._path), cause=error.strerror or ""),
            advice=RUN_COORDINATOR_WHERE_THE_FILE_IS.says(),
        )


def _user_of(line: bytes) -> str | None:
    # Dovecot compares logins in lower case by default, so two spellings are one user.
    text = line.decode("utf-8", "surrogateescape")
    return None if text.startswith("#") or not text.strip() else text.partition(":")[0].rstrip("\r\n").casefold()


def _fields(row: str) -> tuple[str, list[str]]:
    """Returns what stands before the extra fields of a row, with its colons, and the extra fields."""
    parts = row.split(":", _COLONS)
    parts += [""] * (_COLONS + 1 - len(parts))
    return ":".join(parts[:_COLONS]) + ":", parts[_COLONS].split()


def _proxied_to(row: str) -> str | None:
    """Returns the fields that pass the user on; None where the row passes nobody on."""
    fields = dict(field.partition("=")[::2] for field in _fields(row)[1])
    if "proxy" not in fields and "proxy_maybe" not in fields:
        return None
    return " ".join(f"{name}={fields[name]}" for name in _OURS[1:] if name in fields)


def _row(row: str, key: str, wanted: str | None) -> str:
    """Returns the row with the wanted fields; "" where nothing is left of a row that only ever passed on."""
    # Without a password of its own the proxy lets the other server judge it.
    head, fields = _fields(row or f"{key}:::::::nopassword=y")
    kept = [field for field in fields if field.partition("=")[0] not in _OURS]
    if wanted is None and kept == ["nopassword=y"] and not head.partition(":")[2].strip(":"):
        return ""
    return head + " ".join((["proxy=y", *wanted.split()] if wanted is not None else []) + kept)


def _split_port(host: str) -> tuple[str, str]:
    """Splits HOST, HOST:PORT, [IPV6]:PORT."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        return name, port.removeprefix(":")
    return host.rpartition(":")[::2] if host.count(":") == 1 else (host, "")


def _opened(url: SwitchUrl, secret: Secret) -> DovecotPassdb:
    user = url.options.get("user", "address")
    if user not in ("address", "old", "new"):
        raise USER.error()
    hosts = {Side.DESTINATION: url.options["new"], Side.SOURCE: url.options["old"]}
    if any(char.isspace() for host in hosts.values() for char in host):
        raise BLANK.error()
    return DovecotPassdb(url.place, hosts, user)


register(
    SwitchKind(
        name="dovecot",
        place=SwitchPlace.PATH,
        example="dovecot:/etc/dovecot/switched?new=10.0.0.2&old=10.0.0.1",
        options=frozenset({"new", "old", "user"}),
        secretive=False,
        open=_opened,
        needed=frozenset({"new", "old"}),
    )
)
