"""Turns bytes into cells: finds encoding, separator, quotation marks and line numbers.

The csv module reads each line by itself: no login, password or name holds a line break, so an unclosed quotation mark
spoils its own row only. The module does not tell quoted values from unquoted ones, so the line is read a second time:
spaces around an unquoted value are dropped, and inside quotation marks every space belongs to the value.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import Final

from shared.model.errors import UsageError
from shared.nouns import dataclass
from shared.wording.phrases import Fault, FaultsFound, FieldName, Phrase, Sentence, in_english, option

FILE_IS_NOT_UTF_8: Final = Phrase(
    "file_is_not_utf_8", "the file is not UTF-8 and was read as {encoding}: look at a name, or give --encoding"
)

#: Name of each separator.
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}

NO_SEPARATOR = Phrase("separator_unknown", "separator {word} is not known: use comma, semicolon or tab")
EMPTY: Final = Phrase("sheet_empty", "it is empty")
MANY_ROWS: Final = Phrase("sheet_many_rows", "more than {num} rows: split the file")
SPREADSHEET: Final = Phrase("sheet_no_csv", "this is a spreadsheet file (.xlsx, .xls or .ods): save it as CSV")
NO_ENCODING: Final = Phrase("encoding_unknown", "encoding {name} is not known: use utf-8, utf-16, cp1251 or cp1252")
NO_TEXT: Final = Phrase("sheet_no_text", "the bytes are no text in UTF-8, UTF-16, CP1251 or CP1252: save it as UTF-8")
UNDECODABLE: Final = Phrase(
    "sheet_other_encoding", "the bytes are no text in {encoding}: give the right {by}, or save it as UTF-8"
)
NO_SEPARATOR_AT_ALL: Final = Phrase("separator_missing", "no row has a comma, a semicolon or a tab")
TWO_VALUES: Final = Phrase("sheet_two_values", "{what}: each row needs at least a login and a password")
UNCLOSED: Final = Phrase("quote_unclosed", "a quotation mark is never closed; inside a value write it twice")
BROKEN: Final = Phrase("value_broken", "a value holds a line break (or a quotation mark is not closed)")
TOO_LONG: Final = Phrase("value_too_long", "longer than {num} characters")
TRAILING: Final = Phrase(
    "quote_trailing", "unexpected text after a closing quotation mark; inside a value write the mark twice"
)

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_WORD = re.compile(rb"[A-Za-z\x80-\xff]+")
_LONGEST_LINE = 65_536
#: Number of lines that the search for the separator looks at.
_SAMPLE = 200
#: Number of lines over which a value with line breaks is followed, to report it once.
_FOLLOWED = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class RowError:
    """A fault of one row. It never quotes a value, which could be a password."""

    #: Line in the file, counted from 1; 0 for the whole file.
    line: int
    #: Column name, or "" when the fault concerns the whole row.
    column: str = ""
    #: The fault, and its remedy.
    sentence: Sentence

    @property
    def what(self) -> str:
        """The sentence in the words of the command line."""
        return in_english(self.sentence, option)

    def __str__(self) -> str:
        where = [f"row {self.line}"] if self.line else ["the file"]
        return f"{', '.join(where + [self.column] * bool(self.column))}: {self.what}"


class ManifestInvalid(UsageError):
    """Raised when the manifest has errors; nothing was started.

    `errors` holds all of them; the text shows the first.
    """

    #: Number of errors shown in the text.
    SHOWN = 50

    def __init__(self, errors: Sequence[RowError], name: str = "the manifest") -> None:
        """`name`: what a person calls the manifest, as its file."""
        self.errors = tuple(errors)
        count = f"{len(self.errors)} errors" if len(self.errors) != 1 else "an error"
        lines = [f"{name} has {count}; nothing was started:"]
        lines += [f"  {error}" for error in self.errors[: self.SHOWN]]
        if len(self.errors) > self.SHOWN:
            lines.append(f"  … and {len(self.errors) - self.SHOWN} more")
        lines.append("Correct it and run the same command again; `mailhaul template` prints an example.")
        super().__init__("\n".join(lines))


class RequestFaults(FaultsFound):
    """Raised for a request with faults in its fields, and perhaps in its rows, which are of `file`."""

    def __init__(
        self, faults: Iterable[Fault], row_errors: Sequence[RowError] = (), file: str = "the manifest"
    ) -> None:
        super().__init__(faults)
        self.row_errors = tuple(row_errors)
        if row_errors:
            self.args = ("\n".join(filter(None, (str(self), str(ManifestInvalid(row_errors, file))))),)


@dataclass(frozen=True, slots=True)
class Cell:
    """A value of a row."""

    #: The value without quotation marks; an unquoted value also without the spaces around it.
    text: str
    #: Whether the value stands in quotation marks, so that its spaces count.
    quoted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """The rows of a file, blank lines left out."""

    #: Rows, each with its line number and cells.
    rows: list[tuple[int, list[Cell]]] = field(default_factory=list)
    #: Faults of lines that could not be read.
    errors: list[RowError] = field(default_factory=list)
    #: Encoding in which the bytes were read.
    encoding: str
    #: Character between values.
    separator: str
    #: Warnings for the operator.
    warnings: list[str] = field(default_factory=list)


def read_sheet(
    data: bytes, *, encoding: str = "", separator: str = "", max_rows: int, one_column: bool = False
) -> Sheet:
    """Returns the cells of a file. With `one_column` a row may be a single value.

    Raises `ManifestInvalid` when the file is no text or has no separator.
    """
    text, used = decode(data, encoding)
    if max(text.count("\n"), text.count("\r")) > 2 * max_rows + 1000:
        raise _unreadable(MANY_ROWS.says(num=max_rows))
    stated, text = _stated_separator(text)
    divider = _named(separator or stated) if separator or stated else find_separator(text, one_column=one_column)
    sheet = Sheet(encoding=used, separator=divider)
    if not encoding and used in ("cp1251", "cp1252"):
        sheet.warnings.append(FILE_IS_NOT_UTF_8.says(encoding=used.upper()))
    lines = list(_lines(text))
    followed = 0
    for at, (number, line) in enumerate(lines):
        if followed or not line.strip():
            followed = max(0, followed - 1)
            continue
        if len(sheet.rows) + len(sheet.errors) >= max_rows + 1:  # one more for the header
            raise _unreadable(MANY_ROWS.says(num=max_rows), number)
        cells = _cells(line, divider) if len(line) <= _LONGEST_LINE else TOO_LONG.says(num=_LONGEST_LINE)
        if isinstance(cells, Sentence):
            unclosed = cells.phrase is UNCLOSED
            followed = _end_of_value(lines[at + 1 : at + 1 + _FOLLOWED], divider) if unclosed else 0
            sheet.errors.append(RowError(line=number, sentence=BROKEN.says() if followed else cells))
        else:
            sheet.rows.append((number, cells))
    return sheet


def decode(data: bytes, encoding: str = "") -> tuple[str, str]:
    """Returns (text, encoding). Raises `ManifestInvalid`.

    Tried in this order: the given encoding, a byte order mark, UTF-16 that cannot be anything else, UTF-8, and the
    likelier of two Windows code pages.
    """
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise _unreadable(SPREADSHEET.says())
    if encoding:
        try:
            return data.decode(encoding).removeprefix("\ufeff"), encoding
        except LookupError:
            raise _unreadable(NO_ENCODING.says(name=repr(encoding))) from None
        except (UnicodeError, ValueError) as error:
            raise _undecodable(data, error, encoding) from None
    for bom, named in _BOMS:
        if data.startswith(bom):
            try:
                return data.decode(named), named
            except UnicodeError as error:
                raise _undecodable(data, error, named) from None
    for named in (_wide(data), "utf-8", *_code_pages(data)):
        try:
            return data.decode(named), named
        except UnicodeError:
            continue
    raise _unreadable(NO_TEXT.says())


def _wide(data: bytes) -> str:
    """Recognises UTF-16 without a byte order mark; returns "utf-8" otherwise.

    It is UTF-16 when every NUL is on the same side, four units of ten have one (ASCII), and a separator is among them.
    """
    even, odd = data[::2].count(0), data[1::2].count(0)
    if len(data) % 2 or min(even, odd) or max(even, odd) < max(3, 0.2 * len(data)):
        return "utf-8"
    named = "utf-16-be" if even else "utf-16-le"
    return named if re.search("[,;\t]", data.decode(named, "replace")) else "utf-8"


def _code_pages(data: bytes) -> tuple[str, str]:
    """Returns both Windows code pages, the likelier first.

    Cyrillic words consist of high bytes only; Western ones mix them with ASCII letters. (A detector by statistics,
    charset-normalizer, was wrong in two of eleven short files.)
    """
    cyrillic = western = 0
    for word in _WORD.findall(data[: 1 << 20]):
        high = sum(octet >= 0x80 for octet in word)
        if high == len(word) > 1:
            cyrillic += high
        else:
            western += high
    return ("cp1251", "cp1252") if cyrillic > western else ("cp1252", "cp1251")


def find_separator(text: str, *, one_column: bool = False) -> str:
    """Returns the separator behind the first value of most lines.

    Raises `ManifestInvalid` when there is none, unless `one_column` is set.
    """
    votes: Counter[str] = Counter()
    for _, line in _lines(text):
        rest = line.lstrip(_BLANKS)
        if rest.startswith('"'):
            rest = re.sub('^"(?:[^"]|"")*+"', "", rest[:_LONGEST_LINE])
        if found := re.search("[,;\t]", rest[:_LONGEST_LINE]):
            votes[found[0]] += 1
        if votes.total() >= _SAMPLE:
            break
    if not votes and one_column and text.strip():
        return ","
    if not votes:
        what = NO_SEPARATOR_AT_ALL if text.strip() else EMPTY
        raise _unreadable(TWO_VALUES.says(what=what.says()))
    return votes.most_common(1)[0][0]


def _stated_separator(text: str) -> tuple[str, str]:
    """Returns the separator of Excel's first line ``sep=;``, "" without one, and the text with that line blank."""
    found = re.match(r'"?sep=([,;\t])"?[ ]*(?=\r|\n|\Z)', text, re.IGNORECASE)
    return (found[1], text[found.end() :]) if found else ("", text)


