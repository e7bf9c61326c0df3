"""Look before you append: what became of groups whose answer was lost.

An intent left behind says: copies of these source UIDs may stand in the destination folder, under UIDs at or above the
one noted. Whatever is there and the ledger does not know is matched with them as a multiset, first by header
fingerprint and size, and where that is ambiguous by the bytes. What is found goes into the ledger; the rest is pending
again. A connection that died may still deliver what it had taken (a proxy did, 3 s late), so a group of which something
is missing is left in doubt until its settle time is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.fingerprint import match
from shared.lifecycle import Control
from shared.mail import KnownStatus, MailDestination, MailSource, Sighting
from shared.model import Folder, Intent, Lease
from shared.store import WorkStore
from shared.uids import UidSet
from worker.decide import Paired, Sent, pair, settled_group


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """What a look at the destination told."""

    #: Source UIDs that turned out to be there.
    found: UidSet
    #: Source UIDs that are not there and may be appended.
    absent: UidSet
    #: Seconds until what was not seen may be taken as absent; 0 when it may be now.
    wait_seconds: float
    #: What a person wants.
    wanted: Control


def known_destinations(store: WorkStore, folder_id: str) -> UidSet:
    """Every destination UID that the ledger gives to a source UID."""
    known: list[tuple[int, int]] = []
    for entry in store.ledger(folder_id):
        for record in entry.records:
            known.extend(record.destination.ranges)
    return UidSet.parse(",".join(f"{a}:{b}" for a, b in known))


#: A window of UIDs wider than this is listed first: servers may jump ahead with their UIDs.
WIDE = 50_000


def arrived(destination: MailDestination, status: KnownStatus, low: int, known: UidSet) -> list[Sighting]:
    """What stands in the folder now open from UID `low` on and is not in `known`. `status` is of a fresh SELECT."""
    window = UidSet.span(low, status.uidnext - 1)
    if len(window) > WIDE:
        window = UidSet.of(uid for uid, _ in destination.sizes(status) if uid >= low)
    return list(destination.sightings(window - known))


def recognise(
    source: MailSource | None, destination: MailDestination, sources: list[Sighting], candidates: list[Sighting]
) -> dict[int, int]:
    """Source UID → destination UID; ambiguity is resolved by reading the bytes of just the ambiguous ones, or, without
    a source to read from, by order. With one, the bytes also decide of what is left over on both sides with the same
    fingerprint: some sources announce other sizes than they send (POP3, Exchange), and then neither twins nor messages
    without a header are told apart by less."""
    paired = pair(sources, candidates)
    pairs = dict(paired.pairs)
    if source is None:
        return pairs | dict(zip(paired.ambiguous_sources, paired.ambiguous_destinations, strict=False))
    left, right = _left_over(paired, sources, candidates)
    left, right = left | paired.ambiguous_sources, right | paired.ambiguous_destinations
    if left:
        pairs |= match(
            {s.uid: s.digest for s in source.sightings(left, full=True)},
            {s.uid: s.digest for s in destination.sightings(right, full=True)},
        )
    return pairs


def _left_over(paired: Paired, sources: list[Sighting], candidates: list[Sighting]) -> tuple[UidSet, UidSet]:
    """Source and destination UIDs that were not paired although their fingerprints are the same."""
    used = UidSet.of(paired.pairs.values()) | paired.ambiguous_destinations
    left = {s.uid: s.fingerprint for s in sources if s.uid in paired.absent}
    right = {s.uid: s.fingerprint for s in candidates if s.uid not in used}
    both = set(left.values()) & set(right.values())
    return (
        UidSet.of(uid for uid, fingerprint in left.items() if fingerprint in both),
        UidSet.of(uid for uid, fingerprint in right.items() if fingerprint in both),
    )


def just_stored(
    store: WorkStore, destination: MailDestination, folder: Folder, low: int, sent: Sequence[Sent], entered: UidSet
) -> dict[int, int]:
    """Source UID → destination UID of what the server took without telling where: it stands there in the order sent, from UID
    `low` on; only the bytes would tell more, and the source is busy streaming. `entered`: what the ledger is about to know."""
    known = known_destinations(store, folder.folder_id) | entered
    now = destination.open(folder.destination_name)  # anew, for its UIDNEXT of now
    ours = [
        Sighting(uid=s.uid, size_bytes=s.size_bytes, internaldate=s.internaldate, fingerprint=s.fingerprint)
        for s in sent
    ]
    return recognise(None, destination, ours, arrived(destination, now, low, known))


def look(
    lease: Lease,
    store: WorkStore,
    source: MailSource,
    destination: MailDestination,
    status: KnownStatus,
    intents: Sequence[Intent],
    settle_seconds: float,
) -> Looked:
    """Settles the intents that an earlier holder left. Both folders are open. Raises what the ports raise."""
    wanted_uids = UidSet.of(uid for intent in intents for uid in intent.uids)
    low = min(intent.destination_uidnext for intent in intents)
    candidates = arrived(destination, status, low, known_destinations(store, lease.unit.folder_id))
    sources = list(source.sightings(wanted_uids)) if candidates else []
    pairs = recognise(source, destination, sources, candidates) if sources else {}

    settled, withdrawn, missing = [], [], UidSet()
    by_uid = {s.uid: s for s in sources}
    wait = 0.0
    for intent in intents:
        # `pairs` has plain numbers as keys; order decides which destination UID stands where in the ledger.
        here = [(by_uid[uid], pairs[uid]) for uid in intent.uids if uid in pairs]
        absent = UidSet.of(uid for uid in intent.uids if uid not in pairs)
        age = lease.claimed_at - intent.at
        if absent and age < settle_seconds:
            wait = max(wait, settle_seconds - age)
            continue
        missing |= absent
        if here:
            group = [
                Sent(uid=s.uid, size_bytes=s.size_bytes, internaldate=s.internaldate, fingerprint=s.fingerprint)
                for s, _ in here
            ]
            settled.append(settled_group(intent.intent_id, group, [uid for _, uid in here]))
        else:
            withdrawn.append(intent.intent_id)
    word = store.progress(lease, settled=settled, withdrawn=withdrawn, doubts=wanted_uids).word
    found = UidSet.of(uid for s in settled for record in s.records for uid in record.source)
    return Looked(found=found, absent=missing, wait_seconds=wait, wanted=word)
