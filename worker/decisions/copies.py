"""Decides about messages, by pure functions.

They decide which flags are copied, what an answer means for the ledger, and which copy belongs to which message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.content.dates import stand_ins, usual
from shared.content.fingerprint import MODULUS, NO_FINGERPRINT, mark, match
from shared.model import Intent, Note, Settled, Unit, UnitKind, part_id
from shared.model.lifecycle import Outcome
from shared.model.messages import DROPPED, Message, Sighting
from shared.model.uids import Uid, UidSet, records_of
from shared.wording.phrases import Phrase, several

CANNOT_HOLD: Final = Phrase("cannot_hold", "the destination folder cannot hold: {names}")

NO_USABLE_INTERNALDATE: Final = Phrase(
    "no_usable_internaldate", "the source gives no usable INTERNALDATE; the destination sets its own"
)
NEAREST_DATE_SET: Final = Phrase(
    "nearest_date_set",
    "the destination does not keep the message's internal date; the nearest date that it keeps was set",
)
TO_BE_READ_BACK_WHOLE: Final = Phrase("to_be_read_back_whole", "to be read back whole: {why}")

_SYSTEM = {"\\seen", "\\answered", "\\flagged", "\\draft", "\\deleted"}


def kept_flags(flags: Sequence[str], permanent: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Splits `flags` into those that the destination folder can hold and the keywords that it cannot.

    RFC 9051 §7.1, PERMANENTFLAGS: without the answer, everything can be stored; with it, only what it lists, or any
    keyword when it lists ``\\*``.
    """
    if not permanent or "\\*" in permanent:
        return tuple(flags), ()
    allowed = {flag.lower() for flag in permanent} | _SYSTEM
    kept = tuple(flag for flag in flags if flag.lower() in allowed)
    return kept, tuple(flag for flag in flags if flag.lower() not in allowed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """The part of a message that is remembered between its APPEND and the answer."""

    #: UID at the source.
    uid: Uid
    #: Bytes sent.
    size_bytes: int
    #: INTERNALDATE as sent, seconds since the epoch; None when the source's was unusable.
    internaldate: int | None
    #: Header fingerprint.
    fingerprint: bytes
    #: Whether the message went with keywords: if it is refused, it is tried once more without them.
    keywords: bool = False
    #: Notes for the operator.
    notes: tuple[Note, ...] = ()


def stands_for(date: int | None, internaldate: int | None) -> bool:
    """Tells whether a copy with this date has the date of its original, or the date set in its place."""
    return date is not None and internaldate is not None and date in stand_ins(internaldate)


def date_note(uid: Uid, internaldate: int | None, size_bytes: int, copied: int | None, doubt: str = "") -> Note | None:
    """Returns the note about the internal date of a message's copy; None where the date is the message's own.

    `copied` is the date of the copy; `doubt` as in `Message.date_doubt`.
    """
    reason: str
    if internaldate is None:
        what, reason = "date_unusable", NO_USABLE_INTERNALDATE.says()
    elif copied != internaldate and not usual(internaldate):
        what = "date_clamped"
        reason = NEAREST_DATE_SET.says()
    elif doubt:
        what, reason = "date_unusable", doubt
    else:
        return None
    return Note(uid=uid, what=what, reason=reason, internaldate=internaldate, size_bytes=size_bytes)


def watched(uid: Uid, seen: str) -> Note:
    """Returns the note that a message is to be read back whole, for what was seen in it (`shared.content.watching`)."""
    return Note(uid=uid, what="watched", reason=TO_BE_READ_BACK_WHOLE.says(why=seen))


def remembered(
    message: Message, date: int | None, lost_keywords: Sequence[str], keywords: bool, seen: str = ""
) -> Sent:
    """Returns the part of `message` that is needed until its answer comes.

    `date` is the date it is sent with (`worker.copying.dating`); `seen` as `shared.content.watching` says.
    """
    notes: list[Note] = []
    dated = date_note(message.uid, message.internaldate, message.size_bytes, date, message.date_doubt)
    if dated is not None:
        notes.append(dated)

    def note(what: str, reason: str) -> None:
        notes.append(
            Note(
                uid=message.uid,
                what=what,
                reason=reason,
                internaldate=message.internaldate,
                size_bytes=message.size_bytes,
            )
        )

    lost: list[str] = [CANNOT_HOLD.says(names=" ".join(lost_keywords))] if lost_keywords else []
    if lost := [*lost, *(oddity for oddity in message.oddities if DROPPED in oddity)]:
        note("keywords_lost", several(lost))
    if seen:
        notes.append(watched(message.uid, seen))
    if message.oddities:
        note("odd", several(message.oddities))
    return Sent(
        uid=message.uid,
        size_bytes=message.size_bytes,
        internaldate=date,
        fingerprint=message.fingerprint,
        keywords=keywords,
        notes=tuple(notes),
    )


def sent_as(original: Sighting, date: int | None, *notes: Note) -> Sent:
    """Returns the same part for a message whose copy already stands at the destination, with this date."""
    own = original.internaldate
    dated = date_note(original.uid, own, original.size_bytes, date)
    return Sent(
        uid=original.uid,
        size_bytes=original.size_bytes,
        internaldate=date if stands_for(date, own) else own,
        fingerprint=original.fingerprint,
        notes=(*notes, dated) if dated is not None else notes,
    )


def settled_group(intent_id: str, group: Sequence[Sent], destinations: Sequence[int]) -> Settled:
    """Returns the ledger entry for messages of `group` that were stored under `destinations`, in the same order."""
    digest = 0
    for sent, uid in zip(group, destinations, strict=True):
        digest += mark(uid, sent.size_bytes, sent.internaldate, sent.fingerprint)
    return Settled(
        intent_id=intent_id,
        records=tuple(records_of(zip((s.uid for s in group), destinations, strict=True))),
        size_bytes=sum(s.size_bytes for s in group),
        digest=digest % MODULUS,
        notes=tuple(note for s in group for note in s.notes),
    )


def without_copy(
    outcome: Outcome, uids: UidSet, notes: Sequence[Note], size_bytes: int = 0, intent_id: str = ""
) -> Settled:
    """Returns the ledger entry for messages that got `outcome` without a copy."""
    return Settled(intent_id=intent_id, others={outcome: uids}, notes=tuple(notes), size_bytes=size_bytes)


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
    changed is recognised by its fingerprint alone, if that occurs once on each side.
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
    once_left, once_right = Counter(rest_left.values()), Counter(rest_right.values())
    pairs |= match(
        {u: f for u, f in rest_left.items() if once_left[f] == 1 and f != NO_FINGERPRINT},
        {u: f for u, f in rest_right.items() if once_right[f] == 1},
    )
    ambiguous = [u for u, s in left.items() if _exact(s) in unclear]
    return Paired(
        pairs=pairs,
        ambiguous_sources=UidSet.of(ambiguous),
        ambiguous_destinations=UidSet.of(u for u, s in right.items() if _exact(s) in unclear),
        absent=UidSet.of(u for u in left if u not in pairs and u not in ambiguous),
    )


def halves(unit: Unit, remaining: UidSet, intents: Sequence[Intent], attempts: int) -> list[tuple[Unit, list[Intent]]]:
    """Returns two batches over the messages that `unit` has not done, each with the intents that concern it."""
    return divided(unit, remaining.take((len(remaining) + 1) // 2), intents, attempts)


def divided(
    unit: Unit, parts: Iterable[UidSet], intents: Sequence[Intent], attempts: int
) -> list[tuple[Unit, list[Intent]]]:
    """Returns a batch for each of `parts`, which hold what `unit` has not done, with the intents that concern it."""
    out = []
    for part in parts:
        if not part:
            continue
        share = Unit(
            unit_id=part_id(unit.unit_id, part),
            kind=UnitKind.COPY,
            mailbox_id=unit.mailbox_id,
            folder_id=unit.folder_id,
            uids=part,
            size_bytes=unit.size_bytes * len(part) // max(1, len(unit.uids)),
            attempts=attempts,
        )
        mine = [
            Intent(
                intent_id=i.intent_id,
                uids=i.uids & part,
                destination_uidvalidity=i.destination_uidvalidity,
                destination_uidnext=i.destination_uidnext,
                at=i.at,
            )
            for i in intents
            if i.uids & part
        ]
        out.append((share, mine))
    return out
