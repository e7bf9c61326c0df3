"""Folder names as text: modified UTF-7 both ways, levels, and replacements for characters that a server cannot hold.

No function here raises: a hostile or broken server chooses these bytes.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Final

#: Most levels of a name. Honest trees have a dozen; what is done for a folder is done for each level above it.
MOST_LEVELS: Final = 50

_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")
_PARTS = re.compile(r"[\x20-\x25\x27-\x7e]+|&|[^\x20-\x7e]+")
_NUMBER = re.compile("([0-9]+)")
#: Characters that turn or break the line they are shown in.
DIRECTIONS: Final = frozenset("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def decode_name(raw: bytes) -> str:
    """Returns the name, or a level of it, for people (see `shown`)."""
    return shown(text_of(raw))


def shown(text: str) -> str:
    """Returns the text, with characters that could mislead a terminal or a reader written as ``\\x1b``."""
    return text if text.isprintable() else "".join(map(_shown, text))


def visible(name: str) -> str:
    """Returns a displayed name for a line of text: in quotes where a blank would not be seen."""
    return f'"{name}"' if name != name.strip() or "  " in name else name


def natural_order(name: str) -> tuple[object, ...]:
    """Returns a sort key for displayed names: INBOX first, levels one by one, capitals among the others, 2 before 10."""
    levels = name.split("/")
    return levels[0].upper() != "INBOX", [_pieces(level) for level in levels], name


def _pieces(level: str) -> list[tuple[int, str]]:
    """Splits a level into text and numbers in turn; a longer number is the larger one."""
    parts = (part.lstrip("0") if at % 2 else part.casefold() for at, part in enumerate(_NUMBER.split(level)))
    return [(len(part), part) if at % 2 else (0, part) for at, part in enumerate(parts)]


def encode_name(text: str) -> bytes:
    """Encodes text as modified UTF-7 (RFC 3501 §5.1.3)."""
    return "".join(map(_shift, _PARTS.findall(text))).encode("ascii")


def encode_utf8(text: str) -> bytes:
    """Encodes text as UTF-8, for servers that speak IMAP4rev2 alone."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, which modified UTF-7 can hold
        return text.encode("utf-8", "replace")


def text_of_utf8(raw: bytes) -> str:
    """Decodes a raw name in UTF-8; octets that are no UTF-8 become lone surrogates (PEP 383)."""
    return raw.decode("utf-8", "surrogateescape")


def text_of(raw: bytes) -> str:
    """Decodes a raw name.

    Text that is not well-formed modified UTF-7 stands for itself; a server that writes 8-bit names means UTF-8; octets
    that are neither become lone surrogates (PEP 383).
    """
    try:
        return _SHIFTED.sub(_unshift, raw.decode("ascii"))
    except UnicodeDecodeError:
        return raw.decode("utf-8", "surrogateescape")


def split(raw: bytes, separator: str | None) -> tuple[bytes, ...]:
    """Splits a name into its levels, still raw; one level where there is no separator. Empty levels stay.

    What is below `MOST_LEVELS` is part of the last one.
    """
    return tuple(raw.split(separator.encode("utf-8", "replace"), MOST_LEVELS - 1)) if separator else (raw,)


def written(level: str, forbidden: str, filler: str, *, odd_spaces: bool = True) -> str:
    """Writes one level so that any server can hold it.

    The level is unchanged, or has `filler` for each character that the server cannot hold.

    An empty level becomes one `filler`. With `odd_spaces` off, spaces at an end and doubled ones are replaced too. Two
    levels may become one: the caller has to keep them apart.
    """
    if level in ("", ".", ".."):
        return filler * max(1, len(level))
    if odd_spaces and level.isprintable() and level[0] != "~" and set(level).isdisjoint(forbidden):
        return level  # the usual case
    return "".join(
        filler
        if char in forbidden
        or unicodedata.category(char) in ("Cc", "Cs")
        or (char == "~" and at == 0)
        or (char == " " and not odd_spaces and (at in (0, len(level) - 1) or level[at - 1] == " "))
        else char
        for at, char in enumerate(level)
    )


def escape(level: str, forbidden: str, *, mark: str = "=", odd_spaces: bool = True) -> str:
    """Writes one level as mailhaul did before it had `written`.

    It has ``=XX`` (octets of UTF-8) for what the server cannot hold. So folders with such names at a destination are
    found again.

    `mark` itself is escaped only where it would read as an escape. An empty level becomes a lone mark. With
    `odd_spaces` off, spaces at an end and doubled ones are escaped too.
    """
    if level in ("", mark, ".", ".."):
        return "".join(_hex(char, mark) for char in level) or mark
    if odd_spaces and level.isprintable() and level[0] != "~" and set(level).isdisjoint({mark, *forbidden}):
        return level  # the usual case
    out = []
    for at, char in enumerate(level):
        clumsy = char == " " and (at in (0, len(level) - 1) or level[at - 1] == " ")
        refused = (
            char in forbidden
            or unicodedata.category(char) in ("Cc", "Cs")
            or (char == "~" and at == 0)
            or (char == mark and re.match("[0-9A-F]{2}", level[at + 1 : at + 3]) is not None)
            or (clumsy and not odd_spaces)
        )
        out.append(_hex(char, mark) if refused else char)
    return "".join(out)


def _shift(part: str) -> str:
    if part == "&":
        return "&-"
    if " " <= part[0] <= "~":
        return part
    coded = b64encode(part.encode("utf-16-be", "surrogatepass")).decode().rstrip("=")
    return f"&{coded.replace('/', ',')}-"


def _unshift(found: re.Match[str]) -> str:
    coded = found[1].replace(",", "/")
    try:
        return b64decode(coded + "=" * (-len(coded) % 4)).decode("utf-16-be", "surrogatepass") or "&"
    except (Base64Error, UnicodeDecodeError):
        return found[0]


def _shown(char: str) -> str:
    if unicodedata.category(char) not in ("Cc", "Cs") and char not in DIRECTIONS:
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # an octet that was no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _hex(char: str, mark: str) -> str:
    octet = "\udc80" <= char <= "\udcff"
    octets = char.encode("utf-8", "surrogateescape" if octet else "surrogatepass")
    return "".join(f"{mark}{octet:02X}" for octet in octets)
