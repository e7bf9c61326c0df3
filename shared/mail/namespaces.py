"""The NAMESPACE answer (RFC 2342 §5): whose folders lie below which prefix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from shared.messages import Namespace, Owner

#: The three lists of the answer, in their order.
_LISTS: Final = (Owner.PERSONAL, Owner.OTHER, Owner.PUBLIC)
_HEAD: Final = re.compile(rb"\*[ \t]+NAMESPACE\b", re.IGNORECASE)
_LITERAL: Final = re.compile(rb"~?\{\d{1,20}\+?\}\r?\n\Z")
_TOKEN: Final = re.compile(rb'(\()|(\))|"((?:[^"\\]|\\.)*)"|([^\s()"]+)', re.DOTALL)
#: A list, an entry within it; what is nested deeper is an extension.
_ENTRY_DEPTH: Final = 2
_NIL: Final = b"NIL"


def namespaces(pieces: Sequence[bytes]) -> tuple[Namespace, ...] | None:
    """Every namespace that one NAMESPACE answer names, in its order; None for anything else.

    `pieces` are text at even places and literals at odd ones. Blanks, NIL, extensions and lists that are missing at the end
    do no harm. A namespace without a prefix that is a string is left out."""
    head = _HEAD.match(pieces[0])
    if not head:
        return None
    found: list[Namespace] = []
    depth = place = 0
    entry: list[bytes | None] = []
    for kind, value in _tokens([pieces[0][head.end() :], *pieces[1:]]):
        if kind == "(":
            depth += 1
            if depth == _ENTRY_DEPTH:
                entry = []
        elif kind == ")":
            if depth == _ENTRY_DEPTH and place < len(_LISTS) and entry and entry[0] is not None:
                found.append(_namespace(entry[0], entry[1:], _LISTS[place]))
            depth = max(0, depth - 1)
            place += not depth
        elif depth == _ENTRY_DEPTH:
            entry.append(value)
        elif not depth:
            place += 1  # NIL in place of a list
    return tuple(found)


def _namespace(prefix: bytes, rest: Sequence[bytes | None], owner: Owner) -> Namespace:
    separator = rest[0] if rest else None
    return Namespace(
        prefix=prefix,
        separator=separator.decode("latin-1") if separator is not None and len(separator) == 1 else None,
        owner=owner,
    )


def _tokens(pieces: Sequence[bytes]) -> Iterator[tuple[str, bytes | None]]:
    """("(" or ")", None), or ("", a string), where NIL is None."""
    for number, piece in enumerate(pieces):
        if number % 2:
            yield "", piece
            continue
        for token in _TOKEN.finditer(_LITERAL.sub(b"", piece)):
            if token[1] or token[2]:
                yield token[0].decode(), None
            elif token[3] is not None:
                yield "", re.sub(rb"\\(.)", rb"\1", token[3], flags=re.DOTALL)
            else:
                yield "", None if token[4].upper() == _NIL else token[4]
