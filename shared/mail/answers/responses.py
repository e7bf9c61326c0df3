"""Parses the answers of servers (RFC 3501 §7, RFC 9051 §7). Tolerant of odd spelling, never of odd meaning.

An answer is a list of pieces: a line, a literal, the rest of the line, …: text at even places, literals at odd ones.
Folder names stay the server's own bytes. Each function takes one kind of answer. It returns None for every other kind,
and raises `Unreadable` for one of its own kind that makes no sense: a line on which completeness hangs is never
skipped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from shared.mail import KnownStatus
from shared.mail.answers.bounds import MOST_RANGES
from shared.mail.answers.folder_answers import stable
from shared.mail.answers.tokens import Unreadable, Value, Words, head_of, is_nil
from shared.model.uids import MAX_UID, Uid, UidSet

_CODE = re.compile(rb"\[[ \t]*(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ)[ \t]+(\d{1,20})[ \t]*\]", re.IGNORECASE)
#: RFC 8474 §4.1: an id has at most 255 characters.
_MAILBOXID = re.compile(rb"\[[ \t]*MAILBOXID[ \t]*\(([A-Za-z0-9_-]{1,255})\)[ \t]*\]", re.IGNORECASE)
_VANISHED = re.compile(rb"\*[ \t]+VANISHED[ \t]+(\(EARLIER\)[ \t]+)?([0-9:,]+)[ \t\r\n]*", re.IGNORECASE)
_CLOSED = re.compile(rb"\*[ \t]+OK[ \t]+\[[ \t]*CLOSED[ \t]*\]", re.IGNORECASE)
_PERMANENT = re.compile(rb"\[[ \t]*PERMANENTFLAGS[ \t]*\(([^)]*)\)", re.IGNORECASE)
_APPENDUID = re.compile(rb"\[[ \t]*APPENDUID[ \t]+(\d{1,10})[ \t]+([\d:,]+)[ \t]*\]", re.IGNORECASE)
_COPYUID = re.compile(rb"\[[ \t]*COPYUID[ \t]+(\d{1,10})[ \t]+([\d:,]+)[ \t]+([\d:,]+)[ \t]*\]", re.IGNORECASE)
_CAPABILITY = re.compile(rb"(?:\*|\[)[ \t]*CAPABILITY[ \t]+([^\]\r\n]*)", re.IGNORECASE)
_MODSEQ = re.compile(rb"\([ \t]*MODSEQ[ \t]+\d{1,20}[ \t]*\)\Z", re.IGNORECASE)
_DIGITS = re.compile(rb"[\d \t]*")
_NUMBER = re.compile(rb"\d+")
_RANGE = re.compile(rb"(\d{1,10})(?::(\d{1,10}))?(?:,(?=\d)|\Z)")

#: Most UIDs that one APPENDUID or COPYUID names; no group is that large, and no memory is allocated for a lie.
_MOST_NAMED: Final = 100_000


def vanished_uids(line: bytes) -> tuple[UidSet, bool] | None:
    """Returns the UIDs of a VANISHED answer (RFC 7162 §3.2.10), and whether they went earlier than this session.

    None where it is none, or makes no sense.
    """
    found = _VANISHED.fullmatch(line)
    try:
        return (UidSet.parse(found[2].decode("ascii")), bool(found[1])) if found else None
    except ValueError:
        return None


class Selected:
    """Collects the answers to EXAMINE or SELECT. Answers that it does not know ("* OK in progress") are ignored.

    What comes before CLOSED is about the folder that was open before (RFC 7162 §3.2.11), and is forgotten.
    """

    def __init__(self) -> None:
        #: The number of EXISTS; None until it came.
        self.messages: int | None = None
        #: The line that should have told EXISTS and makes no sense.
        self.unread = b""
        self.numbers: dict[bytes, int] = {}
        self.flags: tuple[bytes, ...] = ()
        self.permanent: tuple[bytes, ...] | None = None
        #: The field of `FolderStatus`.
        self.object_id = ""
        #: Ranges of UIDs that went before the selection (VANISHED with EARLIER). One without EARLIER is about what goes in
        #: this session, in whatever folder.
        self.gone: list[tuple[int, int]] = []

    def take(self, pieces: Sequence[bytes]) -> None:
        """Takes one untagged answer, or the text of the tagged one."""
        line = pieces[0]
        kind, first, at = head_of(line)
        if kind == b"EXISTS":
            if first.isdigit() and len(first) <= 10:
                self.messages = int(first)
            else:
                self.unread = line
        elif kind == b"FLAGS":
            self.flags = _flags(pieces, at)
        elif kind == b"VANISHED":
            told = vanished_uids(line)
            if told and told[1] and len(self.gone) + len(told[0].ranges) <= MOST_RANGES:
                self.gone.extend(told[0].ranges)
        elif kind == b"OK" and _CLOSED.match(line):
            vars(self).update(vars(Selected()))
        else:
            for key, value in _CODE.findall(line):
                self.numbers[key.upper()] = int(value)
            if named := _MAILBOXID.search(line):
                self.object_id = hashlib.blake2b(named[1], digest_size=8).hexdigest()
            if permanent := _PERMANENT.search(line):
                self.permanent = tuple(permanent[1].split())

    @property
    def uidnext(self) -> int | None:
        """The UIDNEXT, if the server said a possible one."""
        found = self.numbers.get(b"UIDNEXT")
        return found if found and found <= MAX_UID + 1 else None

    @property
    def uidvalidity(self) -> int | None:
        """The UIDVALIDITY, if the server said a possible one."""
        return stable(self.numbers.get(b"UIDVALIDITY"))

    def status(self, *, messages: int, uidnext: int, uidvalidity: int | None) -> KnownStatus:
        """Returns the status with all numbers.

        Where PERMANENTFLAGS is missing all FLAGS are permanent (RFC 3501 §6.3.1).
        """
        permanent = self.flags if self.permanent is None else self.permanent
        return KnownStatus(
            uidvalidity=uidvalidity,
            uidnext=uidnext,
            messages=messages,
            highestmodseq=self.numbers.get(b"HIGHESTMODSEQ") or None,
            permanent_flags=frozenset(flag.decode("latin-1") for flag in permanent),
            object_id=self.object_id,
        )

    def keywords(self) -> set[str]:
        """Returns the keywords that the folder has by name, in lower case."""
        named = {flag.decode("latin-1").lower() for flag in (*self.flags, *(self.permanent or ()))}
        return {flag for flag in named if not flag.startswith("\\")}


def _flags(pieces: Sequence[bytes], at: int) -> tuple[bytes, ...]:
    try:
        words = Words(pieces, at).rest()
    except Unreadable:
        return ()  # flags that are not kept stand in the report when they are to be stored
    listed = words[0] if words and isinstance(words[0], list) else words
    return tuple(word for word in listed if isinstance(word, bytes) and not is_nil(word))


# -- response codes


def capabilities_in(text: bytes) -> frozenset[str] | None:
    """Returns the capabilities that a CAPABILITY answer or response code names, in upper case; None when there is none."""
    found = _CAPABILITY.search(text)
    return frozenset(found[1].decode("latin-1").upper().split()) if found else None


def appended_uids(text: bytes) -> tuple[int, tuple[Uid, ...]] | None:
    """Returns (UIDVALIDITY, UIDs in the order given) of an APPENDUID response code (RFC 4315 §3).

    Returns None when there is none.
    """
    found = _APPENDUID.search(text)
    if not found:
        return None
    uids = _in_order(found[2])
    return None if uids is None else (int(found[1]), uids)


def copied_uids(text: bytes) -> tuple[int, dict[int, int]] | None:
    """Returns (UIDVALIDITY, UID → UID of its copy) of a COPYUID response code (RFC 4315 §3); None when there is none."""
    found = _COPYUID.search(text)
    here, there = (_in_order(found[2]), _in_order(found[3])) if found else (None, None)
    if found is None or here is None or there is None or len(here) != len(there):
        return None
    return int(found[1]), {int(a): int(b) for a, b in zip(here, there, strict=True)}


def _in_order(text: bytes) -> tuple[Uid, ...] | None:
    """Returns the UIDs of a set in the order given; None for a text that is no set."""
    uids: list[Uid] = []
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        if not low or (b":" in part and not high) or len(low) > 10 or len(high) > 10:
            return None
        first, last = int(low), int(high or low)
        if min(first, last) < 1 or max(first, last) > MAX_UID or abs(last - first) + len(uids) >= _MOST_NAMED:
            return None
        uids.extend(Uid(uid) for uid in range(min(first, last), max(first, last) + 1))
    return tuple(uids)


# -- searches


def searched_uids(pieces: Sequence[bytes]) -> UidSet | None:
    """Returns the UIDs of an ESEARCH or SEARCH answer; None for anything else."""
    kind, _, at = head_of(pieces[0])
    if kind == b"SEARCH":
        if len(pieces) > 1:
            raise Unreadable("a literal among the UIDs")
        said = pieces[0][at:].rstrip()
        if said.endswith(b")"):
            said = _MODSEQ.sub(b"", said)
        if not _DIGITS.fullmatch(said):
            raise Unreadable("not a list of UIDs")
        return _written_out(said)
    if kind != b"ESEARCH":
        return None
    words = Words(pieces, at).rest()
    if words and isinstance(words[0], list):  # the correlator
        words = words[1:]
    by_uid = bool(words) and _is(words[0], b"UID")
    found = UidSet()
    for key, value in _pairs(words[1:] if by_uid else words):
        if key in (b"ALL", b"PARTIAL"):
            if not by_uid:
                raise Unreadable("sequence numbers in place of UIDs")
            if key == b"PARTIAL":  # RFC 9394 §3.3: (range result), where NIL is no result
                value = value[1] if isinstance(value, list) and len(value) == 2 else b""
            found |= UidSet() if is_nil(value) else _uid_set(value)
    return found


def search_tag(pieces: Sequence[bytes]) -> bytes | None:
    """Returns the tag of the command that an ESEARCH answer belongs to; None where it does not say."""
    kind, _, at = head_of(pieces[0])
    correlator = Words(pieces, at).rest()[:1] if kind == b"ESEARCH" else []
    told = correlator[0] if correlator and isinstance(correlator[0], list) else []
    tag = told[1] if len(told) == 2 and _is(told[0], b"TAG") else None
    return bytes(tag) if isinstance(tag, bytes) else None


def _is(word: Value, name: bytes) -> bool:
    return isinstance(word, bytes) and word.upper() == name


def _pairs(words: list[Value]) -> list[tuple[bytes, Value]]:
    if len(words) % 2 or not all(isinstance(word, bytes) for word in words[::2]):
        raise Unreadable("not a search result")
    return [(key.upper(), value) for key, value in zip(words[::2], words[1::2], strict=True)]  # type: ignore[union-attr]


def _written_out(said: bytes) -> UidSet:
    """Returns UIDs that are written with blanks between them.

    In order, as nearly every server sends them, they take memory only by range.
    """
    try:
        found = UidSet.ascending(int(number[0]) for number in _NUMBER.finditer(said))
    except ValueError:
        found = UidSet.of(int(number[0]) for number in _NUMBER.finditer(said))
    if found and (found.low < 1 or found.high > MAX_UID or len(found.ranges) > MOST_RANGES):
        raise Unreadable("UIDs that can be none")
    return found


def _uid_set(word: Value) -> UidSet:
    if not isinstance(word, bytes):
        raise Unreadable("not a UID set")
    ranges: list[tuple[int, int]] = []
    at = 0
    while at < len(word) and (found := _RANGE.match(word, at)):
        at = found.end()
        low, high = int(found[1]), int(found[2] or found[1])
        if not 0 < low <= MAX_UID or not 0 < high <= MAX_UID or len(ranges) >= MOST_RANGES:
            raise Unreadable("UIDs that can be none")
        ranges.append((min(low, high), max(low, high)))
    if at < len(word) or not ranges:
        raise Unreadable("not a UID set")
    return UidSet.joined(ranges)
