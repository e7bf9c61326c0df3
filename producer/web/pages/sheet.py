"""Mailboxes as a person gives them: a file, pasted text or typed rows; and their preview. Pure.

The preview shows no password: every cell that may hold one is shown as dots.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import Final

from producer.intake.allowed import NOTHING_ALLOWED, Allowed
from producer.intake.columns import UNKNOWN, Columns, Reading, columns_of, names_a_column, questions
from producer.intake.headings import NAMES
from producer.intake.manifest import sift_manifest
from producer.intake.manifest_row import Limits, Manifest
from producer.intake.row_reading import Servers
from producer.intake.sheet import EMPTY, SEPARATORS, ManifestInvalid, RowError, read_sheet
from shared.model.errors import UsageError
from shared.nouns import dataclass
from shared.wording.phrases import faults_of

DOTS: Final = "••••••"
#: Fields that a column may hold.
FIELDS: Final = tuple(NAMES)
ENCODINGS: Final = ("utf-8", "utf-16", "cp1251", "cp1252")
_OPEN: Final = ("login", "new_login", "first_name", "last_name", "server", "quota", "wave", "priority", "group")
#: Fields of the columns of typed rows.
TYPED: Final = ("login", "password", "new_login", "new_password", "server")
#: The most rows of the table to type into; whoever has more pastes them, or gives a file.
MOST_TYPED: Final = 200
#: Maximum number of rows of the preview, not counting rows with faults.
_ROWS: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The chosen way to read the list; "" and () stand for automatic."""

    #: One of `ENCODINGS`.
    encoding: str = ""
    #: "comma", "semicolon" or "tab".
    separator: str = ""
    #: The first row: "names" or "mailbox".
    first: str = ""
    #: The field that each column holds.
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A row of the preview."""

    #: Line in the file.
    number: int
    #: Its cells, as many as there are columns.
    cells: tuple[str, ...]
    #: Its faults.
    errors: tuple[RowError, ...] = ()
    #: The login at the destination; "" for a row that is not right.
    destination: str = ""
    #: True if this login was assumed, since the row gives none.
    same_login: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """The list as it was understood."""

    #: The way in which it was read.
    choice: Choice
    #: Headings of the columns; "" for one that is not shown, since it may be a password.
    headings: tuple[str, ...] = ()
    #: The first rows, and after them the first other rows with faults.
    lines: tuple[Line, ...] = ()
    #: The faults.
    errors: tuple[RowError, ...] = ()
    #: The warnings.
    warnings: tuple[str, ...] = ()
    #: The rows that are right.
    manifest: Manifest | None = None
    #: Every row that is wrong: login, owner, server as far as they may be shown, and why.
    wrong: tuple[tuple[str, str, str, str], ...] = ()
    #: The wave of each of them; "" for none.
    waves: tuple[str, ...] = ()

    @property
    def short(self) -> bool:
        """Tells whether the list can be edited as typed rows: a short one, without other columns."""
        named = [field for field in self.choice.fields if field]
        return bool(named) and self.good + self.bad <= MOST_TYPED and set(named) <= set(TYPED[:4])

    @property
    def good(self) -> int:
        """The number of rows that are right."""
        return len(self.manifest.rows) if self.manifest else 0

    @property
    def bad(self) -> int:
        """The number of rows with faults."""
        return len({error.line for error in self.errors if error.line})


def typed(rows: Sequence[Sequence[str]], *, logins_stand: bool = False) -> bytes:
    """Returns the rows of a table on the page as a CSV file.

    Empty rows are left out. If the page has filled in the logins (`logins_stand`), rows without a password or
    another login are left out too.
    """
    filled = [row for row in rows if any(cell.strip() for cell in (row[1:4] if logins_stand else row))]
    if not filled:
        return b""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    width = max(len(row) for row in filled)
    writer.writerow(TYPED[:width])
    writer.writerows([cell.replace("\r", "").replace("\n", "") for cell in row] for row in filled)
    return text.getvalue().encode("utf-8", "surrogatepass")


def typed_rows(rows: Sequence[Sequence[str]]) -> bytes:
    """Returns typed rows as a CSV file without a header: each in the line of its number, empty ones as empty lines."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    width = max(map(len, rows), default=0)
    for row in rows:
        cells = [cell.replace("\r", "").replace("\n", "") for cell in row]
        writer.writerow([*cells, *[""] * (width - len(cells))] if any(cell.strip() for cell in cells) else [])
    return text.getvalue().encode("utf-8", "surrogatepass")


def as_rows(data: bytes, choice: Choice) -> tuple[tuple[str, ...], ...]:
    """Returns a list as typed rows; none if it has too many, or other columns than those that are typed."""
    encoding = choice.encoding if choice.encoding in ENCODINGS else ""
    separator = choice.separator if choice.separator in SEPARATORS.values() else ""
    fields = [name for name in choice.fields if name]
    if not fields or not set(fields) <= set(TYPED[:4]):
        return ()
    try:
        sheet = read_sheet(data, encoding=encoding, separator=separator, max_rows=MOST_TYPED, one_column=True)
    except UsageError:
        return ()
    rows = [[cell.text for cell in cells] for _, cells in sheet.rows[choice.first != "mailbox" :]]
    named = [dict(zip(choice.fields, row, strict=False)) for row in rows]
    return tuple(tuple(row.get(name, "") for name in TYPED[:4]) for row in named) if not sheet.errors else ()


