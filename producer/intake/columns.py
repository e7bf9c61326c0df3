"""The meaning of a manifest's columns: by their headings in a header row, or by their number without one."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from producer.intake.headings import COLUMN_OF, NO_COLUMN, plain
from producer.intake.sheet import Cell, ManifestInvalid, RowError
from shared.nouns import dataclass
from shared.wording.phrases import Phrase

FIRST_ROW_MAY_BE_HEADER: Final = Phrase(
    "first_row_may_be_header", "row {row} is read as a mailbox; if it is a header, name at least login and password"
)
THESE_COLUMNS_ARE_LEFT_OUT: Final = Phrase("these_columns_are_left_out", "these columns are left out: {names}")

#: Error for a first row that is no address while every other login is one.
NO_ADDRESS: Final = Phrase(
    "header_of_strange_names",
    "looks like a header with unknown headings, since every other login is an address: use those of the template",
)
NO_LOGIN: Final = Phrase("header_without_login", "the header has no login column")
NO_PASSWORD: Final = Phrase("header_without_password", "the header has no password column")
#: Error for a first row of nothing but headings, some of which say nothing of where mail goes.
ALL_HEADINGS: Final = Phrase(
    "header_of_other_headings",
    "looks like a header without columns for login and password: name them so, or say that the first row is a mailbox "
    "(--no-header)",
)
ALMOST_HEADER: Final = Phrase(
    "header_misspelt", "looks like a header, but column {at} is not known; did you mean {column_field}?"
)
CHOSEN_TWICE: Final = Phrase("column_chosen_twice", "is chosen for several columns: keep one")
SAY_WHAT: Final = Phrase("column_without_meaning", "say what this column is, or leave it out")
SAY_WHICH: Final = Phrase("column_missing", "say which column this is")
MEAN_ONE: Final = Phrase("columns_alike", "{num} columns mean {column_field}: rename all but one")
NO_HEADING: Final = Phrase(
    "heading_unknown", "this heading is not known, and values stand under it: rename it, or leave the column out"
)
MISSPELT: Final = Phrase("heading_misspelt", "this column is not known; did you mean {column_field}?")
BY_NUMBER: Final = Phrase("columns_by_number", "without a header row there must be 2, 4 or 6 columns, not {width}")
WRITE_HEADER: Final = Phrase("header_needed", "{what}; write one, e.g. login,password,new_login")
#: Stands for a column with an unknown heading and with values. Only the operator can say what it is.
UNKNOWN: Final = "?"

#: Meaning of the columns of a file without a header, by their number.
WITHOUT_HEADER: Mapping[int, tuple[str, ...]] = {
    2: ("login", "password"),
    4: ("login", "password", "new_login", "new_password"),
    6: ("login", "password", "first_name", "last_name", "new_login", "new_password"),
}


def names_a_column(text: str) -> bool:
    """Tells whether `text` is a known heading, and so cannot be a password."""
    return plain(text) in COLUMN_OF or plain(text) in NO_COLUMN


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The meaning of each column."""

    #: A name of `NAMES`; "" for a column that is left out; `UNKNOWN` for one that the operator has to name.
    fields: tuple[str, ...]
    #: Whether the first row is a header.
    header: bool
    #: Warnings for the operator.
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The operator's instructions about the columns."""

    #: Headings of columns to leave out, in any spelling.
    ignored: tuple[str, ...] = ()
    #: Whether the first row is a mailbox even if it looks like a header.
    no_header: bool = False


_AS_IT_IS: Final = Reading()


def columns_of(
    rows: Sequence[tuple[int, list[Cell]]], *, passwords: bool = True, reading: Reading = _AS_IT_IS
) -> Columns:
    """Returns the meaning of the columns: from the first row if it is a header, else from their number.

    `passwords` tells whether each row must give one. Raises `ManifestInvalid`.
    """
    if reading.no_header:
        return Columns(fields=_by_number(rows, passwords=passwords), header=False)
    line, first = rows[0]
    names = [cell.text for cell in first]
    while len(names) > 2 and not names[-1] and not _held(rows, len(names) - 1):
        names.pop()
    fields = [COLUMN_OF.get(plain(name), "") for name in names]
    if {"emailaddress", "username"} <= set(map(plain, names)):  # EAC: the first is the new login, the second the old
        fields = ["new_login" if plain(n) == "emailaddress" else f for n, f in zip(names, fields, strict=True)]
    if "login" in fields and (sum(map(bool, fields)) >= 2 or (not passwords and len(fields) == 1)):
        return _header(rows, names, fields, passwords=passwords, reading=reading)
    if "login" not in fields and len(fields) > 1 and all(fields):
        # A row made only of known headings is no account; tried on a server, it would be a stranger's login.
        raise ManifestInvalid([RowError(line=line, sentence=NO_LOGIN.says())])
    if len(names) > 1 and all(map(names_a_column, names)):
        raise ManifestInvalid([RowError(line=line, sentence=ALL_HEADINGS.says())])
    if "login" in fields and any(map(_meant, names)):
        # The error does not quote the word: the row may be a mailbox after all, and the word its password.
        number, meant = next((at, _meant(name)) for at, name in enumerate(names, start=1) if _meant(name))
        what = ALMOST_HEADER.says(at=number, column_field=meant)
        raise ManifestInvalid([RowError(line=line, sentence=what)])
    others = [cells[0].text for _, cells in rows[1:] if cells]
    if "@" not in names[0] and others and all("@" in login for login in others):
        raise ManifestInvalid([RowError(line=line, sentence=NO_ADDRESS.says())])
    warnings = (FIRST_ROW_MAY_BE_HEADER.says(row=line),) * ("login" in fields)
    return Columns(fields=_by_number(rows, passwords=passwords), header=False, warnings=warnings)


