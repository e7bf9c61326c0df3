"""Reads the letters out of a text, whatever notations it is written in, and knows where each of them stands. Pure.

Notations are undone one after the other, since a proxy's page may write what a server wrote once more: entities of HTML, octets
in percent, quoted-printable, octal or hexadecimal notation, code points, modified UTF-7, and UTF-8 that somebody took
for Latin-1. Whatever is no letter and no digit is left out, as are marks on letters and capitals.
"""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final

#: Number of readings, since what was undone may be in a notation again.
_TIMES: Final = 3
_OCTAL: Final = re.compile(r"[0-7]{3}")
_HEX: Final = re.compile(r"[0-9a-f]{2}", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9]+")


#: The letters and digits of a text, without marks and capitals; and where each stands: its first place, and the one behind it.
Letters = tuple[str, list[tuple[int, int]]]


def places_of(wanted: str, letters: Letters) -> Iterator[tuple[int, int]]:
    """Yields where in a text these letters stand in a row; for the letters of a secret, see `folded`."""
    text, places = letters
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        yield places[at][0], places[at + len(wanted) - 1][1]
        at = text.find(wanted, at + 1)


def _of_octets(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _of_code_points(points: list[int]) -> str:
    return "".join(chr(point) for point in points if point <= 0x10FFFF)


def _of_utf7(found: str) -> str:
    """Decodes modified UTF-7 (RFC 3501 §5.1.3)."""
    coded = found[1:-1].replace(",", "/")
    try:
        return base64.b64decode(coded + "=" * (-len(coded) % 4)).decode("utf-16-be")
    except ValueError:
        return found


def _of_latin(text: str) -> str:
    for encoding in ("latin-1", "cp1252"):
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return text


#: Pattern → what it stands for. Each is read in time proportional to the text.
_UNDONE: Final[tuple[tuple[re.Pattern[str], Callable[[str], str]], ...]] = (
    (re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});"), html.unescape),
    (re.compile(r"&[A-Za-z0-9+,]{2,400}-"), _of_utf7),
    (re.compile(r"%u[0-9a-fA-F]{4}"), lambda found: _of_code_points([int(found[2:], 16)])),
    (re.compile(r"(?:[%=][0-9a-fA-F]{2})++"), lambda found: _of_octets(bytes.fromhex("".join(_HEX.findall(found))))),
    (
        re.compile(r"0[xX][0-9a-fA-F]{2}(?:[,;\s]{0,3}+0[xX][0-9a-fA-F]{2})++(?![0-9a-fA-F])"),
        lambda found: _of_octets(bytes(int(part, 16) for part in re.findall(r"[xX](..)", found))),
    ),
    (
        re.compile(r"(?:\\{1,4}+[0-3][0-7]{2})++"),
        lambda found: _of_octets(bytes(int(part, 8) for part in _OCTAL.findall(found))),
    ),
    (
        re.compile(r"\\{0,4}+[uU][{+][0-9a-fA-F]{1,6}\}?(?:\s?\\{0,4}+[uU][{+][0-9a-fA-F]{1,6}\}?)++"),
        lambda found: _of_code_points([int(part, 16) for part in re.findall(r"[{+]([0-9a-fA-F]+)", found)]),
    ),
    (
        re.compile(r"(?<![0-9])[0-9]{2,3}(?:(?:,\s?|\s)[0-9]{2,3}){5,}+(?![0-9])"),
        lambda found: _of_octets(bytes(min(255, int(part)) for part in _NUMBER.findall(found))),
    ),
    (
        re.compile(r"(?<![0-9a-fA-F])(?:0[0-9a-fA-F]{3}){4,}+"),
        lambda found: bytes.fromhex(found).decode("utf-16-be", "replace"),
    ),
    (re.compile(r"[^\x00-\x7f]{2,}+"), _of_latin),
)


def letters_of(text: str) -> Letters:
    """Returns the letters of a text, out of every notation."""
    places = [(at, at + 1) for at in range(len(text))]
    for _ in range(_TIMES):
        before = text
        for pattern, undo in _UNDONE:
            text, places = _rewritten(text, places, pattern, undo)
        if text == before:
            break
    kept = [(letter, place) for char, place in zip(text, places, strict=True) for letter in folded(char)]
    return "".join(letter for letter, _ in kept), [place for _, place in kept]


def folded(text: str) -> str:
    """Returns the letters and digits as they stand, without marks and capitals."""
    return "".join(char for char in unicodedata.normalize("NFKD", text).casefold() if char.isalnum())


def _rewritten(
    text: str, places: list[tuple[int, int]], pattern: re.Pattern[str], undo: Callable[[str], str]
) -> tuple[str, list[tuple[int, int]]]:
    parts, kept, at = list[str](), list[tuple[int, int]](), 0
    for found in pattern.finditer(text):
        low, high = found.span()
        meant = undo(found[0])
        parts += [text[at:low], meant]
        kept += places[at:low]
        kept += [(places[low][0], places[high - 1][1])] * len(meant)
        at = high
    return "".join(parts) + text[at:], kept + places[at:]
