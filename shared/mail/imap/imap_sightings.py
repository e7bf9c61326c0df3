"""The looks that a folder is given, and the sightings that come of them: which items of a message must be told, and what they say.

A body passes by and is not held: its digest is computed on the way, and goes with its beginning until all else is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from shared.content.fingerprint import (
    HEADER_BYTES,
    Canonical,
    delivered,
    fingerprint_of,
    header_of,
    identifying,
    in_ascii,
    message_id_of,
)
from shared.mail import Sighting
from shared.mail.answers.bounds import most_body
from shared.mail.answers.fetch_answer import size_of, uid_of
from shared.mail.answers.grammar import clean_text
from shared.mail.answers.internaldate import parse_internaldate
from shared.mail.answers.tokens import Text, Value
from shared.model.uids import Uid

HEADER_LIMIT: Final = 16 * 1024 * 1024

_TEXT: Final = b"BODY[TEXT]"


class BodySeen(Text):
    """The beginning of a section whose bytes passed by, with what was computed of them."""

    length: int
    canonical: Canonical

    @classmethod
    def of(cls, chunks: Iterable[bytes], room: int = HEADER_BYTES) -> BodySeen:
        """Reads the section and keeps its first `room` bytes."""
        canonical, kept, length = Canonical(), [], 0
        for chunk in chunks:
            canonical.update(chunk)
            if length < room:
                kept.append(bytes(chunk[: room - length]))
            length += len(chunk)
        seen = cls(b"".join(kept))
        seen.length, seen.canonical = length, canonical
        return seen


@dataclass(frozen=True, slots=True)
class Look:
    """The form of a look; see `shared.mail.MailSession.sightings`."""

    #: Whether bytes are read, not only the identifying fields of the header.
    full: bool = False
    #: The bytes of the text that are read with the header; 0 stands for the whole message.
    text_bytes: int = 0
    #: Whether flags are asked for.
    flags: bool = False

    def whole(self, told: Collection[bytes]) -> bool:
        """Tells whether these are all items that are asked for of a message."""
        wanted = {b"UID", b"INTERNALDATE"} | ({b"FLAGS"} if self.flags else set())
        if not self.full or self.text_bytes:
            wanted.add(b"RFC822.SIZE")
        sections = (b"BODY[HEADER", _TEXT) if self.text_bytes else (b"BODY[]",) if self.full else (b"BODY[",)
        return wanted.issubset(told) and all(any(key.startswith(one) for key in told) for one in sections)

    def most(self, items: dict[bytes, Value]) -> int:
        """Returns the most bytes that a section of this message may have."""
        return most_body(max(0, size_of(items))) if self.full else HEADER_LIMIT

    def seen(self, key: bytes, chunks: Iterable[bytes]) -> Text:
        """Reads a section as it passes by."""
        if self.text_bytes and key.startswith(_TEXT):  # the header may come later, and its digest goes on with this
            return BodySeen.of(chunks, self.text_bytes)
        return BodySeen.of(chunks)

    def sighting(self, items: dict[bytes, Value]) -> Sighting | None:
        """Returns what these items tell of a message; None without a section: it was expunged meanwhile."""
        sections = {k: v for k, v in items.items() if k.startswith(b"BODY[") and isinstance(v, bytes)}
        text = next((v for k, v in sections.items() if k.startswith(_TEXT)), None) if self.text_bytes else None
        start = sections.get(b"BODY[]") or next((v for k, v in sections.items() if not k.startswith(_TEXT)), text)
        raw, size = items.get(b"INTERNALDATE"), max(0, size_of(items))
        date = raw if isinstance(raw, bytes) else None
        if start is None:
            return None
        if not self.full:
            return sighting_of(uid_of(items), size, date, start)
        one = start if isinstance(start, BodySeen) else BodySeen.of([start])
        length = one.length
        if text is not None and text is not start:
            one.canonical.update(text[: self.text_bytes])
            length += text.length if isinstance(text, BodySeen) else len(text)
        if not self.text_bytes:
            size = length
        certain = length == size or delivered(header_of(one))
        return sighting_of(uid_of(items), size, date, one, one.canonical, certain)


def sighting_of(
    uid: int, size: int, date: bytes | None, start: bytes, canonical: Canonical | None = None, certain: bool = False
) -> Sighting:
    """Returns the sighting of a message that begins with `start`."""
    fields = identifying(header_of(start))
    return Sighting(
        uid=Uid(uid),
        size_bytes=size,
        internaldate=parse_internaldate(date)[0],
        fingerprint=fingerprint_of(fields),
        message_id=clean_text(message_id_of(fields)),
        digest=canonical.digest() if canonical else None,
        alike=canonical.alike() if canonical else (),
        in_ascii=in_ascii(fields),
        certain=certain,
        nuls=canonical.nuls if canonical else 0,
        checksum=canonical.checksum if canonical else 0,
    )
