"""Fingerprints that make an appended copy recognisable, and the definition of "the same bytes".

Servers store some bytes differently without saying so: Dovecot turns bare LF into CRLF, collapses CR CR LF, drops a
final bare CR and gives NUL back as 0x80 (measured). `Canonical` undoes exactly that, so that equal messages have equal
digests on both sides. Two servers take more away, which makes another message of it: Cyrus the 8-bit bytes of the
header, Courier each CR without LF. Servers that keep mail in mbox files add and remove header fields of their own
(`shared.content.mbox`). `Canonical.alike` foresees all three. The header fingerprint is cheaper: four fields, white space
collapsed, that a server can serve from its cache. Neither is ever an identity; that is the source UID. They only tell
copies apart in a window where something that mailhaul sent is known to have arrived, and always as a multiset: equal
messages may occur twice.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any, Final

from shared.content.mbox import Unmarked
from shared.wording.phrases import Phrase

CRS_WITHOUT_LF_ARE_NOT_STORED: Final = Phrase("crs_without_lf_are_not_stored", "CRs without LF are not stored")
MBOX_LINES_DIFFER: Final = Phrase(
    "mbox_lines_differ",
    "a first line `From ` or header fields of mbox (Status, X-UID and the like) are not those of the source",
)
EIGHT_BIT_BYTES_OF_HEADER: Final = Phrase(
    "eight_bit_bytes_of_header", "8-bit bytes of the header are stored as other characters"
)

#: The header fields that the fingerprint is made of, as FETCH names them.
FIELDS = ("MESSAGE-ID", "DATE", "FROM", "SUBJECT")

#: The number of bytes of a header that are looked at; longer ones are compared by digest instead.
HEADER_BYTES = 65_536

#: The same where whole headers come and servers at the other end give the fields alone, wherever they stand: POP3.
LONG_HEADER_BYTES = 1 << 20

#: One of the fields, in a header with a line end in front: a pattern that begins with one byte is found four times as fast.
_FIELD = re.compile(rb"\n(message-id|date|from|subject)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE)
_RECEIVED = re.compile(rb"(?:\A|\n)received[ \t]*:", re.IGNORECASE)
_END = re.compile(rb"\r*\n\r*\n")
_LINE_END = re.compile(rb"\r*\n")
_LONE_CR = re.compile(rb"\r(?!\n)")
_NOT_KEPT = re.compile(rb"[^A-WYZa-z0-9]+")
#: NUL, and the byte that Dovecot makes of it, count as blanks.
_BLANKS = bytes.maketrans(b"\x00\x80", b"  ")

#: The characters that servers put in place of an 8-bit byte of the header: Cyrus an X (munge8bit, its default), others
#: a question mark.
REPLACEMENTS = b"X?"
_REPLACED = {byte: bytes(range(128)) + bytes([byte]) * 128 for byte in REPLACEMENTS}
#: The change of a message whose copy has the digest at this place of `Canonical.alike`; none at the first.
FORMS: Final = (
    "",
    *[EIGHT_BIT_BYTES_OF_HEADER.says()] * len(REPLACEMENTS),
    CRS_WITHOUT_LF_ARE_NOT_STORED.says(),
    MBOX_LINES_DIFFER.says(),
)
_ENDS_AT_ONCE = 32_768

#: The modulus for sums of digests, so that Redis's Lua (doubles) adds them exactly.
MODULUS = 1 << 48


def header_of(start: bytes, most: int = HEADER_BYTES) -> bytes:
    """Returns the header block of a message of which `start` holds the beginning; at most its first `most` bytes."""
    end = start.find(b"\r\n\r\n", 0, most)
    if end >= 0 and start.find(b"\n\n", 0, end) < 0:  # the usual case; three times as fast as the pattern
        return start[:end].rstrip(b"\r")
    found = _END.search(start, 0, most)
    return start[: found.start()] if found else start[:most]


def beginning(start: bytes, text_bytes: int) -> bytes:
    """Returns the header and the first bytes of the text of a message that begins with `start`.

    That is what BODY[HEADER] and BODY[TEXT]<0.n> give.
    """
    end = start.find(b"\r\n\r\n")
    return start if end < 0 else start[: end + 4 + text_bytes]


def delivered(header: bytes) -> bool:
    """Tells whether a server delivered the message, so that it was not edited afterwards, as drafts are.

    A delivered message has a Received (RFC 5321 §4.4).
    """
    return _RECEIVED.search(header) is not None


def identifying(header: bytes) -> list[tuple[bytes, bytes]]:
    """Returns the fields of `FIELDS` that the header has, (name, value), in their order.

    The names are in lower case, and blanks are collapsed.
    """
    return [
        (name.lower(), b" ".join(value.translate(_BLANKS).split())) for name, value in _FIELD.findall(b"\n" + header)
    ]


def fingerprint_of(fields: list[tuple[bytes, bytes]]) -> bytes:
    """Returns 8 bytes that two copies share: a digest of Message-ID, Date, From and Subject, blanks and order aside."""
    lines = sorted([b"%b:%b" % field for field in fields])
    return hashlib.blake2b(b"\n".join(lines), digest_size=8).digest()


def header_fingerprint(header: bytes) -> bytes:
    """Returns `fingerprint_of` a header block."""
    return fingerprint_of(identifying(header))


def in_ascii(fields: list[tuple[bytes, bytes]]) -> bytes:
    """Returns 8 bytes that a copy shares whose 8-bit bytes were replaced.

    They are a digest of the ASCII letters and digits of the four fields, without the characters that servers put in
    place of others. Returns b"" where the fields hold neither 8-bit bytes nor such characters.
    """
    values = b"".join([value for _, value in fields])
    if values.isascii() and b"X" not in values and b"?" not in values:  # REPLACEMENTS
        return b""
    return fingerprint_of([(name, _NOT_KEPT.sub(b"", value)) for name, value in fields])


def message_id_of(fields: list[tuple[bytes, bytes]]) -> str:
    """Returns the Message-ID as it stands, for reports; "" where there is none."""
    return next((value.decode("ascii", "replace") for name, value in fields if name == b"message-id"), "")


#: The fingerprint of a message without any of the fields; it tells nothing apart.
NO_FINGERPRINT = header_fingerprint(b"")


def mark(destination_uid: int, size_bytes: int, internaldate: int | None, fingerprint: bytes) -> int:
    """Returns one message's share in the digest of its batch, below `MODULUS`.

    The shares are added, so that any order and any grouping give the same sum, and the sum of a folder can be checked
    without storing a word for each message.
    """
    text = b"%d %d %d " % (destination_uid, size_bytes, -1 if internaldate is None else internaldate)
    return int.from_bytes(hashlib.blake2b(text + fingerprint, digest_size=6).digest(), "big")


class Canonical:
    """The SHA-256 of a message's canonical bytes, and of the variants that servers are known to make of them.

    The bytes may be fed in chunks of any size.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        #: CRs that may belong to a line end which goes on in the next chunk.
        self._held = b""
        #: Line ends that came last and are not hashed yet, since they may end the message.
        self._ends = 0
        self._begun, self._in_header = False, True
        #: Replacement → the hash of a message whose header had 8-bit bytes; empty until one is seen.
        self._replaced: dict[int, Any] = {}
        #: The hash without CRs that no LF follows; None until one is seen.
        self._stripped: Any = None
        #: The hash without the lines that servers of mbox files put there.
        self._unmarked = Unmarked()
        #: NUL bytes so far: the digest does not tell them from 0x80.
        self.nuls = 0
        #: CRC-32 of the bytes as they came: the digest does not tell line ends apart.
        self.checksum = 0

    def update(self, chunk: bytes) -> None:
        """Adds bytes; a line end that may go on in the next chunk is held back."""
        self.checksum = zlib.crc32(chunk, self.checksum)
        if b"\x00" in chunk:
            self.nuls += bytes(chunk).count(b"\x00")
        data = self._held + bytes(chunk)
        keep = len(data) - len(data.rstrip(b"\r"))
        self._held = data[len(data) - keep :] if keep else b""
        data = _canonical(data[: len(data) - keep] if keep else data)
        text = data.rstrip(b"\r\n")
        if text:
            self._add(text)
        self._ends += (len(data) - len(text)) // 2

    def _add(self, text: bytes) -> None:
        """Hashes the line ends that are due and `text`, which does not end with one."""
        starts = text.startswith(b"\r\n")
        # A blank line ends the header; a message that begins with one has none.
        over = (self._ends > 1 or (self._ends == 1 and starts)) if self._begun else (self._ends > 0 or starts)
        self._in_header, self._begun = self._in_header and not over, True
        for hashing in (self._hash, self._unmarked, *self._replaced.values(), self._stripped):
            if hashing is not None:
                _add_ends(hashing, self._ends)
        self._ends = 0
        header, body = b"", text
        if self._in_header:
            end = text.find(b"\r\n\r\n")
            header, body = (text, b"") if end < 0 else (text[:end], text[end:])
            self._in_header = end < 0
            if not self._replaced and not header.isascii():
                self._replaced = {byte: self._hash.copy() for byte in REPLACEMENTS}
        if self._stripped is not None or text.count(b"\r") != text.count(b"\r\n"):
            self._stripped = self._stripped or self._hash.copy()
            self._stripped.update(_LONE_CR.sub(b"", text))
        for byte, hashing in self._replaced.items():
            hashing.update(header.translate(_REPLACED[byte]))
            hashing.update(body)
        self._unmarked.update(text)
        self._hash.update(text)

    def digest(self) -> bytes:
        """Returns 32 bytes. A final bare CR does not count."""
        return self._ended(self._hash.copy())

    def unmarked(self) -> bytes:
        """Returns the digest without the lines that servers of mbox files put there, and change as they like."""
        return self._ended(self._unmarked.ended() or self._hash.copy())

    def _ended(self, hashing: Any) -> bytes:
        _add_ends(hashing, self._ends)
        hashing.update(b"\r" * max(0, len(self._held) - 1))
        digest: bytes = hashing.digest()
        return digest

    def alike(self) -> tuple[bytes, ...]:
        """Returns digests of the variants that servers are known to make of the message, in the order of `FORMS`.

        The first is without the line ends at its end (POP3 always adds one, RFC 1939 §3). The next are the same with
        each 8-bit byte of the header replaced, then without CRs that no LF follows. The last is the same without the
        lines of mbox (`shared.content.mbox`). A digest is b"" where a variant is the message itself.
        """
        replaced = (self._replaced.get(byte) for byte in REPLACEMENTS)
        variants = (*replaced, self._stripped, self._unmarked.ended())
        return (self._hash.digest(), *(hashing.digest() if hashing is not None else b"" for hashing in variants))


