"""What servers answer, taken apart (RFC 3501 §7, RFC 9051 §7). Tolerant of odd spelling, never of odd meaning.

An answer is a list of pieces: a line, a literal, the rest of the line, …: text at even places, literals at odd ones.
Folder names stay the server's own bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from shared.mail import FolderStatus, KnownStatus, ListedFolder
from shared.uids import MAX_UID, Uid, UidSet

#: A literal announced at the end of a line: octets, with or without the marks of literal8 and LITERAL+.
LITERAL: Final = re.compile(rb"~?\{(\d{1,20})\+?\}\r?\n\Z")

#: RFC 3501 §9: a literal's size is a 32-bit number.
MOST_OCTETS: Final = 4_294_967_295

_DEPTH_LIMIT = 20

_LIST = re.compile(rb'\* (LIST|LSUB|XLIST) \(([^)]*)\) (?:"(\\?.)"|NIL|"") ?(.*?)\r?\n?\Z', re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ATOM_THEN_LIST = re.compile(rb"([^\s(){}\"]+) \(.*\)\Z", re.DOTALL)
_STATUS = re.compile(rb"\* STATUS (.+?) ?\(([^()]*)\)\s*\Z", re.IGNORECASE | re.DOTALL)
_CODED_NUMBER = re.compile(rb"\[(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (\d{1,20})", re.IGNORECASE)
_PERMANENT = re.compile(rb"\[PERMANENTFLAGS \(([^)]*)\)", re.IGNORECASE)
_FLAGS = re.compile(rb"\* FLAGS \(([^)]*)\)", re.IGNORECASE)
_EXISTS = re.compile(rb"\* (\d{1,10}) EXISTS", re.IGNORECASE)
_APPENDUID = re.compile(rb"\[APPENDUID (\d{1,10}) ([\d:,]+)\]", re.IGNORECASE)
_COPYUID = re.compile(rb"\[COPYUID (\d{1,10}) ([\d:,]+) ([\d:,]+)\]", re.IGNORECASE)
_CAPABILITY = re.compile(rb"(?:\* |\[)CAPABILITY ([^\]\r\n]*)", re.IGNORECASE)
_ESEARCH = re.compile(rb"\* ESEARCH\b(.*)", re.IGNORECASE | re.DOTALL)
_ESEARCH_ALL = re.compile(rb" ALL ([\d:,]+)", re.IGNORECASE)
_SEARCH = re.compile(rb"\* SEARCH\b([ \d]*)", re.IGNORECASE)


def _listed_name(pieces: Sequence[bytes], rest: bytes) -> bytes | None:
    if len(pieces) > 1:
        return pieces[1]
    if quoted := _QUOTED.match(rest):
        return re.sub(rb"\\(.)", rb"\1", quoted[1], flags=re.DOTALL)
    if atom := _ATOM_THEN_LIST.match(rest):
        return atom[1]
    return rest or None  # unquoted with blanks in it: wrong, and meant literally


def listed_folder(pieces: Sequence[bytes]) -> ListedFolder | None:
    """One LIST, LSUB or XLIST answer; None for anything else. `subscribed` of LSUB is True."""
    found = _LIST.match(pieces[0])
    if not found:
        return None
    name = _listed_name(pieces, found[4])
    if name is None:
        return None
    attributes = frozenset(word.lstrip(b"\\").lower().decode("latin-1") for word in found[2].split())
    return ListedFolder(
        name=name,
        separator=found[3][-1:].decode("latin-1") if found[3] else None,
        attributes=attributes,
        subscribed=found[1].upper() == b"LSUB" or "subscribed" in attributes,
    )


def status_answer(pieces: Sequence[bytes]) -> tuple[bytes, FolderStatus] | None:
    """(name, status) of one STATUS answer; None for anything else."""
    line = b"".join(pieces[::2]) if len(pieces) > 1 else pieces[0]
    found = _STATUS.match(line)
    if not found:
        return None
    name = pieces[1] if len(pieces) > 1 else found[1]
    if quoted := _QUOTED.fullmatch(name):
        name = re.sub(rb"\\(.)", rb"\1", quoted[1], flags=re.DOTALL)
    words = found[2].upper().split()
    numbers = {key: int(value) for key, value in zip(words[::2], words[1::2], strict=False) if value.isdigit()}
    return name, FolderStatus(
        uidvalidity=_stable(numbers.get(b"UIDVALIDITY")),
        uidnext=numbers.get(b"UIDNEXT") or None,
        messages=numbers.get(b"MESSAGES"),
        highestmodseq=numbers.get(b"HIGHESTMODSEQ") or None,
        size_bytes=numbers.get(b"SIZE"),
        append_limit_bytes=numbers.get(b"APPENDLIMIT"),
    )


def _stable(uidvalidity: int | None) -> int | None:
    return uidvalidity if uidvalidity is not None and 0 < uidvalidity <= MAX_UID else None


class Selected:
    """Gathers what EXAMINE or SELECT say."""

    def __init__(self) -> None:
        #: EXISTS; None until it came.
        self.messages: int | None = None
        self.numbers: dict[bytes, int] = {}
        self.flags: tuple[bytes, ...] = ()
        self.permanent: tuple[bytes, ...] | None = None

    def take(self, pieces: Sequence[bytes]) -> None:
        """One untagged answer, or the text of the tagged one."""
        line = pieces[0]
        if exists := _EXISTS.match(line):
            self.messages = int(exists[1])
        elif flags := _FLAGS.match(line):
            self.flags = tuple(flags[1].split())
        else:
            for key, value in _CODED_NUMBER.findall(line):
                self.numbers[key.upper()] = int(value)
            if permanent := _PERMANENT.search(line):
                self.permanent = tuple(permanent[1].split())

    @property
    def uidnext(self) -> int | None:
        """UIDNEXT, if it was said and can be one."""
        found = self.numbers.get(b"UIDNEXT")
        return found if found else None

    @property
    def uidvalidity(self) -> int | None:
        """UIDVALIDITY, if it was said and can be one."""
        return _stable(self.numbers.get(b"UIDVALIDITY"))

    def status(self, *, messages: int, uidnext: int, uidvalidity: int | None) -> KnownStatus:
        """All of it. Where PERMANENTFLAGS is missing all FLAGS are permanent (RFC 3501 §6.3.1)."""
        permanent = self.flags if self.permanent is None else self.permanent
        return KnownStatus(
            uidvalidity=uidvalidity,
            uidnext=uidnext,
            messages=messages,
            highestmodseq=self.numbers.get(b"HIGHESTMODSEQ") or None,
            permanent_flags=frozenset(flag.decode("latin-1") for flag in permanent),
        )

    def keywords(self) -> set[str]:
        """Keywords that the folder has by name, in lower case."""
        named = {flag.decode("latin-1").lower() for flag in (*self.flags, *(self.permanent or ()))}
        return {flag for flag in named if not flag.startswith("\\")}


def capabilities_in(text: bytes) -> frozenset[str] | None:
    """The capabilities that a CAPABILITY answer or response code names, in upper case; None when there is none."""
    found = _CAPABILITY.search(text)
    return frozenset(found[1].decode("latin-1").upper().split()) if found else None


def appended_uids(text: bytes) -> tuple[int, tuple[Uid, ...]] | None:
    """(UIDVALIDITY, UIDs in the order given) of an APPENDUID response code (RFC 4315 §3); None when there is none."""
    found = _APPENDUID.search(text)
    if not found:
        return None
    uids = _in_order(found[2])
    return None if uids is None else (int(found[1]), uids)


def copied_uids(text: bytes) -> tuple[int, dict[int, int]] | None:
    """(UIDVALIDITY, UID → UID of its copy) of a COPYUID response code (RFC 4315 §3); None when there is none."""
    found = _COPYUID.search(text)
    here, there = (_in_order(found[2]), _in_order(found[3])) if found else (None, None)
    if found is None or here is None or there is None or len(here) != len(there):
        return None
    return int(found[1]), {int(a): int(b) for a, b in zip(here, there, strict=True)}


def _in_order(text: bytes) -> tuple[Uid, ...] | None:
    """The UIDs of a set in the order given; None for what is none."""
    uids: list[Uid] = []
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        if not low or (b":" in part and not high):
            return None
        first, last = int(low), int(high or low)
        if last - first >= 100_000:  # no group is that large: nothing is allocated for a lie
            return None
        uids.extend(Uid(uid) for uid in range(min(first, last), max(first, last) + 1))
    return tuple(uids)


def searched_uids(pieces: Sequence[bytes]) -> UidSet | None:
    """The UIDs of an ESEARCH or SEARCH answer; None for anything else."""
    if found := _ESEARCH.match(pieces[0]):
        listed = _ESEARCH_ALL.search(found[1])
        return UidSet.parse(listed[1].decode("ascii")) if listed else UidSet()
    if found := _SEARCH.match(pieces[0]):
        return UidSet.of(map(int, found[1].split()))
    return None


class Text(bytes):
    """A quoted string or a literal, as against an atom."""


#: An item's value: an atom, a string, NIL or a list of these.
Value = bytes | None | list["Value"]

_TOKEN = re.compile(
    rb' *(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|(~?\{\d{1,20}\+?\}\r?\n\Z)|(\r?\n\Z)'
    rb"|([^\s()\[\"{]+(?:\[[^\]\r\n]*\])?[^\s()\"{]*|\[[^\s()\"{]*|[^\s]))",
    re.DOTALL,
)


#: See `FetchAnswer.feed`.
UNFINISHED: Final = -1


class FetchAnswer:
    """One FETCH answer in any order and spelling, fed piece by piece, so that a large literal need not be held."""

    def __init__(self) -> None:
        self._top: list[Value] = []
        self._open = [self._top]

    def feed(self, text: bytes) -> int | None:
        """The next part of the line. The size of the literal that now follows, None at the end of the answer, or
        `UNFINISHED` where the line ended before the answer did (a blank line after a literal: some servers).

        Raises ValueError for what cannot be FETCH."""
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found:
                raise ValueError("not a FETCH answer")
            at = found.end()
            kind = found.lastindex
            if kind == 1:
                if len(self._open) > _DEPTH_LIMIT:
                    raise ValueError("nested too deeply")
                inner: list[Value] = []
                self._open[-1].append(inner)
                self._open.append(inner)
            elif kind == 2:
                if len(self._open) < 2:
                    raise ValueError("unbalanced parentheses")
                self._open.pop()
            elif kind == 3:
                self._open[-1].append(Text(re.sub(rb"\\(.)", rb"\1", found[3], flags=re.DOTALL)))
            elif kind == 4:
                size = int(re.sub(rb"\D", b"", found[4]))
                if size > MOST_OCTETS:
                    raise ValueError(f"announced a literal of {size} bytes")
                return size
            elif kind == 6:
                self._open[-1].append(None if found[6].upper() == b"NIL" else found[6])
        return UNFINISHED if len(self._open) > 1 else None

    def literal(self, value: bytes | None) -> None:
        """The literal that `feed` announced; None when it was not kept."""
        self._open[-1].append(None if value is None else Text(value))

    @property
    def key(self) -> bytes:
        """The item that the announced literal belongs to, upper case; b"" when it is inside a list."""
        items = self._items()
        if len(self._open) != 2 or items is None or not len(items) % 2:
            return b""
        return _key(items[-1])

    def items(self) -> dict[bytes, Value]:
        """What has been read so far: upper-case item to value. The first of a repeated item counts."""
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
    """The UID a FETCH answer carries; 0 when it carries none that can be one."""
    value = items.get(b"UID")
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) <= 10 else 0


def flags_of(items: dict[bytes, Value]) -> tuple[bytes, ...] | None:
    """The atoms among the FLAGS; a string in their place stays a `Text`. None where there are no FLAGS."""
    value = items.get(b"FLAGS")
    if not isinstance(value, list):
        return None
    return tuple(flag for flag in value if isinstance(flag, bytes))


def split_flags(found: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Atoms, and those that came as strings, which no server has reason to send."""
    atoms: list[bytes] = []
    strings: list[bytes] = []
    for flag in found:
        (strings if isinstance(flag, Text) else atoms).append(flag)
    return atoms, strings
