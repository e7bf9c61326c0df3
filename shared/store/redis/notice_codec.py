"""Notices and forecasts as JSON, and what is told as digests, so that no key names an import."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

from shared.content.json_text import read_json
from shared.model.forecasts import KeptForecast
from shared.model.notices import Delivery, Notice
from shared.wording.kept import packed_all, unpacked, unpacked_all


def encode_notice(notice: Notice) -> str:
    """Returns the notice as JSON."""
    return json.dumps(packed_all(asdict(notice)), ensure_ascii=False)


def decode_notice(text: bytes | str) -> Notice:
    """Returns the notice that `encode_notice` wrote."""
    row = unpacked_all(read_json(text))
    return Notice(**{**row, "mailbox_ids": tuple(row["mailbox_ids"])})


def decode_delivery(row: Mapping[bytes, bytes], due_ms: float) -> Delivery:
    """Returns the delivery of this row of Redis."""
    return Delivery(
        notice=decode_notice(row[b"notice"]),
        target_id=row[b"target"].decode(),
        attempts=int(row[b"attempts"]),
        first_at=int(row[b"first_at"]) / 1000,
        due_at=due_ms / 1000,
        why=unpacked(row[b"why"].decode()),
    )


def digest_of(once: str) -> str:
    """Returns the digest of what something is told by; "" for nothing."""
    return hashlib.sha256(once.encode("utf-8", "surrogatepass")).hexdigest()[:32] if once else ""


#: The beginning of the fields of either kind.
_MADE, _END = "made:", "end:"


def encode_forecast(kept: KeptForecast) -> tuple[str, str]:
    """Returns the field and the value of a forecast."""
    return f"{_MADE}{round(kept.made_at * 1000):015}", json.dumps(packed_all(asdict(kept)), ensure_ascii=False)


def encode_end(passes: int, wave: str, at: float) -> tuple[str, str]:
    """Returns the field and the value of an end."""
    return f"{_END}{passes}:{wave}", repr(at)


def decode_forecasts(rows: Mapping[str, str]) -> list[KeptForecast]:
    """Returns the forecasts of these fields, oldest first."""
    found = [unpacked_all(read_json(text)) for field, text in sorted(rows.items()) if field.startswith(_MADE)]
    return [KeptForecast(**{**row, "binds": tuple(row["binds"])}) for row in found]


def decode_ends(rows: Mapping[str, str]) -> dict[tuple[int, str], float]:
    """Returns the ends of these fields."""
    found = {}
    for field, text in rows.items():
        if field.startswith(_END):
            passes, _, wave = field.removeprefix(_END).partition(":")
            found[int(passes), wave] = float(text)
    return found