def _named(separator: str) -> str:
    for sign, name in SEPARATORS.items():
        if separator.lower() in (sign, name) or (sign == "\t" and separator == "\\t"):
            return sign
    raise NO_SEPARATOR.error(word=repr(separator))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yields line numbers and lines. Only CR, LF and CRLF break lines; str.splitlines knows more."""
    start, number = 0, 0
    for number, found in enumerate(_LINE_BREAK.finditer(text), start=1):
        yield (
            number,
            text[start : found.start()].removeprefix("\ufeff"),
        )  # joined files keep their byte order marks
        start = found.end()
    yield number + 1, text[start:].removeprefix("\ufeff")


#: Blanks around a value: the ordinary one, and those that spreadsheets and web pages write for it.
_BLANKS = " \u00a0\u2007\u202f\u3000\ufeff"


def _cells(line: str, separator: str) -> list[Cell] | Sentence:
    """Returns the values of one line, or what is wrong with it.

    The line is read alone, so that an unclosed quotation mark spoils its own row only; and strictly, so that the fault
    is noticed.
    """
    # Each run of blanks is read once: a line may be nothing else.
    if re.search(f'(?:^|{separator}) *+[{_BLANKS[1:]}][{_BLANKS}]*+"|" *+[{_BLANKS[1:]}]', line):
        # Around a quoted value such a blank is one as any other, and no text of the value.
        line = re.sub(f'(^|{separator})[{_BLANKS}]*("(?:[^"]|"")*+")[{_BLANKS}]*(?={separator}|$)', r"\1\2", line)
    # Blanks behind a closing mark are dropped; csv drops only those in front of an opening one.
    tidy = re.sub(f'((?:^|{separator}) *"(?:[^"]|"")*+") +(?={separator}|$)', r"\1", line)
    values: list[str] = []
    for text in (line, tidy):
        try:
            values = next(csv.reader([text], delimiter=separator, skipinitialspace=True, strict=True))
            break
        except csv.Error as error:
            if text is tidy or "unexpected end" in str(error):
                return (UNCLOSED if "unexpected end" in str(error) else TRAILING).says()
    if '"' not in line:
        return [Cell(value.strip()) for value in values]
    marked = [
        raw.startswith('"') for raw in re.findall(f'(?:^|{separator})[ ]*("(?:[^"]|"")*+"|[^{separator}]*)', line)
    ]
    if len(marked) != len(values):  # the two readings differ, so every value is kept as it stands
        marked = [True] * len(values)
    return [Cell(value if quoted else value.strip(), quoted) for value, quoted in zip(values, marked, strict=True)]


def _end_of_value(following: Sequence[tuple[int, str]], separator: str) -> int:
    """Returns how many of the following lines belong to a value that was left open; 0 when that cannot be told."""
    closing = re.compile(f'[^"]*"[ ]*(?:{separator}|$)')
    opening = re.compile(f'(?:[^"]*{separator})?[ ]*"')
    for count, (_, line) in enumerate(following, start=1):
        if closing.match(line):
            return count
        if opening.match(line):
            break
    return 0


def _unreadable(what: Sentence, line: int = 0) -> ManifestInvalid:
    return ManifestInvalid([RowError(line=line, sentence=what)])


def _undecodable(data: bytes, error: ValueError, encoding: str) -> ManifestInvalid:
    line = 0
    if isinstance(error, UnicodeDecodeError) and "16" not in encoding and "32" not in encoding:
        line = 1 + data[: error.start].count(b"\n")
    return _unreadable(UNDECODABLE.says(encoding=encoding, by=FieldName("encoding")), line)
