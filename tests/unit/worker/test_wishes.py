"""Tests which wish counts where several things are wanted of a lane at once."""

from __future__ import annotations

import pytest

from shared.model.lifecycle import Wish
from worker.decisions.wishes import strongest

PAUSES = (Wish.RUN, Wish.YIELD, Wish.LEAVE, Wish.PAUSE)


@pytest.mark.parametrize("told", Wish)
def test_the_end_of_the_process_comes_behind_persons_and_before_other_work(told: Wish) -> None:
    assert strongest(told, ends=False) is told
    assert strongest(told, ends=True) is (Wish.PAUSE if told in PAUSES else told)
