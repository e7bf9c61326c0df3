"""Tests the simulation of claims under every kind of limit, against what can be computed by hand."""

from __future__ import annotations

import math
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.forecast.binding import bindings, said
from producer.forecast.loads import ForecastLimits, ForecastLine, Load, Speed
from producer.forecast.simulation import simulated
from shared.model.rates import DAY_SECONDS
from shared.rules.hours import read_hours

#: A lane moves a byte a second, and nothing else costs anything.
SLOW = Speed(mailbox_seconds=0.0, messages=1e12, size_bytes=1.0, together=1e12)
#: A speed at which only limits cost time.
FAST = Speed(mailbox_seconds=0.0, messages=1e6, size_bytes=1e6, together=1e15)
MONDAY = 1_700_438_400.0  # 2023-11-20 00:00 UTC


def load(
    name: str, size_bytes: float, messages: float = 0.0, *, lanes: int = 1, line: str = "", priority: int = 0
) -> Load:
    """Returns a mailbox of its own accounts, between the same hosts."""
    keys = (f"imaps://s:993/{name}", "s", f"imaps://d:993/{name}", "d")
    return Load(
        name=name,
        messages=messages,
        size_bytes=size_bytes,
        fresh=False,
        line=line,
        priority=priority,
        keys=keys,
        lanes=lanes,
    )


def ends(loads: list[Load], **limits: object) -> dict[str, float]:
    """Returns when each mailbox is done, without limits other than these."""
    usual: dict[str, object] = {"speed": SLOW, "lanes": 100}
    return dict(simulated(loads, ForecastLimits(**(usual | limits)), MONDAY).ends)  # type: ignore[arg-type]


def test_lanes_are_shared_alike_and_the_last_has_them_all() -> None:
    # Two lanes, three mailboxes: two thirds of a lane each until the small one is done, then one each.
    found = ends([load("a", 10), load("b", 20), load("c", 20)], lanes=2)
    assert found["a"] == pytest.approx(15)
    assert found["b"] == found["c"] == pytest.approx(25, rel=0.01)


def test_a_mailbox_uses_no_more_lanes_than_its_accounts_allow() -> None:
    assert ends([load("a", 40, lanes=4)])["a"] == pytest.approx(10)
    assert ends([load("a", 40, lanes=4)], given={"source_account": 2})["a"] == pytest.approx(20)
    assert ends([load("a", 40, lanes=4)], usual={"destination_account:imaps://d:993": 1})["a"] == pytest.approx(40)
    own = {"source_account": 1, "source_account:imaps://s:993/a": 4}
    assert ends([load("a", 40, lanes=4)], given=own)["a"] == pytest.approx(10)


def test_hosts_limit_all_their_mailboxes_together() -> None:
    loads = [load(str(n), 10) for n in range(10)]
    assert max(ends(loads).values()) == pytest.approx(10)
    assert max(ends(loads, given={"source_host": 5}).values()) == pytest.approx(20)
    assert max(ends(loads, given={"destination_host.bytes_per_second": 2}).values()) == pytest.approx(50)


def test_rates_of_an_account_hold_for_it_alone() -> None:
    found = ends(
        [load("a", 100, lanes=4), load("b", 100)], given={"source_account.bytes_per_second:imaps://s:993/a": 2}
    )
    assert found["a"] == pytest.approx(50, rel=0.1)
    assert found["b"] == pytest.approx(100)
    found = ends([load("a", 1, 100)], speed=FAST, given={"destination_account.messages_per_second": 5})
    assert found["a"] == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize(
    ("size", "days"),
    [(885_000, 8), (100_000, 0), (100_001, 1), (900_000, 8), (900_001, 9), (10**10, 99_999)],
)
def test_a_budget_a_day_is_spent_day_by_day(size: int, days: int) -> None:
    """Tests the case of the issue: 885 kB at 100 kB a day were forecast as 1 to 6 seconds."""
    found = ends([load("a", size)], speed=FAST, given={"source_account.bytes_per_day": 100_000})["a"]
    assert found >= min(days, 3650) * DAY_SECONDS - 1 if days < 3650 else math.isinf(found)
    assert days >= 3650 or found == pytest.approx(days * DAY_SECONDS, abs=1)


def test_a_budget_of_a_host_stops_all_at_once() -> None:
    loads = [load(str(n), 100) for n in range(10)]
    found = ends(loads, speed=FAST, given={"source_host.bytes_per_day": 250})
    assert max(found.values()) == pytest.approx(3 * DAY_SECONDS, rel=0.001)


