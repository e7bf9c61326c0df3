"""The differences at the end of a trial that people caused, who changed both mailboxes meanwhile.

docs/later-passes.md says what a later pass does with each change. A message that a person changed may stand elsewhere or,
if it was deleted at the destination, be away; every other message must be where it belongs, with its flags and its date.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from bench.chaos.oracle import Kept, Snapshot, Verdict

#: Flag that no message of `tests.mail` has.
TOUCHED = "touched"
_NAMELESS = re.compile(r"unknown-\d+")


@dataclass
class Changes:
    """The changes that people made in one mailbox, at either side."""

    #: Digests of the messages that a person moved or deleted: where they stand is not looked at.
    moved: set[str] = field(default_factory=set)
    #: Copies that may be more: the message is deleted, or in another folder, at the source.
    spare: Counter[str] = field(default_factory=Counter)
    #: Copies that may be more where Redis lost what it knew: nobody can know then where a person put a copy.
    spare_if_forgotten: Counter[str] = field(default_factory=Counter)
    #: Copies that may be away, because a person deleted them at the destination.
    away: Counter[str] = field(default_factory=Counter)
    #: Digests of the messages that a person flagged at the destination.
    flagged: set[str] = field(default_factory=set)
    #: New name of a folder → its first name.
    names: dict[str, str] = field(default_factory=dict)

    def verdict(self, wanted: Snapshot, found: Snapshot, *, forgot: bool) -> Verdict:
        """Compares what should be there with what is; leaves out what people's changes explain."""
        wanted, found = self._alike(wanted), self._alike(found)
        lost, surplus = wanted - found, found - wanted
        for digest in self.moved | set(self.spare_if_forgotten if forgot else ()):
            spare = self.spare[digest] + (self.spare_if_forgotten[digest] if forgot else 0)
            pairs = min(_number(lost, digest), _number(surplus, digest))
            _take(lost, digest, pairs + self.away[digest])
            _take(surplus, digest, pairs + spare)
        return Verdict(lost, surplus)

    def _alike(self, snapshot: Snapshot) -> Snapshot:
        alike: Snapshot = Counter()
        for kept, count in snapshot.items():
            # Dovecot may have lost the name of the person's keyword, as of any other, on its full disk.
            theirs = {flag for flag in kept.flags if flag == TOUCHED or _NAMELESS.fullmatch(flag)}
            flags = kept.flags - theirs if kept.sha256 in self.flagged else kept.flags
            alike[kept._replace(folder=self.names.get(kept.folder, kept.folder), flags=flags)] += count
        return alike


def _number(snapshot: Snapshot, digest: str) -> int:
    return sum(count for kept, count in snapshot.items() if kept.sha256 == digest)


def _take(snapshot: Snapshot, digest: str, number: int) -> None:
    """Takes up to `number` messages with this digest out of a snapshot."""
    of_it: list[Kept] = [kept for kept in snapshot if kept.sha256 == digest]
    for kept in of_it:
        taken = min(number, snapshot[kept])
        snapshot[kept] -= taken
        number -= taken
    for kept in [kept for kept in of_it if not snapshot[kept]]:
        del snapshot[kept]
