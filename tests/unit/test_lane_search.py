"""Tests the search for the number of lanes against servers that are simulated: it ends at the knee, and stays there.

A server's total grows with every lane up to its knee, and then stays or falls. It may refuse connections above a cap.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.model.lanes import LaneSearch, Reason
from shared.rules import lane_search as rules
from shared.rules.lane_search import LONGEST_REST_SECONDS, LaneWindow, begun, narrowed, steered, unjudged

#: Work a second of one lane that nobody disturbs.
ONE = 1_000_000.0


@dataclass
class Server:
    """A server, and the search for how many lanes it takes."""

    #: Lanes up to which the total grows.
    knee: int
    #: Whether the total falls beyond it.
    falls: bool = False
    #: Connections that it takes; 0: any number.
    cap: int = 0
    #: How far a window differs by chance, as a part.
    noise: float = 0.0
    #: How much slower everything is than it was.
    slower: float = 1.0
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    now: float = 0.0
    #: (moment, lanes let in) of each change.
    changes: list[tuple[float, int]] = field(default_factory=list)

    def rate(self, lanes: int) -> float:
        """Returns the work a second of so many lanes."""
        whole = ONE * min(lanes, self.knee) / self.slower
        if self.falls and lanes > self.knee:
            whole *= self.knee / lanes
        return whole * (1 + self.chance.uniform(-self.noise, self.noise))

    def run(self, search: LaneSearch, most: int, seconds: float) -> LaneSearch:
        """Returns the search after so much time; it is within its bounds at each moment."""
        end, span = self.now + seconds, 0.0
        work = 0
        while self.now < end:
            assert 1 <= search.limit <= most
            if self.cap and search.limit > self.cap:
                found: LaneSearch | None = narrowed(search, self.cap, Reason.REFUSED, self.now)
                assert found
            else:
                span, self.now = span + 5, self.now + 5
                work += int(self.rate(search.limit) * 5)
                window = LaneWindow(
                    seconds=span, lanes=search.limit, work=work, answers=1000, append_ms=int(search.limit * span * 1000)
                )
                found = steered(search, window, most, self.now)
            if found is not search:
                span = work = 0
            if found.limit != search.limit:
                self.changes.append((self.now, found.limit))
            search = found
        return search


@settings(max_examples=40, deadline=None)
@given(
    knee=st.integers(1, 60),
    start=st.integers(1, 40),
    more=st.integers(0, 100),
    falls=st.booleans(),
    noise=st.sampled_from([0.0, 0.02]),
)
@example(knee=52, start=3, more=60, falls=False, noise=0.02)  # three more than sixty show nothing above the noise
def test_it_ends_near_the_knee_and_stays_there(knee: int, start: int, more: int, falls: bool, noise: float) -> None:
    server, most = Server(knee, falls=falls, noise=noise), start + more
    found = server.run(begun(start, most, 0.0), most, 2000)
    wanted = min(knee, most)
    assert wanted * 0.7 - 1 <= found.kept <= wanted * 1.4 + 1, (found, server.changes)
    assert server.rate(found.kept) >= 0.7 * server.rate(wanted)
    before = len(server.changes)
    server.run(found, most, 3 * LONGEST_REST_SECONDS)
    assert len(server.changes) - before <= 30, "a few looks whether it is still so, each of a window or two"


@settings(max_examples=30, deadline=None)
@given(cap=st.integers(1, 20), start=st.integers(1, 30))
def test_it_ends_at_what_the_server_takes_and_asks_seldom_for_more(cap: int, start: int) -> None:
    server = Server(100, cap=cap)
    found = server.run(begun(start, 40, 0.0), 40, 300)
    assert found.kept == cap
    assert found.reason in (Reason.REFUSED, Reason.TRYING, Reason.NO_HELP)
    refusals = len(server.changes)
    server.run(found, 40, 3600)
    assert len(server.changes) - refusals <= 30
    server.cap = 0  # the administrator raised it
    assert server.run(found, 40, 3 * LONGEST_REST_SECONDS).kept > max(cap, 25)


def test_it_begins_with_what_is_let_in_anyway_and_grows_while_that_helps() -> None:
    server = Server(100)
    found = server.run(begun(4, 15, 0.0), 15, 60)
    assert [lanes for _, lanes in server.changes] == [6, 9, 13, 15]
    assert (found.limit, found.reason) == (15, Reason.MORE_HELPS)


def test_more_that_does_not_help_is_told() -> None:
    found = Server(7, noise=0.02).run(begun(4, 15, 0.0), 15, 90)
    assert 6 <= found.limit <= 8
    assert found.reason is Reason.NO_HELP


def test_it_falls_within_a_window_when_the_server_becomes_slower_and_comes_back() -> None:
    server = Server(100)
    found = server.run(begun(8, 8, 0.0), 8, 30)
    server.slower = 3
    worse = server.run(found, 8, 5)
    assert (worse.limit, worse.reason) == (6, Reason.SLOWER)
    server.slower = 1
    assert server.run(worse, 8, 200).kept == 8


def test_a_refusal_falls_at_once_and_the_next_rest_is_longer() -> None:
    found = narrowed(begun(8, 16, 0.0), 5, Reason.REFUSED, 10.0)
    assert found
    assert (found.limit, found.ceiling, found.again_at) == (5, 6, 70.0)
    assert narrowed(found, 5, Reason.REFUSED, 11.0) is None, "the same refusal, or one of before"
    again = narrowed(replace(found, limit=6), 5, Reason.REFUSED, 80.0)
    assert again
    assert again.again_at == 80 + 120
    assert narrowed(None, 0, Reason.ASKED, 1.0) == LaneSearch(
        limit=1, kept=1, reason=Reason.ASKED, changed_at=1.0, again_at=61.0, patience=60.0, version=1
    )


def test_connections_that_cannot_be_opened_count_while_others_get_on() -> None:
    known = replace(begun(8, 16, 0.0), rate=8 * ONE)
    window = LaneWindow(seconds=5, lanes=8, work=int(40 * ONE), refused=1)
    found = steered(known, window, 16, 5.0)
    assert (found.limit, found.reason) == (6, Reason.REFUSED)
    outage = steered(known, replace(window, work=int(10 * ONE), refused=8), 16, 5.0)
    assert outage.limit >= 8, "nobody gets on: the server is away, and that is no question of how many"


def test_too_few_lanes_decide_nothing() -> None:
    known = replace(begun(8, 16, 0.0), rate=8 * ONE)
    assert steered(known, LaneWindow(seconds=5, lanes=3, work=int(ONE)), 16, 5.0) is known


def test_a_trial_ends_when_the_lanes_left_and_when_they_do_not_become_as_many() -> None:
    known = replace(begun(10, 16, 0.0), rate=ONE)
    trial = replace(known, limit=15, reason=Reason.TRYING, changed_at=100.0)
    assert unjudged(trial, 280.0, 280.0) is trial
    assert unjudged(known, 0.0, 1000.0) is known, "it is no trial"
    left = unjudged(trial, 100.0, 161.0)
    assert (left.limit, left.kept, left.rate, left.again_at) == (10, 10, ONE, 0), "the next ones try again"
    never = unjudged(trial, 281.0, 281.0)
    assert (never.limit, never.again_at) == (10, 281 + 60), "not again at once"


def test_a_lower_limit_counts_at_once() -> None:
    known = replace(begun(8, 16, 0.0), limit=10, rate=ONE)
    found = steered(known, LaneWindow(seconds=5, lanes=10, work=1), 6, 5.0)
    assert (found.limit, found.kept, found.most) == (6, 6, 6)


@pytest.mark.parametrize(
    ("answers", "seconds", "ripe"), [(0, 4.9, False), (0, 5, True), (39, 5, False), (40, 5, True), (1, 60, True)]
)
def test_a_window_has_some_answers_of_every_lane(answers: int, seconds: float, ripe: bool) -> None:
    assert LaneWindow(seconds=seconds, lanes=8, work=1, answers=answers).is_ripe() is ripe


@pytest.mark.parametrize(
    ("broken", "value", "told"),
    [
        ("_GAIN", -10.0, lambda found: found.kept > 20),  # every step would be kept: it would not stop at the knee
        ("_GAIN", 10.0, lambda found: found.kept < 4),  # no step would be good enough
    ],
)
def test_without_the_gain_it_would_not_stop_at_the_knee(
    broken: str, value: float, told: Callable[[LaneSearch], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves the rule (negative control)."""
    assert not told(Server(8).run(begun(4, 64, 0.0), 64, 600))
    monkeypatch.setattr(rules, broken, value)
    assert told(Server(8).run(begun(4, 64, 0.0), 64, 600))
