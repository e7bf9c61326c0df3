"""What makes an appended copy recognisable, and what "the same bytes" means.

Servers store some bytes differently without saying so: Dovecot turns bare LF into CRLF, collapses CR CR LF, drops a
final bare CR and gives NUL back as 0x80 (measured). `Canonical` undoes exactly that, so that equal messages have equal
digests on both sides. The header fingerprint is cheaper: four fields, white space collapsed, that a server can serve
from its cache. Neither is ever an identity; that is the source UID. They only tell copies apart in a window where
something of ours is known to have arrived, and always as a multiset: equal messages may occur twice.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any

#: The header fields that the fingerprint is made of, as FETCH names them.
FIELDS = ("MESSAGE-ID", "DATE", "FROM", "SUBJECT")

#: How much of a header is looked at; longer ones are compared by digest instead.
HEADER_BYTES = 65_536

_FIELD = re.compile(rb"(?:\A|\n)(message-id|date|from|subject)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE)
_END = re.compile(rb"\r*\n\r*\n")
_LINE_END = re.compile(rb"\r*\n")
#: NUL, and what Dovecot makes of it, count as blanks.
_BLANKS = bytes.maketrans(b"\x00\x80", b"  ")

#: Digests are added up modulo this, so that Redis's Lua (doubles) adds them exactly.
MODULUS = 1 << 48


def header_of(start: bytes) -> bytes:
    """The header block of a message of which `start` holds the beginning."""
    end = start.find(b"\r\n\r\n", 0, HEADER_BYTES)
    if end >= 0 and start.find(b"\n\n", 0, end) < 0:  # the usual case, three times as fast
        return start[:end].rstrip(b"\r")
    found = _END.search(start, 0, HEADER_BYTES)
    return start[: found.start()] if found else start[:HEADER_BYTES]


def identifying(header: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of `FIELDS` that the header has, (name, value), as they stand: names in lower case, blanks collapsed."""
    return [(name.lower(), b" ".join(value.translate(_BLANKS).split())) for name, value in _FIELD.findall(header)]


def fingerprint_of(fields: list[tuple[bytes, bytes]]) -> bytes:
    """8 bytes that two copies share: Message-ID, Date, From and Subject, blanks and order aside."""
    lines = sorted([b"%b:%b" % field for field in fields])
    return hashlib.blake2b(b"\n".join(lines), digest_size=8).digest()


def header_fingerprint(header: bytes) -> bytes:
    """`fingerprint_of` a header block."""
    return fingerprint_of(identifying(header))


def message_id_of(fields: list[tuple[bytes, bytes]]) -> str:
    """The Message-ID as it stands, for reports; "" where there is none."""
    return next((value.decode("ascii", "replace") for name, value in fields if name == b"message-id"), "")


#: What a message without any of the fields has; it tells nothing apart.
NO_FINGERPRINT = header_fingerprint(b"")


def mark(destination_uid: int, size_bytes: int, internaldate: int | None, fingerprint: bytes) -> int:
    """One message's share in the digest of its batch, below `MODULUS`. The shares are added, so that any order and any
    grouping give the same sum, and the sum of a folder can be checked without storing a word per message."""
    text = b"%d %d %d " % (destination_uid, size_bytes, -1 if internaldate is None else internaldate)
    return int.from_bytes(hashlib.blake2b(text + fingerprint, digest_size=6).digest(), "big")


class Canonical:
    """SHA-256 of a message's canonical bytes, fed in chunks of any size."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._held = b""

    def update(self, chunk: bytes) -> None:
        """Adds bytes; a line end that may go on in the next chunk is held back."""
        data = self._held + bytes(chunk)
        keep = len(data) - len(data.rstrip(b"\r"))
        self._held = data[len(data) - keep :] if keep else b""
        self._hash.update(_canonical(data[: len(data) - keep] if keep else data))

    def digest(self) -> bytes:
        """32 bytes. A final bare CR does not count."""
        ended = self._hash.copy()
        ended.update(b"\r" * max(0, len(self._held) - 1))
        return ended.digest()


def _canonical(data: bytes) -> bytes:
    if b"\x00" in data:
        data = data.replace(b"\x00", b"\x80")
    if data.count(b"\n") == data.count(b"\r\n") and b"\r\r\n" not in data:
        return data  # the usual case, several times as fast
    return _LINE_END.sub(b"\r\n", data)


def canonical_digest(body: bytes) -> bytes:
    """SHA-256 of one whole message's canonical bytes."""
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
