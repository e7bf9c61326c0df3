"""Makes rows of the manifest's cells, and finds what is wrong in one, odd in one, or wrong between two."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from producer.intake.allowed import Allowed
from producer.intake.endpoints import parse_endpoint
from producer.intake.headings import NAMES
from producer.intake.manifest_row import Limits, Row
from producer.intake.sheet import TOO_LONG, Cell, RowError
from shared.folders.names import DIRECTIONS
from shared.model import Endpoint, folded, server_key
from shared.model.errors import UsageError
from shared.model.waves import MOST_NAME, MOST_PRIORITY, is_name
from shared.runtime.secret import Secret
from shared.wording.phrases import FieldName, Phrase, Sentence, faults_of

ONE_ROW: Final = Phrase("one_row", "row {rows}: {what}")
SOME_ROWS: Final = Phrase("some_rows", "rows {rows}: {what}")
AND_MORE_ROWS: Final = Phrase("and_more_rows", "{rows} and {num} more")
INVISIBLE: Final = Phrase("invisible", "{field} holds an invisible character or an unusual space, which is kept")
SPACED: Final = Phrase("spaced", "{field} begins or ends with a space, which is kept since it is in quotation marks")
ROUNDED: Final = Phrase(
    "rounded", "{field} looks like a number that Excel rounded: write it as text in the spreadsheet"
)
FORMULA: Final = Phrase("formula", "{field} looks like a formula, not its value: save the values")
SHEET_ERROR: Final = Phrase(
    "sheet_error", "{field} looks like an error of a spreadsheet, not a value: correct the cell"
)
QUOTED: Final = Phrase("quoted", "{field} begins with a typographic quotation mark, which is taken for a part of it")
DIFFERENT_CASE: Final = Phrase("different_case", "{field} differs from that of row {row} only in capital letters")
_QUOTA = re.compile(r"(\d{1,12}(?:[.,]\d{1,3})?)\s*([kmgtкмгт]?)(?:i?b|б)?", re.IGNORECASE)
_POWER = {"": 2, "k": 1, "m": 2, "g": 3, "t": 4, "к": 1, "м": 2, "г": 3, "т": 4}
#: Turns the value of the column ``server`` into an endpoint. Raises `UsageError`.
Servers = Callable[[str], Endpoint]
#: The texts that a spreadsheet shows in the place of a value that it cannot compute, in English and Russian.
_SHEET_ERRORS: Final = frozenset(
    {
        "#REF!",
        "#NAME?",
        "#VALUE!",
        "#N/A",
        "#DIV/0!",
        "#NULL!",
        "#NUM!",
        "#SPILL!",
        "#CALC!",
        "#ССЫЛКА!",
        "#ИМЯ?",
        "#ЗНАЧ!",
        "#Н/Д",
        "#ДЕЛ/0!",
        "#ПУСТО!",
        "#ЧИСЛО!",
    }
)
COLUMN: Final = Phrase("row_of_one_column", "{num} column instead of {width}")
COLUMNS: Final = Phrase("row_of_columns", "{num} columns instead of {width}")
MISSING: Final = Phrase("value_missing", "is missing")
CONTROL: Final = Phrase(
    "value_unprintable", "holds a control character (a line break, tab, NUL, or one that turns text round)"
)
NAME: Final = Phrase("value_no_name", "must be at most {num} printable characters, without spaces around them")
PRIORITY: Final = Phrase("value_no_priority", "is not a whole number from -{num} to {most_num}; 0 is usual")
QUOTA: Final = Phrase("value_no_quota", 'is not a size: write megabytes ("500") or a unit ("2 GB")')
TWO_IN_ONE: Final = Phrase(
    "row_same_destination",
    "goes to the same mailbox as row {row}: two would become one; where that is meant, give {share_destination}",
)
TWO_IN_ONE_BY_CAPITALS: Final = Phrase(
    "row_same_destination_by_capitals",
    "goes to the same mailbox as row {row} but for capital letters, which servers do not tell apart: keep one of "
    "them, or give {exact}",
)
TWICE_BY_CAPITALS: Final = Phrase(
    "row_same_login_by_capitals",
    "the same login as in row {row} but for capital letters, which servers do not tell apart: keep one of them, or "
    "give {exact}",
)
REPEATS: Final = Phrase("row_repeats", "repeats row {row}")
SAME_LOGIN: Final = Phrase("row_same_login", "the same login as in row {row}, but the rest differs")
KEEP_ONE: Final = Phrase("row_keep_one", "{what}: keep one of them")
#: Number of rows named in one warning.
_NAMED = 10


def compared(rows: Iterable[Row], allowed: Allowed) -> list[RowError]:
    """Returns the errors of rows that cannot be in one import, wherever each of them came from."""
    made = RowReading((), Limits(), (), parse_endpoint, allowed)
    for row in rows:
        made.compare(row)
    return made.errors


class RowReading:
    """Makes rows of cells, and keeps errors, oddities and the logins seen so far."""

    def __init__(
        self, fields: tuple[str, ...], limits: Limits, required: tuple[str, ...], servers: Servers, allowed: Allowed
    ) -> None:
        self._fields, self._limits, self._required, self._servers = fields, limits, required, servers
        #: Row by server and login. Many rows share few servers, so each server is parsed once (`_known`).
        self._by_login: dict[tuple[str, str], Row] = {}
        self._known: dict[str, Endpoint | UsageError] = {}
        self._allowed = allowed
        self._by_new_login: dict[str, Row] = {}
        self._folded: dict[tuple[str, str], tuple[str, int]] = {}
        self._odd: dict[str, list[int]] = defaultdict(list)
        self.errors: list[RowError] = []

    def warnings(self) -> list[str]:
        """Returns one sentence for each kind of oddity, with its rows."""
        said: list[str] = []
        for what, lines in self._odd.items():
            named = ", ".join(map(str, lines[:_NAMED]))
            if len(lines) > _NAMED:
                named = AND_MORE_ROWS.says(rows=named, num=str(len(lines) - _NAMED))
            said.append((SOME_ROWS if len(lines) > 1 else ONE_ROW).says(rows=named, what=what))
        return said

    def row(self, line: int, cells: list[Cell]) -> Row | None:
        """Returns the row, or None when it has errors."""
        before = len(self.errors)
        width = len(self._fields)
        if len(cells) < width or any(cell.text for cell in cells[width:]):
            self._wrong(line, "", (COLUMN if len(cells) == 1 else COLUMNS).says(num=len(cells), width=width))
            return None
        values = {column: cell for column, cell in zip(self._fields, cells, strict=False) if column}
        for column, cell in zip(self._fields, cells, strict=False):
            self._check(line, column, cell)
        row = self._made(line, values)
        if row.login:
            self.compare(row)
        return row if len(self.errors) == before else None

    def _check(self, line: int, column: str, cell: Cell) -> None:
        text = cell.text
        if not text and column in self._required:
            self._wrong(line, column, MISSING.says())
        if len(text) > self._limits.value_characters:
            self._wrong(line, column, TOO_LONG.says(num=self._limits.value_characters))
        elif not text.isprintable():
            kinds = {unicodedata.category(char) for char in text}
            # A login that turns the text behind it round is read as another one (RFC 8265 §3.3 has none either).
            if kinds & {"Cc", "Cs", "Zl", "Zp"} or ("login" in column and not DIRECTIONS.isdisjoint(text)):
                self._wrong(line, column, CONTROL.says())
            elif column:
                self._odd[INVISIBLE.says(field=column)].append(line)
        if text != text.strip() and column:
            self._odd[SPACED.says(field=column)].append(line)
        if column and column not in ("quota", "priority"):
            if re.fullmatch(r"\d[.,]\d+[eE]\+\d+", text):
                self._odd[ROUNDED.says(field=column)].append(line)
            elif re.match(r"=\w+[(&]|=[A-Z]+\d+", text):
                self._odd[FORMULA.says(field=column)].append(line)
            elif text in _SHEET_ERRORS:
                self._odd[SHEET_ERROR.says(field=column)].append(line)
        if text[:1] in "“”„«" and text and column:
            self._odd[QUOTED.says(field=column)].append(line)

    def _made(self, line: int, values: Mapping[str, Cell]) -> Row:
        text = {column: values[column].text if column in values else "" for column in NAMES}
        return Row(
            line=line,
            login=text["login"],
            password=Secret(text["password"]),
            new_login=text["new_login"] or text["login"],
            new_password=Secret(text["new_password"] or text["password"]),
            own_new_password=bool(text["new_password"]),
            own_new_login=bool(text["new_login"]),
            first_name=text["first_name"],
            last_name=text["last_name"],
            quota_bytes=self._quota(line, text["quota"]),
            server=self._server(line, text["server"]),
            wave=self._name(line, "wave", text["wave"]),
            priority=self._priority(line, text["priority"]),
            group=self._name(line, "group", text["group"]),
        )

    def _server(self, line: int, text: str) -> Endpoint | None:
        if not text:
            return None
        if text not in self._known:
            try:
                self._known[text] = self._servers(text)
            except UsageError as error:
                self._known[text] = error
        found = self._known[text]
        if isinstance(found, UsageError):
            for fault in faults_of(found):
                self._wrong(line, "server", fault.sentence)
            return None
        return found

    def _name(self, line: int, column: str, text: str) -> str:
        if text and not is_name(text):
            self._wrong(line, column, NAME.says(num=MOST_NAME))
            return ""
        return text

    def _priority(self, line: int, text: str) -> int:
        if not text:
            return 0
        if not re.fullmatch(r"[+-]?[0-9]{1,2}", text):
            self._wrong(line, "priority", PRIORITY.says(num=MOST_PRIORITY, most_num=MOST_PRIORITY))
            return 0
        return int(text)

    def _quota(self, line: int, text: str) -> int | None:
        if not text:
            return None
        if not (found := _QUOTA.fullmatch(text.strip())):
            self._wrong(line, "quota", QUOTA.says())
            return None
        return int(float(found[1].replace(",", ".")) * 1024 ** _POWER[found[2].lower()])

    def compare(self, row: Row) -> None:
        """Compares the row with those above.

        Each source mailbox may occur once, and no two rows may share a destination. Logins that differ only in capital
        letters count as equal, unless `Allowed` says otherwise.
        """
        exact = self._allowed.case_sensitive_logins
        where = (server_key(row.server) if row.server else "", folded(row.login, case_sensitive=exact))
        if same := self._by_login.get(where):
            self._wrong(row.line, "login", _told_apart(same, row))
            return
        self._by_login[where] = row
        there = folded(row.new_login, case_sensitive=exact)
        other = self._by_new_login.setdefault(there, row)
        if other is not row and not self._allowed.share_destination:
            self._wrong(row.line, "new_login", _one_mailbox(other, row))
            return
        for column, text in (("login", row.login), ("new_login", row.new_login)):
            spelled, line = self._folded.setdefault((column, text.casefold()), (text, row.line))
            if spelled != text and column in self._fields:
                self._odd[DIFFERENT_CASE.says(field=column, row=line)].append(row.line)

    def _wrong(self, line: int, column: str, sentence: Sentence) -> None:
        self.errors.append(RowError(line=line, column=column, sentence=sentence))


def _one_mailbox(other: Row, row: Row) -> Sentence:
    """Words the error for two rows that lead into one mailbox."""
    if other.new_login == row.new_login:
        return TWO_IN_ONE.says(row=other.line, share_destination=FieldName("share_destination"))
    return TWO_IN_ONE_BY_CAPITALS.says(row=other.line, exact=FieldName("case_sensitive_logins"))


def _told_apart(same: Row, row: Row) -> Sentence:
    """Words the error for a row whose login occurred in an earlier row."""
    if same.login != row.login:
        return TWICE_BY_CAPITALS.says(row=same.line, exact=FieldName("case_sensitive_logins"))
    alike = (same.password, same.new_login, same.new_password) == (row.password, row.new_login, row.new_password)
    what = REPEATS if alike else SAME_LOGIN
    return KEEP_ONE.says(what=what.says(row=same.line))
