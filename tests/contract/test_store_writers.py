"""Tests folders with several writers: how many batches are at work at once, and what others have on the wire."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import Lease
from shared.model.errors import FolderInUse, LeaseLost, StoreError
from shared.model.uids import UidSet
from shared.store import Store
from tests.contract.store_kit import World, copied, copy, intent, plan_of, planned, run_out, sums_agree, take

FIVE = tuple((10 * n + 1, 10 * n + 10) for n in range(5))


def lanes(store: Store, first: Lease, *names: str) -> list[Lease]:
    """Claims a batch for each of these lanes, beside the first."""
    return [first, *(take(store, name) for name in names)]


def test_a_folder_has_one_writer_until_it_is_widened(store: Store) -> None:
    planned(store, *FIVE)
    first = take(store, "a")
    assert (first.writers, first.heads, first.folder_pending) == (1, 1, 50)
    assert store.claim("b") is None
    assert store.widen(first, 3) == 3
    second = take(store, "b")
    third = take(store, "c")
    assert [lease.unit.uids.low for lease in (first, second, third)] == [1, 11, 21]
    assert (third.writers, third.heads) == (3, 3)
    assert store.claim("d") is None, "as many batches as writers"
    copy(store, second, 100)
    assert take(store, "b").unit.uids.low == 31


def test_a_drained_folder_has_one_writer_again(store: Store) -> None:
    whole, mailbox, _ = planned(store, (1, 10), (11, 20))
    lease = take(store, "a")
    store.widen(lease, 4)
    other = take(store, "b")
    copy(store, lease, 1)
    copy(store, other, 100)
    run_out(store)
    sums_agree(store, whole.import_id)
    store.open_import(whole, [mailbox], 14)
    store.submit(whole.import_id)
    plan = take(store, "planner")
    store.plan_folders(plan, [(plan_of(mailbox, "INBOX", (21, 30), (31, 40)), 1)])
    store.finish(plan)
    assert take(store, "a").writers == 1
    assert store.claim("b") is None


def test_a_narrowed_folder_is_not_widened_again(store: Store) -> None:
    planned(store, *FIVE)
    first = take(store, "a")
    store.widen(first, 2)
    second = take(store, "b")
    assert store.widen(first, 0) == 1
    assert store.widen(second, 3) == 1
    copy(store, first, 1)
    assert store.claim("a") is None, "the other batch is at work"
    copy(store, second, 100)
    last = take(store, "a")
    assert (last.writers, last.heads) == (1, 1)
    assert store.claim("b") is None


def test_in_a_narrowed_folder_heads_that_nobody_is_at_wait_again(store: Store) -> None:
    planned(store, *FIVE)
    first = take(store, "a")
    store.widen(first, 4)
    first, second = lanes(store, first, "b")
    store.progress(second, intents=[intent(f"{second.term}.1", UidSet.span(11, 12), 4)])
    store.widen(first, 0)
    store.widen(first, 0)
    assert store.claim("c") is None, "what was ready waits again"
    store.release(second, how="doubt", delay_seconds=0)
    assert store.claim("c") is None, "and so does what is given back beside another lane"
    assert [str(one.uids) for one in store.writing(first).left] == ["11:12"]
    store.release(first, how="again")
    again = take(store, "a")
    assert (again.unit.uids.low, again.writers, again.heads, again.alone) == (1, 1, 1, True)
    copy(store, again, 100)
    heir = take(store, "a")
    assert ([str(one.uids) for one in heir.intents], heir.heads) == (["11:12"], 1), "with what it left"


def test_a_batch_that_is_divided_leaves_its_place_to_its_parts(store: Store) -> None:
    planned(store, (1, 10), (11, 20))
    first = take(store, "a")
    store.widen(first, 3)
    parts = [
        replace(first.unit, unit_id=f"part{n}", uids=UidSet.span(*span)) for n, span in enumerate([(1, 5), (6, 10)])
    ]
    store.split(first, [(part, ()) for part in parts])
    found = [take(store, name).unit.uids.low for name in "abc"]
    assert sorted(found) == [1, 6, 11]


def test_what_other_lanes_have_on_the_wire_and_what_was_left(store: Store) -> None:
    planned(store, *FIVE)
    first = take(store, "w/a")
    store.widen(first, 3)
    first, second, third = lanes(store, first, "w/b", "x/c")
    store.progress(first, intents=[intent(f"{first.term}.1", UidSet.span(1, 5), 7)])
    store.progress(second, intents=[intent(f"{second.term}.1", UidSet.span(11, 12), 4)])
    store.progress(third, intents=[intent(f"{third.term}.1", UidSet.span(21, 25), 5)])
    store.progress(second, settled=[copied(UidSet.span(13, 14), 40)])
    store.bury(["x"])
    found = store.writing(first)
    assert found.taken == UidSet.span(40, 41)
    assert [str(one.uids) for one in found.live] == ["11:12"]
    assert [str(one.uids) for one in found.left] == ["21:25"]
    assert found.beginning == 4
    heir = take(store, "w/d")
    assert heir.unit.unit_id == third.unit.unit_id
    store.progress(heir, intents=[intent(f"{heir.term}.1", UidSet.of([26]), 9)])
    found = store.writing(first)
    assert sorted(str(one.uids) for one in found.live) == ["11:12", "26"]
    assert [str(one.uids) for one in found.left] == ["21:25"], "under another term, nobody sends it any more"
    store.split(heir, [(replace(heir.unit, unit_id="whole"), [*heir.intents, intent("9.9", UidSet.of([27]), 3)])])
    found = store.writing(first)
    assert (sorted(str(one.uids) for one in found.left), found.beginning) == (["21:25", "27"], 3)


def test_a_zombie_neither_widens_nor_looks(store: Store) -> None:
    planned(store, *FIVE)
    lease = take(store, "w/a")
    store.bury(["w"])
    for call in (lambda: store.widen(lease, 2), lambda: store.writing(lease)):
        with pytest.raises(LeaseLost):
            call()


def test_only_folders_of_batches_have_writers(store: Store) -> None:
    planned(store, (1, 10))
    copy(store, take(store, "a"), 1)
    with pytest.raises(StoreError):
        store.widen(take(store, "a"), 2)


def test_a_plan_that_voids_a_folder_waits_for_its_lanes(world: World) -> None:
    store = world.store
    _, mailbox, _ = planned(store, *FIVE)
    first = take(store, "a")
    store.widen(first, 2)
    second = take(store, "b")
    store.progress(second, intents=[intent(f"{second.term}.1", UidSet.span(11, 15))])
    store.release(first, how="replan")
    plan = take(store, "planner")
    anew = replace(plan_of(mailbox, "INBOX", (1, 50), uidvalidity=8), reset=True)
    with pytest.raises(FolderInUse):
        store.plan_folders(plan, [(anew, 1)])
    assert store.attend("w", [second], extend=True) == ["pause"], "it is told to stop"
    world.clock.forward(1)
    store.release(second, how="wait")
    with pytest.raises(FolderInUse):
        store.plan_folders(plan, [(anew, 1)])  # what it left may have come after the folder was listed
    store.release(plan, how="doubt")
    world.clock.forward(1)
    plan = take(store, "planner")
    store.plan_folders(plan, [(anew, 1)])
    store.finish(plan)
    again = take(store, "a")
    assert (again.writers, again.intents, again.folder_pending) == (1, (), 50)


def test_a_plan_that_voids_a_folder_sees_what_a_batch_entered_since_it_began(store: Store) -> None:
    """The batch is gone when the plan is entered; only a plan that began later has listed what it brought."""
    _, mailbox, _ = planned(store, *FIVE)
    first = take(store, "a")
    store.widen(first, 2)
    second = take(store, "b")
    store.release(first, how="replan")
    plan = take(store, "planner")
    copy(store, second, 100)
    anew = replace(plan_of(mailbox, "INBOX", (1, 50), uidvalidity=8), reset=True)
    with pytest.raises(FolderInUse):
        store.plan_folders(plan, [(anew, 1)])
    store.release(plan, how="doubt")
    plan = take(store, "planner")
    store.plan_folders(plan, [(anew, 1)])
    store.finish(plan)
    assert take(store, "a").folder_pending == 50


def test_a_plan_that_voids_a_folder_waits_until_what_was_left_cannot_arrive_any_more(world: World) -> None:
    store, clock = world.store, world.clock
    _, mailbox, _ = planned(store, *FIVE)
    first = take(store, "a")
    store.widen(first, 3)
    first, second, third = lanes(store, first, "b", "c")
    store.progress(second, intents=[intent(f"{second.term}.1", UidSet.span(11, 15))])
    clock.forward(10)
    store.release(second, how="wait")
    clock.forward(5)
    store.release(third, how="replan", delay_seconds=40)
    plan = take(store, "planner")
    anew = replace(plan_of(mailbox, "INBOX", (1, 50), uidvalidity=8), reset=True)
    with pytest.raises(FolderInUse) as used:
        store.plan_folders(plan, [(anew, 1)], settle_seconds=30)
    assert used.value.seconds == 25, "from when its lane ended"
    store.release(plan, how="doubt", delay_seconds=used.value.seconds)
    store.release(first, how="replan")
    assert store.claim("d") is None, "the plan waits for its time, and the folder's batches with it"
    clock.forward(24.999)
    assert store.claim("d") is None
    plan = claimed_at_once(world, "planner")
    store.plan_folders(plan, [(anew, 1)], settle_seconds=30)
    store.finish(plan)
    assert take(store, "a").folder_pending == 50
    assert store.claim("b") is None


def claimed_at_once(world: World, holder: str) -> Lease:
    """Claims what is due in a millisecond."""
    world.clock.forward(0.001)
    lease = take(world.store, holder)
    assert lease.unit.kind == "plan", "the plan comes first"
    return lease


def test_a_plan_that_began_while_something_might_arrive_is_made_anew(world: World) -> None:
    """Its listing may not have what arrived since it was claimed."""
    store, clock = world.store, world.clock
    _, mailbox, _ = planned(store, *FIVE)
    first = take(store, "a")
    store.progress(first, intents=[intent(f"{first.term}.1", UidSet.span(1, 5))])
    store.release(first, how="replan")
    clock.forward(29)
    plan = take(store, "planner")
    clock.forward(60)
    anew = replace(plan_of(mailbox, "INBOX", (1, 50), uidvalidity=8), reset=True)
    with pytest.raises(FolderInUse) as used:
        store.plan_folders(plan, [(anew, 1)], settle_seconds=30)
    assert used.value.seconds == 1
    store.release(plan, how="doubt", delay_seconds=1)
    clock.forward(0.999)
    store.plan_folders(claimed_at_once(world, "planner"), [(anew, 1)], settle_seconds=30)


@pytest.mark.parametrize("where", ["behind the head", "in a part"])
def test_what_was_left_counts_wherever_it_waits(world: World, where: str) -> None:
    """A narrowed folder has it behind the head; a batch that is divided hands it on, with the time."""
    store, clock = world.store, world.clock
    _, mailbox, _ = planned(store, *FIVE)
    first = take(store, "w/a")
    store.widen(first, 2)
    second = take(store, "x/b")
    store.progress(second, intents=[intent(f"{second.term}.1", UidSet.span(11, 15))])
    clock.forward(20)
    store.bury(["x"])
    if where == "in a part":
        clock.forward(3)
        heir = take(store, "w/b")
        parts = [
            (replace(heir.unit, unit_id="part1", uids=UidSet.span(11, 15)), heir.intents),
            (replace(heir.unit, unit_id="part2", uids=UidSet.span(16, 20)), ()),
        ]
        store.split(heir, parts)
        clock.forward(7)
    else:
        store.widen(first, 0)
        clock.forward(10)
    store.release(first, how="replan")
    plan = take(store, "w/planner")
    anew = replace(plan_of(mailbox, "INBOX", (1, 50), uidvalidity=8), reset=True)
    with pytest.raises(FolderInUse) as used:
        store.plan_folders(plan, [(anew, 1)], settle_seconds=30)
    assert used.value.seconds == 20
    assert store.claim("w/c") is None


def test_who_sent_nothing_does_not_prolong_the_wait(world: World) -> None:
    store, clock = world.store, world.clock
    _, mailbox, _ = planned(store, *FIVE)
    first = take(store, "a")
    store.progress(first, intents=[intent(f"{first.term}.1", UidSet.span(1, 5))])
    store.release(first, how="again")
    clock.forward(29)
    store.release(take(store, "b"), how="replan")
    clock.forward(1)
    plan = take(store, "planner")
    anew = replace(plan_of(mailbox, "INBOX", (1, 50), uidvalidity=8), reset=True)
    store.plan_folders(plan, [(anew, 1)], settle_seconds=30)
