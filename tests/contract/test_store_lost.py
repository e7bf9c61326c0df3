"""Tests workers that died: their units go back at once if the death is known, else when the lease expires.

Until then everyone can see what waits for them. An attempt with progress does not count.
"""

from __future__ import annotations

import pytest

from shared.model import Stranded
from shared.model.errors import LeaseLost
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.store import SILENT_SECONDS, Store
from tests.contract.store_kit import Clock, copied, intent, other, planned, sums_agree, take

DEAD, ALIVE = "host.7.aa", "host.8.bb"


def test_the_dead_hold_nothing_from_the_moment_that_somebody_knows(store: Store) -> None:
    _, mailbox, folder = planned(store, (1, 10), (11, 20))
    store.set_limit("destination_account", 1)
    lease = take(store, f"{DEAD}/1")
    written = intent("1.1", UidSet.span(1, 5), 3)
    store.progress(lease, intents=[written])
    store.attend(DEAD, [lease], extend=False)
    assert store.claim(f"{ALIVE}/1") is None, "one connection, and one writer of a folder"
    assert store.processes() == [DEAD]

    assert store.bury([DEAD]) == [lease.unit.unit_id]
    assert store.bury([DEAD]) == []
    assert store.processes() == []
    assert store.overview().workers == store.overview().leased_units == 0
    again = take(store, f"{ALIVE}/1")
    assert again.unit.unit_id == lease.unit.unit_id
    assert again.unit.attempts == 2, "nothing came of the first"
    assert [one.uids for one in again.intents] == [written.uids], "what is in doubt is looked for"
    with pytest.raises(LeaseLost):
        store.progress(lease, settled=[copied(UidSet.span(1, 5), 3, "1.1")])
    assert not store.ledger(folder.folder_id)
    assert store.mailbox(mailbox.mailbox_id) is not None


def test_whoever_lives_keeps_what_it_has(store: Store) -> None:
    planned(store, (1, 10))
    lease = take(store, f"{ALIVE}/1")
    store.attend(ALIVE, [lease], extend=False)
    assert store.bury([DEAD, "host.8", "host.8.bb/1"]) == []
    assert store.processes() == [ALIVE]
    assert store.attend(ALIVE, [lease], extend=False) == ["run"]


def test_a_dead_leader_leads_no_longer(store: Store) -> None:
    first = store.lead(DEAD, 10)
    assert store.lead(ALIVE, 10) == 0
    assert store.bury([ALIVE]) == []
    assert store.lead(ALIVE, 10) == 0
    assert DEAD in store.processes()
    store.bury([DEAD])
    assert store.lead(ALIVE, 10) > first


def test_everybody_sees_what_waits_for_a_silent_worker(store: Store, clock: Clock) -> None:
    whole, _, _ = planned(store, (1, 10), (11, 20))
    other_import, _, _ = planned(store, (1, 7), name="other")
    lease = take(store, f"{DEAD}/1")
    store.progress(lease, settled=[other(Outcome.VANISHED, UidSet.span(1, 4))])
    assert store.stranded(lease.mailbox.import_id) == Stranded(), "it was heard of when it claimed"
    clock.forward(SILENT_SECONDS - 1)
    store.attend(DEAD, [], extend=False)
    clock.forward(SILENT_SECONDS - 1)
    assert store.stranded(lease.mailbox.import_id) == Stranded(), "and once more"
    clock.forward(1)
    one, another = (whole, other_import) if lease.mailbox.import_id == whole.import_id else (other_import, whole)
    assert store.stranded(one.import_id) == Stranded(
        units=1, messages=(20 if one is whole else 7) - 4, seconds=60 - 2 * SILENT_SECONDS + 1
    )
    assert store.stranded(another.import_id) == store.stranded("nobody") == Stranded()
    clock.forward(120)
    assert store.stranded(one.import_id).seconds == 0, "never below nothing, though nobody has reaped yet"
    store.reap(0)
    assert store.stranded(one.import_id) == Stranded()


@pytest.mark.parametrize("how", ["reap", "bury"])
def test_an_attempt_that_got_on_was_none(store: Store, clock: Clock, how: str) -> None:
    whole, _, _ = planned(store, (1, 10))

    def dies() -> None:
        if how == "reap":
            clock.forward(61)
            assert len(store.reap(0)) == 1
        else:
            assert len(store.bury([DEAD])) == 1

    for n in range(1, 4):  # each copies one message before it dies, so the batch is not to blame
        lease = take(store, f"{DEAD}/1")
        assert lease.unit.attempts == 1
        store.progress(lease, settled=[copied(UidSet.of([n]), n)])
        dies()
    for attempts in (1, 2, 3):  # each dies before any progress, whatever it intended
        lease = take(store, f"{DEAD}/1")
        assert lease.unit.attempts == attempts
        store.progress(lease, intents=[intent(f"{lease.term}.1", UidSet.of([4 + attempts]), 4)])
        dies()
    lease = take(store, f"{DEAD}/1")
    assert lease.unit.attempts == 4
    store.progress(lease, settled=[other(Outcome.FAILED, UidSet.of([4]))])
    dies()
    assert take(store).unit.attempts == 4, "only that attempt is forgiven, not those before it"
    sums_agree(store, whole.import_id)


def test_given_back_by_its_own_lane_an_attempt_that_got_on_was_none_either(store: Store) -> None:
    """Claims with a lane that holds a lease already: its thread died, and a new one has its name."""
    planned(store, (1, 10))
    lease = take(store)
    store.progress(lease, settled=[copied(UidSet.of([1]), 1)])
    assert take(store).unit.attempts == 1
    lease = take(store)
    store.progress(lease, intents=[intent("x.1", UidSet.of([2]), 2)])
    assert take(store).unit.attempts == 2
