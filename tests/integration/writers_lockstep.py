"""The part of the lockstep test that asks what several writers have on the wire to one folder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shared.model import Intent, Lease, Unit, Writing
from tests.contract.store_kit import batch_of


def compare_writing(life: Any, pair: tuple[Lease, Lease]) -> None:
    """Asserts that both stores tell the same, and that it is every open intent of the folder's other batches."""
    stores = (life.real, life.model)
    found = [life._one(store.writing, (lease,), {}) for store, lease in zip(stores, pair, strict=True)]
    if not isinstance(found[0], Writing):
        assert found[0] == found[1]
        return
    real, model = (
        (one.taken, *(sorted(part, key=lambda i: i.intent_id) for part in (one.live, one.left))) for one in found
    )
    assert real == model
    unit, rows = pair[0].unit, life.model._rows
    others = [row for name, row in rows.units.items() if row.unit.folder_id == unit.folder_id and name != unit.unit_id]
    every = sorted(one.intent_id for row in others for one in row.intents.values())
    assert every == sorted(one.intent_id for part in real[1:] for one in part)
    terms = {str(row.term) for row in others if row.unit.unit_id in rows.leases}
    assert {one.intent_id.split(".")[0] for one in real[1]} <= terms


def drawn_halves(life: Any, unit: Unit) -> list[tuple[Unit, list[Intent]]]:
    """Returns two batches over what the unit has not done, with the intents that concern each."""
    row = life.model._rows.units.get(unit.unit_id)
    intents = list(row.intents.values()) if row else []
    left = life._remaining(unit)
    for one in intents:
        left |= one.uids
    halves = []
    for part in left.take((len(left) + 1) // 2):
        if part:
            mine = [replace(i, uids=i.uids & part) for i in intents if i.uids & part]
            halves.append((replace(batch_of(unit, part), attempts=2), mine))
    return halves
