"""Flags of both sides are merged one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.model.uids import Uid, UidSet
from worker.decisions.flag_changes import FlagsSeen, flag_changes, later, made_equal, translated

_FLAGS = ("\\Seen", "\\Flagged", "$Work")
_MANY = st.dictionaries(st.integers(1, 9), st.frozensets(st.sampled_from(_FLAGS)), max_size=9)


def _by_flags(flags: dict[int, frozenset[str]]) -> dict[str, UidSet]:
    seen = FlagsSeen()
    for uid, those in sorted(flags.items()):
        seen.add(Uid(uid), tuple(sorted(those)))
    return seen.by_flags()


@given(_MANY, _MANY, _MANY)
def test_a_flag_is_changed_where_it_changed_at_the_source_and_left_alone_elsewhere(
    before: dict[int, frozenset[str]], now: dict[int, frozenset[str]], here: dict[int, frozenset[str]]
) -> None:
    held = {uid: set(flags) for uid, flags in here.items()}
    among = UidSet.span(1, 8)
    to = {uid: uid + 100 for uid in here}
    for change in translated(flag_changes(_by_flags(before), _by_flags(now), among), to):
        for copy in change.uids:
            held[copy - 100] |= set(change.add)
            held[copy - 100] -= set(change.remove)
    for uid, flags in here.items():
        if uid not in now or uid not in among:
            assert held[uid] == flags
        elif uid not in before:
            assert held[uid] == flags | now[uid], "flags that were never kept are only set"
        else:
            set_, cleared = now[uid] - before[uid], before[uid] - now[uid]
            assert held[uid] == (flags | set_) - cleared


@given(_MANY, _MANY)
def test_what_is_kept_are_the_flags_seen_last(
    before: dict[int, frozenset[str]], now: dict[int, frozenset[str]]
) -> None:
    assert later(_by_flags(before), _by_flags(now)) == _by_flags(before | now)


@given(_MANY, _MANY)
def test_messages_are_given_the_flags_that_they_should_have(
    have: dict[int, frozenset[str]], want: dict[int, frozenset[str]]
) -> None:
    held = {uid: set(have.get(uid, ())) for uid in want}
    for change in made_equal({u: tuple(f) for u, f in have.items()}, {u: tuple(f) for u, f in want.items()}):
        for uid in change.uids:
            held[uid] = held[uid] - set(change.remove) | set(change.add)
    assert held == want


def test_flags_are_the_same_in_whatever_case() -> None:
    before, now = {"$WORK \\Seen": UidSet.of([1])}, {"$Work \\SEEN \\Flagged": UidSet.of([1])}
    [change] = flag_changes(before, now, UidSet.of([1]))
    assert (change.add, change.remove) == (("\\Flagged",), ())
