"""Notices as JSON, and what they are told by as digests, so that no key names an import."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

from shared.model.notices import Delivery, Notice


def encode_notice(notice: Notice) -> str:
    """Returns the notice as JSON."""
    return json.dumps(asdict(notice), ensure_ascii=False)


def decode_notice(text: bytes | str) -> Notice:
    """Returns the notice that `encode_notice` wrote."""
    row = json.loads(text)
    return Notice(**{**row, "mailbox_ids": tuple(row["mailbox_ids"])})


def decode_delivery(row: Mapping[bytes, bytes], due_ms: float) -> Delivery:
    """Returns the delivery of this row of Redis."""
    return Delivery(
        notice=decode_notice(row[b"notice"]), target_id=row[b"target"].decode(), attempts=int(row[b"attempts"]),
        first_at=int(row[b"first_at"]) / 1000, due_at=due_ms / 1000, why=row[b"why"].decode(),
    )  # fmt: skip


def digest_of(once: str) -> str:
    """Returns the digest of what something is told by; "" for nothing."""
    return hashlib.sha256(once.encode("utf-8", "surrogatepass")).hexdigest()[:32] if once else ""
