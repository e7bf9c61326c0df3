"""Tests which batch is foretold to come after another."""

from __future__ import annotations

from shared.model import Folder, FolderPlan, Unit, UnitKind
from shared.model.uids import UidSet
from worker.decisions.batch_ahead import coming_after

MANY = 10


def _plan(name: str, *batches: tuple[str, int, int]) -> FolderPlan:
    """Returns a plan with batches of (id, messages, band)."""
    folder = Folder(
        folder_id=name, mailbox_id="m", source_name=name.encode(), destination_name=name.encode(), display=name
    )
    units = tuple(
        Unit(
            unit_id=unit_id,
            kind=UnitKind.COPY,
            mailbox_id="m",
            folder_id=name,
            uids=UidSet.span(1, messages),
            band=band,
        )
        for unit_id, messages, band in batches
    )
    return FolderPlan(folder=folder, batches=units)


def _after(*plans: tuple[FolderPlan, int]) -> dict[str, tuple[str, str]]:
    return {name: (one.unit.unit_id, one.folder.display) for name, one in coming_after(plans, MANY).items()}


def test_batches_come_in_the_order_of_their_folders() -> None:
    plans = (
        (_plan("A", ("a", 3, 0)), 2),
        (_plan("B"), 3),
        (_plan("C", ("c", 3, 0)), 4),
        (_plan("INBOX", ("i", 3, 0)), 1),
    )
    assert _after(*plans) == {"i": ("a", "A"), "a": ("c", "C")}


def test_the_younger_band_comes_first() -> None:
    assert _after((_plan("A", ("a", 3, 1)), 1), (_plan("B", ("b", 3, 0)), 2)) == {"b": ("a", "A")}


def test_a_batch_that_is_not_copied_in_one_go_is_not_foretold() -> None:
    large, several = _plan("L", ("l", MANY, 0)), _plan("S", ("s1", 1, 0), ("s2", 1, 0))
    assert _after((_plan("A", ("a", 3, 0)), 1), (large, 2), (several, 3), (_plan("Z", ("z", 3, 0)), 4)) == {
        "s2": ("z", "Z")
    }


def test_nothing_comes_after_the_last() -> None:
    assert _after() == _after((_plan("A", ("a", 3, 0)), 1)) == {}
