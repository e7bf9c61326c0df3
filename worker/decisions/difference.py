"""Tells whether a copy differs from its original in content or only in form, once both were read. Pure.

Servers store line ends and dates in ways of their own, which is harmless; other bytes are another message. Where the
kind of difference cannot be told, it counts as content.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shared.content.dates import stand_ins
from shared.content.fingerprint import FORMS, unmarked_of
from shared.model import Note
from shared.model.ledger import AUDITED, GONE
from shared.model.messages import Sighting
from shared.model.uids import UidSet
from shared.nouns import dataclass
from shared.wording.phrases import Phrase, several

NORMALISED_TO: Final = Phrase("normalised_to", "line ends normalised: {what}")

STORED_AS_BYTES_INSTEAD: Final = Phrase("stored_as_bytes_instead", "stored as {num} bytes instead of {size}")
INTERNAL_DATE_DIFFERS: Final = Phrase("internal_date_differs", "the internal date is not that of the source")
NUL_BYTES_STORED_AS_ANOTHER_BYTE: Final = Phrase(
    "nul_bytes_stored_as_another_byte", "{num} NUL bytes stored as another byte"
)
LINE_ENDS_NORMALISED: Final = Phrase("line_ends_normalised", "line ends normalised")
CONTENT_DIFFERS_SHA_256: Final = Phrase("content_differs_sha_256", "content differs (SHA-256 of canonical bytes)")

#: Notes on what a destination did to a message: `CONTENT` if it holds other content, `FORM` if only the form changed.
CONTENT = "altered"
FORM = "normalised"


#: The beginning of a note written by older versions, which knew sizes only and did not tell content from form.
OLD_SIZE: Final = "stored "


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The difference between a copy and its original."""

    #: `CONTENT` or `FORM`.
    what: str
    #: The reason in words, for the operator.
    reason: str


def unlike(original: Sighting, copy: Sighting) -> bool:
    """Tells whether size or header differ, so that the bytes of both have to be read."""
    return original.size_bytes != copy.size_bytes or original.fingerprint != copy.fingerprint


def difference(original: Sighting, copy: Sighting) -> Difference | None:
    """Returns how the copy differs; None when nothing that matters differs.

    The bytes of both were read, unless they are not `unlike`.
    """
    text = _text(original, copy)
    date = INTERNAL_DATE_DIFFERS.says() if _other_date(original, copy) else ""
    if text is None:
        return Difference(what=FORM, reason=date) if date else None
    return Difference(what=text.what, reason=several((text.reason, date)))


def _text(original: Sighting, copy: Sighting) -> Difference | None:
    sizes = STORED_AS_BYTES_INSTEAD.says(num=f"{copy.size_bytes:,}", size=f"{original.size_bytes:,}")
    resized = original.size_bytes != copy.size_bytes
    if original.digest is None or copy.digest is None:
        return Difference(what=CONTENT, reason=sizes) if resized else None
    if original.digest != copy.digest and original.alike[:1] != copy.alike[:1]:
        foreseen = zip(original.alike, FORMS, strict=False)
        words = next((said for form, said in foreseen if said and form == copy.alike[0]), "")
        if not words and unmarked_of(original.alike) == unmarked_of(copy.alike):
            words = FORMS[-1]
        return Difference(what=CONTENT, reason=words or CONTENT_DIFFERS_SHA_256.says())
    if original.nuls != copy.nuls:
        number = abs(original.nuls - copy.nuls)
        return Difference(what=CONTENT, reason=NUL_BYTES_STORED_AS_ANOTHER_BYTE.says(num=f"{number:,}"))
    if resized:
        return Difference(what=FORM, reason=NORMALISED_TO.says(what=sizes))
    return Difference(what=FORM, reason=LINE_ENDS_NORMALISED.says()) if original.checksum != copy.checksum else None


def _other_date(original: Sighting, copy: Sighting) -> bool:
    sent = original.internaldate
    return sent is not None and copy.internaldate not in stand_ins(sent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """The notes that earlier passes made about a folder's messages, by UID at the source."""

    #: UIDs to look at again, whatever the digest of their entry says.
    uids: UidSet
    #: The UIDs among these to compare byte by byte.
    deep: UidSet
    #: The notes of those already compared: a message does not change, so only its presence is checked.
    settled: Mapping[int, Note]
    #: The notes on copies that are gone: they hold for as long as the copy is not there.
    gone: Mapping[int, Note]
    #: The notes, by UID.
    notes: Mapping[int, Sequence[Note]]

    @classmethod
    def of(cls, kept: Sequence[Note]) -> Told:
        """Sorts the notes that the store keeps."""
        notes: dict[int, list[Note]] = defaultdict(list)
        for note in kept:
            if note.what in AUDITED and note.what != "doubled":  # "doubled" is about another message
                notes[note.uid].append(note)
        settled = {n.uid: n for n in kept if n.what in (CONTENT, FORM) and not n.reason.startswith(OLD_SIZE)}
        settled = {uid: note for uid, note in settled.items() if len(notes[uid]) == 1}
        deep = UidSet.of(uid for uid, found in notes.items() if uid not in settled and found[0].what not in GONE)
        gone = {note.uid: note for note in kept if note.what in GONE}
        return cls(uids=UidSet.of(notes), deep=deep, settled=settled, gone=gone, notes=notes)

    def of_uid(self, uid: int) -> Iterator[Note]:
        """Returns the notes that remain valid for a copy that is there and cannot be compared now."""
        return (note for note in self.notes.get(uid, ()) if note.what not in GONE)
