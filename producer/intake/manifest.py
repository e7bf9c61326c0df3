"""Reads the manifest: turns bytes into rows, or reports the errors of all rows at once.

A header row may have its columns in any order and under many names (`producer.intake.columns`); without one, 2, 4 or 6
columns have a fixed meaning. A row is a header when at least two of its cells are known names and one of them means the
login: a mailbox whose login is ``user`` and whose password is ``pass`` needs a header above it. Blank lines are left
out. There are no comments, since a login or a password may begin with any character.

Spaces around an unquoted value are dropped; inside quotation marks every space belongs to the value.
"""

from __future__ import annotations

from typing import Final

from producer.intake.allowed import LOOKED_AT, NOTHING_ALLOWED, Allowed
from producer.intake.columns import Columns, Reading, chosen_columns, columns_of, questions
from producer.intake.endpoints import parse_endpoint
from producer.intake.headings import NAMES
from producer.intake.manifest_row import Limits, Manifest
from producer.intake.row_reading import RowReading, Servers
from producer.intake.sheet import EMPTY, SEPARATORS, ManifestInvalid, RowError, read_sheet
from shared.wording.phrases import Phrase

LARGE: Final = Phrase("manifest_large", "larger than {num} bytes: split it")
MANY: Final = Phrase("manifest_many_rows", "more than {num} rows: split it")
HEADER_AGAIN: Final = Phrase("row_repeats_header", "repeats the header: delete this row")
HEADER_ALONE: Final = Phrase("header_alone", "it has a header and no rows")


def parse_manifest(
    data: bytes,
    *,
    encoding: str = "",
    separator: str = "",
    limits: Limits | None = None,
    passwords: bool = True,
    servers: Servers = parse_endpoint,
    allowed: Allowed = NOTHING_ALLOWED,
    reading: Reading = Reading(),  # noqa: B008
) -> Manifest:
    """Reads a manifest. Raises `ManifestInvalid` with every error.

    The error's text never holds a value that could be a password. `encoding` and `separator` (a character or "comma",
    "semicolon", "tab") override detection. `passwords` tells whether each row must give one; no row must where an
    administrator or a token signs in. `servers` reads the column of that name. `allowed` lists what the operator means
    although it looks like a mistake.
    """
    manifest, errors = sift_manifest(
        data,
        encoding=encoding,
        separator=separator,
        limits=limits,
        passwords=passwords,
        servers=servers,
        allowed=allowed,
        reading=reading,
    )
    if errors:
        raise ManifestInvalid(errors)
    return manifest


def sift_manifest(
    data: bytes,
    *,
    encoding: str = "",
    separator: str = "",
    limits: Limits | None = None,
    passwords: bool = True,
    servers: Servers = parse_endpoint,
    columns: Columns | None = None,
    allowed: Allowed = NOTHING_ALLOWED,
    reading: Reading = Reading(),  # noqa: B008
) -> tuple[Manifest, tuple[RowError, ...]]:
    """Returns the good rows, and the errors of the others.

    `columns` is their meaning as the operator gave it; None detects it, with the help of `reading`. Raises
    `ManifestInvalid` for a file that cannot be read at all, and for a column that only the operator can name.
    """
    limits = limits or Limits()
    if len(data) > limits.file_bytes:
        raise ManifestInvalid([RowError(line=0, sentence=LARGE.says(num=limits.file_bytes))])
    sheet = read_sheet(data, encoding=encoding, separator=separator, max_rows=limits.rows, one_column=not passwords)
    if not sheet.rows:
        raise ManifestInvalid(sheet.errors or [RowError(line=0, sentence=EMPTY.says())])
    if columns:
        columns = chosen_columns(columns, passwords=passwords)
    else:
        columns = columns_of(sheet.rows, passwords=passwords, reading=reading)
        if asked := questions(sheet.rows, columns):
            raise ManifestInvalid(asked)
    lines = sheet.rows[1:] if columns.header else sheet.rows
    if len(lines) > limits.rows:
        raise ManifestInvalid([RowError(line=0, sentence=MANY.says(num=limits.rows))])
    made = RowReading(columns.fields, limits, ("login", "password") if passwords else ("login",), servers, allowed)
    # Joined lists repeat their headers. Read as a mailbox, such a row would ask for a login named "login".
    header = [cell.text for cell in sheet.rows[0][1]] if columns.header else None
    again = {line for line, cells in lines if [cell.text for cell in cells] == header}
    made.errors += [RowError(line=line, sentence=HEADER_AGAIN.says()) for line in sorted(again)]
    rows = [row for line, cells in lines if line not in again and (row := made.row(line, cells))]
    errors = sorted([*sheet.errors, *made.errors], key=lambda error: error.line)
    if not lines and not errors:
        errors = [RowError(line=0, sentence=HEADER_ALONE.says())]
    manifest = Manifest(
        rows=tuple(rows),
        warnings=(*sheet.warnings, *columns.warnings, *made.warnings()),
        encoding=sheet.encoding,
        separator=sheet.separator,
        columns=columns.fields,
    )
    return manifest, tuple(errors)


def parse_credentials(
    data: bytes, *, encoding: str = "", separator: str = "", limits: Limits | None = None
) -> Manifest:
    """Reads new passwords for mailboxes of an import, from a file of the same form. Raises `ManifestInvalid`."""
    return parse_manifest(data, encoding=encoding, separator=separator, limits=limits, allowed=LOOKED_AT)


def template(separator: str = ",") -> str:
    """Returns a manifest to fill in: every column, and a row for each way to fill it."""
    if separator not in SEPARATORS:
        separator = next(sign for sign, name in SEPARATORS.items() if name == separator.lower())
    rows = [
        (
            "ivan@old.example",
            "s3cret",
            "ivan@new.example",
            "another secret",
            "Ivan",
            "Petrov",
            "",
            "2 GB",
            "pilot",
            "10",
            "sales",
        ),
        ("anna@old.example", "the same there", "", "", "", "", "", "", "", "", ""),
        ("olga", "from elsewhere", "olga@new.example", "", "", "", "pop3s://pop.older.example", "", "", "", ""),
    ]
    lines = [tuple(NAMES), *(tuple(f'"{value}"' for value in row) for row in rows)]
    return "".join(f"{separator.join(line)}\n" for line in lines)
