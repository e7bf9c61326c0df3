"""Bytes to cells: in which encoding, by which separator, what is quoted, and on which line.

The csv module reads each line by itself: no login, password or name holds a line break, and so an unclosed quotation
mark costs its own row only. It does not tell quoted values from bare ones, so a second look at the line does: spaces
around a bare value are dropped, inside quotation marks every space belongs to the value.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from shared.errors import UsageError

#: Separator → what it is called.
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}

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
#: Lines that are looked at to find the separator.
_SAMPLE = 200
#: How far a value with line breaks in it is followed, to report it once.
_FOLLOWED = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class RowError:
    """What is wrong with one row. Never quotes a value: it could be a password."""

    #: Line in the file, counted from 1; 0 for the whole file.
    line: int
    #: Column name, or "" when it concerns the whole row.
    column: str = ""
    #: What is wrong, and what to do.
    what: str

    def __str__(self) -> str:
        where = [f"row {self.line}"] if self.line else ["the file"]
        return f"{', '.join(where + [self.column] * bool(self.column))}: {self.what}"


class ManifestInvalid(UsageError):
    """The manifest has errors; nothing was started. `errors` are all of them; the text shows the first ones."""

    #: Errors shown in the text.
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


@dataclass(frozen=True, slots=True)
class Cell:
    """One value."""

    #: As meant: without the quotation marks; without spaces around it where there are no marks.
    text: str
    #: Whether it stands in quotation marks, so that spaces are meant.
    quoted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """The rows of a file, blank lines left out."""

    #: (Line, cells).
    rows: list[tuple[int, list[Cell]]] = field(default_factory=list)
    #: Rows that are no rows.
    errors: list[RowError] = field(default_factory=list)
    #: What the bytes were read as.
    encoding: str
    #: What stands between values.
    separator: str
    #: What a person should look at.
    warnings: list[str] = field(default_factory=list)


def read_sheet(
    data: bytes, *, encoding: str = "", separator: str = "", max_rows: int, one_column: bool = False
) -> Sheet:
    """The cells of a file; `one_column`: each row may be one value. Raises `ManifestInvalid` when it is no text or has no
    separator."""
    text, used = decode(data, encoding)
    if max(text.count("\n"), text.count("\r")) > 2 * max_rows + 1000:
        raise _unreadable(f"more than {max_rows} rows: split the file")
    stated, text = _stated_separator(text)
    divider = _named(separator or stated) if separator or stated else find_separator(text, one_column=one_column)
    sheet = Sheet(encoding=used, separator=divider)
    if not encoding and used in ("cp1251", "cp1252"):
        sheet.warnings.append(
            f"the file is not UTF-8 and was read as {used.upper()}: look at a name, or give --encoding"
        )
    lines = list(_lines(text))
    followed = 0
    for at, (number, line) in enumerate(lines):
        if followed or not line.strip():
            followed = max(0, followed - 1)
            continue
        if len(sheet.rows) + len(sheet.errors) >= max_rows + 1:  # one for the header
            raise _unreadable(f"more than {max_rows} rows: split the file", number)
        cells = _cells(line, divider) if len(line) <= _LONGEST_LINE else _TOO_LONG
        if isinstance(cells, str):
            followed = _end_of_value(lines[at + 1 : at + 1 + _FOLLOWED], divider) if cells == _UNCLOSED else 0
            sheet.errors.append(RowError(line=number, what=_BROKEN if followed else cells))
        else:
            sheet.rows.append((number, cells))
    return sheet


def decode(data: bytes, encoding: str = "") -> tuple[str, str]:
    """(text, encoding). What is said wins, then a byte order mark, UTF-16 that cannot be anything else, UTF-8, and of
    the two Windows code pages the likelier. Raises `ManifestInvalid`."""
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise _unreadable("this is a spreadsheet file (.xlsx, .xls or .ods): save it as CSV")
    if encoding:
        try:
            return data.decode(encoding).removeprefix("\ufeff"), encoding
        except LookupError:
            raise _unreadable(f"encoding {encoding!r} is not known: use utf-8, utf-16, cp1251 or cp1252") from None
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
    raise _unreadable("the bytes are no text in UTF-8, UTF-16, CP1251 or CP1252: save it as UTF-8")


def _wide(data: bytes) -> str:
    """UTF-16 without a mark, when it cannot be anything else: every NUL is on the same side, four units of ten have
    one (ASCII), and a separator is among them."""
    even, odd = data[::2].count(0), data[1::2].count(0)
    if len(data) % 2 or min(even, odd) or max(even, odd) < max(3, 0.2 * len(data)):
        return "utf-8"
    named = "utf-16-be" if even else "utf-16-le"
    return named if re.search("[,;\t]", data.decode(named, "replace")) else "utf-8"


def _code_pages(data: bytes) -> tuple[str, str]:
    """Which is tried first. Cyrillic words are of high bytes altogether, Western ones mix them with ASCII letters. (A
    detector by statistics, charset-normalizer, was wrong in two of eleven short files.)"""
    cyrillic = western = 0
    for word in _WORD.findall(data[: 1 << 20]):
        high = sum(octet >= 0x80 for octet in word)
        if high == len(word) > 1:
            cyrillic += high
        else:
            western += high
    return ("cp1251", "cp1252") if cyrillic > western else ("cp1252", "cp1251")


def find_separator(text: str, *, one_column: bool = False) -> str:
    """What stands behind the first value of most lines. Raises `ManifestInvalid` when nothing does, unless it is
    `one_column`."""
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
        what = "no row has a comma, a semicolon or a tab" if text.strip() else "it is empty"
        raise _unreadable(f"{what}: each row needs at least a login and a password")
    return votes.most_common(1)[0][0]


def _stated_separator(text: str) -> tuple[str, str]:
    """The separator that Excel's first line ``sep=;`` states, "" without one, and the text with that line blank."""
    found = re.match(r'"?sep=([,;\t])"?[ ]*(?=\r|\n|\Z)', text, re.IGNORECASE)
    return (found[1], text[found.end() :]) if found else ("", text)


