"""The store's part for how many lanes are let in: `shared.store.LaneStore` on Redis."""

from __future__ import annotations

import json
from collections.abc import Mapping

from shared.model.lanes import LanePlace, LaneSearch, Measured, Reason
from shared.store.redis import codec
from shared.store.redis.redis_scripts import Scripts

_SUMS = ("work", "answers", "append_ms", "refused")
#: Fields of `LaneSearch` that the scripts keep in milliseconds.
_MS = ("changed_at", "again_at", "patience")


class RedisLanes(Scripts):
    """Places, and what was found there."""

    def lane_places(self) -> list[LanePlace]:
        now, *places = self._run("lanes", *self._limits, *self._most_lanes)
        found = []
        for name, lanes, start, most, row in places:
            known = codec.pairs(row)
            sums = {field: int(known.get(field.encode(), 0)) for field in _SUMS}
            found.append(
                LanePlace(
                    name=name.decode(),
                    lanes=lanes,
                    start=start,
                    most=most,
                    at=int(now) / 1000,
                    told_at=int(known.get(b"told_at", 0)) / 1000,
                    search=_decode(known),
                    work=sums["work"],
                    answers=sums["answers"],
                    append_ms=sums["append_ms"],
                    refused=sums["refused"],
                )
            )
        return found

    def steer(self, name: str, version: int, search: LaneSearch) -> bool:
        return bool(self._run("steer", name, version, *_encode(search)))


def encode_measured(measured: Mapping[str, Measured]) -> str:
    """Returns what lanes measured as the scripts read it."""
    if not measured:
        return ""
    return json.dumps(
        [
            (mailbox, one.work, one.answers, one.append_ms, one.source_refused, one.destination_refused)
            for mailbox, one in measured.items()
        ]
    )


def _encode(search: LaneSearch) -> list[str]:
    found: list[str] = []
    for field in LaneSearch.__dataclass_fields__:
        value = getattr(search, field)
        found += [
            field,
            str(round(value * 1000)) if field in _MS else repr(value) if field in ("rate", "latency") else str(value),
        ]
    return found


def _decode(row: Mapping[bytes, bytes]) -> LaneSearch | None:
    if b"limit" not in row:
        return None
    return LaneSearch(
        limit=int(row[b"limit"]),
        kept=int(row[b"kept"]),
        reason=Reason(row[b"reason"].decode()),
        most=int(row[b"most"]),
        rate=float(row[b"rate"]),
        latency=float(row[b"latency"]),
        ceiling=int(row[b"ceiling"]),
        changed_at=int(row[b"changed_at"]) / 1000,
        again_at=int(row[b"again_at"]) / 1000,
        patience=int(row[b"patience"]) / 1000,
        version=int(row[b"version"]),
    )
