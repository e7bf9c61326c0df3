"""The selection of wanted messages: what SEARCH may be trusted with, what stands from pass to pass, unions of sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import Options
from shared.model.messages import Traits
from shared.model.uids import Uid, UidSet
from shared.rules.selection import GONE, Selection, judge, merged, spread, summary, union, without

_moments = st.integers(0, 2_000_000_000)
_sets = st.lists(st.integers(1, 60), max_size=25).map(UidSet.of)


def traits(internaldate: int | None = 0, *flags: str) -> Traits:
    return Traits(uid=Uid(1), internaldate=internaldate, flags=frozenset(flags))


def searched(key: str, shown: datetime) -> bool:
    """Returns how a server judges SINCE and BEFORE: it compares days, as they stand in the date (RFC 9051 §6.4.4)."""
    word, day = key.split()
    return (shown.date() < datetime.strptime(day, "%d-%b-%Y").date()) == (word == "BEFORE")


class TestAge:
    @given(_moments, st.integers(-200_000, 200_000), st.integers(-12 * 60, 14 * 60))
    def test_whatever_zone_a_server_searches_in_what_it_is_sure_of_is_so(
        self, moment: int, away: int, zone_minutes: int
    ) -> None:
        at = max(0, moment + away)
        shown = datetime.fromtimestamp(at, timezone(timedelta(minutes=zone_minutes)))
        for options in (Options(since=moment), Options(before=moment)):
            (one,) = Selection.of(options).criteria
            met = one.met(traits(at))
            assert met or not searched(one.inside, shown)
            assert not met or not searched(one.outside, shown)

    @given(_moments, st.integers(-400_000, 400_000))
    def test_what_lies_three_days_away_needs_no_look(self, moment: int, away: int) -> None:
        at = moment + (away + 259_200 if away >= 0 else away - 259_200)
        if at >= 0:
            (one,) = Selection.of(Options(since=moment)).criteria
            shown = datetime.fromtimestamp(at, UTC)
            assert searched(one.inside, shown) != searched(one.outside, shown)

    def test_a_search_for_the_day_itself_would_be_wrong(self) -> None:
        """Proves the margin (negative control): SINCE of the requested day, and a server that uses its own zone."""
        moment = int(datetime(2024, 2, 1, tzinfo=UTC).timestamp())
        shown = datetime.fromtimestamp(moment - 3600, timezone(timedelta(hours=3)))
        assert searched("SINCE 1-Feb-2024", shown)
        assert not Selection.of(Options(since=moment)).criteria[0].met(traits(moment - 3600))

    def test_moments_are_exact_and_what_has_no_date_is_wanted(self) -> None:
        between = Selection.of(Options(since=1000, before=2000))
        assert [bool(between.by_traits(traits(at))) for at in (999, 1000, 1999, 2000)] == [True, False, False, True]
        assert between.by_traits(traits(None)) == ""

    def test_reasons_say_the_moment(self) -> None:
        assert Selection.of(Options(since=1_706_745_600)).criteria[0].reason == "before 2024-02-01"
        assert Selection.of(Options(before=1_706_745_661)).criteria[0].reason == "not before 2024-02-01 00:01:01 UTC"


class TestFlagsAndSizes:
    def test_each_flag_leaves_out_what_it_should(self) -> None:
        every = Selection.of(Options(unseen=True, flagged=True, not_deleted=True))
        assert every.by_traits(traits(0, "\\flagged")) == ""
        assert every.by_traits(traits(0, "\\flagged", "\\seen")) == "read already"
        assert every.by_traits(traits(0)) == "not flagged"
        assert every.by_traits(traits(0, "\\flagged", "\\deleted")) == "marked as deleted"

    def test_sizes_have_open_ends_and_an_unknown_one_is_wanted(self) -> None:
        some = Selection.of(Options(larger=10, smaller=20))
        assert [bool(some.by_size(n)) for n in (0, 10, 11, 19, 20)] == [False, True, False, False, True]


class TestPasses:
    @pytest.mark.parametrize(
        ("before", "now", "stands"),
        [
            (Options(since=1000), Options(since=1000), True),
            (Options(since=1000), Options(since=1000, unseen=True), True),
            (Options(since=1000), Options(since=900), False),
            (Options(since=1000), Options(), False),
            (Options(unseen=True), Options(unseen=True), False),
        ],
    )
    def test_a_reason_stands_when_it_is_given_still_and_can_never_change(
        self, before: Options, now: Options, stands: bool
    ) -> None:
        reason = Selection.of(before).criteria[0].reason
        assert Selection.of(now).stands(reason) is stands

    def test_a_size_stands_and_what_is_gone_does_for_ever(self) -> None:
        small = Selection.of(Options(larger=10))
        assert small.stands(small.by_size(5))
        assert not Selection.of(Options(larger=9)).stands(small.by_size(5))
        assert Selection.of(Options()).stands(GONE)
        assert not Selection.of(Options()).stands("anything else")


class TestSets:
    @given(_sets, st.lists(st.tuples(_sets, _sets), min_size=2, max_size=2))
    def test_what_two_searches_say_is_taken_and_the_rest_is_doubtful(
        self, uids: UidSet, found: list[tuple[UidSet, UidSet]]
    ) -> None:
        selection = Selection.of(Options(unseen=True, flagged=True))
        judged = judge(selection, uids, found)
        out = union(judged.out.values())
        for uid in uids:
            said = [(uid in inside, uid in outside) for inside, outside in found]
            if (False, True) in said:
                assert uid in out
                assert uid not in judged.doubtful
            else:
                assert uid not in out
                assert (uid in judged.doubtful) == any(a == b for a, b in said)
        assert not (out | judged.doubtful) - uids

    @given(_sets, st.integers(2, 12))
    def test_a_sample_is_spread(self, uids: UidSet, count: int) -> None:
        sample = spread(uids, count)
        assert not sample - uids
        assert len(sample) == min(count, len(uids))
        if uids:
            assert (sample.low, sample.high) == (uids.low, uids.high)

    def test_sets_of_a_reason_are_put_together_and_told_by_number(self) -> None:
        a, b = UidSet.span(1, 1500), UidSet.of([2000, 2002])
        whole = merged({"old": a}, {"old": b, "read": UidSet.of([7])}, {"none": UidSet()})
        assert whole == {"old": a | b, "read": UidSet.of([7])}
        assert summary(whole) == "1,502 old; 1 read"
        assert without(whole, UidSet.of([7])) == {"old": (a | b) - UidSet.of([7])}
