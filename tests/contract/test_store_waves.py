"""Tests waves: who is held back, in which order mailboxes are served, and how soon one that was moved is at work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from shared.model import Import, Lease, Mailbox, UnitKind, Wait, WaitKind, Wave
from shared.model.lifecycle import Control, MailboxState
from shared.model.search import Search
from shared.model.waves import FRONT
from shared.store import Store
from shared.store.redis import keys
from tests.contract.store_kit import Clock, copy, intent, person, plan_of, request, run_out, take


def begin(
    store: Store, rows: Mapping[int, Mapping[str, Any]], *, name: str = "move", batches: int = 3
) -> tuple[Import, list[Mailbox]]:
    """Starts an import with these rows (row → fields of the mailbox), and plans each as one folder of so many batches."""
    whole = request(name)
    people = [replace(person(whole, row, to=f"{name}{row}"), **fields) for row, fields in rows.items()]
    store.open_import(whole, people, 14)
    store.submit(whole.import_id)
    for mailbox in people:
        lease = take(store, "planner", prefer=mailbox.mailbox_id)
        assert lease.mailbox.mailbox_id == mailbox.mailbox_id
        plan = plan_of(mailbox, "INBOX", *[(10 * n + 1, 10 * n + 10) for n in range(batches)])
        store.plan_folders(
            lease, [(replace(plan, batches=tuple(replace(b, size_bytes=10**6) for b in plan.batches)), 1)]
        )
        store.finish(lease)
        store.leave("planner", mailbox.mailbox_id)
    return whole, people


def serve(store: Store, turns: int, following: Counter[str] | None = None) -> list[Mailbox]:
    """Copies so many batches one after the other, and verifies what is done; returns whose they were."""
    served: list[Mailbox] = []
    first = Counter[str]() if following is None else following
    while len(served) < turns:
        lease = take(store)
        if lease.unit.kind is not UnitKind.COPY:
            store.finish(lease)
            store.leave("lane", lease.mailbox.mailbox_id)
            continue
        first[lease.unit.folder_id] = copy(store, lease, first[lease.unit.folder_id] or 1)
        store.leave("lane", lease.mailbox.mailbox_id)
        served.append(lease.mailbox)
    return served


def rows_of(mailboxes: list[Mailbox]) -> list[int]:
    """Returns their rows."""
    return [mailbox.row for mailbox in mailboxes]


# -- what belongs where


def test_a_mailbox_keeps_its_wave_its_priority_and_its_group(store: Store) -> None:
    whole, people = begin(store, {1: {"wave": "b", "priority": -3, "group": "sales"}, 2: {}, 3: {"wave": "a"}})
    found = [mailbox for mailbox, _ in store.mailboxes(whole.import_id)]
    assert [(m.wave, m.priority, m.group) for m in found] == [("b", -3, "sales"), ("", 0, ""), ("a", 0, "")]
    one = {MailboxState.COPYING: 1}
    assert store.waves(whole.import_id) == [Wave(name="b", mailboxes=one), Wave(name="a", mailboxes=one)]
    for wave, rows in {"b": [1], "a": [3], "": [1, 2, 3], "c": []}.items():
        total, page = store.find_mailboxes(whole.import_id, Search(wave=wave))
        assert (total, [m.row for m, _ in page]) == (len(rows), rows)
    store.control(whole.import_id, people[0].mailbox_id, Control.CANCEL)
    assert store.waves(whole.import_id)[0].mailboxes == {MailboxState.CANCELLED: 1}
    search = Search(wave="b", state=MailboxState.CANCELLED, text="USER1")
    assert [m.row for m, _ in store.find_mailboxes(whole.import_id, search)[1]] == [1]
    assert store.find_mailboxes(whole.import_id, replace(search, wave="a")) == (0, [])


def test_a_later_pass_leaves_what_the_list_does_not_say(store: Store) -> None:
    whole, people = begin(store, {1: {"wave": "a", "priority": 2}, 2: {"wave": "a"}})
    run_out(store)
    store.move(whole.import_id, people[0].mailbox_id, wave="b")
    store.open_import(whole, [replace(people[0], wave="", priority=0), replace(people[1], wave="c")], 14)
    store.submit(whole.import_id)
    assert [(m.wave, m.priority) for m, _ in store.mailboxes(whole.import_id)] == [("b", 2), ("c", 0)]
    store.open_import(whole, [replace(people[0], wave="a")], 14)
    assert store.mailboxes(whole.import_id)[0][0].wave == "b", "it is under way: only a person moves it"


def test_a_rule_places_only_a_mailbox_that_is_new(store: Store) -> None:
    whole, people = begin(store, {1: {"wave": "a"}, 2: {}, 3: {"wave": "rest", "wave_by_rule": True}})
    run_out(store)
    store.move(whole.import_id, people[2].mailbox_id, wave="")
    again = [replace(one, wave="rest", wave_by_rule=True) for one in people]
    new = replace(person(whole, 4, to="move4"), wave="rest", wave_by_rule=True)
    store.open_import(whole, [*again, new], 14)
    assert [m.wave for m, _ in store.mailboxes(whole.import_id)] == ["a", "", "", "rest"]
    store.open_import(whole, [replace(new, wave="b")], 14)
    assert [m.wave for m, _ in store.mailboxes(whole.import_id)] == ["a", "", "", "rest"], (
        "opened once more, as after a kill"
    )


# -- held back


def test_a_paused_wave_leaves_the_others_at_work(store: Store) -> None:
    whole, people = begin(store, {1: {"wave": "a"}, 2: {"wave": "b"}, 3: {}})
    lease = take(store, "at b", prefer=people[1].mailbox_id)
    assert store.control(whole.import_id, None, Control.PAUSE, wave="b") == 1
    assert store.attend("w", [lease], extend=False) == ["pause"]
    assert store.progress(lease, intents=[intent("1", lease.unit.uids)]).word == "pause"
    store.release(lease, how="wait")
    assert set(rows_of(serve(store, 6))) == {1, 3}
    assert store.claim("late", prefer=people[1].mailbox_id).mailbox.row != 2  # type: ignore[union-attr]
    assert store.waits(whole.import_id) == [Wait(what=WaitKind.WAVE_PAUSED, key="b", mailboxes=1)]
    request_ = store.import_(whole.import_id)
    assert request_ is not None
    assert request_.control is Control.RUN
    store.control(whole.import_id, None, Control.PAUSE)
    store.control(whole.import_id, None, Control.RUN)
    assert [w.control for w in store.waves(whole.import_id)] == [Control.RUN, Control.PAUSE], "its own word stays"
    assert store.control(whole.import_id, None, Control.RUN, wave="b") == 1
    assert take(store, "again", prefer=people[1].mailbox_id).mailbox.row == 2
    assert store.control(whole.import_id, None, Control.PAUSE, wave="nobody's") == 0


def test_a_cancelled_wave_is_no_wave_that_stays_so(store: Store) -> None:
    whole, people = begin(store, {1: {"wave": "a"}, 2: {"wave": "b"}})
    store.control(whole.import_id, None, Control.PAUSE, wave="b")
    assert store.control(whole.import_id, None, Control.CANCEL, wave="b") == 1
    assert [m.state for m, _ in store.mailboxes(whole.import_id)] == [MailboxState.COPYING, MailboxState.CANCELLED]
    assert set(rows_of(serve(store, 3))) == {1}
    assert store.retry(whole.import_id, people[1].mailbox_id, [])
    assert take(store, prefer=people[1].mailbox_id).mailbox.row == 2


def test_before_its_time_nothing_of_a_wave_is_claimed(store: Store, clock: Clock) -> None:
    whole = request()
    people = [replace(person(whole, row), wave=wave) for row, wave in ((1, "b"), (2, ""))]
    store.open_import(whole, people, 14)
    assert store.set_wave(whole.import_id, "b", starts_at=clock() + 100)
    store.submit(whole.import_id)
    store.finish(other := take(store, "a"))
    assert other.mailbox.row == 2
    run_out(store)
    assert store.claim("b", prefer=people[0].mailbox_id, hint=f"{people[0].mailbox_id}.plan") is None
    assert store.waits(whole.import_id) == [Wait(what=WaitKind.WAVE_START, key="b", until=clock() + 100, mailboxes=1)]
    clock.forward(99.999)
    store.reap(5)
    assert store.claim("b") is None
    clock.forward(0.001)
    store.reap(5)
    lease = take(store, "b")
    assert lease.mailbox.row == 1
    store.set_wave(whole.import_id, "b", starts_at=clock() + 50)
    assert store.attend("w", [lease], extend=False) == ["pause"], "put off: who is at it stops"
    store.release(lease, how="wait")
    assert store.claim("b") is None
    store.set_wave(whole.import_id, "b", starts_at=0)
    assert take(store, "b").mailbox.row == 1
    assert not store.set_wave("nobody", "b", weight=2)


def test_outside_of_its_own_hours_a_wave_waits(store: Store, clock: Clock) -> None:
    whole, people = begin(store, {1: {"wave": "b"}, 2: {}})
    now, hours = clock(), "20:00-06:00 UTC"
    lease = take(store, "at b", prefer=people[0].mailbox_id)
    assert store.set_window(whole.import_id, hours, now + 100, now + 200, wave="b")
    assert store.attend("w", [lease], extend=False) == ["pause"]
    store.release(lease, how="wait")
    assert set(rows_of(serve(store, 3))) == {2}
    run_out(store)
    waits = [Wait(what=WaitKind.WAVE_HOURS, key="b", until=now + 100, why=hours, mailboxes=1)]
    assert store.waits(whole.import_id) == waits
    found = store.import_(whole.import_id)
    assert found is not None
    assert found.window == ""
    clock.forward(100)
    store.reap(5)
    assert take(store, "b").mailbox.row == 1
    clock.forward(100)
    store.reap(0)
    assert store.claim("c") is None, "by the store's clock, without anybody's tick"
    assert store.waits(whole.import_id)[0].until == 0
    assert not store.set_window(whole.import_id, "other", now, now + 900, renew=True, wave="b")
    assert store.set_window(whole.import_id, hours, now + 250, now + 300, renew=True, wave="b")
    assert not store.set_window(whole.import_id, hours, now, now + 300, wave="nobody's")
    store.set_wave(whole.import_id, "b", starts_at=now + 270)
    clock.forward(60)
    store.reap(5)
    assert store.claim("c") is None, "its hours have begun, and it has not"
    clock.forward(15)
    store.reap(5)
    assert take(store, "c").mailbox.row == 1
    store.set_window(whole.import_id, "", wave="b")
    assert store.waves(whole.import_id)[0].window == ""


# -- in order


def test_the_higher_priority_goes_first_and_only_within_its_wave(store: Store) -> None:
    begin(store, {1: {}, 2: {"priority": 5}, 3: {"priority": -1}, 4: {"priority": 5}})
    assert rows_of(serve(store, 12)) == [2, 4, 2, 4, 2, 4, 1, 1, 1, 3, 3, 3]


def test_a_wave_of_a_lower_order_goes_first(store: Store) -> None:
    whole, _ = begin(store, {1: {"wave": "later", "priority": 9}, 2: {"wave": "first"}, 3: {}})
    store.set_wave(whole.import_id, "later", order=2)
    store.set_wave(whole.import_id, "", order=1)
    assert rows_of(serve(store, 9)) == [2, 2, 2, 3, 3, 3, 1, 1, 1]


@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (5, 2)])
def test_waves_share_by_weight(store: Store, weights: tuple[int, int]) -> None:
    # One wave has four times the mailboxes of the other, which gives it nothing more.
    rows = {n: {"wave": "a" if n < 5 else "b"} for n in range(1, 6)}
    whole, _ = begin(store, rows, batches=300)
    for wave, weight in zip("ab", weights, strict=True):
        store.set_wave(whole.import_id, wave, weight=weight)
    shares = Counter(m.wave for m in serve(store, 280))
    assert shares["a"] / 280 == pytest.approx(weights[0] / sum(weights), abs=0.05)


def test_imports_share_by_weight(store: Store) -> None:
    first, _ = begin(store, {n: {} for n in range(1, 4)}, batches=200)
    second, _ = begin(store, {1: {}}, name="other", batches=200)
    store.set_wave(second.import_id, "", weight=2)
    shares = Counter(m.import_id for m in serve(store, 180))
    assert shares[second.import_id] / 180 == pytest.approx(2 / 3, abs=0.05)
    assert shares[first.import_id] + shares[second.import_id] == 180


def test_a_wave_that_had_nothing_to_do_has_nothing_to_make_up_for(store: Store) -> None:
    whole, _ = begin(store, {1: {"wave": "a"}, 2: {"wave": "b"}}, batches=200)
    store.control(whole.import_id, None, Control.PAUSE, wave="b")
    following: Counter[str] = Counter()
    serve(store, 100, following)
    store.control(whole.import_id, None, Control.RUN, wave="b")
    shares = Counter(m.wave for m in serve(store, 40, following))
    assert shares["b"] == pytest.approx(20, abs=2)


def test_what_one_wave_cannot_take_is_left_to_the_next(store: Store) -> None:
    whole, _ = begin(store, {1: {"wave": "a"}, 2: {"wave": "b"}})
    store.set_wave(whole.import_id, "b", order=1)
    held = take(store, "only one")
    assert held.mailbox.row == 1
    assert take(store, "another").mailbox.row == 2, "the folder of the first has its writer"


# -- moved while it runs


def busy(store: Store, lanes: int, worker: str = "w") -> list[Lease]:
    """Lets so many lanes of a process be at work."""
    return [take(store, f"{worker}/{n}") for n in range(lanes)]


def test_what_is_moved_to_the_front_is_what_a_free_lane_takes_next(store: Store) -> None:
    whole, people = begin(store, {n: {"wave": "b"} for n in range(1, 5)} | {5: {"wave": "c"}})
    store.set_wave(whole.import_id, "c", order=9)
    lane = take(store, "lane")
    assert store.move(whole.import_id, people[4].mailbox_id, priority=FRONT)
    copy(store, lane, 1)
    store.leave("lane", lane.mailbox.mailbox_id)
    assert take(store, "lane", prefer=lane.mailbox.mailbox_id).mailbox.row == 5, (
        "before its slice, and its wave's order"
    )
    assert take(store, "next").mailbox.row != 5
    assert not store.move(whole.import_id, "nobody", priority=1)


def test_where_no_lane_is_free_one_gives_way(store: Store, clock: Clock) -> None:
    whole, people = begin(store, {n: {"priority": n % 2} for n in range(1, 5)})
    leases = busy(store, 3)
    waiting = next(m for m in people if m.mailbox_id not in {one.mailbox.mailbox_id for one in leases})
    assert store.attend("w", leases, extend=False) == ["run"] * 3
    store.move(whole.import_id, waiting.mailbox_id, priority=FRONT)
    assert store.attend("w", leases, extend=False) == ["run"] * 3, "for a moment: a lane may be free"
    clock.forward(0.5)
    words = store.attend("w", leases, extend=False)
    assert sorted(words) == ["pause", "run", "run"]
    assert store.attend("w", leases, extend=False) == words, "the same one, until it does"
    chosen = leases[words.index("pause")]
    assert chosen.mailbox.priority == 0, "the least urgent one"
    assert store.progress(chosen, intents=[intent("1", chosen.unit.uids)]).word == "pause"
    store.release(chosen, how="wait")
    store.leave(chosen.holder, chosen.mailbox.mailbox_id)
    mine = take(store, chosen.holder, prefer=chosen.mailbox.mailbox_id)
    assert mine.mailbox.mailbox_id == waiting.mailbox_id
    clock.forward(10)
    rest = [mine, *(one for one in leases if one is not chosen)]
    assert store.attend("w", rest, extend=False) == ["run"] * 3, "it is at work: nobody gives way any more"
    again = take(store, "later", prefer=chosen.mailbox.mailbox_id)
    assert again.unit.attempts == 1, "giving way was no attempt"
    assert store.attend("w", [again], extend=False) == ["run"]


def test_one_lane_after_the_other_gives_way_until_it_is_enough(store: Store, clock: Clock) -> None:
    whole, people = begin(store, {n: {} for n in range(1, 4)})
    leases = busy(store, 2)
    waiting = next(m for m in people if m.mailbox_id not in {one.mailbox.mailbox_id for one in leases})
    store.move(whole.import_id, waiting.mailbox_id, wave="b")
    clock.forward(0.5)
    assert store.attend("w", leases, extend=False).count("pause") == 1
    clock.forward(2.9)
    assert store.attend("w", leases, extend=False).count("pause") == 1
    clock.forward(0.1)
    assert store.attend("w", leases, extend=False).count("pause") == 2
    for one in leases:
        store.release(one, how="wait")
    clock.forward(60)
    assert take(store).unit.kind is UnitKind.COPY, "what nobody could serve for a minute waits as the others do"


def test_nobody_gives_way_for_what_may_not_be_served_or_is_at_work(store: Store, clock: Clock) -> None:
    whole, people = begin(store, {n: {"wave": "b" if n == 3 else "a"} for n in range(1, 4)})
    leases = [take(store, f"w/{n}", prefer=people[n].mailbox_id) for n in range(2)]
    store.control(whole.import_id, None, Control.PAUSE, wave="b")
    store.move(whole.import_id, people[2].mailbox_id, priority=FRONT)
    store.move(whole.import_id, people[0].mailbox_id, priority=FRONT)
    clock.forward(5)
    assert store.attend("w", leases, extend=False) == ["run", "run"]
    store.move(whole.import_id, people[2].mailbox_id, wave="a")
    clock.forward(0.5)
    assert store.attend("w", leases, extend=False) == ["run", "pause"], "into a wave that runs: not for the front one"
    assert store.attend("other", [], extend=False) == []


def test_who_is_moved_into_a_wave_that_is_held_back_stops(store: Store, clock: Clock) -> None:
    whole, people = begin(store, {1: {"wave": "a"}, 2: {"wave": "b"}})
    store.control(whole.import_id, None, Control.PAUSE, wave="b")
    lease = take(store)
    store.move(whole.import_id, people[0].mailbox_id, wave="b")
    assert store.attend("w", [lease], extend=False) == ["pause"]
    store.release(lease, how="wait")
    assert store.claim("x") is None
    store.move(whole.import_id, people[0].mailbox_id, wave="")
    assert take(store).mailbox.wave == ""


def test_whoever_is_moved_brings_no_past_along(store: Store) -> None:
    whole, people = begin(store, {1: {"wave": "a"}, 2: {"wave": "b"}, 3: {"wave": "b"}}, batches=100)
    store.control(whole.import_id, None, Control.PAUSE, wave="b")
    following: Counter[str] = Counter()
    serve(store, 60, following)
    store.control(whole.import_id, None, Control.RUN, wave="b")
    store.move(whole.import_id, people[0].mailbox_id, wave="b")
    shares = Counter(rows_of(serve(store, 30, following)))
    assert min(shares.values()) >= 9, shares


def test_nobody_gives_way_where_it_would_not_help(store: Store, clock: Clock) -> None:
    whole, people = begin(store, {n: {} for n in range(1, 4)})
    leases = busy(store, 2)
    waiting = next(m for m in people if m.mailbox_id not in {one.mailbox.mailbox_id for one in leases})
    store.hold(f"source_account:{store.limits_of(waiting.mailbox_id)['source_account']}", 5, import_id="", why="slow")
    store.move(whole.import_id, waiting.mailbox_id, priority=FRONT)
    clock.forward(1)
    assert store.attend("w", leases, extend=False) == ["run", "run"], "its server asked to be left alone"
    clock.forward(5)
    assert "pause" in store.attend("w", leases, extend=False)
    clock.forward(5)
    assert store.attend("w", leases, extend=False).count("pause") == 1, (
        "so long nobody could serve it: others do not help"
    )


def test_a_closed_import_leaves_no_wave_behind(store: Store, backend: str) -> None:
    whole, people = begin(store, {1: {"wave": "a"}, 2: {}})
    store.set_wave(whole.import_id, "a", order=2, starts_at=9e9)
    store.set_wave(whole.import_id, "", weight=2)
    assert [(wave.name, wave.weight) for wave in store.waves(whole.import_id)] == [("", 2), ("a", 1)]
    store.set_window(whole.import_id, "Sat UTC", 9e9, 9e9 + 1, wave="a")
    store.move(whole.import_id, people[1].mailbox_id, wave="b")
    store.control(whole.import_id, None, Control.CANCEL)
    assert store.close(whole.import_id)
    assert store.waves(whole.import_id) == []
    if backend != "memory":
        client: Any = store._redis  # type: ignore[attr-defined]
        left = {key.decode().removeprefix(keys.PREFIX) for key in client.scan_iter("mailhaul:*", 1000)}
        assert {name for name in left if whole.import_id in name} == set()
        for kept in ("lines", "orders", "starting", "urgent"):
            assert kept not in left


# -- a store of the version before


def test_what_the_version_before_queued_is_served(store: Store, backend: str) -> None:
    if backend == "memory":
        pytest.skip("memory is gone with its process")
    whole, people = begin(store, {1: {}, 2: {}})
    client: Any = store._redis  # type: ignore[attr-defined]
    old = f"{keys.PREFIX}ready:"
    for mailbox in people:
        key = keys.mailbox(mailbox.mailbox_id)
        place, route = client.hget(key, "stands").decode(), client.hget(key, "route").decode()
        line = place.partition("\0")[0]
        client.delete(f"{old}{place}", f"{keys.PREFIX}routes:{line}", f"{keys.PREFIX}served:{line}", keys.LINES)
        client.hdel(key, "stands")
        client.zadd(f"{old}{route}", {mailbox.mailbox_id: 5})
        client.zadd(f"{keys.PREFIX}routes", {route: 7})
    client.delete(keys.import_(whole.import_id, "wave:"))
    store.reap(5)
    assert sorted(store.ready_mailboxes()) == sorted(m.mailbox_id for m in people)
    assert store.overview().ready_mailboxes == 2
    assert not client.exists(f"{keys.PREFIX}routes")
    # A worker of that version that still runs queues one there.
    client.zadd(f"{old}{route}", {people[0].mailbox_id: 9})
    client.zadd(f"{keys.PREFIX}routes", {route: 7})
    assert sorted(rows_of(serve(store, 6))) == [1, 1, 1, 2, 2, 2]
    run_out(store)
    assert [m.state for m, _ in store.mailboxes(whole.import_id)] == [MailboxState.COMPLETE] * 2
