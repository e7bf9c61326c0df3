"""Reads a text as whoever looks for a secret in it would: out of every notation, by its letters alone. Pure.

Notations are undone one after the other, since a proxy's page may write what a server wrote once more: entities of HTML, octets
in percent, quoted-printable, octal or hexadecimal notation, code points, modified UTF-7, and UTF-8 that somebody took
for Latin-1. Where letters were undone, the text knows which place they come from. What base64, hexadecimal text or numbers say
is read apart from that, since any word may be base64: it decides only whether the text resembles a secret.
"""

from __future__ import annotations

import base64
import codecs
import html
import quopri
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Final

#: Number of readings, since what was undone may be in a notation again.
_TIMES: Final = 3
#: The number of letters and digits in a row that are compared. A secret with fewer is not looked for by its letters.
ROW: Final = 6
#: The letters and digits of a long secret that are no coincidence. All of a shorter one have to be there, since people have
#: passwords like `password1`, and servers say `invalid password`.
_SURE: Final = 12
#: The number of letters that the parts of a divided secret have, on average; and the letters of the longest that is looked for so.
_PART: Final = 3
_DIVIDED: Final = 40
#: The letters that may stand between two such parts: those of a line's beginning, and of few words.
_APART: Final = 30
#: The number of different octets that stand at every other place of a text in UTF-16, at most.
_FEW: Final = 3
#: A longer text is read out of one code, and not out of one in another: it would take too long.
_LONG: Final = 4_000
_NO_LETTER: Final = re.compile(r"[^a-z0-9]+")
_OCTAL: Final = re.compile(r"[0-7]{3}")
_HEX: Final = re.compile(r"[0-9a-f]{2}", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[0-9]+")
#: Blanks, and the characters that notations put in their place: see `shared.wording.masking`.
SOFT: Final = re.compile(r"[ \t\r\n\f\v\\+_=]+")
#: The characters that may stand between the octets of hexadecimal text, and between the lines of a code.
_BETWEEN_OCTETS: Final = re.compile(r"[\s:-]")
_BREAKS: Final = re.compile(r"[\s=]")


def _of_octets(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _of_code_points(points: Iterable[int]) -> str:
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


def _of_encoded_words(found: str) -> str:
    """Decodes encoded words in a row (RFC 2047), in whose octets a character may be divided."""
    octets = b""
    for way, coded in re.findall(r"=\?[^?]+\?(.)\?([^?]*)\?=", found):
        octets += quopri.decodestring(coded, header=True) if way in "qQ" else _of_base64(coded)
    return _of_octets(octets)


def _of_base64(run: str) -> bytes:
    plain = run.replace("-", "+").replace("_", "/").rstrip("=")
    plain = plain[:-1] if len(plain) % 4 == 1 else plain
    return base64.b64decode(plain + "=" * (-len(plain) % 4))


def _of_base32(run: str) -> bytes:
    if run.isalpha() and run.islower():
        return b""  # a word
    return base64.b32decode(run.rstrip("=") + "=" * (-len(run.rstrip("=")) % 8), casefold=True)


def _of_base85(run: str) -> bytes:
    return b"" if run.isalnum() else base64.b85decode(run)


#: Pattern → what it stands for. Each is read in time proportional to the text.
_UNDONE: Final[tuple[tuple[re.Pattern[str], Callable[[str], str]], ...]] = (
    (re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,30};)"), html.unescape),
    (re.compile(r"&[A-Za-z0-9+,]{2,400}-"), _of_utf7),
    (re.compile(r"%u[0-9a-fA-F]{4}"), lambda found: chr(int(found[2:], 16))),
    (re.compile(r"(?:=\?[^?\s]{1,40}\?[bBqQ]\?[^?\s]{0,400}\?=\s{0,9}+)++"), _of_encoded_words),
    (re.compile(r"(?:[%=][0-9a-fA-F]{2})++"), lambda found: _of_octets(bytes.fromhex("".join(_HEX.findall(found))))),
    (
        re.compile(r"(?:\\{1,4}+[xX][0-9a-fA-F]{2})++"),
        lambda found: _of_octets(bytes.fromhex("".join(_HEX.findall(found)))),
    ),
    (re.compile(r"\\{1,4}+[uU][0-9a-fA-F]{4}"), lambda found: chr(int(found[-4:], 16))),
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
        lambda found: _of_code_points(int(part, 16) for part in re.findall(r"[{+]([0-9a-fA-F]+)", found)),
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


def folded(text: str) -> str:
    """Returns the letters and digits as they stand, without marks and capitals."""
    if text.isascii():
        return _NO_LETTER.sub("", text.lower())
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", text).casefold()))


class TextReading:
    """A text as whoever looks for a secret in it reads it."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def undone(self) -> str:
        """The text out of every notation, each undone as often as it was used."""
        return _undone(self.text) if self._alone else self.text

    @cached_property
    def _alone(self) -> frozenset[str]:
        """The text out of each notation alone that it is written in."""
        return frozenset(_without(pattern, undo, self.text) for pattern, undo in _UNDONE) - {self.text}

    @cached_property
    def letters(self) -> str:
        """The letters and digits alone, out of every notation."""
        return folded(self.undone)

    @cached_property
    def without_softs(self) -> tuple[str, ...]:
        """The characters that are not soft: as they are, out of one notation, and out of all."""
        return tuple(SOFT.sub("", one).lower() for one in {self.text, *self._alone, self.undone})

    @cached_property
    def octets(self) -> str:
        """The text as hexadecimal octets, if it is that."""
        return _BETWEEN_OCTETS.sub("", self.text).lower()

    @cached_property
    def unbroken(self) -> str:
        """The text as base64, if it is that."""
        return _BREAKS.sub("", self.text)

    def places(self, wanted: str) -> Iterator[tuple[int, int]]:
        """Yields where these letters stand in a row, out of every notation; for the letters of a secret, see `folded`."""
        if not wanted or wanted not in self.letters:
            return
        letters, places = self._placed
        at = letters.find(wanted)
        while at >= 0:
            yield places[at][0], places[at + len(wanted) - 1][1]
            at = letters.find(wanted, at + 1)

    @cached_property
    def _placed(self) -> tuple[str, list[tuple[int, int]]]:
        """The letters, and where each stands: its first place, and the one behind it."""
        text, places = self.text, [(at, at + 1) for at in range(len(self.text))]
        for _ in range(_TIMES):
            before = text
            for pattern, undo in _UNDONE:
                text, places = _rewritten(text, places, pattern, undo)
            if text == before:
                break
        kept = [(letter, place) for char, place in zip(text, places, strict=True) for letter in folded(char)]
        return "".join(letter for letter, _ in kept), [place for _, place in kept]

    def resembles(self, secrets: Iterable[str]) -> bool:
        """Tells whether the text has most of a secret: divided, backwards, shifted by thirteen letters, or in a code.

        No list of notations is whole. A server that was given a password may put what it likes between its letters.
        """
        wanted = [one for secret in secrets for one in _worn(secret) if len(one) >= ROW]
        return bool(wanted) and any(_holds(letters, one) for letters in self._told() for one in wanted)

    def _told(self) -> Iterator[str]:
        """Yields the letters of the text, and of what it says in each code, and in one code inside another."""
        yield self.letters
        known = {self.text, self.undone}
        new = list(known)
        for _ in range(1 if len(self.text) > _LONG else 2):
            new = list({told for one in new for read in _CODES if (told := read(one))} - known)
            known.update(new)
            for one in new:
                yield folded(_undone(one))


def _undone(text: str) -> str:
    for _ in range(_TIMES):
        before = text
        for pattern, undo in _UNDONE:
            text = _without(pattern, undo, text)
        if text == before:
            break
    return text


def _without(pattern: re.Pattern[str], undo: Callable[[str], str], text: str) -> str:
    return pattern.sub(lambda found: undo(found[0]), text)


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


def _worn(secret: str) -> Iterator[str]:
    """Yields the letters of a secret as it is, backwards and shifted by thirteen letters."""
    yield folded(secret)
    yield folded(secret[::-1])
    yield folded(codecs.encode(secret, "rot13"))


def _holds(seen: str, wanted: str) -> bool:
    """Tells whether most of the wanted letters are there in rows, or all of them in few parts, one behind the other."""
    short = len(wanted) <= _DIVIDED
    # Any twelve letters of a long one hold one of these rows.
    if any(wanted[at : at + ROW] in seen for at in range(0, len(wanted) - ROW + 1, 1 if short else ROW)):
        covered = end = 0
        for at in range(len(wanted) - ROW + 1):
            if wanted[at : at + ROW] in seen:
                covered += at + ROW - max(at, end)
                end = at + ROW
        if covered >= min(_SURE, len(wanted)):
            return True
    return short and _in_parts(seen, wanted)


def _in_parts(seen: str, wanted: str) -> bool:
    begin, end = 0, len(seen)
    for _ in range(len(wanted) // _PART):
        length = 0
        while length < len(wanted) and (at := seen.find(wanted[: length + 1], begin, end)) >= 0:
            length, found = length + 1, at
        if not length:
            return False
        wanted, begin = wanted[length:], found + length
        end = begin + len(wanted) + _APART
        if not wanted:
            return True
    return False


def _numbers(base: int, digits: str) -> Callable[[str], str]:
    """Returns what reads the octets and code points that the numbers of a text stand for, whatever stands between them."""
    number = re.compile(rf"(?<![0-9A-Za-z])(?:0x)?([{digits}]{{1,8}})(?![0-9A-Za-z])", re.IGNORECASE)

    def read(text: str) -> str:
        values = [int(one, base) for one in number.findall(text)]
        if len(values) < ROW:
            return ""
        octets = bytes(one for one in values if one < 0x100)
        return f"{_of_octets(octets)} {_of_code_points(one for one in values if one > 0xFF)}"

    return read


def _runs(pattern: str, decode: Callable[[str], bytes]) -> Callable[[str], str]:
    """Returns what reads the runs of a code that say some text, put together."""
    run = re.compile(pattern)

    def said(one: str) -> str:
        try:
            return _text_of(decode(one))
        except ValueError:
            return ""

    return lambda text: " ".join(filter(None, map(said, run.findall(text))))


def _text_of(octets: bytes) -> str:
    """Returns the text that octets stand for; nothing if they stand for none, as when a word is taken for a code."""
    # In UTF-16 every other octet is one of few.
    if len(octets) >= ROW and min(len(set(octets[::2])), len(set(octets[1::2]))) <= _FEW:
        return " ".join(octets.decode(code, "ignore") for code in ("utf-8", "utf-16-le", "utf-16-be"))
    # A run may end in the middle of a letter.
    text = octets.decode("utf-8", "ignore")
    return text if 3 * len(text.encode()) >= 2 * len(octets) else ""


_CODES: Final = (
    _runs(r"[A-Za-z0-9+/_-]{8,}", _of_base64),
    _runs(r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}){6,}(?![0-9A-Za-z])", bytes.fromhex),
    _runs(r"(?:[A-Z2-7]{8,}|[a-z2-7]{8,})=*", _of_base32),
    _runs(r"[0-9A-Za-z!#-&()*+;-@^_`{-~-]{10,}", _of_base85),
    _numbers(2, "01"),
    _numbers(8, "0-7"),
    _numbers(10, "0-9"),
    _numbers(16, "0-9a-f"),
)
