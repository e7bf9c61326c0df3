"""Decides which flags to set and to clear at the destination, from what the source showed last and shows now. Pure.

A flag is either set or not, so the merge has no conflicts: what changed at the source is set or cleared, and whatever
else people changed at the destination stays (RFC 9051 §2.3.2).
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from shared.model.messages import FlagChange
from shared.model.uids import Uid, UidSet

_NONE = UidSet()


class FlagsSeen:
    """The flags of a folder's messages as they are listed: 16 octets for each run of messages with the same flags."""

    def __init__(self) -> None:
        self._uids: dict[tuple[str, ...], array[int]] = defaultdict(lambda: array("Q"))

    def add(self, uid: Uid, flags: tuple[str, ...]) -> None:
        """Notes the flags of one message."""
        bounds = self._uids[flags]
        if bounds and bounds[-1] == uid - 1:
            bounds[-1] = uid
        else:
            bounds.extend((uid, uid))

    def by_flags(self) -> dict[str, UidSet]:
        """Returns flags, sorted and parted by a blank, → UIDs."""
        found: dict[str, UidSet] = {}
        for flags, bounds in self._uids.items():
            text = " ".join(sorted(flags))
            uids = UidSet.bounded(bounds)
            found[text] = found[text] | uids if text in found else uids
        return found


def later(before: Mapping[str, UidSet], now: Mapping[str, UidSet]) -> dict[str, UidSet]:
    """Returns what is to be kept: the flags `now`, and those of `before` for all other messages."""
    seen = UidSet.joined([part for uids in now.values() for part in uids.ranges])
    rest = {text: uids - seen for text, uids in before.items()}
    every = {text: rest.get(text, _NONE) | now.get(text, _NONE) for text in {*rest, *now}}
    return {text: uids for text, uids in every.items() if uids}


def flag_changes(before: Mapping[str, UidSet], now: Mapping[str, UidSet], among: UidSet) -> Iterator[FlagChange]:
    """Yields the changes of the messages `among` these UIDs.

    For a message whose flags were not kept `before`, flags are only set: whatever else it has may be the work of people
    at the destination.
    """
    for text, uids in now.items():
        rest = uids & among
        for was, them in before.items():
            if was != text and (changed := rest & them):
                yield FlagChange(
                    uids=changed, add=_without(text.split(), was.split()), remove=_without(was.split(), text.split())
                )
            rest -= them
        if rest and text:
            yield FlagChange(uids=rest, add=tuple(text.split()))


def translated(changes: Iterable[FlagChange], to: Mapping[int, int]) -> list[FlagChange]:
    """Returns the changes with the UIDs of the copies; without those of messages that have none."""
    gathered: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = defaultdict(list)
    for change in changes:
        gathered[change.add, change.remove].extend(to[uid] for uid in change.uids if uid in to)
    return [FlagChange(uids=UidSet.of(uids), add=a, remove=r) for (a, r), uids in gathered.items() if uids]


def made_equal(have: Mapping[int, Sequence[str]], want: Mapping[int, Sequence[str]]) -> list[FlagChange]:
    """Returns the changes that give each message, by UID, the flags that it should have."""
    gathered: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = defaultdict(list)
    for uid, flags in want.items():
        gathered[_without(flags, have.get(uid, ())), _without(have.get(uid, ()), flags)].append(uid)
    return [FlagChange(uids=UidSet.of(uids), add=a, remove=r) for (a, r), uids in gathered.items() if a or r]


def _without(flags: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    """Returns the `flags` that the `other` does not have, in whatever case."""
    had = set(map(str.lower, other))
    return tuple(flag for flag in flags if flag.lower() not in had)
