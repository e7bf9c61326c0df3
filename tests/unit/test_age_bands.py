"""Tests the age bands of messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.model.uids import Uid, UidSet
from shared.rules.age_bands import BAND, LAST, band_keys, band_of, in_bands


def test_the_keys_name_the_days() -> None:
    assert band_keys(1_700_000_000) == ("SINCE 15-Oct-2023", "SINCE 14-Nov-2022")


def test_a_message_that_no_answer_names_is_of_the_last_band() -> None:
    younger = [UidSet.of([9]), UidSet.of([7, 9])]
    found = list(in_bands([(Uid(uid), 10) for uid in (3, 5, 7, 9)], younger))
    assert found == [(0, [(9, 10)]), (1, [(7, 10)]), (2, [(3, 10), (5, 10)])]


def test_a_server_that_cannot_search_has_one_band() -> None:
    assert list(in_bands([(Uid(1), 1)], [UidSet(), UidSet()])) == [(2, [(1, 1)])]


@given(st.sets(st.integers(1, 200)), st.sets(st.integers(1, 200)), st.sets(st.integers(1, 200)))
def test_each_message_is_in_one_band(uids: set[int], first: set[int], second: set[int]) -> None:
    sizes = [(Uid(uid), uid) for uid in sorted(uids)]
    found = list(in_bands(sizes, [UidSet.of(first), UidSet.of(second)]))
    assert sorted(one for _, band in found for one in band) == sizes
    assert [n for n, _ in found] == sorted({n for n, _ in found})


def test_plans_and_verifications_are_of_the_first_band() -> None:
    assert [band_of(0), band_of(LAST), band_of(BAND - 1), band_of(2 * BAND + 7)] == [0, 0, 0, 2]
