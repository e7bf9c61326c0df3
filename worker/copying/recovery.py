"""Looks before appending again: finds out what became of groups whose answer was lost.

An intent left behind says: copies of these source UIDs may stand in the destination folder, under UIDs at or above the
one noted. Whatever is there and the ledger does not know is matched with them as a multiset, by the bytes
(`worker.copying.recognise`). What is found goes into the ledger; the rest is pending again. A connection that died may still
deliver what it had taken (a proxy did, 3 s late), so a group of which something is missing is left in doubt until its
settle time is over. What its user moved into another folder meanwhile is not missing (`worker.copying.moved_copies`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from shared.mail import KnownStatus, MailDestination, MailSource, Sighting
from shared.model import Folder, Intent, Lease, Note, Writing
from shared.model.lifecycle import Wish
from shared.model.uids import MAX_UID, NO_UIDS, Uid, UidSet
from shared.nouns import dataclass
from shared.store import WorkStore
from shared.wording.phrases import Phrase
from worker.copying.recognise import Recognised, Recognition
from worker.decisions.copy_notes import watched
from worker.decisions.ledger_entries import settled_group, with_moved
from worker.decisions.likeness import Reasons
from worker.decisions.pairing import pair
from worker.decisions.sent import Sent, sent_as


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """The result of a look at the destination."""

    #: Source UIDs whose copies are there.
    found: UidSet
    #: Source UIDs whose copies their user moved into another folder.
    moved: UidSet = NO_UIDS
    #: Source UIDs whose copies are nowhere; they may be appended.
    absent: UidSet
    #: Seconds until what was not seen may be taken as absent; 0 when it may be now.
    wait_seconds: float
    #: The operator's wish.
    wanted: Wish


def known_destinations(store: WorkStore, folder_id: str) -> UidSet:
    """Returns every destination UID that the ledger gives to a source UID."""
    known: list[tuple[int, int]] = []
    for entry in store.ledger(folder_id):
        for record in entry.records:
            known.extend(record.destination.ranges)
    return UidSet.parse(",".join(f"{a}:{b}" for a, b in known))


#: The reason why a message that is found is read back: the lane that sent it is gone, with what it had seen of it.
UNSEEN = Phrase("found_after_connection_broke", "found after the connection broke").says()

#: The least seconds until a batch is looked at again whose copies may be those of another lane. Its answer is due any moment.
CONTESTED_SECONDS = 2.0


def contested_seconds(age: float, settle_seconds: float) -> float:
    """Returns the seconds until a batch is looked at again whose copies may be another lane's.

    Each look costs two sign-ins, so each wait is as long as all before it, up to the settle time. `age` is the seconds
    since the group was sent.
    """
    return max(CONTESTED_SECONDS, min(age, settle_seconds))


#: Width of a window of UIDs above which it is listed first; so is a window wider than the number of messages, since
#: servers may jump ahead with their UIDs.
WIDE = 50_000


def arrived(
    destination: MailDestination, status: KnownStatus, low: int, known: UidSet, below: int | None = None
) -> list[Sighting]:
    """Returns the messages of the open folder from UID `low` on that are not in `known`, and `below` a UID if given.

    `status` is of the SELECT that opened it: what arrived since is not seen.
    """
    window = UidSet.span(low, min(status.uidnext, below or status.uidnext) - 1)
    if len(window - known) > min(WIDE, status.messages):
        listed = UidSet.of(uid for uid, _ in destination.sizes(status))
        if len(listed) < status.messages:
            listed |= UidSet.of(uid for uid, _ in destination.look_again(listed)[0])
        window = window & listed
    return list(destination.sightings(window - known))


def just_stored(
    store: WorkStore, destination: MailDestination, folder: Folder, low: int, sent: Sequence[Sent], entered: UidSet
) -> dict[int, int]:
    """Returns source UID → destination UID of messages that the server took without telling their UIDs.

    They stand there in the order sent, from UID `low` on; only the bytes would tell more, and the source is busy
    streaming. `entered` are the UIDs that the ledger is about to know. As many as are missing, of which nothing is as it was
    sent, are what the server made of these: verification compares their bytes, and tells what is different.
    """
    known = known_destinations(store, folder.folder_id) | entered
    now = destination.open(folder.destination_name)  # for its present UIDNEXT
    ours = [
        Sighting(uid=s.uid, size_bytes=s.size_bytes, internaldate=s.internaldate, fingerprint=s.fingerprint)
        for s in sent
    ]
    seen = arrived(destination, now, low, known)
    paired = pair(ours, seen)
    in_order = zip(paired.ambiguous_sources, paired.ambiguous_destinations, strict=False)
    others = UidSet.of(s.uid for s in seen) - UidSet.of(paired.pairs.values()) - paired.ambiguous_destinations
    unlike = zip(paired.absent, others, strict=True) if len(others) == len(paired.absent) else ()
    return {**paired.pairs, **dict(in_order), **dict(unlike)}


def _contested(
    source: MailSource, ours: Mapping[int, int], candidates: Iterable[Sighting], live: Sequence[Intent]
) -> UidSet:
    """Returns those source UIDs of `ours` (to destination UID) whose copy may be what a lane at work has just brought.

    Any reason to compare the copy with a message of that lane is enough.
    """
    of = {uid: to for uid, to in ours.items() if any(to >= intent.destination_uidnext for intent in live)}
    if not of:
        return NO_UIDS
    copies = {seen.uid: seen for seen in candidates if seen.uid in set(of.values())}
    reasons = Reasons(copies.values())
    rivals = [
        seen
        for seen in source.sightings(UidSet.of(uid for intent in live for uid in intent.uids))
        if reasons.meet(seen)
    ]
    if not rivals:
        return NO_UIDS
    why = {to: Reasons([seen]) for to, seen in copies.items()}
    return UidSet.of(uid for uid, to in of.items() if any(why[Uid(to)].meet(rival) for rival in rivals))


def _promised(
    recognition: Recognition,
    absent: UidSet,
    pairs: Mapping[int, Recognised],
    candidates: Sequence[Sighting],
    rivals: Iterable[Intent],
) -> UidSet:
    """Returns those source UIDs of `absent` whose copy may be one that `pairs` gave to a twin of these `rivals`."""
    given = {pairs[uid].copy.uid for intent in rivals for uid in intent.uids if uid in pairs}
    copies = [seen for seen in candidates if seen.uid in given]
    return UidSet.of(recognition.among(absent, copies)) if absent and copies else NO_UIDS


def look(
    lease: Lease,
    store: WorkStore,
    source: MailSource,
    destination: MailDestination,
    status: KnownStatus,
    intents: Sequence[Intent],
    settle_seconds: float,
    theirs: UidSet = NO_UIDS,
    writing: Writing | None = None,
    elsewhere: Callable[[UidSet, UidSet], Mapping[int, Note]] = lambda missing, here: {},
) -> Looked:
    """Settles the intents that an earlier holder left; `theirs` are destination UIDs that neighbours brought.

    Both folders are open, the destination's since the lease was claimed. `writing` is what other lanes write into the folder,
    asked for after it was opened; None where there are none. Twins of what other holders left are matched in one multiset with
    ours: while one of these twins may still arrive, no other is sent again. Of what other lanes may have brought nothing is
    taken. `elsewhere` looks for copies in other folders, and leaves both of these open; it is asked where something is missing
    that may have been here and gone. Raises what the ports raise.
    """
    wanted_uids = UidSet.of(uid for intent in intents for uid in intent.uids)
    low = min(intent.destination_uidnext for intent in intents)
    known = known_destinations(store, lease.unit.folder_id) if writing is None else writing.taken
    candidates = arrived(destination, status, low, known | theirs)
    dead = [*intents, *(writing.left if writing else ())]
    recognition = Recognition(source, destination)
    pairs = recognition.among(UidSet.of(uid for intent in dead for uid in intent.uids), candidates)
    ours: dict[int, int] = {uid: pairs[uid].copy.uid for uid in wanted_uids if uid in pairs}
    contested = _contested(source, ours, candidates, writing.live) if writing else NO_UIDS
    dates = {seen.uid: seen.internaldate for seen in candidates}

    # What was sent a moment ago may be on its way still, and the copy that was given to it be an older one's.
    young = [intent for intent in dead if lease.claimed_at - intent.at < settle_seconds]
    absent = UidSet.of(uid for uid in wanted_uids if uid not in pairs)
    promised = _promised(recognition, absent, pairs, candidates, young)

    wait = 0.0
    due: list[tuple[Intent, UidSet]] = []
    for intent in intents:
        absent = UidSet.of(uid for uid in intent.uids if uid not in pairs)
        age = lease.claimed_at - intent.at
        if contested & intent.uids:
            wait = max(wait, contested_seconds(age, settle_seconds))
        elif absent and age < settle_seconds:
            wait = max(wait, settle_seconds - age)
        elif absent & promised:
            wait = max(wait, settle_seconds - (lease.claimed_at - max(one.at for one in young)))
        else:
            due.append((intent, absent))

    missing = UidSet.joined([part for _, absent in due for part in absent.ranges])
    # UIDs that were given away since, and that nothing has any more.
    gone = UidSet.span(low, status.uidnext - 1) - known - theirs - UidSet.of(dates)
    moved = elsewhere(missing, UidSet.of(ours) - contested) if missing and gone else {}
    # From there on a UID may be that of a copy which a lane at work is about to enter.
    unsure = min((intent.destination_uidnext for intent in writing.live), default=MAX_UID) if writing else MAX_UID
    settled, withdrawn, doubts, away = [], [], UidSet(), UidSet()
    for intent, absent in due:
        notes: dict[int, Note] = {uid: moved[uid] for uid in absent if uid in moved}
        free = gone & UidSet.span(intent.destination_uidnext, MAX_UID)
        places = (free & UidSet.span(1, unsure - 1)).take(len(notes))[0]
        if len(places) < min(len(notes), len(free)):
            wait = max(wait, contested_seconds(lease.claimed_at - intent.at, settle_seconds))
            continue
        gone -= places
        notes = {uid: notes[uid] for uid in sorted(notes)[: len(places)]}
        # The order decides which destination UID stands where in the ledger.
        here = [pairs[uid] for uid in intent.uids if uid in pairs]
        if here or notes:
            group = [
                sent_as(found.original, dates[found.copy.uid], watched(found.original.uid, UNSEEN)) for found in here
            ]
            entry = settled_group(intent.intent_id, group, [found.copy.uid for found in here])
            settled.append(with_moved(entry, notes, places))
        else:
            withdrawn.append(intent.intent_id)
        away |= UidSet.of(notes)
        doubts |= absent - UidSet.of(notes)
    word = store.progress(lease, settled=settled, withdrawn=withdrawn, doubts=doubts).word
    found = UidSet.of(uid for s in settled for record in s.records for uid in record.source)
    return Looked(found=found - away, moved=away, absent=doubts, wait_seconds=wait, wanted=word)
