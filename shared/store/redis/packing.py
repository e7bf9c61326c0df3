"""UIDs in as little room as possible: sets, ranges and records, as they stand in Redis. Pure."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence

from shared.content.json_text import read_json
from shared.model.uids import Record, UidSet
from shared.wording.kept import packed, unpacked


def _relative(uids: UidSet) -> str:
    """Writes ranges as distances, "gap" or "gap:length".

    Distances repeat themselves, so packing makes them a fraction of their size.
    """
    parts = []
    at = 0
    for low, high in uids.ranges:
        parts.append(f"{low - at}:{high - low}" if high > low else str(low - at))
        at = high
    return ",".join(parts)


def _absolute(text: str) -> UidSet:
    ranges = []
    at = 0
    for part in text.split(",") if text else ():
        gap, _, length = part.partition(":")
        low = at + int(gap)
        at = low + int(length or 0)
        ranges.append((low, at))
    return UidSet(tuple(ranges))


def encode_uids(uids: UidSet) -> str:
    """Encodes a batch's UIDs as text, since they travel as JSON.

    Long ones are packed: the scripts only hand them on.
    """
    plain = str(uids)
    if len(plain) < 200:
        return plain
    packed = "z" + base64.b85encode(zlib.compress(_relative(uids).encode(), 6)).decode()
    return packed if len(packed) < len(plain) else plain


def decode_uids(value: str) -> UidSet:
    """Decodes what `encode_uids` wrote."""
    if not value.startswith("z"):
        return UidSet.parse(value)
    return _absolute(zlib.decompress(base64.b85decode(value[1:])).decode())


def encode_records(records: Sequence[Record]) -> bytes:
    """Encodes a batch's records in as little room as possible."""
    plain = ";".join(map(str, records)).encode()
    close = ";".join(f"{_relative(record.source)} {_relative(record.destination)}" for record in records)
    packed = b"z" + zlib.compress(close.encode(), 6)
    return packed if len(packed) < len(plain) else plain


def decode_records(value: bytes) -> tuple[Record, ...]:
    """Decodes what `encode_records` or a script wrote."""
    if not value.startswith(b"z"):
        return tuple(Record.parse(part) for part in value.decode().split(";") if part)
    pairs = (part.split(" ") for part in zlib.decompress(value[1:]).decode().split(";"))
    return tuple(Record(_absolute(source), _absolute(destination)) for source, destination in pairs)


def encode_sets(sets: Mapping[str, UidSet]) -> bytes:
    """Packs UIDs by a text (flags, or a reason); the same sets always give the same bytes."""
    return zlib.compress(json.dumps({packed(name): _relative(sets[name]) for name in sorted(sets)}).encode(), 6)


def decode_sets(value: bytes | None) -> dict[str, UidSet]:
    """Decodes what `encode_sets` wrote."""
    if not value:
        return {}
    return {unpacked(name): _absolute(uids) for name, uids in read_json(zlib.decompress(value)).items()}
