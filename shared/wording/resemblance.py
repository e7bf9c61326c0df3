"""Decides whether a text resembles a secret, in a notation that `shared.wording.masking` does not take apart.

A server that was given a password may repeat it with something between its letters, backwards, as numbers, or written twice
over in notations. No list of notations is whole: what is left of a text is compared by its letters and digits alone. Pure.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.parse import unquote

#: The number of letters and digits in a row that are compared. A secret with fewer is not looked for.
_ROW: Final = 6
#: The letters and digits of a long secret that are no coincidence. All of a shorter one have to be there, since people have
#: passwords like `password1`, and servers say `invalid password`.
_SURE: Final = 12
#: A longer text is read out of one notation, and not out of one in another: it would take too long.
_LONG: Final = 4_000
_OCTAL: Final = re.compile(r"\\([0-3][0-7]{2})")
_NUMBER: Final = re.compile(r"0x[0-9a-f]{1,2}(?![0-9a-f])|(?<![0-9a-z])\d{1,3}(?![0-9a-z])", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_BASE32: Final = re.compile(r"[A-Z2-7]{8,}")


def resembles(text: str, secrets: Iterable[str]) -> bool:
    """Tells whether the text has most of a secret in some other notation."""
    wanted = [rows for secret in secrets if (rows := list(_worn(_squeezed(secret))))]
    if not wanted:
        return False
    depth = 1 if len(text) > _LONG else 2
    return any(_holds(seen, rows) for seen in _readings(text, depth) for each in wanted for rows in each)


def _worn(letters: str) -> Iterator[list[str]]:
    """Yields the rows of a secret as it is, backwards and shifted by thirteen letters."""
    if len(letters) >= _ROW:
        for one in (letters, letters[::-1], codecs.encode(letters, "rot13")):
            yield [one[at : at + _ROW] for at in range(len(one) - _ROW + 1)]


def _holds(seen: frozenset[str], rows: list[str]) -> bool:
    length = len(rows) + _ROW - 1
    covered, end = 0, 0
    for at, row in enumerate(rows):
        if row in seen:
            covered += at + _ROW - max(at, end)
            end = at + _ROW
    return covered >= min(_SURE, length)


def _readings(text: str, depth: int) -> Iterator[frozenset[str]]:
    """Yields the rows of the text as it is, and of what it says in each notation."""
    known = {text}
    new = [text]
    for left in range(depth, -1, -1):
        for one in new:
            letters = _squeezed(one)
            yield frozenset(letters[at : at + _ROW] for at in range(len(letters) - _ROW + 1))
        new = [] if left == 0 else list({told for one in new for read in _NOTATIONS if (told := read(one))} - known)
        known.update(new)


def _squeezed(text: str) -> str:
    """Returns the letters and digits, without case."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def _escapes(text: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), html.unescape(unquote(text, errors="replace")))


def _numbers(text: str) -> str:
    """Returns the characters that the numbers of a text stand for."""
    values = (int(one, 16 if one[:2] in ("0x", "0X") else 10) for one in _NUMBER.findall(text))
    return "".join(map(chr, values))


def _octals(text: str) -> str:
    return "".join(chr(int(one, 8)) for one in _NUMBER.findall(text) if re.fullmatch("[0-7]+", one))


def _coded(pattern: re.Pattern[str], decode: Callable[[str], bytes]) -> Callable[[str], str]:
    def read(text: str) -> str:
        found = []
        for run in pattern.findall(text):
            try:
                found.append(decode(run).decode("utf-8", "replace"))
            except (binascii.Error, ValueError):
                continue
        return "".join(found)

    return read


def _of_base64(run: str) -> bytes:
    plain = run.replace("-", "+").replace("_", "/")
    return base64.b64decode(plain[: len(plain) // 4 * 4])


def _of_base32(run: str) -> bytes:
    return base64.b32decode(run + "=" * (-len(run) % 8))


_NOTATIONS: Final = (_escapes, _numbers, _octals, _coded(_BASE64, _of_base64), _coded(_BASE32, _of_base32))