def look(
    data: bytes,
    choice: Choice,
    servers: Servers,
    *,
    passwords: bool = True,
    allowed: Allowed = NOTHING_ALLOWED,
) -> Preview:
    """Reads the list as chosen. Never raises: faults are in the result.

    `servers` reads the servers that rows name. `passwords`: whether each row must give one.
    """
    limits = Limits()
    encoding = choice.encoding if choice.encoding in ENCODINGS else ""
    separator = choice.separator if choice.separator in SEPARATORS.values() else ""
    try:
        sheet = read_sheet(data, encoding=encoding, separator=separator, max_rows=limits.rows, one_column=not passwords)
        if not sheet.rows:
            raise ManifestInvalid(sheet.errors or [RowError(line=0, sentence=EMPTY.says())])
    except ManifestInvalid as error:
        return Preview(choice=choice, errors=error.errors)
    except UsageError as error:
        return Preview(choice=choice, errors=tuple(RowError(line=0, sentence=one.sentence) for one in faults_of(error)))
    width = Counter(len(cells) for _, cells in sheet.rows[:200]).most_common(1)[0][0]
    errors: tuple[RowError, ...] = ()
    if len(choice.fields) == width and any(choice.fields):
        fields = tuple(name if name in (*NAMES, UNKNOWN) else "" for name in choice.fields)
        columns = Columns(fields=fields, header=choice.first != "mailbox")
    else:
        try:
            columns = columns_of(sheet.rows, passwords=passwords, reading=Reading(no_header=choice.first == "mailbox"))
        except ManifestInvalid as error:
            errors = error.errors
            columns = Columns(fields=("",) * width, header=choice.first == "names")
    manifest: Manifest | None = None
    errors = errors or tuple(questions(sheet.rows, columns))
    if not errors:
        try:
            manifest, errors = sift_manifest(
                data,
                encoding=encoding,
                separator=separator,
                servers=servers,
                columns=columns,
                passwords=passwords,
                allowed=allowed,
            )
        except ManifestInvalid as error:
            errors = error.errors
    taken = Choice(
        encoding=sheet.encoding if sheet.encoding in ENCODINGS else encoding,
        separator=SEPARATORS[sheet.separator],
        first="names" if columns.header else "mailbox",
        fields=(*columns.fields, *[""] * (width - len(columns.fields)))[:width],
    )
    # A row that a person chose as the header may be a mailbox with its password.
    first = [cell.text for cell in sheet.rows[0][1]] if columns.header else []
    sure = sum(map(names_a_column, first)) >= 2
    headings = tuple(text if sure or names_a_column(text) else "" for text in first)
    rows = [(number, [cell.text for cell in cells]) for number, cells in sheet.rows[columns.header :]]
    return Preview(
        choice=taken,
        headings=headings,
        lines=_lines(rows, taken.fields, errors, manifest),
        errors=errors,
        warnings=manifest.warnings if manifest else tuple(sheet.warnings),
        manifest=manifest,
        wrong=_wrong(rows, taken.fields, errors),
        waves=_waves(rows, taken.fields, errors),
    )


def _wrong(
    rows: Sequence[tuple[int, list[str]]], fields: Sequence[str], errors: Sequence[RowError]
) -> tuple[tuple[str, str, str, str], ...]:
    """A row a line that has errors; one that could not be read at all has its reason alone."""
    reasons: dict[int, list[str]] = {}
    for error in errors:
        if error.line:
            reasons.setdefault(error.line, []).append(f"{error.column}: {error.what}" if error.column else error.what)
    cells = {number: cells for number, cells in rows if number in reasons}
    found = []
    for number, why in reasons.items():
        shown = dict(zip(fields, _shown(cells.get(number, []), fields), strict=True))
        login, owner, server = (shown.get(field, "").replace(DOTS, "") for field in ("login", "new_login", "server"))
        found.append((login, owner, server, f"row {number}: {'; '.join(why)}"))
    return tuple(found)


def _waves(rows: Sequence[tuple[int, list[str]]], fields: Sequence[str], errors: Sequence[RowError]) -> tuple[str, ...]:
    """Returns the wave of each line that has errors, in the order of `_wrong`."""
    at = fields.index("wave") if "wave" in fields else -1
    cells = {number: cells for number, cells in rows if len(cells) == len(fields) and at >= 0}
    lines = dict.fromkeys(error.line for error in errors if error.line)
    return tuple(cells[line][at] if line in cells else "" for line in lines)


def _lines(
    rows: Sequence[tuple[int, list[str]]],
    fields: Sequence[str],
    errors: Sequence[RowError],
    manifest: Manifest | None,
) -> tuple[Line, ...]:
    right = {row.line: row for row in manifest.rows} if manifest else {}
    wrong: dict[int, list[RowError]] = {}
    for error in errors:
        wrong.setdefault(error.line, []).append(error)
    chosen = [*rows[:_ROWS], *[row for row in rows[_ROWS:] if row[0] in wrong][:_ROWS]]
    return tuple(
        Line(
            number=number,
            cells=tuple(_shown(cells, fields)),
            errors=tuple(wrong.get(number, ())),
            destination=right[number].new_login if number in right else "",
            same_login=number in right and not right[number].own_new_login,
        )
        for number, cells in chosen
    )


def _shown(cells: Sequence[str], fields: Sequence[str]) -> list[str]:
    """Returns the cells to show, with dots for each that may be a password.

    In a row of another width the values may be in wrong columns. Of a row that is too long the first cell is shown, if its
    column holds no password. A row that is too short may lack its login, and then its password stands first: none is shown.
    """
    shown = []
    fits = len(cells) >= len(fields) and not any(cells[len(fields) :])
    too_long = len(cells) > len(fields)
    for at, field in enumerate(fields):
        text = cells[at] if at < len(cells) else ""
        open_ = (
            field in _OPEN and (fits or (too_long and at == 0)) and not (field == "server" and "@" in text)
        )  # a URL's password
        shown.append(text[:200] if open_ else DOTS if text else "")
    return shown
