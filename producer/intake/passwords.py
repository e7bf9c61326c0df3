"""Generates passwords of new accounts, and hands them over once in a CSV file that only its owner may read.

The file is written before the service is asked to create an account, and never loses a line. A password that stands in
the file, or in the store from an earlier run, is used again, so the same command gives the same passwords.
"""

from __future__ import annotations

import csv
import fcntl
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from producer.intake.manifest_row import Row
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

CHANGED: Final = Phrase("passwords_file_changed", "{path} is not as it was written: {what}")
UNREADABLE: Final = Phrase("passwords_file_unreadable", "{path} cannot be read ({cause}): {what}")
MEND_IT: Final = Phrase(
    "passwords_file_mend",
    "mend it, or move it away (accounts that were created keep the passwords that stand in it)",
)
UNWRITABLE: Final = Phrase(
    "passwords_file_unwritable",
    "{path} cannot be written ({cause}): choose another state folder",
)

_HEADER: Final = ("login", "password")
#: Letters and digits, without those that look alike.
_LOWER, _UPPER, _DIGITS = "abcdefghijkmnpqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789"
_LETTERS: Final = _LOWER + _UPPER + _DIGITS


def new_password() -> str:
    """Generates a password of about 115 bits: four groups that can be read aloud.

    It has a letter of each case, a digit and a sign, so that it satisfies any policy. It begins with a letter, so that
    no spreadsheet takes it for a formula.
    """
    while True:
        groups = ["".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4)]
        text = "-".join(groups)
        kinds = (_LOWER, _UPPER, _DIGITS)
        if not text[0].isdigit() and all(set(kind) & set(text) for kind in kinds):
            return text


def passwords_path(state_dir: Path, name: str, import_id: str) -> Path:
    """Returns the path of the file in which the passwords of this import are handed over."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip("._") or "import"
    return state_dir / "passwords" / f"{plain[:60]}-{import_id[:8]}.csv"


def fill(rows: Sequence[Row], known: Mapping[str, Secret]) -> tuple[Row, ...]:
    """Returns the rows; a row without a password of its own gets the known one of its login."""
    return tuple(
        replace(row, new_password=known[row.new_login], own_new_password=True)
        if not row.own_new_password and row.new_login in known
        else row
        for row in rows
    )


def read_passwords(path: Path) -> dict[str, Secret]:
    """Reads the file of passwords. Returns nothing without a file. Raises `UsageError` for a damaged one."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UNREADABLE.error(path=str(path), cause=type(error).__name__, what=MEND_IT.says()) from None
    if not lines or tuple(lines[0]) != _HEADER or any(len(line) != 2 for line in lines):
        raise CHANGED.error(path=str(path), what=MEND_IT.says())
    return {login: Secret(password) for login, password in lines[1:]}


def hand_over(path: Path, rows: Sequence[Row], stored: Mapping[str, Secret]) -> tuple[tuple[Row, ...], int]:
    """Returns the rows with a password each, and how many passwords were generated just now.

    The new passwords stand in the file before this returns. `stored` holds those of an earlier run, by login at the
    destination. Raises `UsageError`.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path):
            written = read_passwords(path)
            known = {**stored, **written}
            wanted = [row.new_login for row in rows if not row.own_new_password and row.new_login not in known]
            made = {login: Secret(new_password()) for login in wanted}
            if made:
                _write(path, {**written, **made})
    except OSError as error:
        raise UNWRITABLE.error(path=str(path), cause=str(error.strerror)) from None
    return fill(rows, {**known, **made}), len(made)


def _write(path: Path, passwords: Mapping[str, Secret]) -> None:
    descriptor, draft = tempfile.mkstemp(prefix=".passwords-", dir=path.parent)  # mkstemp creates it with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(_HEADER)
            lines.writerows((login, password.reveal()) for login, password in passwords.items())
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock, so that two runs of one command generate one password for an account."""
    lock = os.open(path.parent / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
