"""Decides how a batch is divided into smaller ones, each with the intents that concern it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.model import Intent, Unit, UnitKind, part_id
from shared.model.uids import UidSet


def halves(unit: Unit, remaining: UidSet, intents: Sequence[Intent], attempts: int) -> list[tuple[Unit, list[Intent]]]:
    """Returns two batches over the messages that `unit` has not done, each with the intents that concern it."""
    return divided(unit, remaining.take((len(remaining) + 1) // 2), intents, attempts)


def divided(
    unit: Unit, parts: Iterable[UidSet], intents: Sequence[Intent], attempts: int
) -> list[tuple[Unit, list[Intent]]]:
    """Returns a batch for each of `parts`, which hold what `unit` has not done, with the intents that concern it."""
    out = []
    for part in parts:
        if not part:
            continue
        share = Unit(
            unit_id=part_id(unit.unit_id, part),
            kind=UnitKind.COPY,
            mailbox_id=unit.mailbox_id,
            folder_id=unit.folder_id,
            uids=part,
            size_bytes=unit.size_bytes * len(part) // max(1, len(unit.uids)),
            attempts=attempts,
        )
        mine = [
            Intent(
                intent_id=i.intent_id,
                uids=i.uids & part,
                destination_uidvalidity=i.destination_uidvalidity,
                destination_uidnext=i.destination_uidnext,
                at=i.at,
            )
            for i in intents
            if i.uids & part
        ]
        out.append((share, mine))
    return out
