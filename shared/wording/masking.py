"""Hides secrets in a text from outside: a server or service may repeat what it was given, in any notation.

A secret is found in other capitals, quoted, with backslashes, as JSON, HTML, percent, quoted-printable or hexadecimal
text, in base64 at each alignment (so inside a SASL response too), split over lines, and cut off at the end of the text.
"""

from __future__ import annotations

import base64
import html
import re
import string
from collections.abc import Iterable, Iterator
from typing import Final

from shared.wording.phrases import Sentence, changed

MASK: Final = "***"

#: Shorter secrets are hidden as they are and in no other notation: nearly any text holds them by chance.
_SHORTEST: Final = 4
#: A longer secret is searched for in pieces of so many characters.
_PIECE: Final = 32
#: The number of characters of base64 that are no coincidence.
_SURE: Final = 4
#: The pattern for what may stand between two characters where a text is split over lines.
_GAP: Final = r"(?:=?\s{1,9})?"
#: The characters that begin a notation which is not the letter itself, or end a line within quoted-printable text.
_NOTATIONS: Final = re.compile(r"[\\%=&]")
#: The characters that may stand between the octets of hexadecimal text, and between the lines of base64.
_BETWEEN_OCTETS: Final = re.compile(r"[\s:-]")
_BREAKS: Final = re.compile(r"[\s=]")
_BASE64: Final = frozenset(string.ascii_letters + string.digits + "+/-_=")
#: The number of characters that are enough of a secret whose end was cut off with the text.
_CUT: Final = 6


def masked(text: str, secrets: Iterable[str]) -> str:
    """Returns the text with `MASK` in place of each of these secrets, however it is written there."""
    if isinstance(text, Sentence):
        hidden = tuple(secrets)
        return changed(text, lambda part: masked(part, hidden))
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
        for piece in _pieces(secret):
            if _may_stand_in(text, piece):
                text = _pattern(piece).sub(MASK, text)
            for core in _in_base64(piece):
                if _one_alphabet(core) in _one_alphabet(_BREAKS.sub("", text)):
                    text = _without_runs(text, re.compile(_GAP.join(map(_either_alphabet, core))))
    return text


def _may_stand_in(text: str, piece: str) -> bool:
    """Tells whether the pattern of the piece may match: to compile it takes 20 ms, and servers say much at each sign-in.

    Without a character that begins another notation, the piece can only stand there letter by letter, or in hexadecimal.
    """
    if _NOTATIONS.search(text) or " " in piece or not (text.isascii() and piece.isascii()):
        return True
    letters = "".join(text.split()).lower()
    begins = "".join(piece[:_CUT].split()).lower()
    return begins in letters or piece.encode("ascii").hex() in _BETWEEN_OCTETS.sub("", text).lower()


def _pieces(secret: str) -> Iterator[str]:
    for at in range(0, len(secret), _PIECE):
        piece = secret[at : at + _PIECE]
        if len(piece) >= _SHORTEST:
            yield piece


def _pattern(piece: str) -> re.Pattern[str]:
    """Returns a pattern for the whole piece in any notation, or, at the end of the text, for its beginning."""
    letters = [_dresses(letter) for letter in piece]
    hexadecimal = r"[\s:-]?".join(f"{octet:02x}" for octet in piece.encode("utf-8", "surrogatepass"))
    ways = [_GAP.join(letters), hexadecimal]
    if len(letters) > _CUT:
        cut = ""
        for letter in reversed(letters[_CUT:-1]):
            cut = f"(?:{_GAP}{letter}{cut})?"
        ways.append(_GAP.join(letters[:_CUT]) + cut + r"[\s.…]*\Z")
    return re.compile("|".join(ways), re.IGNORECASE)


def _dresses(letter: str) -> str:
    """Returns a pattern for one character, in each way to write it."""
    ways = [r"\\{0,4}" + re.escape(letter)]
    ways.append("".join(rf"(?:[%=]|\\{{1,2}}x){octet:02x}" for octet in letter.encode("utf-8", "surrogatepass")))
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    ways.append("".join(rf"\\{{1,2}}u{units[at : at + 4]}" for at in range(0, len(units), 4)))
    ways.append(f"&#(?:0*{ord(letter)}|x0*{ord(letter):x});")
    if (named := html.escape(letter)) != letter:
        ways.append(re.escape(named))
    if letter == " ":
        ways += [r"\+", "_"]
    return f"(?:{'|'.join(ways)})"


def _in_base64(piece: str) -> Iterator[str]:
    """Yields the characters of base64 that the piece alone decides, wherever it stands among other octets."""
    for octets in {piece.encode("utf-8", "surrogatepass"), piece.encode("utf-16-le", "surrogatepass")}:
        for before in range(3):
            coded = base64.b64encode(b"\0" * before + octets + b"\0" * 2).decode("ascii")
            core = coded[-(-before * 8 // 6) : (before + len(octets)) * 8 // 6]
            if len(core) >= _SURE:
                yield core


def _one_alphabet(text: str) -> str:
    """Returns base64 of either alphabet in the first one (RFC 4648 §4)."""
    return text.replace("-", "+").replace("_", "/")


def _either_alphabet(letter: str) -> str:
    """Returns a pattern for a letter of base64 in either alphabet (RFC 4648 §4 and §5)."""
    return {"+": "[+-]", "/": "[/_]"}.get(letter, letter)


def _without_runs(text: str, core: re.Pattern[str]) -> str:
    """Returns the text without each run of base64 that holds the core."""
    kept, at = [], 0
    for found in core.finditer(text):
        low, high = found.span()
        if low < at:
            continue
        while low > at and text[low - 1] in _BASE64:
            low -= 1
        while high < len(text) and text[high] in _BASE64:
            high += 1
        kept += [text[at:low], MASK]
        at = high
    return "".join(kept) + text[at:]
