"""Tests which copies are taken for which messages by what can be had without reading bodies."""

from __future__ import annotations

import pytest

from shared.model.messages import Sighting
from shared.model.uids import Uid
from worker.decisions.pairing import pair


def seen(uid: int, header: int, size: int) -> Sighting:
    """Returns a message with this header and size."""
    return Sighting(uid=Uid(uid), size_bytes=size, internaldate=0, fingerprint=b"%d" % header)


@pytest.mark.parametrize(
    ("there", "here", "pairs"),
    [
        pytest.param([(1, 7, 100), (2, 8, 100)], [(5, 8, 100), (6, 7, 100)], {1: 6, 2: 5}, id="by header and size"),
        pytest.param(
            [(1, 7, 100), (2, 7, 100)], [(5, 7, 100), (6, 7, 100)], {1: 5, 2: 6}, id="twins, lowest to lowest"
        ),
        pytest.param([(1, 7, 100)], [(5, 7, 90)], {1: 5}, id="one that the destination altered"),
        pytest.param([(1, 7, 100), (2, 7, 100)], [(5, 7, 90), (6, 7, 90)], {1: 5, 2: 6}, id="twins altered alike"),
        pytest.param([(1, 7, 100), (2, 7, 100)], [(5, 7, 90)], {}, id="one copy of two twins, altered"),
        pytest.param(
            [(1, 7, 100), (2, 7, 300)], [(5, 7, 90), (6, 7, 90)], {}, id="one of two drafts altered, twice there"
        ),
        pytest.param(
            [(1, 7, 100), (2, 7, 300)], [(5, 7, 90), (6, 7, 290)], {}, id="two drafts altered: the bytes decide"
        ),
        pytest.param(
            [(1, 7, 100), (2, 7, 300)], [(5, 7, 300), (6, 7, 90)], {1: 6, 2: 5}, id="what is left after the exact"
        ),
    ],
)
def test_copies(there: list[tuple[int, int, int]], here: list[tuple[int, int, int]], pairs: dict[int, int]) -> None:
    found = pair([seen(*one) for one in there], [seen(*one) for one in here])
    assert found.pairs == pairs
    assert set(found.absent) | set(found.ambiguous_sources) | set(pairs) == {uid for uid, _, _ in there}