def _held(rows: Sequence[tuple[int, list[Cell]]], at: int) -> int:
    """Returns how many rows below the first have a value in this column."""
    return sum(1 for _, cells in rows[1:] if at < len(cells) and cells[at].text)


def chosen_columns(columns: Columns, *, passwords: bool = True) -> Columns:
    """Checks the columns that the operator chose, and returns them. Raises `ManifestInvalid`."""
    twice = [
        column for column, times in Counter(filter(None, columns.fields)).items() if times > 1 and column != UNKNOWN
    ]
    errors = [RowError(line=0, column=column, sentence=CHOSEN_TWICE.says()) for column in twice]
    wanted = ("login", "password") if passwords else ("login",)
    errors += [
        RowError(line=0, column=f"column {at}", sentence=SAY_WHAT.says())
        for at, column in enumerate(columns.fields, start=1)
        if column == UNKNOWN
    ]
    errors += [
        RowError(line=0, column=column, sentence=SAY_WHICH.says()) for column in wanted if column not in columns.fields
    ]
    if errors:
        raise ManifestInvalid(errors)
    return columns


def _header(
    rows: Sequence[tuple[int, list[Cell]]], names: list[str], fields: list[str], *, passwords: bool, reading: Reading
) -> Columns:
    line = rows[0][0]
    left_out = NO_COLUMN | set(map(plain, reading.ignored))
    fields = [
        "" if plain(name) in map(plain, reading.ignored) else column for name, column in zip(names, fields, strict=True)
    ]
    errors = [
        RowError(
            line=line,
            column=", ".join(n for n, f in zip(names, fields, strict=True) if f == column),
            sentence=MEAN_ONE.says(num=times, column_field=column),
        )
        for column, times in Counter(filter(None, fields)).items()
        if times > 1
    ]
    errors += _unknown(line, names, fields)
    if passwords and "password" not in fields:
        errors.append(RowError(line=line, sentence=NO_PASSWORD.says()))
    if errors:
        raise ManifestInvalid(errors)
    unanswered = [
        not column and plain(name) not in left_out and _held(rows, at) > 0
        for at, (name, column) in enumerate(zip(names, fields, strict=True))
    ]
    ignored = [
        name for name, column, asked in zip(names, fields, unanswered, strict=True) if name and not column and not asked
    ]
    warnings = (THESE_COLUMNS_ARE_LEFT_OUT.says(names=", ".join(ignored)),) * bool(ignored)
    known = [UNKNOWN if asked else column for column, asked in zip(fields, unanswered, strict=True)]
    return Columns(fields=tuple(known), header=True, warnings=warnings)


def questions(rows: Sequence[tuple[int, list[Cell]]], columns: Columns) -> list[RowError]:
    """Returns an error for each column that only the operator can name: its heading is unknown, and it has values."""
    line, names = rows[0]
    return [
        RowError(
            line=line,
            column=names[at].text if at < len(names) and names[at].text else f"column {at + 1}",
            sentence=NO_HEADING.says(),
        )
        for at, column in enumerate(columns.fields)
        if column == UNKNOWN
    ]


def _unknown(line: int, names: list[str], fields: list[str]) -> list[RowError]:
    """Returns an error for each heading that nearly equals a missing one; ignoring such a column could do harm."""
    return [
        RowError(line=line, column=name, sentence=MISSPELT.says(column_field=_meant(name)))
        for name, column in zip(names, fields, strict=True)
        if not column and _meant(name) and _meant(name) not in fields
    ]


def _meant(name: str) -> str:
    word = plain(name)
    if word in COLUMN_OF or word in NO_COLUMN or not word.isalpha() or not 5 < len(word) < 40:
        return ""
    close = difflib.get_close_matches(word, COLUMN_OF, n=1, cutoff=0.85)
    return COLUMN_OF[close[0]] if close else ""


def _by_number(rows: Sequence[tuple[int, list[Cell]]], *, passwords: bool) -> tuple[str, ...]:
    """Returns the columns that the usual number of values stands for.

    Columns that are empty in every row do not count if they come last.
    """
    usual = Counter(len(cells) for _, cells in rows).most_common(1)[0][0]
    alike = [cells for _, cells in rows if len(cells) == usual]
    for number in range(usual, 1, -1):
        if number in WITHOUT_HEADER:
            return WITHOUT_HEADER[number]
        if any(cells[number - 1].text for cells in alike):
            break
    if not passwords and (usual == 1 or not any(cell.text for cells in alike for cell in cells[1:])):
        return ("login",)
    what = BY_NUMBER.says(width=usual)
    if usual == 3:
        what = WRITE_HEADER.says(what=what)
    raise ManifestInvalid([RowError(line=rows[0][0], sentence=what)])
