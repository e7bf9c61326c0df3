"""Judges a trial: reads both servers' maildirs from the disk, without IMAP and without the product's code."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

#: Letters of a maildir's file name for the system flags; small letters number the keywords of the folder.
_FLAGS = {"P": "$passed", "R": "\\answered", "S": "\\seen", "T": "\\deleted", "D": "\\draft", "F": "\\flagged"}


class Kept(NamedTuple):
    """A message as a maildir keeps it; two equal ones are twins."""

    folder: str
    sha256: str
    flags: frozenset[str]
    #: Internal date in seconds since 1970, which Dovecot keeps as the file's time.
    instant: int


Snapshot = Counter[Kept]


@dataclass(frozen=True)
class Verdict:
    """The difference between what should be at the destination and what is there."""

    lost: Snapshot
    surplus: Snapshot
    #: How often the report names a message, by digest, as one whose flags the destination did not keep.
    named: Counter[str] = field(default_factory=Counter)

    @property
    def lost_messages(self) -> int:
        """The number of messages whose bytes are in the destination's folder less often than they should be."""
        return _fewer(self.lost, self.surplus)

    @property
    def doubled(self) -> int:
        """The number of messages whose bytes are in the destination's folder more often than they should be."""
        return _fewer(self.surplus, self.lost)

    @property
    def changed(self) -> int:
        """The number of messages with the right bytes and other flags or another date, of which nobody is told."""
        return self.lost.total() - self.lost_messages - self.told

    @property
    def told(self) -> int:
        """The number of messages with the right bytes and date and other flags, which the report names."""
        changed: Counter[str] = Counter()
        left, right = _dated(self.lost), _dated(self.surplus)
        for (_, digest, _), count in (left & right).items():
            changed[digest] += count
        return (changed & self.named).total()

    @property
    def clean(self) -> bool:
        """Tells whether every message is there exactly once, with its date, and with its flags unless the report names it."""
        return not (self.lost_messages or self.doubled or self.changed)

    def __str__(self) -> str:
        counts = f"lost {self.lost_messages}, twice {self.doubled}, changed {self.changed}, told {self.told}"
        # What is wanted and what is there of one message stand side by side.
        return f"{counts}: {sorted([*self.lost, *self.surplus], key=lambda kept: kept[:2])[:8]}"


def compare(wanted: Snapshot, found: Snapshot) -> Verdict:
    """Compares two multisets."""
    return Verdict(wanted - found, found - wanted)


def delivered(folder: str, body: bytes, flags: Iterable[str], when: datetime | None) -> Kept:
    """Returns a message as a maildir keeps it after another client has delivered it. It needs a date."""
    assert when is not None
    digest = hashlib.sha256(body.replace(b"\r\n", b"\n")).hexdigest()
    return Kept(folder, digest, frozenset(flag.lower() for flag in flags), int(when.timestamp()))


def read_maildir(root: Path) -> Snapshot:
    """Reads every message of a Maildir++ account, with line ends as LF.

    An account that no client has opened yet is empty.
    """
    return Counter(kept for _, kept in messages(root))


def digests(root: Path) -> dict[tuple[str, int], str]:
    """Returns the digest of every message of a Maildir++ account by its folder and UID, as Dovecot numbers them."""
    files = {(kept.folder, path.name.split(":")[0]): kept.sha256 for path, kept in messages(root)}
    found: dict[tuple[str, int], str] = {}
    for name, place in _folders(root):
        path = place / "dovecot-uidlist"
        for line in path.read_text("utf-8").splitlines()[1:] if path.is_file() else ():
            uid, _, file = line.partition(" ")
            if digest := files.get((name, file.partition(":")[2])):
                found[name, int(uid)] = digest
    return found


def messages(root: Path) -> Iterator[tuple[Path, Kept]]:
    """Reads every message of a Maildir++ account, each with its file."""
    for name, place in _folders(root):
        keywords = _keywords(place)
        for path in _files(place):
            body = path.read_bytes().replace(b"\r\n", b"\n")
            flags = _flags(path.name, keywords)
            yield path, Kept(name, hashlib.sha256(body).hexdigest(), flags, int(path.stat().st_mtime))


def _folders(root: Path) -> Iterator[tuple[str, Path]]:
    if root.is_dir():
        yield "INBOX", root
        for place in sorted(root.iterdir()):
            if place.name.startswith(".") and (place / "cur").is_dir():
                yield place.name[1:], place


def _files(place: Path) -> Iterator[Path]:
    for room in ("cur", "new"):
        if (place / room).is_dir():
            yield from sorted((place / room).iterdir())


def _keywords(place: Path) -> dict[str, str]:
    path = place / "dovecot-keywords"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    numbered = (line.split(" ", 1) for line in lines)
    return {chr(ord("a") + int(number)): name.lower() for number, name in numbered}


def _flags(name: str, keywords: dict[str, str]) -> frozenset[str]:
    letters = re.search(r":2,([A-Za-z]*)", name)
    return frozenset(_FLAGS.get(letter) or keywords.get(letter, letter) for letter in (letters[1] if letters else ""))


def _fewer(these: Snapshot, those: Snapshot) -> int:
    left, right = _bytes_of(these), _bytes_of(those)
    return (left - right).total()


def _dated(snapshot: Snapshot) -> Counter[tuple[str, str, int]]:
    dated: Counter[tuple[str, str, int]] = Counter()
    for kept, count in snapshot.items():
        dated[kept.folder, kept.sha256, kept.instant] += count
    return dated


def _bytes_of(snapshot: Snapshot) -> Counter[tuple[str, str]]:
    bodies: Counter[tuple[str, str]] = Counter()
    for kept, count in snapshot.items():
        bodies[kept.folder, kept.sha256] += count
    return bodies