def _named(separator: str) -> str:
    for sign, name in SEPARATORS.items():
        if separator.lower() in (sign, name) or (sign == "\t" and separator == "\\t"):
            return sign
    raise UsageError(f"separator {separator!r} is not known: use comma, semicolon or tab")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """(Number, line). Only CR, LF and CRLF break lines; str.splitlines knows more."""
    start, number = 0, 0
    for number, found in enumerate(_LINE_BREAK.finditer(text), start=1):
        yield (
            number,
            text[start : found.start()].removeprefix("\ufeff"),
        )  # files that were joined bring their marks along
        start = found.end()
    yield number + 1, text[start:].removeprefix("\ufeff")


#: Blanks around a value: the ordinary one, and those that spreadsheets and web pages write for it.
_BLANKS = " \u00a0\u2007\u202f\u3000\ufeff"
_UNCLOSED = "a quotation mark is never closed; inside a value write it twice"
_BROKEN = "a value holds a line break (or a quotation mark is not closed)"
_TOO_LONG = f"longer than {_LONGEST_LINE} characters"
_TRAILING = "unexpected text after a closing quotation mark; inside a value write the mark twice"


def _cells(line: str, separator: str) -> list[Cell] | str:
    """The values of one line, or what is wrong with it. The line alone is read, so that an unclosed quotation mark
    costs its own row only, and strictly, so that it is noticed."""
    if re.search(f'(?:^|{separator})[{_BLANKS}]*[{_BLANKS[1:]}][{_BLANKS}]*"|"[{_BLANKS}]*[{_BLANKS[1:]}]', line):
        # Around a quoted value such a blank is one as any other, and no text of the value.
        line = re.sub(f'(^|{separator})[{_BLANKS}]*("(?:[^"]|"")*+")[{_BLANKS}]*(?={separator}|$)', r"\1\2", line)
    # Blanks behind a closing mark are no text; csv knows only those in front of an opening one.
    tidy = re.sub(f'((?:^|{separator}) *"(?:[^"]|"")*+") +(?={separator}|$)', r"\1", line)
    values: list[str] = []
    for text in (line, tidy):
        try:
            values = next(csv.reader([text], delimiter=separator, skipinitialspace=True, strict=True))
            break
        except csv.Error as error:
            if text is tidy or "unexpected end" in str(error):
                return _UNCLOSED if "unexpected end" in str(error) else _TRAILING
    if '"' not in line:
        return [Cell(value.strip()) for value in values]
    marked = [
        raw.startswith('"') for raw in re.findall(f'(?:^|{separator})[ ]*("(?:[^"]|"")*+"|[^{separator}]*)', line)
    ]
    if len(marked) != len(values):  # what both read differently is kept as it stands
        marked = [True] * len(values)
    return [Cell(value if quoted else value.strip(), quoted) for value, quoted in zip(values, marked, strict=True)]


def _end_of_value(following: Sequence[tuple[int, str]], separator: str) -> int:
    """How many of the following lines belong to a value that was left open; 0 when that is not to be told."""
    closing = re.compile(f'[^"]*"[ ]*(?:{separator}|$)')
    opening = re.compile(f'(?:[^"]*{separator})?[ ]*"')
    for count, (_, line) in enumerate(following, start=1):
        if closing.match(line):
            return count
        if opening.match(line):
            break
    return 0


def _unreadable(what: str, line: int = 0) -> ManifestInvalid:
    return ManifestInvalid([RowError(line=line, what=what)])


def _undecodable(data: bytes, error: ValueError, encoding: str) -> ManifestInvalid:
    line = 0
    if isinstance(error, UnicodeDecodeError) and "16" not in encoding and "32" not in encoding:
        line = 1 + data[: error.start].count(b"\n")
    return _unreadable(f"the bytes are no text in {encoding}: give the right --encoding, or save it as UTF-8", line)
