"""Tests that the mailboxes of a large import follow a change of it in pieces, whoever dies between two of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.model import Import, Mailbox, UnitKind
from shared.model.errors import ChangedMeanwhile
from shared.model.lifecycle import Control, ImportState, MailboxState, Wish
from shared.rules.standing import Standing
from shared.store import ChangedStore, Store
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import Clock, broken_off, everything, person, request, run_out, start, sums_agree, take

#: The mailboxes of an import here; two follow in one piece.
MANY = 5
#: A call is broken off after so many further pieces: none, some, and all of what five mailboxes need.
STEPS = range(4)

Act = Callable[[Store, str], object]


@pytest.fixture(autouse=True)
def _in_pieces(store: Any) -> None:
    store.piece = 2


def _opened(store: Store) -> tuple[Import, list[Mailbox]]:
    whole = request()
    rows = [person(whole, row) for row in range(1, MANY + 1)]
    store.open_import(whole, rows, 14)
    return whole, rows


def _waved(store: Store) -> str:
    whole, rows = start(store, MANY)
    for one in rows:
        store.move(whole.import_id, one.mailbox_id, wave="w")
    return whole.import_id


def _pause(store: Store, import_id: str) -> object:
    return store.control(import_id, None, Control.PAUSE)


def _resume(store: Store, import_id: str) -> object:
    return store.control(import_id, None, Control.RUN)


def _cancel(store: Store, import_id: str) -> object:
    return store.control(import_id, None, Control.CANCEL)


def _pause_wave(store: Store, import_id: str) -> object:
    return store.control(import_id, None, Control.PAUSE, wave="w")


def _cancel_wave(store: Store, import_id: str) -> object:
    return store.control(import_id, None, Control.CANCEL, wave="w")


def _put_off(store: Store, import_id: str) -> object:
    return store.set_wave(import_id, "w", starts_at=4_000_000_000)


def _shut(store: Store, import_id: str) -> object:
    return store.set_window(import_id, "Sat UTC", 4_000_000_000, 4_000_003_600)


def _stand(store: Store, import_id: str) -> object:
    return store.set_standing(import_id, "", Standing(least_seconds=10, most_seconds=10))


def _forget(store: Store, import_id: str) -> object:
    return store.forget(import_id)


ACTS: dict[str, Act] = {
    "pause": _pause,
    "cancel": _cancel,
    "pause wave": _pause_wave,
    "cancel wave": _cancel_wave,
    "put wave off": _put_off,
    "shut": _shut,
    "stand": _stand,
    "forget": _forget,
}


def _state(store: Store, import_id: str) -> tuple[Any, ...]:
    return everything(store, [import_id]), store.overview(), [unit.unit_id for unit in store.ready_units(100)]


@pytest.mark.parametrize("after", STEPS)
@pytest.mark.parametrize("act", ACTS.values(), ids=list(ACTS))
def test_coordinator_does_the_rest_of_a_change_whose_caller_died(store: Store, act: Act, after: int) -> None:
    import_id = _waved(store)
    with broken_off(store, after):
        act(store, import_id)
    store.reap(15)
    found = _state(store, import_id)
    act(store, import_id)  # a second time, whole: nothing is left to change
    assert _state(store, import_id) == found
    sums_agree(store, import_id)


@pytest.mark.parametrize("after", STEPS)
def test_submission_whose_caller_died_is_finished_by_the_coordinator(store: Store, after: int) -> None:
    whole, rows = _opened(store)
    with broken_off(store, after):
        store.submit(whole.import_id)
    store.reap(15)
    assert {unit.mailbox_id for unit in store.ready_units(100)} == {one.mailbox_id for one in rows}
    found = store.import_(whole.import_id)
    assert found is not None
    assert (found.state, found.passes) == (ImportState.RUNNING, 1)


@pytest.mark.parametrize("after", STEPS)
def test_submission_whose_caller_died_is_finished_by_the_same_command(store: Store, after: int) -> None:
    whole, rows = _opened(store)
    with broken_off(store, after):
        store.submit(whole.import_id)
    store.open_import(whole, rows, 14)
    store.submit(whole.import_id)
    assert {unit.mailbox_id for unit in store.ready_units(100)} == {one.mailbox_id for one in rows}
    found = store.import_(whole.import_id)
    assert found is not None
    assert found.passes == 1, "a second pass was begun"


@pytest.mark.parametrize("after", STEPS)
def test_each_mailbox_of_a_submission_is_planned_once_as_it_comes(store: Store, after: int) -> None:
    whole, _ = _opened(store)
    with broken_off(store, after):
        store.submit(whole.import_id)
    leases = []
    for lane in "abcde":
        leases += [lease] if (lease := store.claim(f"{lane}/1")) else []
        if lane == "b":
            store.reap(15)
    assert len(leases) >= 2
    assert len({lease.mailbox.mailbox_id for lease in leases}) == len(leases)
    for lease in leases:
        store.finish(lease)
        store.leave(lease.holder, lease.mailbox.mailbox_id)
    assert run_out(store) == 2 * MANY - len(leases)  # plans that are left, and verifications
    assert store.import_tally(whole.import_id)[1] == {MailboxState.COMPLETE: MANY}
    found = store.import_(whole.import_id)
    assert found is not None
    assert found.state is ImportState.FINISHED


@pytest.mark.parametrize("act", [_pause, _cancel, _pause_wave, _cancel_wave, _put_off, _shut])
def test_mailbox_that_has_not_followed_yet_is_given_to_no_lane(store: Store, act: Act) -> None:
    import_id = _waved(store)
    with broken_off(store, 0):
        act(store, import_id)
    assert store.ready_mailboxes() != {}, "the control: some stand in their queue still"
    assert store.claim("lane") is None


def test_lane_at_work_hears_of_a_change_before_its_mailbox_followed(store: Store) -> None:
    import_id = _waved(store)
    leases = [take(store, f"{lane}/1") for lane in "abcd"]
    with broken_off(store, 0):
        _cancel(store, import_id)
    assert store.attend("w", leases, extend=True) == [Wish.CANCEL] * 4


def test_cancelled_wave_runs_once_its_mailboxes_are_cancelled(store: Store) -> None:
    import_id = _waved(store)
    with broken_off(store, 0):
        _cancel_wave(store, import_id)
    assert [wave.control for wave in store.waves(import_id)] == [Control.PAUSE]
    store.reap(15)
    assert [wave.control for wave in store.waves(import_id)] == [Control.RUN]
    assert store.import_tally(import_id)[1] == {MailboxState.CANCELLED: MANY}


def test_word_about_one_mailbox_stays_though_an_earlier_one_was_broken_off(store: Store) -> None:
    import_id = _waved(store)
    last = store.mailboxes(import_id)[-1][0].mailbox_id
    _pause(store, import_id)
    with broken_off(store, 0):
        _resume(store, import_id)
    store.control(import_id, last, Control.PAUSE)
    store.reap(15)
    words = {mailbox.mailbox_id: mailbox.control for mailbox, _ in store.mailboxes(import_id)}
    assert words.pop(last) is Control.PAUSE
    assert set(words.values()) == {Control.RUN}


def test_retried_mailbox_runs_though_cancelling_its_import_was_broken_off(store: Store) -> None:
    import_id = _waved(store)
    last = store.mailboxes(import_id)[-1][0].mailbox_id
    with broken_off(store, 0):
        _cancel(store, import_id)
    assert store.retry(import_id, last, [])
    assert store.import_tally(import_id)[1] == {MailboxState.CANCELLED: MANY - 1, MailboxState.QUEUED: 1}
    assert [unit.mailbox_id for unit in store.ready_units(100)] == [last]


@pytest.mark.parametrize("gone", [1, 3])
def test_no_mailbox_is_passed_over_when_others_are_erased_meanwhile(store: Store, gone: int) -> None:
    import_id = _waved(store)
    _cancel(store, import_id)
    rows = [mailbox.mailbox_id for mailbox, _ in store.mailboxes(import_id)]
    for one in rows:
        store.retry(import_id, one, [])
    store.control(import_id, rows[0], Control.CANCEL)
    store.control(import_id, rows[gone], Control.CANCEL)
    with broken_off(store, 0):
        _cancel(store, import_id)
    assert store.erase(import_id, rows[0])
    assert store.erase(import_id, rows[gone])
    store.reap(15)
    assert store.import_tally(import_id)[1] == {MailboxState.CANCELLED: MANY - 2}


def test_waves_that_begin_together_all_begin(store: Store, clock: Clock) -> None:
    whole, rows = start(store, MANY)
    for n, one in enumerate(rows):
        store.move(whole.import_id, one.mailbox_id, wave=f"w{n % 2}")
    for name in ("w0", "w1"):
        store.set_wave(whole.import_id, name, starts_at=clock.at + 10)
    store.set_window(whole.import_id, "Sat UTC", clock.at + 10, clock.at + 3600)
    assert store.claim("lane") is None
    clock.forward(11)
    store.reap(15)
    assert {unit.mailbox_id for unit in store.ready_units(100)} == {one.mailbox_id for one in rows}


def test_looks_follow_in_pieces(store: Store, clock: Clock) -> None:
    whole, rows = start(store, MANY)
    store.seal(whole.import_id, {(one.mailbox_id, "source"): b"sealed" for one in rows})
    run_out(store)
    with broken_off(store, 0):
        _stand(store, whole.import_id)
    assert store.standing_tally(whole.import_id).mailboxes == 2
    store.reap(15)
    assert store.standing_tally(whole.import_id).mailboxes == MANY
    clock.forward(11)
    store.reap(15)
    assert {unit.mailbox_id for unit in store.ready_units(100)} == {one.mailbox_id for one in rows}
    assert {unit.kind for unit in store.ready_units(100)} == {UnitKind.LOOK}


def _stood(store: Store, clock: Clock) -> Import:
    """Lets an import of one wave stand until the look at each mailbox is due."""
    whole, rows = start(store, MANY)
    for one in rows:
        store.move(whole.import_id, one.mailbox_id, wave="w")
    store.seal(whole.import_id, {(one.mailbox_id, "source"): b"sealed" for one in rows})
    run_out(store)
    _stand(store, whole.import_id)
    clock.forward(11)
    return whole


def test_no_look_is_begun_at_a_mailbox_that_stands_no_longer(store: Store, clock: Clock) -> None:
    whole = _stood(store, clock)
    with broken_off(store, 0):
        store.set_standing(whole.import_id, "w", None)
    assert store.standing_tally(whole.import_id).mailboxes == MANY - 2, "the others have not followed"
    with broken_off(store, 0):
        store.reap(15)
    assert store.ready_units(100) == []
    assert store.standing_tally(whole.import_id).mailboxes == 0


def test_no_pass_follows_the_look_at_a_mailbox_that_stands_no_longer(store: Store, clock: Clock) -> None:
    whole = _stood(store, clock)
    store.reap(15)
    leases = [take(store, f"lane{at}") for at in range(MANY)]
    last = max(leases, key=lambda lease: lease.mailbox.row)
    with broken_off(store, 0):
        store.set_standing(whole.import_id, "w", None)
    store.looked(last, found=True)
    mailbox = store.mailbox(last.mailbox.mailbox_id)
    assert mailbox is not None
    assert mailbox.state is MailboxState.COMPLETE
    assert store.ready_units(100) == []


def test_control_counts_mailboxes_that_have_not_followed_yet(store: Store) -> None:
    import_id = _waved(store)
    first = store.mailboxes(import_id)[0][0].mailbox_id
    store.control(import_id, first, Control.CANCEL)
    assert _pause(store, import_id) == MANY - 1
    assert _cancel_wave(store, import_id) == MANY
    assert _resume(store, import_id) == 0


def test_change_in_one_step_waits_for_the_mailboxes_that_have_not_followed(store: Store) -> None:
    whole, rows = _opened(store)
    with broken_off(store, 0):
        _pause(store, whole.import_id)

    def write(changed: ChangedStore) -> None:
        changed.erase(whole.import_id, rows[0].mailbox_id)
        changed.set_standing(whole.import_id, "", Standing())
        changed.move(whole.import_id, rows[1].mailbox_id, wave="w")

    store.at_once([whole.import_id], write)
    assert [mailbox.wave for mailbox, _ in store.mailboxes(whole.import_id)] == ["w", "", "", ""]


def test_change_in_one_step_is_refused_where_another_begins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    if not isinstance(store, RedisStore):
        pytest.skip("memory does one thing at a time")
    whole, rows = _opened(store)
    with broken_off(store, 0):
        _pause(store, whole.import_id)
    monkeypatch.setattr(store, "sweep", lambda _: False)  # it begins just after this one looked

    def write(changed: ChangedStore) -> None:
        changed.erase(whole.import_id, rows[0].mailbox_id)

    with pytest.raises(ChangedMeanwhile):
        store.at_once([whole.import_id], write)
    assert len(store.mailboxes(whole.import_id)) == MANY
