"""What the columns of a manifest mean: by their names in a header row, or by their number without one."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from producer.intake.sheet import Cell, ManifestInvalid, RowError

#: Column → its other names. Case, spaces, "-", "_" and "." do not count. Beside our own: Yandex 360 (yandex_login,
#: external_email), Exchange's EAC (EmailAddress, UserName, Password), Google's migration. Not imapsync's user1 and
#: password1: they are too likely to be somebody's login and password.
NAMES: Mapping[str, tuple[str, ...]] = {
    "login": (
        "user", "username", "email", "e-mail", "mail", "address", "email address", "account", "mailbox", "source",
        "source_login", "source_user", "source_email", "source_mailbox", "old_login", "old_email", "external_email",
        "external_login", "логин", "почта", "эл. почта", "электронная почта", "адрес", "ящик",
        "почтовый ящик", "пользователь", "аккаунт", "учётная запись", "учетная запись", "старый логин",
    ),
    "password": (
        "pass", "passwd", "pwd", "source_password", "old_password", "external_password", "email_password",
        "app_password", "пароль", "старый пароль",
    ),
    "new_login": (
        "new_email", "new_user", "new_username", "new_address", "new_mailbox", "destination", "destination_login",
        "destination_user", "destination_email", "destination_mailbox", "target", "target_login", "target_email",
        "target_user", "dest_login", "dest_email", "yandex_login", "новый логин", "новая почта",
        "новый ящик", "новый адрес", "сотрудник",
    ),
    "new_password": (
        "new_pass", "destination_password", "target_password", "dest_password", "yandex_password",
        "новый пароль",
    ),
    "first_name": ("firstname", "given_name", "имя"),
    "last_name": ("lastname", "surname", "family_name", "фамилия"),
    "server": (
        "source_server", "source_host", "imap_server", "imap_host", "pop3_server", "pop_server", "mail_server", "host",
        "old_server", "сервер", "почтовый сервер", "старый сервер",
    ),
    "quota": ("quota_mb", "mailbox_quota", "size_limit", "квота"),
}  # fmt: skip

#: Without a header: number of columns → what they are.
WITHOUT_HEADER: Mapping[int, tuple[str, ...]] = {
    2: ("login", "password"),
    4: ("login", "password", "new_login", "new_password"),
    6: ("login", "password", "first_name", "last_name", "new_login", "new_password"),
}


def names_a_column(text: str) -> bool:
    """Whether this is a name of a column, and so nobody's password."""
    return _plain(text) in _FIELDS


def _plain(name: str) -> str:
    return re.sub(r"[\s_.\-]+", "", unicodedata.normalize("NFKC", name).casefold())


_FIELDS = {_plain(alias): column for column, names in NAMES.items() for alias in (column, *names)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """What each column holds."""

    #: Column of `NAMES`, or "" for one that is ignored.
    fields: tuple[str, ...]
    #: Whether the first row is a header.
    header: bool
    #: What a person should look at.
    warnings: tuple[str, ...] = ()


def columns_of(rows: Sequence[tuple[int, list[Cell]]], *, passwords: bool = True) -> Columns:
    """From the first row when it is a header, else from the usual number of columns. `passwords`: whether each row must
    give one. Raises `ManifestInvalid`."""
    line, first = rows[0]
    names = [cell.text for cell in first]
    while len(names) > 2 and not names[-1]:
        names.pop()
    fields = [_FIELDS.get(_plain(name), "") for name in names]
    if {"emailaddress", "username"} <= set(map(_plain, names)):  # EAC: the first is the mailbox there, the second here
        fields = ["new_login" if _plain(n) == "emailaddress" else f for n, f in zip(names, fields, strict=True)]
    if "login" in fields and (sum(map(bool, fields)) >= 2 or (not passwords and len(fields) == 1)):
        return _header(line, names, fields, passwords=passwords)
    if "login" not in fields and len(fields) > 1 and all(fields):
        # Words that all name columns are no account; tried on a server, they would be a stranger's login.
        raise ManifestInvalid([RowError(line=line, what="the header has no login column")])
    if "login" in fields and any(map(_meant, names)):
        # Not quoted here: it may be a mailbox after all, and the word its password.
        number, meant = next((at, _meant(name)) for at, name in enumerate(names, start=1) if _meant(name))
        what = f"looks like a header, but column {number} is not known; did you mean {meant}?"
        raise ManifestInvalid([RowError(line=line, what=what)])
    warnings = (f"row {line} is read as a mailbox; if it is a header, name at least login and password",) * (
        "login" in fields
    )
    return Columns(fields=_by_number(rows, passwords=passwords), header=False, warnings=warnings)


def chosen_columns(columns: Columns, *, passwords: bool = True) -> Columns:
    """What a person chose, checked. Raises `ManifestInvalid`."""
    twice = [column for column, times in Counter(filter(None, columns.fields)).items() if times > 1]
    errors = [RowError(line=0, column=column, what="is chosen for several columns: keep one") for column in twice]
    wanted = ("login", "password") if passwords else ("login",)
    errors += [
        RowError(line=0, column=column, what="say which column this is")
        for column in wanted
        if column not in columns.fields
    ]
    if errors:
        raise ManifestInvalid(errors)
    return columns


def _header(line: int, names: list[str], fields: list[str], *, passwords: bool) -> Columns:
    errors = [
        RowError(line=line, column=", ".join(n for n, f in zip(names, fields, strict=True) if f == column),
                 what=f"{times} columns mean {column}: rename all but one")
        for column, times in Counter(filter(None, fields)).items()
        if times > 1
    ]  # fmt: skip
    errors += _unknown(line, names, fields)
    if passwords and "password" not in fields:
        errors.append(RowError(line=line, what="the header has no password column"))
    if errors:
        raise ManifestInvalid(errors)
    ignored = [name for name, column in zip(names, fields, strict=True) if name and not column]
    warnings = (f"these columns mean nothing here and are ignored: {', '.join(ignored)}",) * bool(ignored)
    return Columns(fields=tuple(fields), header=True, warnings=warnings)


def _unknown(line: int, names: list[str], fields: list[str]) -> list[RowError]:
    """Columns whose names are nearly known, where the known one is missing: taken for nothing they could do harm."""
    return [
        RowError(line=line, column=name, what=f"this column is not known; did you mean {_meant(name)}?")
        for name, column in zip(names, fields, strict=True)
        if not column and _meant(name) and _meant(name) not in fields
    ]


def _meant(name: str) -> str:
    plain = _plain(name)
    close = (
        difflib.get_close_matches(plain, _FIELDS, n=1, cutoff=0.85) if plain.isalpha() and 5 < len(plain) < 40 else []
    )
    return _FIELDS[close[0]] if close and plain not in _FIELDS else ""


def _by_number(rows: Sequence[tuple[int, list[Cell]]], *, passwords: bool) -> tuple[str, ...]:
    """The usual number of columns decides; empty ones at the end of every row do not count."""
    usual = Counter(len(cells) for _, cells in rows).most_common(1)[0][0]
    alike = [cells for _, cells in rows if len(cells) == usual]
    for number in range(usual, 1, -1):
        if number in WITHOUT_HEADER:
            return WITHOUT_HEADER[number]
        if any(cells[number - 1].text for cells in alike):
            break
    if not passwords and (usual == 1 or not any(cell.text for cells in alike for cell in cells[1:])):
        return ("login",)
    what = f"without a header row there must be 2, 4 or 6 columns, not {usual}"
    if usual == 3:
        what += "; write one, e.g. login,password,new_login"
    raise ManifestInvalid([RowError(line=rows[0][0], what=what)])
