"""Splits untagged answers into words (RFC 3501 §9, RFC 9051 §9): one grammar for all of them, tolerant of spelling.

Between words stand any number of blanks and tabs. A word is an atom, a quoted string, a literal, or a list of words in
parentheses. Everything here takes time in proportion to the text: a quoted string that does not end is an error at
once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

#: A literal announced at the end of a line: octets, with or without the marks of literal8 and LITERAL+.
LITERAL: Final = re.compile(rb"~?\{(\d{1,20})\+?\}[ \t]*\r?\n\Z")

#: RFC 3501 §9: a literal's size is a 32-bit number.
MOST_OCTETS: Final = 4_294_967_295

#: Deepest nesting of lists. FETCH BODYSTRUCTURE goes deeper, and is never asked for.
DEPTH_LIMIT: Final = 20

#: One word: the groups are "(", ")", a quoted string, an announced literal, the end of the line, an atom. Text in
#: brackets behind an item's name (``BODY[HEADER.FIELDS (DATE)]``) belongs to the atom; no such name is longer than
#: this.
TOKEN: Final = re.compile(
    rb'[ \t]*(?:(\()|(\))|"([^"\\]*+(?:\\.[^"\\]*+)*+)"|(~?\{\d{1,20}\+?\}[ \t]*\r?\n\Z)|(\r?\n\Z)'
    rb'|([^\s()\["{]+(?:\[[^\]\r\n]{0,512}\])?[^\s()"{]*|\[[^\s()"{]*|[^\s"]))',
    re.DOTALL,
)

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)

#: The words other than numbers that an untagged answer may begin with (RFC 9051 §7 and the extensions that servers send
#: unasked).
_WORDS: Final = frozenset(
    b"OK NO BAD BYE PREAUTH LIST LSUB XLIST STATUS SEARCH ESEARCH SORT THREAD FLAGS NAMESPACE CAPABILITY ENABLED ID QUOTA "
    b"QUOTAROOT VANISHED ACL LISTRIGHTS MYRIGHTS METADATA ANNOTATION LANGUAGE COMPARATOR CONVERTED GENURLAUTH URLFETCH".split()
)
#: The words that stand behind a number, and that are meant where the number is missing.
_NUMBERED: Final = frozenset((b"EXISTS", b"RECENT", b"EXPUNGE", b"FETCH"))
_HEAD = re.compile(rb"\*[ \t]+([^\s(]+)[ \t]*")
_SECOND = re.compile(rb"([^\s(]+)[ \t]*")


class Text(bytes):
    """A quoted string or a literal, as opposed to an atom."""


#: A list of atoms up to the end of the line, which is what nearly all lists are.
_ATOMS: Final = re.compile(rb'[ \t]*\(([^\s()\[\]"{}]*+(?:[ \t]+[^\s()\[\]"{}]++)*+)[ \t]*\)[ \t]*\r?\n\Z')

#: A word: an atom, a string, NIL or a list of these.
Value = bytes | None | list["Value"]


class Unreadable(ValueError):
    """Raised for an answer that makes no sense."""


def unescaped(text: bytes) -> bytes:
    """Returns the inside of a quoted string without its backslashes."""
    return _ESCAPED.sub(rb"\1", text) if b"\\" in text else text


#: Bytes of the longest line whose head is remembered: an answer to a search takes 64 MB, and would stay for ever.
_REMEMBERED: Final = 512


def head_of(line: bytes) -> tuple[bytes, bytes, int]:
    """Splits an untagged line into (name, first word, where the rest begins).

    The name says what the answer is, in upper case: its first word, or the second where a number comes first (``* 3
    EXISTS``). b"" where there is none. Answers to EXAMINE are looked at twice, and repeat from folder to folder.
    """
    return _remembered(line) if len(line) <= _REMEMBERED else _head_of(line)


def _head_of(line: bytes) -> tuple[bytes, bytes, int]:
    found = _HEAD.match(line)
    if not found:
        return b"", b"", 0
    first = found[1]
    name = first.upper()
    if name in _NUMBERED:
        return name, b"", found.end()
    if name not in _WORDS and (second := _SECOND.match(line, found.end())):
        return second[1].upper(), first, second.end()
    return name, first, found.end()


_remembered = lru_cache(maxsize=64)(_head_of)


class Words:
    """Reads an answer's pieces (text at even places, literals at odd ones) word by word, from `at` in the first one on."""

    def __init__(self, pieces: Sequence[bytes], at: int = 0) -> None:
        self._pieces, self._place, self._at = pieces, 0, at

    def place(self) -> tuple[int, int]:
        """Returns the reading position, for `back`."""
        return self._place, self._at

    def back(self, place: tuple[int, int]) -> None:
        """Goes back to that position."""
        self._place, self._at = place

    @property
    def ended(self) -> bool:
        """Tells whether nothing is left but blanks and the line's end."""
        return self._place == len(self._pieces) - 1 and not self._pieces[-1][self._at :].strip()

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Reads what `pattern` matches here, and returns the match; None, with nothing read, where it does not match."""
        found = pattern.match(self._pieces[self._place], self._at)
        if found:
            self._at = found.end()
        return found

    def line(self) -> bytes | None:
        """Reads the rest of the line, and returns it without blanks around it; None where a literal follows."""
        if self._place < len(self._pieces) - 1:
            return None
        rest, self._at = self._pieces[-1][self._at :].strip(), len(self._pieces[-1])
        return rest

    def next(self) -> Value:
        """Reads the next word. Raises `Unreadable` where there is none, and for a text that cannot be one."""
        top: list[Value] = []
        open_ = [top]
        while not top or len(open_) > 1:
            found = TOKEN.match(self._pieces[self._place], self._at)
            if not found or found.lastindex == 5:
                raise Unreadable("it ends too early" if found or self.ended else "a quotation mark is left open")
            kind, self._at = found.lastindex, found.end()
            if kind == 1:
                if len(open_) > DEPTH_LIMIT:
                    raise Unreadable("nested too deeply")
                inner: list[Value] = []
                open_[-1].append(inner)
                open_.append(inner)
            elif kind == 2:
                if len(open_) < 2:
                    raise Unreadable("unbalanced parentheses")
                open_.pop()
            elif kind == 3:
                open_[-1].append(Text(unescaped(found[3])))
            elif kind == 4:
                if self._place + 2 >= len(self._pieces):
                    raise Unreadable("it ends too early")
                open_[-1].append(Text(self._pieces[self._place + 1]))
                self._place, self._at = self._place + 2, 0
            else:
                open_[-1].append(found[6])
        return top[0]

    def rest(self) -> list[Value]:
        """Reads all words that are left. Raises `Unreadable`."""
        if self._place == len(self._pieces) - 1 and (atoms := self.take(_ATOMS)):
            return [[*atoms[1].split()]]
        words: list[Value] = []
        while not self.ended:
            words.append(self.next())
        return words


def is_nil(word: Value) -> bool:
    """Tells whether the word is NIL, which a string is not."""
    return word is None or (isinstance(word, bytes) and not isinstance(word, Text) and word.upper() == b"NIL")


def number_of(word: Value, most: int) -> int:
    """Returns the number that a word stands for, written as an atom or a string. Raises `Unreadable`."""
    if not isinstance(word, bytes) or not word.strip().isdigit() or len(word) > 20 or int(word) > most:
        raise Unreadable("a number was expected")
    return int(word)
