"""What a copy differs in from its original, once both were read: in content, or only in form. Pure.

Servers store line ends and dates in ways of their own, which harms nobody; other bytes are another message. Where the kind
cannot be told, it counts as content.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.dates import stand_ins
from shared.messages import Sighting
from shared.model import Note
from shared.model.ledger import AUDITED
from shared.uids import UidSet

#: Notes of what a destination did to a message: the content is another one, or only its form is.
CONTENT = "altered"
FORM = "normalised"


#: How a note of older versions begins, which knew sizes only: content and form were not told apart.
OLD_SIZE: Final = "stored "


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How a copy differs from its original."""

    #: `CONTENT` or `FORM`.
    what: str
    #: In words, for a person.
    reason: str


def unlike(original: Sighting, copy: Sighting) -> bool:
    """Whether the bytes of both have to be read, going by size and header."""
    return original.size_bytes != copy.size_bytes or original.fingerprint != copy.fingerprint


def difference(original: Sighting, copy: Sighting) -> Difference | None:
    """None when nothing that matters differs. The bytes of both were read, unless they are not `unlike`."""
    text = _text(original, copy)
    date = "the internal date is not that of the source" if _other_date(original, copy) else ""
    if text is None:
        return Difference(what=FORM, reason=date) if date else None
    return Difference(what=text.what, reason="; ".join(filter(None, (text.reason, date))))


def _text(original: Sighting, copy: Sighting) -> Difference | None:
    sizes = f"stored as {copy.size_bytes:,} bytes instead of {original.size_bytes:,}"
    resized = original.size_bytes != copy.size_bytes
    if original.digest is None or copy.digest is None:
        return Difference(what=CONTENT, reason=sizes) if resized else None
    if original.digest != copy.digest and original.alike[:1] != copy.alike[:1]:
        if set(copy.alike[:1]) & set(original.alike[1:]):
            return Difference(what=CONTENT, reason="8-bit bytes of the header are stored as other characters")
        return Difference(what=CONTENT, reason="content differs (SHA-256 of canonical bytes)")
    if original.nuls != copy.nuls:
        number = abs(original.nuls - copy.nuls)
        return Difference(what=CONTENT, reason=f"{number:,} NUL bytes stored as another byte")
    if resized:
        return Difference(what=FORM, reason=f"line ends normalised: {sizes}")
    return Difference(what=FORM, reason="line ends normalised") if original.checksum != copy.checksum else None


def _other_date(original: Sighting, copy: Sighting) -> bool:
    sent = original.internaldate
    return sent is not None and copy.internaldate not in stand_ins(sent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What earlier passes noted of a folder's messages, by UID at the source."""

    #: What is to be looked at again, whatever the digest of its entry says.
    uids: UidSet
    #: Of these, what is to be compared byte by byte.
    deep: UidSet
    #: Of these, what was compared: a message does not change, so only its being there is looked at.
    settled: Mapping[int, Note]
    #: The notes.
    notes: Mapping[int, Sequence[Note]]

    @classmethod
    def of(cls, kept: Sequence[Note]) -> Told:
        """From what the store keeps."""
        notes: dict[int, list[Note]] = defaultdict(list)
        for note in kept:
            if note.what in AUDITED and note.what != "doubled":  # that is about another message
                notes[note.uid].append(note)
        settled = {n.uid: n for n in kept if n.what in (CONTENT, FORM) and not n.reason.startswith(OLD_SIZE)}
        settled = {uid: note for uid, note in settled.items() if len(notes[uid]) == 1}
        deep = UidSet.of(uid for uid, found in notes.items() if uid not in settled and found[0].what != "missing")
        return cls(uids=UidSet.of(notes), deep=deep, settled=settled, notes=notes)

    def of_uid(self, uid: int) -> Iterator[Note]:
        """What stays to be said of a copy that is there and cannot be compared now."""
        return (note for note in self.notes.get(uid, ()) if note.what != "missing")
