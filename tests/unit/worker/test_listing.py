"""The arithmetic of listings: a source shows as many messages as it counts, or the difference is withheld."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.mail import KnownStatus
from shared.model.uids import UidSet
from worker.planning.listing import Shortfall, shortfall, stated_more

uids = st.sets(st.integers(1, 40)).map(UidSet.of)


@settings(deadline=None)
@given(withheld=st.integers(-3, 10), shown=uids, before=uids, low=st.integers(1, 41), fresh=st.booleans())
def test_what_is_withheld_and_what_may_be_its_uids(
    withheld: int, shown: UidSet, before: UidSet, low: int, fresh: bool
) -> None:
    found = shortfall(withheld, shown, low, 41, before, fresh=fresh)
    assert bool(found.withheld) == bool(found.hidden)
    assert 0 <= found.withheld <= max(0, withheld)
    assert not found.hidden & shown & UidSet.span(1, 40)
    if withheld <= 0:
        assert found == Shortfall()
    if fresh and withheld > 0:
        assert found.withheld == withheld


def test_as_many_are_withheld_in_each_pass_where_no_uid_is_left_for_them() -> None:
    first = shortfall(2, UidSet.parse("1:8"), 1, 9, UidSet(), fresh=True)
    assert first == Shortfall(withheld=2, hidden=UidSet.parse("9:10"))
    second = shortfall(2, UidSet.parse("1:8"), 9, 9, first.hidden, fresh=False)
    assert second == first
    # New mail took the UIDs that stood for what is withheld.
    third = shortfall(2, UidSet.parse("1:10"), 9, 11, second.hidden, fresh=False)
    assert third == Shortfall(withheld=2, hidden=UidSet.parse("11:12"))
    assert shortfall(1, UidSet.parse("1:7"), 9, 9, UidSet(), fresh=False) == Shortfall(), "it has its outcome"


class Source:
    """A source that answers with these numbers, in turn."""

    def __init__(self, *numbers: tuple[int, int]) -> None:
        self._numbers = list(numbers)

    def statuses(self, names: Any, **_: Any) -> list[KnownStatus]:
        return [KnownStatus(uidnext=9, messages=self._numbers[0][0])]

    def open(self, name: bytes) -> KnownStatus:
        return KnownStatus(uidnext=9, messages=self._numbers.pop(0)[1])


@pytest.mark.parametrize(
    ("opened", "stated", "numbers", "more"),
    [
        (5, 5, [], 0),
        (5, 6, [(6, 6)], 0),  # one message came, and is there by now
        (5, 6, [(5, 4)], 0),  # one message came and two went
        (5, 6, [(6, 5), (5, 5)], 0),
        (5, 9, [(9, 5), (9, 5), (9, 5)], 4),
        (0, 9, [(9, 0), (9, 9)], 0),
        # Messages that come before STATUS and go after it, look after look.
        (5, 6, [(6, 5), (7, 6), (8, 6), (9, 7), (8, 8)], 0),
        (5, 6, [(7, 5), (6, 5), (7, 5), (5, 5)], 0),
        (5, 6, [(9, 5), (7, 6), (9, 5), (9, 5), (9, 5)], 4),  # some do, and some are kept back
        (5, 6, [(7 + n, 5 + n % 2) for n in range(15)], 16),
    ],
)
def test_status_is_compared_with_examine(opened: int, stated: int, numbers: list[tuple[int, int]], more: int) -> None:
    source: Any = Source(*numbers)
    assert stated_more(source, b"f", KnownStatus(uidnext=9, messages=opened), stated)[1] == more
