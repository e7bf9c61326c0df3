"""A parser of one FETCH answer (RFC 9051 §7.5.2), read as it comes, so that a large literal need not be held."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from shared.mail.answers.tokens import DEPTH_LIMIT, MOST_OCTETS, TOKEN, Text, Unreadable, Value, unescaped
from shared.model.uids import MAX_UID

#: The beginning of a FETCH answer, and of what can only be meant as one: the number before it is of no use. Before
#: FETCH no word may stand that begins another answer (`shared.mail.answers.tokens`).
FETCH: Final = re.compile(
    rb"\*[ \t]+(?:(?!(?:OK|NO|BAD|BYE|PREAUTH|LIST|LSUB|XLIST|STATUS|SEARCH|FLAGS|ID)[ \t])[^\s()]{1,24}[ \t]+)?FETCH\b[ \t]*",
    re.IGNORECASE,
)

#: See `FetchAnswer.feed`.
UNFINISHED: Final = -1

#: Literals in one answer: flags as literals are the most that was ever seen, and a message has a few dozen.
LITERALS_LIMIT: Final = 256
#: Bytes of one answer beside its body; the flags and labels of a message take a few hundred.
TEXT_LIMIT: Final = 1024 * 1024


class FetchAnswer:
    """A FETCH answer with items in any order and spelling, fed piece by piece."""

    def __init__(self) -> None:
        self._top: list[Value] = []
        self._open = [self._top]
        self._literals = self._size = 0
        #: The beginning of the answer, for error messages.
        self.beginning = b""

    def feed(self, text: bytes) -> int | None:
        """Takes the next part of the line.

        Returns the size of the literal that now follows, None at the end of the answer, or `UNFINISHED` where the line
        ended before the answer did (some servers send a blank line after a literal).

        Raises `Unreadable` for a line that cannot be FETCH.
        """
        if not self._size:
            self.beginning = text[:1000]
        self._size += len(text)
        if self._size > TEXT_LIMIT:
            raise Unreadable("too long")
        at = 0
        opened, top, match = self._open, self._top, TOKEN.match
        while at < len(text):
            found = match(text, at)
            if not found:
                raise Unreadable("not a FETCH answer")
            at = found.end()
            kind = found.lastindex
            if kind == 5:
                break
            if len(opened) == 1 and (kind != 1 or top):
                raise Unreadable("not a FETCH answer" if kind != 2 else "unbalanced parentheses")
            if kind == 6:
                word = found[6]
                opened[-1].append(None if len(word) == 3 and word.upper() == b"NIL" else word)
            elif kind == 1:
                if len(opened) > DEPTH_LIMIT:
                    raise Unreadable("nested too deeply")
                inner: list[Value] = []
                opened[-1].append(inner)
                opened.append(inner)
            elif kind == 2:
                opened.pop()
            elif kind == 3:
                opened[-1].append(Text(unescaped(found[3])))
            else:
                size = int(re.sub(rb"\D", b"", found[4]))
                self._literals += 1
                if size > MOST_OCTETS or self._literals > LITERALS_LIMIT:
                    raise Unreadable(
                        f"announced a literal of {size} bytes" if size > MOST_OCTETS else "too many literals"
                    )
                return size
        return UNFINISHED if len(opened) > 1 or not top else None

    def literal(self, value: bytes | None) -> None:
        """Takes the literal that `feed` announced; None when it was not kept."""
        self._open[-1].append(value if value is None or isinstance(value, Text) else Text(value))

    @property
    def key(self) -> bytes:
        """The item that the announced literal belongs to, upper case; b"" when it is inside a list."""
        items = self._items()
        if len(self._open) != 2 or items is None or not len(items) % 2:
            return b""
        return _key(items[-1])

    def items(self) -> dict[bytes, Value]:
        """Returns what has been read so far: upper-case item → value. The first of a repeated item counts."""
        items = self._items() or []
        out: dict[bytes, Value] = {}
        for at in range(0, len(items) - 1, 2):
            out.setdefault(_key(items[at]), items[at + 1])
        return out

    def _items(self) -> list[Value] | None:
        for value in self._top:
            if isinstance(value, list):
                return value
        return None


def _key(value: Value) -> bytes:
    key = value.upper() if isinstance(value, bytes) else b""
    return b"BODY[]" if key.startswith(b"BODY[]") else key


def uid_of(items: dict[bytes, Value]) -> int:
    """Returns the UID that a FETCH answer carries; 0 when it carries no possible UID."""
    value = items.get(b"UID")
    uid = int(value) if isinstance(value, bytes) and value.isdigit() and len(value) <= 10 else 0
    return uid if uid <= MAX_UID else 0


def size_of(items: dict[bytes, Value]) -> int:
    """Returns RFC822.SIZE; -1 where the answer does not tell it."""
    told = items.get(b"RFC822.SIZE")
    return int(told) if isinstance(told, bytes) and told.isdigit() and len(told) <= 20 else -1


def flags_of(items: dict[bytes, Value]) -> tuple[bytes, ...] | None:
    """Returns the FLAGS; an atom as it is, a string in the place of one as a `Text`. None where there are no FLAGS."""
    value = items.get(b"FLAGS")
    if not isinstance(value, list):
        return None
    # A list among them is no flag either: it is reported as one that cannot be passed on.
    return tuple(
        flag if isinstance(flag, bytes) else Text(b"()" if isinstance(flag, list) else b"NIL") for flag in value
    )


def split_flags(found: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Splits flags into atoms and those that came as strings, which no server has reason to send."""
    atoms: list[bytes] = []
    strings: list[bytes] = []
    for flag in found:
        (strings if isinstance(flag, Text) else atoms).append(flag)
    return atoms, strings
