"""The grammar of IMAP commands, as strict as a server's: cuts a command into words, lists and literals."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

ANNOUNCED = re.compile(rb"(~?)\{(\d+)([+-]?)\}\Z")
_ATOM = re.compile(rb'[^\s(){"\x00-\x1f\x7f]+')
#: Characters of an atom, and of a flag in Dovecot.
KEYWORD = re.compile(rb'[^\s(){%*"\\\]\x00-\x1f\x7f-\xff]+\Z')
_DATE = re.compile(
    rb"[ 0-3]\d-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-\d{4} \d\d:\d\d:\d\d [+-]\d{4}\Z", re.IGNORECASE
)


class Bad(ValueError):
    """Raised for a line that is no valid command."""


class Quoted(bytes):
    """A quoted string or a literal, which is never a keyword of the protocol."""


@dataclass
class Command:
    """A command as received. `parts` alternate: text, literal, text, …"""

    connection: int
    number: int
    parts: list[bytes] = field(default_factory=list)
    #: Sizes of literals that were sent without waiting, and of those that waited.
    hurried: list[int] = field(default_factory=list)
    waited: list[int] = field(default_factory=list)

    @property
    def line(self) -> bytes:
        """The command without its literals: `{n}` shows where they were."""
        return b"".join(self.parts[::2])

    @property
    def literals(self) -> list[bytes]:
        """The command's literals."""
        return self.parts[1::2]

    @property
    def tag(self) -> bytes:
        """The client's tag."""
        return self.line.split(b" ", 1)[0]

    @property
    def text(self) -> bytes:
        """The line without its tag."""
        return self.line.partition(b" ")[2]

    @property
    def name(self) -> bytes:
        """The command's name: `SELECT`, `UID FETCH`, …"""
        words = self.text.upper().split(b" ")
        return b" ".join(words[:2]) if words[0] == b"UID" else words[0]

    def tokens(self) -> list[object]:
        """Returns everything after the tag. Raises `Bad` when it is not IMAP."""
        stream = _Stream(self.parts)
        tokens = list(stream.words())
        if stream.depth:
            raise Bad("missing )")
        return tokens[1:]


class _Stream:
    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts
        self._part = 0
        self._at = 0
        self.depth = 0

    def words(self) -> Iterator[object]:
        """Yields words up to the end or the closing parenthesis."""
        while True:
            text = self._parts[self._part]
            if self._at >= len(text):
                return
            char = text[self._at : self._at + 1]
            if char == b" ":
                self._at += 1
            elif char == b"(":
                self._at += 1
                self.depth += 1
                yield list(self.words())
            elif char == b")":
                if not self.depth:
                    raise Bad("unexpected )")
                self._at += 1
                self.depth -= 1
                return
            elif char == b'"':
                yield self._quoted(text)
            elif char in (b"{", b"~") and (literal := self._literal(text)) is not None:
                yield literal
            else:
                yield self._atom(text)

    def _quoted(self, text: bytes) -> Quoted:
        found = re.compile(rb'"((?:[^"\\]|\\["\\])*)"').match(text, self._at)
        if not found:
            raise Bad("unterminated string")
        self._at = found.end()
        return Quoted(re.sub(rb"\\(.)", rb"\1", found[1]))

    def _literal(self, text: bytes) -> Quoted | None:
        if not ANNOUNCED.match(text, self._at) or self._part + 1 >= len(self._parts):
            return None
        self._part += 2
        self._at = 0
        return Quoted(self._parts[self._part - 1])

    def _atom(self, text: bytes) -> bytes:
        found = _ATOM.match(text, self._at)
        if not found:
            raise Bad(f"not an atom at {text[self._at : self._at + 20]!r}")
        word = found[0]
        self._at = found.end()
        # BODY.PEEK[HEADER.FIELDS (A B)]<0.10> is one word.
        if b"[" in word and b"]" not in word:
            end = text.find(b"]", self._at)
            if end < 0:
                raise Bad("missing ]")
            rest = re.compile(rb"\](?:<\d+\.\d+>)?").match(text, end)
            stop = rest.end() if rest else end + 1
            word += text[self._at : stop]
            self._at = stop
        return word


def is_date(text: bytes) -> bool:
    """Tells whether a client may write this as a date."""
    return _DATE.match(text) is not None


def is_sendable_flag(flag: bytes) -> bool:
    """Tells whether APPEND and STORE may set this flag."""
    if flag.startswith(b"\\"):
        return flag.lower() in (b"\\answered", b"\\flagged", b"\\deleted", b"\\seen", b"\\draft")
    return KEYWORD.match(flag) is not None


def number_set(text: bytes, existing: list[int]) -> list[int]:
    """Returns the existing numbers of a set like `1:3,7,9:*`; `n:*` always holds the last one. `existing` is sorted."""
    if not re.fullmatch(rb"(?:\d+|\*)(?::(?:\d+|\*))?(?:,(?:\d+|\*)(?::(?:\d+|\*))?)*", text):
        raise Bad(f"not a set: {text[:40]!r}")
    last = existing[-1] if existing else 0
    found: set[int] = set()
    for piece in text.split(b","):
        ends = [last if end == b"*" else int(end) for end in piece.split(b":")]
        found.update(existing[bisect_left(existing, min(ends)) : bisect_right(existing, max(ends))])
    return sorted(found)


def compress(numbers: list[int]) -> bytes:
    """Returns sorted numbers as a set."""
    pieces: list[bytes] = []
    start = previous = None
    for number in [*numbers, None]:
        if start is None:
            start = previous = number
        elif number is not None and previous is not None and number == previous + 1:
            previous = number
        else:
            pieces.append(b"%d" % start if start == previous else b"%d:%d" % (start, previous or start))
            start = previous = number
    return b",".join(pieces)


def as_string(text: bytes) -> bytes:
    """Returns a quoted string where that can hold the text, else a literal."""
    if re.search(rb"[\r\n\0]", text):
        return b"{%d}\r\n%b" % (len(text), text)
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", text) + b'"'
