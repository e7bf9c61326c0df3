"""Decides which copy belongs to which message, by what can be had without reading bodies. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
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


def _of_one_size(seen: Iterable[Sighting]) -> dict[Hashable, int]:
    """Returns how often each fingerprint occurs, of those that occur with one size only."""
    sizes: defaultdict[Hashable, list[int | None]] = defaultdict(list)
    for one in seen:
        sizes[one.fingerprint].append(one.size_bytes)
    return {fingerprint: len(found) for fingerprint, found in sizes.items() if len(set(found)) == 1}


def pair(sources: Iterable[Sighting], destinations: Iterable[Sighting]) -> Paired:
    """Matches copies to originals as a multiset, by what can be had without reading bodies.

    Where a fingerprint and size stand as often on both sides, the lowest UID belongs to the lowest. Where several stand
    at the source and a different number at the destination, only the bytes can tell. A copy whose size the destination
    changed is recognised by its fingerprint alone, if that stands as often on both sides among what is left, in one size there and
    in one size here: otherwise messages with one header and different bodies could be taken for each other.
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
    at_left, at_right = _of_one_size(left[uid] for uid in rest_left), _of_one_size(right[uid] for uid in rest_right)
    sure = {f for f, n in at_left.items() if at_right.get(f) == n and f != NO_FINGERPRINT}
    pairs |= match({uid: f for uid, f in rest_left.items() if f in sure}, rest_right)
    ambiguous = [u for u, s in left.items() if _exact(s) in unclear]
    return Paired(
        pairs=pairs,
        ambiguous_sources=UidSet.of(ambiguous),
        ambiguous_destinations=UidSet.of(u for u, s in right.items() if _exact(s) in unclear),
        absent=UidSet.of(u for u in left if u not in pairs and u not in ambiguous),
    )
