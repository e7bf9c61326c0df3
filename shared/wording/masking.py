"""Hides secrets in a text from outside: a server or service may repeat what it was given, in any notation.

1. Sign by sign: in other capitals, quoted, with backslashes, as JSON, HTML, percent, quoted-printable or hexadecimal text, split
   over lines, and cut off at the end of the text. This holds for short secrets, and for those of punctuation, too.
2. In base64, at each alignment, so inside a SASL response too.
3. By its letters and digits alone, where it has six: out of every notation, also of several at once (`TextReading.places`).
4. A text that still resembles one (divided, backwards, a code in a code) keeps its response code alone (`TextReading.resembles`).

`shared.wording.readings` reads the text once for all of these.
"""

from __future__ import annotations

import base64
import html
import re
import string
from collections.abc import Iterable, Iterator
from typing import Final

from shared.wording.phrases import Sentence, changed
from shared.wording.readings import ROW, SOFT, TextReading, folded

MASK: Final = "***"

#: The response code at the beginning of an answer, if there is one.
_CODE: Final = re.compile(r"(?:\[[A-Z][A-Z/-]{0,40}\] )?")
#: Shorter secrets are hidden as they are and in no other notation: nearly any text holds them by chance.
_SHORTEST: Final = 4
#: A longer secret is searched for in pieces of so many characters.
_PIECE: Final = 32
#: The number of characters of base64 that are no coincidence.
_SURE: Final = 4
#: The number of characters that are enough of a secret whose end was cut off with the text.
_CUT: Final = 6
#: Blanks, and the characters that notations put in their place, in front of a letter or at the end of a line. They tell
#: nothing of a secret: a run of them stands for any other. So no text can be divided among the letters of a pattern in
#: two ways, and to search takes time in proportion to the text, whatever secret and text are.
_SOFTS: Final = " \t\r\n\f\v\\+_="
#: The same characters as octets in hexadecimal notation, and as decimal numbers.
_SOFT_OCTETS: Final = "(?:0[9a-d]|20|2b|3d|5c|5f)"
_SOFT_NUMBERS: Final = "(?:9|1[0-3]|32|43|61|92|95)"
#: The pattern for what may stand between two letters: the end of a line, and backslashes.
_GAP: Final = r"(?:=?[ \t\r\n\f\v]{1,9})?+\\{0,4}+"
#: The patterns for a soft character: as it is, and in any notation.
_SOFT_DRESSES: Final = (
    r"[ \t\r\n\f\v\\+_=]",
    rf"(?:[%=]{_SOFT_OCTETS}|\\{{1,2}}(?:x|u00){_SOFT_OCTETS}|&#(?:0*+{_SOFT_NUMBERS}|x0*+{_SOFT_OCTETS});"
    r"|=(?![0-9a-f]{2})|[ \t\r\n\f\v\\+_])",
)
_BASE64: Final = frozenset(string.ascii_letters + string.digits + "+/-_=")


