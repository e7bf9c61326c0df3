"""Decides which copy belongs to which message, by what can be had without reading bodies. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import field

from shared.content.fingerprint import NO_FINGERPRINT, match
from shared.model.messages import Sighting
from shared.model.uids import UidSet
from shared.nouns import dataclass
from worker.decisions.sent import Sent


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """The result of matching copies with source messages."""

    #: Source UID → destination UID.
    pairs: Mapping[int, int]
    #: Source UIDs for which headers and sizes cannot decide: the bytes have to be read.
    ambiguous_sources: UidSet = UidSet()
    #: Destination UIDs that may be copies of these.
    ambiguous_destinations: UidSet = UidSet()
    #: Source UIDs of which no copy was seen.
    absent: UidSet = field(default=UidSet())


def _exact(s: Sighting | Sent) -> Hashable:
    return (s.fingerprint, s.size_bytes)


def pair(sources: Iterable[Sighting], destinations: Iterable[Sighting]) -> Paired:
    """Matches copies to originals as a multiset, by what can be had without reading bodies.

    Where a fingerprint and size stand as often on both sides, the lowest UID belongs to the lowest. Where several stand
    at the source and a different number at the destination, only the bytes can tell. A copy whose size the destination
    changed is recognised by its fingerprint alone, if that stands as often on both sides among what is left.
    """
    left = {s.uid: s for s in sources}
    right = {s.uid: s for s in destinations}
    ours, theirs = Counter(map(_exact, left.values())), Counter(map(_exact, right.values()))
    unclear = {key for key, n in ours.items() if n > 1 and theirs[key] > 0 and theirs[key] != n}
    clear_left = {uid: _exact(s) for uid, s in left.items() if _exact(s) not in unclear}
    clear_right = {uid: _exact(s) for uid, s in right.items() if _exact(s) not in unclear}
    pairs = match(clear_left, clear_right)
    used = set(pairs.values())
    rest_left = {u: left[u].fingerprint for u in clear_left if u not in pairs}
    rest_right = {u: right[u].fingerprint for u in clear_right if u not in used}
    at_left, at_right = Counter(rest_left.values()), Counter(rest_right.values())
    pairs |= match(
        {u: f for u, f in rest_left.items() if at_left[f] == at_right[f] and f != NO_FINGERPRINT}, rest_right
    )
    ambiguous = [u for u, s in left.items() if _exact(s) in unclear]
    return Paired(
        pairs=pairs,
        ambiguous_sources=UidSet.of(ambiguous),
        ambiguous_destinations=UidSet.of(u for u, s in right.items() if _exact(s) in unclear),
        absent=UidSet.of(u for u in left if u not in pairs and u not in ambiguous),
    )
