"""Parses the answers about folders: LIST, LSUB and STATUS (RFC 3501 §7.2, RFC 9051 §7.3). See `responses` for how."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from shared.mail import FolderStatus, ListedFolder
from shared.mail.answers.bounds import NAME_BYTES
from shared.mail.answers.tokens import Unreadable, Value, Words, head_of, is_nil, number_of
from shared.model.uids import MAX_UID

_LISTS: Final = frozenset((b"LIST", b"LSUB", b"XLIST"))
_LONG: Final = (1 << 63) - 1
_SEPARATORS: Final = b"/.\\:|^"
#: The items of STATUS, and the largest number that each can be.
_STATUS_MOST: Final = {
    b"MESSAGES": MAX_UID,
    b"UIDNEXT": MAX_UID + 1,
    b"UIDVALIDITY": _LONG,
    b"HIGHESTMODSEQ": _LONG,
    b"SIZE": _LONG,
    b"APPENDLIMIT": _LONG,
}
_OPENS = re.compile(rb"[ \t]*(?=\()")
_NIL = re.compile(rb"[ \t]*NIL(?=[ \t])", re.IGNORECASE)
#: A separator that should be written with two backslashes, and is not.
_BACKSLASH = re.compile(rb'[ \t]*"\\"[ \t]+(?=\S)')
_STRING = re.compile(rb'[ \t]*(?="|~?\{\d{1,20}\+?\}[ \t]*\r?\n\Z)')
_ATOM = re.compile(rb'[ \t]*([^\s()"]+)(?=[\s(]|\Z)')


def listed_folder(pieces: Sequence[bytes]) -> ListedFolder | None:
    """Returns the folder of one LIST, LSUB or XLIST answer; None for anything else. `subscribed` of LSUB is True.

    Attributes and separator may be missing, and the name may be bare with blanks in it. A name longer than `NAME_BYTES`
    keeps one byte more, so that it is refused when it is used.
    """
    kind, _, at = head_of(pieces[0])
    if kind not in _LISTS:
        return None
    words = Words(pieces, at)
    attributes = _attributes(words)
    place = words.place()
    separator = _separator(words)
    silent = words.place() == place
    name = _listed_name(words)
    if silent and len(name) == 1 and name in _SEPARATORS:
        raise Unreadable("a separator, and no folder name")
    return ListedFolder(
        name=name[: NAME_BYTES + 1],
        separator=separator,
        attributes=attributes,
        subscribed=kind == b"LSUB" or "subscribed" in attributes,
    )


def _attributes(words: Words) -> frozenset[str]:
    """Returns the attributes in parentheses; none where NIL or nothing stands in their place."""
    if words.take(_NIL) or not words.take(_OPENS):
        return frozenset()
    listed = words.next()
    said = [flag for flag in listed if isinstance(flag, bytes)] if isinstance(listed, list) else []
    return frozenset(flag.lstrip(b"\\").lower().decode("latin-1") for flag in said)


def _separator(words: Words) -> str | None:
    """Returns the hierarchy separator, one character; None for NIL, for "", and where none stands.

    Where none stands, nothing is read.
    """
    if words.take(_BACKSLASH):
        return "\\"
    place = words.place()
    if not words.ended:
        word = words.next()
        if not words.ended and not _extended_next(words):
            if is_nil(word):
                return None
            if isinstance(word, bytes) and len(word) < 2:
                return word.decode("latin-1") or None
    words.back(place)
    return None


def _extended_next(words: Words) -> bool:
    """Tells whether only the extended data of LIST is left: the word before it is the folder's name then."""
    place = words.place()
    try:
        return _extended(words.rest())
    except Unreadable:
        return False
    finally:
        words.back(place)


def _name(words: Words) -> tuple[bytes, list[Value]] | None:
    """Returns a folder's name as a string or an atom, and all that follows it; None where it can be neither.

    Where it can be neither, nothing is read.
    """
    place = words.place()
    if words.ended:
        raise Unreadable("no folder name")
    if words.take(_STRING):
        name = words.next()
        return (bytes(name) if isinstance(name, bytes) else b""), words.rest()
    try:
        if atom := words.take(_ATOM):
            return atom[1], words.rest()
    except Unreadable:
        pass  # a bare name with odd characters in it
    words.back(place)
    return None


def _bare(words: Words) -> bytes:
    """Returns the rest of the line, meant as a name without quotation marks."""
    line = words.line()
    if not line or b'"' in line:
        raise Unreadable("no folder name")
    return line


def _listed_name(words: Words) -> bytes:
    """Returns the last word of LIST, or all that is left of the line where that is not one word.

    Then what is left is meant literally.
    """
    place = words.place()
    quoted = words.take(_STRING) is not None
    words.back(place)
    found = _name(words)
    if found is not None and (quoted or not found[1] or _extended(found[1])):
        if any(not isinstance(word, list) for word in found[1]):
            raise Unreadable("more behind the folder name than belongs there")
        return found[0]
    words.back(place)
    return _bare(words)


def _extended(words: list[Value]) -> bool:
    """Tells whether the words are the extended data of LIST (RFC 5258 §3.5): ``("CHILDINFO" ("SUBSCRIBED"))``."""
    data = words[0] if len(words) == 1 else None
    return isinstance(data, list) and [type(word) is list for word in data[:2]] == [False, True]


def status_answer(pieces: Sequence[bytes]) -> tuple[bytes, FolderStatus] | None:
    """Returns (name, status) of one STATUS answer; None for anything else. A number that was not said is None."""
    kind, _, at = head_of(pieces[0])
    if kind != b"STATUS":
        return None
    words = Words(pieces, at)
    place = words.place()
    found = _name(words)
    if found is not None and (
        not found[1] or (len(found[1]) == 1 and (isinstance(found[1][0], list) or is_nil(found[1][0])))
    ):
        name, rest = found
    else:
        # A bare name with blanks, or with parentheses: the items are the last list.
        words.back(place)
        name, opening, last = _bare(words).rpartition(b"(")
        name, rest = name.strip(), Words([b"(" + last]).rest()
        if not opening or not name:
            raise Unreadable("no list of items")
    items = rest[0] if rest and isinstance(rest[0], list) else []
    if len(items) % 2:
        raise Unreadable("an item without a number")
    numbers: dict[bytes, int] = {}
    for item, value in zip(items[::2], items[1::2], strict=True):
        key = item.upper() if isinstance(item, bytes) else b""
        if (most := _STATUS_MOST.get(key)) is not None and not is_nil(value):
            numbers.setdefault(key, number_of(value, most))
    return name, FolderStatus(
        uidvalidity=stable(numbers.get(b"UIDVALIDITY")),
        uidnext=numbers.get(b"UIDNEXT") or None,
        messages=numbers.get(b"MESSAGES"),
        highestmodseq=numbers.get(b"HIGHESTMODSEQ") or None,
        size_bytes=numbers.get(b"SIZE"),
        # RFC 7889 §2 has 0 for a folder that takes nothing. go-imap says so of folders that take everything; one that
        # takes nothing says it to APPEND too.
        append_limit_bytes=numbers.get(b"APPENDLIMIT") or None,
    )


def stable(uidvalidity: int | None) -> int | None:
    """Returns a UIDVALIDITY that may be one; None for any other number."""
    return uidvalidity if uidvalidity is not None and 0 < uidvalidity <= MAX_UID else None
