"""Decides what is remembered of a message between its APPEND and the answer. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.model import Note
from shared.model.messages import DROPPED, Message, Sighting
from shared.model.uids import Uid
from shared.nouns import dataclass
from shared.wording.phrases import Phrase, several
from worker.decisions.copy_notes import date_note, stands_for, watched

CANNOT_HOLD: Final = Phrase("cannot_hold", "the destination folder cannot hold: {names}")

ANNOUNCED_AND_SENT: Final = Phrase("announced_and_sent", "the source announced {announced} bytes and sent {sent}")
OTHERS_NOT_NAMED: Final = Phrase("others_not_named", "{what}; others that came with it are not named")

#: Most messages of a batch that are named for their size: some servers announce a wrong one for each.
MOST_RESIZED: Final = 50
#: Most keywords of one message that a note names.
MOST_NAMED: Final = 30


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
    #: Whether the message went with keywords, or flags that are not permanent there: if it is refused, it is tried once more
    #: without them.
    keywords: bool = False
    #: Notes for the operator.
    notes: tuple[Note, ...] = ()


def remembered(
    message: Message,
    date: int | None,
    lost_keywords: Sequence[str],
    keywords: bool,
    seen: str = "",
    resized: int = 0,
) -> Sent:
    """Returns the part of `message` that is needed until its answer comes.

    `date` is the date it is sent with (`worker.copying.dating`); `seen` as `shared.content.watching` says. `resized` counts the
    messages of the batch up to this one that have another size than was announced.
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

    lost: list[str] = [CANNOT_HOLD.says(names=named(lost_keywords))] if lost_keywords else []
    if lost := [*lost, *(oddity for oddity in message.oddities if DROPPED in oddity)]:
        note("keywords_lost", several(lost))
    if is_resized(message) and resized <= MOST_RESIZED:
        said = ANNOUNCED_AND_SENT.says(announced=f"{message.announced_bytes:,}", sent=f"{message.size_bytes:,}")
        note("resized", OTHERS_NOT_NAMED.says(what=said) if resized == MOST_RESIZED else said)
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


def named(flags: Sequence[str]) -> str:
    """Returns the names of flags for a note; of very many only the first ones."""
    return " ".join((*flags[:MOST_NAMED], *("…" for _ in flags[MOST_NAMED:][:1])))


def is_resized(message: Message) -> bool:
    """Tells whether the source sent more or fewer bytes of the message than it announced."""
    return message.announced_bytes >= 0 and message.announced_bytes != message.size_bytes


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