def test_a_day_begins_with_its_first_byte() -> None:
    lines = {"late": ForecastLine(starts_at=MONDAY + 3 * DAY_SECONDS)}
    found = ends([load("a", 150, line="late")], speed=FAST, lines=lines, given={"source_account.bytes_per_day": 100})
    assert found["a"] == pytest.approx(4 * DAY_SECONDS, abs=1)


def test_nothing_moves_outside_the_hours() -> None:
    night = read_hours("20:00-06:00 UTC")
    hour = 3600.0
    # From midnight six hours, then from 20:00 on.
    assert ends([load("a", 7 * hour)], hours=night)["a"] == pytest.approx(21 * hour)
    of_wave = {"w": ForecastLine(hours=read_hours("22:00-24:00 UTC"))}
    assert ends([load("a", hour, line="w")], hours=night, lines=of_wave)["a"] == pytest.approx(23 * hour)
    assert math.isinf(ends([load("a", hour, line="w")], lines={"w": ForecastLine(paused=True)})["a"])
    assert math.isinf(ends([load("a", 1)], paused=True)["a"])


def test_waves_go_by_order_weight_and_priority() -> None:
    first, second = load("a", 100, line="one"), load("b", 100, line="two")
    found = ends([first, second], lanes=1, lines={"two": ForecastLine(order=1)})
    assert (found["a"], found["b"]) == (pytest.approx(100), pytest.approx(200))
    found = ends([first, second], lanes=1, lines={"one": ForecastLine(weight=3)})
    assert found["a"] == pytest.approx(400 / 3)
    assert found["b"] == pytest.approx(200)
    found = ends([load("a", 100), load("b", 100, priority=5)], lanes=1)
    assert (found["b"], found["a"]) == (pytest.approx(100), pytest.approx(200))


def test_what_one_cannot_use_goes_to_the_others() -> None:
    found = ends(
        [load("a", 100, line="one"), load("b", 400, line="two", lanes=4)],
        lanes=5,
        lines={"one": ForecastLine(weight=9)},
    )
    assert found == {"a": pytest.approx(100), "b": pytest.approx(100)}


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=30),
    lanes=st.integers(1, 20),
    daily=st.sampled_from([0, 10**5]),
    rate=st.sampled_from([0, 10, 10_000]),
)
def test_it_is_never_faster_than_any_of_its_limits_and_each_mailbox_has_an_end(
    sizes: list[int], lanes: int, daily: int, rate: int
) -> None:
    given_ = {"source_account.bytes_per_day": daily, "source_host.bytes_per_second": rate}
    found = ends([load(str(n), size, lanes=4) for n, size in enumerate(sizes)], lanes=lanes, given=given_)
    least = max(sum(sizes) / lanes, max(sizes) / 4, sum(sizes) / rate if rate else 0)
    least = max(least, (math.ceil(max(sizes) / daily) - 1) * DAY_SECONDS if daily else 0)
    assert max(found.values()) >= least * 0.98
    if not daily:
        assert max(found.values()) <= (sum(sizes) / min(lanes, 4) + (sum(sizes) / rate if rate else 0)) * 1.2 + 1


def test_it_says_what_binds_and_for_whom() -> None:
    sizes = [450_000_000] * 4974 + [n * 450_000_000 for n in range(19, 45)]
    loads = [load(str(n), size) for n, size in enumerate(sizes)]
    limits = ForecastLimits(speed=Speed(), lanes=16, given={"source_account.bytes_per_day": 450_000_000})
    found = simulated(loads, limits, MONDAY)
    first = bindings(loads, limits, MONDAY, found)[0]
    assert said(first).startswith("26 of 5,000 mailboxes need more than a day at 450.0 MB a day from each account")
    assert said(first).endswith("the longest 44")
    assert bindings(loads, limits.without("source_account.bytes_per_day"), MONDAY, found)[0].what != first.what


def test_nothing_binds_what_is_over() -> None:
    limits = ForecastLimits(speed=Speed(), lanes=16, given={"source_account.bytes_per_second": 50})
    assert bindings([], limits, MONDAY, simulated([], limits, MONDAY)) == []
    some = [load("1", 1000)]
    assert bindings(some, limits, MONDAY, simulated(some, limits, MONDAY)), "the control"


def test_five_thousand_mailboxes_take_a_moment_of_the_processor() -> None:
    drawn = random.Random(7)
    loads = [load(str(n), drawn.lognormvariate(19, 1.2), 2000, lanes=4) for n in range(5000)]
    limits = ForecastLimits(speed=Speed(), lanes=32, given={"source_account.bytes_per_day": 450_000_000})
    began = time.process_time()
    simulated(loads, limits, MONDAY)
    assert time.process_time() - began < 6, "0.3 s on a quiet machine"