def unmarked_of(alike: tuple[bytes, ...]) -> bytes:
    """Returns the digest without the lines of mbox among those of `Canonical.alike`; b"" where there are none."""
    return (alike[-1] or alike[0]) if alike else b""


def _add_ends(hashing: Any, count: int) -> None:
    """Adds `count` line ends, in pieces: a message may consist of nothing else."""
    while count > 0:
        hashing.update(b"\r\n" * min(count, _ENDS_AT_ONCE))
        count -= _ENDS_AT_ONCE


def _canonical(data: bytes) -> bytes:
    if b"\x00" in data:
        data = data.replace(b"\x00", b"\x80")
    if data.count(b"\n") == data.count(b"\r\n") and b"\r\r\n" not in data:
        return data  # the usual case; several times as fast as the pattern
    return _LINE_END.sub(b"\r\n", data)


def canonical_digest(body: bytes) -> bytes:
    """Returns the SHA-256 of one whole message's canonical bytes."""
    canonical = Canonical()
    canonical.update(body)
    return canonical.digest()


def match(sources: Mapping[Any, Hashable], destinations: Mapping[Any, Hashable]) -> dict[int, int]:
    """Pairs equal keys one to one: source UID → destination UID, the lowest with the lowest, as a multiset."""
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for uid in sorted(destinations, reverse=True):
        waiting[destinations[uid]].append(uid)
    pairs = {}
    for uid in sorted(sources):
        if same := waiting.get(sources[uid]):
            pairs[uid] = same.pop()
    return pairs
