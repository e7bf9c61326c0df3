"""Tests how plans of very many folders share the memory of one process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from shared.mail.answers.bounds import MOST_FOLDERS
from shared.model.errors import ControlRequested
from shared.model.lifecycle import Wish
from worker.decisions.closing import SettleLater
from worker.planning import plans_at_work
from worker.planning.plans_at_work import FEW_FOLDERS, PlansAtWork


def going_on() -> Wish:
    return Wish.RUN


@pytest.fixture
def full() -> Iterator[tuple[PlansAtWork, ExitStack]]:
    """Yields the plans of a process that has no room left, and what ends those that are at work."""
    plans = PlansAtWork()
    with ExitStack() as at_work:
        for _ in range(2):
            at_work.enter_context(plans.turn(MOST_FOLDERS, going_on))
        yield plans, at_work


def test_a_third_wide_plan_waits_until_one_has_ended(full: tuple[PlansAtWork, ExitStack]) -> None:
    plans, at_work = full
    asked, entered = threading.Event(), threading.Event()

    def wish() -> Wish:
        asked.set()
        return Wish.RUN

    def plan() -> None:
        with plans.turn(MOST_FOLDERS, wish) as waited:
            assert waited
            entered.set()

    third = threading.Thread(target=plan)
    third.start()
    assert asked.wait(20), "it looks at what is wanted of it while it waits"
    assert not entered.is_set()
    at_work.close()
    third.join(20)
    assert entered.is_set()


def test_a_plan_of_few_folders_never_waits(full: tuple[PlansAtWork, ExitStack]) -> None:
    with full[0].turn(FEW_FOLDERS, going_on) as waited:
        assert not waited


def test_a_plan_that_waits_gives_way(full: tuple[PlansAtWork, ExitStack]) -> None:
    with pytest.raises(ControlRequested), full[0].turn(MOST_FOLDERS, lambda: Wish.YIELD):
        pass


def test_a_plan_that_waited_for_a_minute_is_put_back(
    full: tuple[PlansAtWork, ExitStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans_at_work, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(SettleLater), full[0].turn(FEW_FOLDERS + 1, going_on):
        pass


def test_the_largest_listing_is_let_in_alone_and_leaves_its_room() -> None:
    plans = PlansAtWork()
    for _ in range(3):
        with plans.turn(5 * MOST_FOLDERS, going_on):
            pass