def masked(text: str, secrets: Iterable[str]) -> str:
    """Returns the text with `MASK` in place of each of these secrets, however it is written there.

    Of a text that resembles one in a notation that nobody listed, only the response code is left (RFC 9051 §7.1).
    """
    if isinstance(text, Sentence):
        hidden = tuple(secrets)
        return changed(text, lambda part: masked(part, hidden))
    secrets = tuple(filter(None, secrets))
    seen = TextReading(text)
    unbroken, found = _one_alphabet(seen.unbroken), list[tuple[int, int]]()
    for secret in secrets:
        found += (one.span() for one in re.finditer(re.escape(secret), text))
        for piece in _pieces(secret):
            if _may_stand_in(seen, piece):
                found += (one.span() for one in _pattern(piece).finditer(text))
            if len(letters := folded(piece)) >= ROW:
                found += seen.places(letters)
            for core in _in_base64(piece, twice=piece == secret):
                if _one_alphabet(core) in unbroken:
                    found += _runs(text, re.compile(_GAP.join(map(_either_alphabet, core))))
    shown = _without(text, found)
    left = TextReading(shown) if found else seen
    return _CODE.match(shown)[0] + MASK if left.resembles(secrets) else shown  # type: ignore[index]


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Returns the text with `MASK` in place of these parts, one for those that overlap or touch."""
    kept, at = list[str](), 0
    for low, high in sorted(span for span in spans if span[0] < span[1]):
        if low > at or not kept:
            kept += [text[at:low], MASK]
        at = max(at, high)
    return "".join(kept) + text[at:]


def _may_stand_in(seen: TextReading, piece: str) -> bool:
    """Tells whether the pattern of the piece may match: to compile it takes 20 ms, and servers say much at each sign-in."""
    begins = SOFT.sub("", piece).lower()[:_CUT]
    octets = piece.encode("utf-8", "surrogatepass").hex()
    return any(begins in letters for letters in seen.without_softs) or octets in seen.octets


def _pieces(secret: str) -> Iterator[str]:
    for at in range(0, len(secret), _PIECE):
        piece = secret[at : at + _PIECE]
        if len(piece) >= _SHORTEST:
            yield piece


def _pattern(piece: str) -> re.Pattern[str]:
    """Returns a pattern for the whole piece in any notation, or, at the end of the text, for its beginning."""
    ways = [r"[\s:-]?".join(f"{octet:02x}" for octet in piece.encode("utf-8", "surrogatepass"))]
    few = len(SOFT.sub("", piece)) < _SHORTEST
    for soft in _SOFT_DRESSES if SOFT.search(piece) else _SOFT_DRESSES[:1]:
        parts = _parts(piece if few else piece.strip(_SOFTS), soft, exact=few)
        ways.append((rf"(?<!{_SOFT_DRESSES[0]})" if few and SOFT.match(piece) else r"\\{0,4}+") + "".join(parts))
        if len(parts) > _CUT and not few:
            cut = ""
            for part in reversed(parts[_CUT:-1]):
                cut = f"(?:{part}{cut})?+"
            ways.append("".join(parts[:_CUT]) + cut + r"[\s.…]*+\Z")
    return re.compile("|".join(ways), re.IGNORECASE)


def _parts(piece: str, soft: str, *, exact: bool) -> list[str]:
    """Returns the patterns for the letters of a piece, each with what may stand in front of it.

    `soft` is the pattern for a soft character; with `exact`, a run of them is not shorter than in the piece.
    """
    parts, before = list[str](), ""
    for token in re.findall(rf"{SOFT.pattern}|.", piece, re.DOTALL):
        if SOFT.match(token):
            before = f"{soft}{{{len(token) if exact else 1},}}+"
        else:
            parts.append((before or (_GAP if parts else "")) + _dresses(token))
            before = ""
    return [*parts, before] if before else parts


def _dresses(letter: str) -> str:
    """Returns a pattern for one letter, in each way to write it; backslashes in front were read before."""
    ways = [re.escape(letter)]
    # The expression is blind to capitals, and so are the notations.
    for one in dict.fromkeys(case for case in (letter, letter.lower(), letter.upper()) if len(case) == 1):
        ways.append("".join(rf"(?:[%=]|\\{{0,2}}x){octet:02x}" for octet in one.encode("utf-8", "surrogatepass")))
        units = one.encode("utf-16-be", "surrogatepass").hex()
        ways.append("".join(rf"\\{{0,2}}u{units[at : at + 4]}" for at in range(0, len(units), 4)))
        ways.append(f"&#(?:0*+{ord(one)}|x0*+{ord(one):x});")
    if (named := html.escape(letter)) != letter:
        ways.append(re.escape(named))
    return f"(?:{'|'.join(ways)})"


def _in_base64(piece: str, *, twice: bool) -> Iterator[str]:
    """Yields the characters of base64 that the piece alone decides; with `twice` those of base64 in base64, too."""
    for octets in {piece.encode(code, "surrogatepass") for code in ("utf-8", "utf-16-le", "utf-16-be")}:
        for core in _cores(octets):
            yield core
            if twice:
                yield from _cores(core.encode("ascii"))


def _cores(octets: bytes) -> Iterator[str]:
    """Yields the characters of base64 that these octets alone decide, wherever they stand among others."""
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


def _runs(text: str, core: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Yields where the runs of base64 are that hold the core."""
    at = 0
    for found in core.finditer(text):
        low, high = found.span()
        if low < at:
            continue
        while low > at and text[low - 1] in _BASE64:
            low -= 1
        while high < len(text) and text[high] in _BASE64:
            high += 1
        yield low, high
        at = high
