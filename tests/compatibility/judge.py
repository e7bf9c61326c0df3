"""Compares what two accounts hold, message by message. It is pure, and knows nothing of mailhaul's own report."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.compatibility.mailbox import Message

#: Header fields that servers of mbox files put into a message.
_SERVERS_OWN = re.compile(
    rb"^(?:X-IMAPbase|X-IMAP|X-UID|X-UIDL|Status|X-Status|X-Keywords|Content-Length): .*\r?\n", re.M
)
#: First line of a message in an mbox file, which some servers drop.
_POSTMARK = re.compile(rb"\A>?From [^\r\n]{0,120}\r?\n")
#: Bytes that some server drops or replaces, and what it puts there: ends of lines, blanks, NUL, 8-bit bytes, a mark
#: before `From`.
_SOFT = re.compile(rb"[\0\x80-\xffX?>\s]+")

#: The alteration that only `--verify full` reports: the size is that of the source, and no mail differs otherwise.
SAME_SIZE = "ends of lines, with the same size"
#: The alteration of a message of which the server keeps, or shows, the beginning only.
CUT = "cut off"


@dataclass(frozen=True)
class Verdict:
    """The differences between a source and its copy."""

    #: Messages of the source.
    messages: int = 0
    #: Messages that arrived with the same bytes.
    exact: int = 0
    #: Messages that arrived with other bytes, but for those of `SAME_SIZE`: (folder, UID) at the source.
    altered: frozenset[tuple[bytes, int]] = frozenset()
    #: Messages that did not arrive: (folder, UID) at the source.
    lost: frozenset[tuple[bytes, int]] = frozenset()
    #: Messages of the destination that no message of the source became: (folder, UID) there.
    extra: frozenset[tuple[bytes, int]] = frozenset()
    #: Flags and keywords that did not arrive, by name and number of messages.
    flags_lost: Counter[str] = field(default_factory=Counter)
    #: Flags and keywords that the source does not have.
    flags_added: Counter[str] = field(default_factory=Counter)
    #: Messages with another date: (folder, UID) at the source.
    redated: frozenset[tuple[bytes, int]] = frozenset()
    #: Folders of the source, each with the folder that took its mail.
    folders: dict[bytes, bytes] = field(default_factory=dict)
    #: Kinds of altered bytes, with the number of messages.
    alterations: Counter[str] = field(default_factory=Counter)


def likeness(body: bytes) -> bytes:
    """Returns what is left of a message when everything that a server may alter is taken away."""
    return hashlib.sha256(_firm(body)).digest()


def _firm(body: bytes) -> bytes:
    """Returns the bytes of a message that no server is known to replace, in one piece."""
    body = _POSTMARK.sub(b"", body)
    head, blank, rest = re.sub(rb"\r*\n", b"\n", body).partition(b"\n\n")
    kept = _SERVERS_OWN.sub(b"", head + b"\n") + blank + rest
    return _SOFT.sub(b"", kept)


def compare(source: Sequence[Message], copy: Sequence[Message], *, dated: bool = True) -> Verdict:
    """Pairs each message of the source with one of the copy: by folder and likeness, the exact ones first.

    Of what is left over then, a copy that is the beginning of a message is that message, cut off by the server.
    """
    places = _places(source, copy)
    waiting: dict[tuple[bytes, bytes], list[Message]] = defaultdict(list)
    for message in copy:
        waiting[message.folder, likeness(message.body)].append(message)
    exact, altered, lost, redated = 0, set(), set(), set()
    left: list[Message] = []
    flags_lost: Counter[str] = Counter()
    flags_added: Counter[str] = Counter()
    alterations: Counter[str] = Counter()
    for message in source:
        twins = waiting[places.get(message.folder, message.folder), likeness(message.body)]
        if not twins:
            left.append(message)
            continue
        found = min(twins, key=lambda twin: _difference(message, twin))
        twins.remove(found)
        if found.body == message.body:
            exact += 1
        else:
            kind = alteration(message.body, found.body)
            if kind == "ends of lines" and len(message.body) == len(found.body):
                kind = SAME_SIZE
            else:
                altered.add((message.folder, message.uid))
            alterations[kind] += 1
        flags_lost.update(message.flags - found.flags)
        flags_added.update(found.flags - message.flags)
        if dated and message.instant != found.instant:
            redated.add((message.folder, message.uid))
    extra = [twin for twins in waiting.values() for twin in twins]
    for message in left:
        place = places.get(message.folder, message.folder)
        halves = [twin for twin in extra if twin.folder == place and _firm(message.body).startswith(_firm(twin.body))]
        if not halves:
            lost.add((message.folder, message.uid))
            continue
        extra.remove(max(halves, key=lambda twin: (twin.instant == message.instant, len(twin.body), -twin.uid)))
        altered.add((message.folder, message.uid))
        alterations[CUT] += 1
    return Verdict(
        messages=len(source),
        exact=exact,
        altered=frozenset(altered),
        lost=frozenset(lost),
        extra=frozenset((twin.folder, twin.uid) for twin in extra),
        flags_lost=flags_lost,
        flags_added=flags_added,
        redated=frozenset(redated),
        folders=places,
        alterations=alterations,
    )


def _difference(message: Message, twin: Message) -> tuple[bool, int, bool]:
    return message.body != twin.body, len(message.flags ^ twin.flags), message.instant != twin.instant


def _places(source: Iterable[Message], copy: Iterable[Message]) -> dict[bytes, bytes]:
    """Returns the folder that most messages of each folder came to, judged by messages that are there once."""
    ends = []
    for messages in (source, copy):
        seen: dict[bytes, list[bytes]] = defaultdict(list)
        for message in messages:
            seen[likeness(message.body)].append(message.folder)
        ends.append({key: folders[0] for key, folders in seen.items() if len(set(folders)) == 1})
    votes: dict[bytes, Counter[bytes]] = defaultdict(Counter)
    for key, folder in ends[0].items():
        if key in ends[1]:
            votes[folder][ends[1][key]] += 1
    return {folder: found.most_common(1)[0][0] for folder, found in votes.items()}


def alteration(before: bytes, after: bytes) -> str:
    """Names what happened to the bytes of a message."""
    if _SERVERS_OWN.sub(b"", before) == _SERVERS_OWN.sub(b"", after):
        return "header fields of mbox added or removed"
    if _lines(_POSTMARK.sub(b"", before)) == _lines(after) != _lines(before):
        return "a first line `From `"
    if _lines(before) == _lines(after):
        return "ends of lines"
    if _lines(before.replace(b"\0", b"\x80")) == _lines(after):
        return "NUL"
    if _lines(re.sub(rb"\r(?!\n)", b"", before)) == _lines(after):
        return "CRs without LF"
    if re.sub(rb"[\x80-\xff]", b"X", before) == after:
        return "8-bit bytes of the header"
    return "several bytes"


def _lines(body: bytes) -> bytes:
    return re.sub(rb"[\r\n]+", b"\n", body).strip(b"\n")


def same(before: Sequence[Message], after: Sequence[Message]) -> bool:
    """Tells whether both readings of one account show the same messages, whatever their flags."""
    readings = [Counter((m.folder, m.uid, likeness(m.body)) for m in reading) for reading in (before, after)]
    return readings[0] == readings[1]
