"""Decides which of several copies that are the same in bytes and date belongs to which message: the one with its flags. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

from shared.content.fingerprint import match
from shared.model.messages import Sighting
from shared.model.uids import UidSet
from worker.decisions.likeness import as_sent


def twins(theirs: Iterable[Sighting], ours: Iterable[Sighting], pairs: Mapping[int, int]) -> tuple[UidSet, UidSet]:
    """Returns the source UIDs of `pairs`, and the destination UIDs, among which flags alone may tell one from the other."""
    of_source, of_copy = {int(s.uid): as_sent(s) for s in theirs}, {int(s.uid): as_sent(s) for s in ours}
    groups: defaultdict[Hashable, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for uid, to in pairs.items():
        if of_source[uid] == of_copy[to]:
            groups[of_source[uid]][0].append(uid)
    taken = set(pairs.values()) - {pairs[uid] for sources, _ in groups.values() for uid in sources}
    for uid, key in of_copy.items():
        if key in groups and uid not in taken:
            groups[key][1].append(uid)
    several = [group for group in groups.values() if len(group[1]) > 1]
    return UidSet.of(u for group in several for u in group[0]), UidSet.of(u for group in several for u in group[1])


def by_flags(
    theirs: Mapping[int, Sighting],
    ours: Mapping[int, Sighting],
    pairs: Mapping[int, int],
    told: tuple[Mapping[int, Sequence[str]], Mapping[int, Sequence[str]]],
) -> dict[int, int]:
    """Returns `pairs` in which such messages have, where there is one, a copy with the same flags.

    `told` are the flags of all of them at the source, and at the destination.
    """
    flags_there, flags_here = told

    def keys(side: Mapping[int, Sighting], flags: Mapping[int, Sequence[str]]) -> dict[int, Hashable]:
        return {uid: (as_sent(side[uid]), _counted(flags[uid])) for uid in flags if uid in side}

    left = {uid: key for uid, key in keys(theirs, flags_there).items() if uid in pairs}
    same = match(left, keys(ours, flags_here))
    used = set(same.values())
    rest = {uid: as_sent(theirs[uid]) for uid in left if uid not in same}
    others = match(rest, {uid: as_sent(ours[uid]) for uid in flags_here if uid in ours and uid not in used})
    found = same | others
    return {**pairs, **found} if len(found) == len(left) else dict(pairs)


def _counted(flags: Iterable[str]) -> frozenset[str]:
    return frozenset(flag.lower() for flag in flags) - {"\\recent"}
