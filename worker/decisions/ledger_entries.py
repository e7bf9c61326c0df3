"""Decides what an answer of the destination enters in the ledger. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.content.fingerprint import MODULUS, mark
from shared.model import Lease, Note, Settled
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet, records_of
from worker.decisions.sent import Sent


def settled_group(intent_id: str, group: Sequence[Sent], destinations: Sequence[int]) -> Settled:
    """Returns the ledger entry for messages of `group` that were stored under `destinations`, in the same order."""
    digest = 0
    for sent, uid in zip(group, destinations, strict=True):
        digest += mark(uid, sent.size_bytes, sent.internaldate, sent.fingerprint)
    return Settled(
        intent_id=intent_id,
        records=tuple(records_of(zip((s.uid for s in group), destinations, strict=True))),
        size_bytes=sum(s.size_bytes for s in group),
        digest=digest % MODULUS,
        notes=tuple(note for s in group for note in s.notes),
    )


def with_moved(settled: Settled, moved: Mapping[int, Note], places: UidSet) -> Settled:
    """Returns the entry with messages whose copies their user moved before they were recorded, by source UID.

    They get the `places` that are free since, as many UIDs of the folder that they were sent to; nothing with marks is there.
    """
    pairs = [pair for record in settled.records for pair in record.pairs()]
    return replace(
        settled,
        records=tuple(records_of([*pairs, *zip(sorted(moved), places, strict=True)])),
        size_bytes=settled.size_bytes + sum(note.size_bytes for note in moved.values()),
        notes=(*settled.notes, *(moved[uid] for uid in sorted(moved))),
    )


def without_copy(
    outcome: Outcome, uids: UidSet, notes: Sequence[Note], size_bytes: int = 0, intent_id: str = ""
) -> Settled:
    """Returns the ledger entry for messages that got `outcome` without a copy."""
    return Settled(intent_id=intent_id, others={outcome: uids}, notes=tuple(notes), size_bytes=size_bytes)


def given_up(lease: Lease, uids: UidSet, reason: str, outcome: Outcome = Outcome.FAILED) -> Settled:
    """Returns the ledger entry for messages of a batch that failed for good, or that vanished, each with the reason."""
    notes = [Note(uid=uid, what=outcome, reason=reason) for uid in uids]
    return without_copy(outcome, uids, notes, lease.unit.size_bytes * len(uids) // max(1, len(lease.unit.uids)))
