"""Tests imports that stand: when a mailbox is due for a look, what a look may not hold up, and what ends it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from shared.model import Failure, Import, Mailbox, UnitKind
from shared.model.errors import LeaseLost, StoreError
from shared.model.lifecycle import Control, ImportState, MailboxState
from shared.rules.standing import LOOK_HOLD, Standing, StandingTally, next_look
from shared.store import Store
from shared.store.memory import memory_claims
from shared.store.redis import redis_work
from tests.contract.store_kit import SOURCE, START, Clock, copy, person, plan_of, planned, request, run_out, start, take

#: The bounds that these tests use: a minute and an hour.
OFTEN = Standing(least_seconds=60, most_seconds=3600)


def stands(
    store: Store, mailboxes: int = 1, name: str = "move", standing: Standing = OFTEN
) -> tuple[Import, list[Mailbox]]:
    """Starts an import, completes all of its mailboxes without mail, and lets it stand."""
    whole, rows = start(store, mailboxes, name)
    store.seal(whole.import_id, {(rows[0].mailbox_id, "source"): b"sealed"})
    run_out(store)
    assert store.set_standing(whole.import_id, "", standing)
    return whole, rows


def row(store: Store, mailbox: Mailbox) -> Mailbox:
    """Returns the mailbox as it stands in the store."""
    found = store.mailbox(mailbox.mailbox_id)
    assert found is not None
    return found


def test_a_mailbox_is_due_after_its_pass_and_queued_by_the_coordinator(store: Store, clock: Clock) -> None:
    _, (mailbox,) = stands(store)
    assert row(store, mailbox).look_at == START + 60
    clock.forward(59)
    store.reap(5)
    assert store.claim("lane") is None
    clock.forward(1)
    assert store.claim("lane") is None, "only the coordinator queues it"
    store.reap(5)
    assert [unit.kind for unit in store.ready_units(5)] == [UnitKind.LOOK]
    lease = take(store)
    assert (lease.unit.kind, lease.mailbox.state) == (UnitKind.LOOK, MailboxState.COMPLETE)
    store.reap(5)
    assert store.claim("other") is None, "one look at a time"


def test_a_look_that_finds_nothing_plans_the_next(store: Store, clock: Clock) -> None:
    whole, (mailbox,) = stands(store)
    assert row(store, mailbox).synced_at == START
    clock.forward(60)
    store.reap(5)
    lease = take(store)
    clock.forward(2)
    store.looked(lease, found=False)
    found = row(store, mailbox)
    assert (found.state, found.looked_at, found.synced_at) == (MailboxState.COMPLETE, START + 62, START + 60)
    assert found.look_at == START + 122
    assert store.standing_tally(whole.import_id) == StandingTally(mailboxes=1, next_at=START + 122, looks=1)
    with pytest.raises(LeaseLost):
        store.looked(lease, found=False)
    assert store.standing_tally(whole.import_id).looks == 1, "a repeat counts nothing"


def test_a_look_that_finds_something_queues_a_pass(store: Store, clock: Clock) -> None:
    whole, (mailbox,) = stands(store)
    clock.forward(60)
    store.reap(5)
    lease = store.follow(take(store), prefer=mailbox.mailbox_id, found=True)
    assert lease is not None
    assert lease.unit.kind is UnitKind.PLAN, "the lane goes on with the connections that it has"
    found = store.import_(whole.import_id)
    assert found is not None
    assert (found.state, found.passes) == (ImportState.RUNNING, 1)
    plan = plan_of(mailbox, "INBOX", (1, 3))
    store.plan_folders(lease, [(plan, 1)])
    store.finish(lease)
    clock.forward(5)
    run_out(store)
    after = row(store, mailbox)
    assert (after.state, after.mail_at, after.synced_at) == (MailboxState.COMPLETE, START + 65, START + 60)
    assert after.look_at == START + 125
    assert store.standing_tally(whole.import_id) == StandingTally(mailboxes=1, next_at=START + 125, looks=1, found=1)


@pytest.mark.parametrize("quiet", [0, 300, 479, 481, 7200, 40_000])
@pytest.mark.parametrize("switch", [0, 100, 2000, 50_000])
def test_the_store_decides_as_the_pure_function(store: Store, clock: Clock, quiet: int, switch: int) -> None:
    standing = replace(OFTEN, switch_at=START + switch if switch else 0.0)
    whole, (mailbox,) = stands(store, standing=Standing(least_seconds=quiet or 10, most_seconds=quiet or 10))
    clock.forward(quiet)
    if quiet:
        store.reap(5)
        store.looked(take(store), found=False)
    store.set_standing(whole.import_id, "", standing)
    assert row(store, mailbox).look_at == pytest.approx(clock.at + next_look(clock.at, START, standing), abs=0.0005)


def test_a_wave_has_a_word_of_its_own(store: Store) -> None:
    whole = request()
    rows = [replace(person(whole, n), wave=wave) for n, wave in ((1, "pilot"), (2, "rest"), (3, ""))]
    store.open_import(whole, rows, 14)
    store.submit(whole.import_id)
    run_out(store)

    def due() -> list[float]:
        return [mailbox.look_at - START if mailbox.look_at else 0 for mailbox, _ in store.mailboxes(whole.import_id)]

    store.set_standing(whole.import_id, "pilot", OFTEN)
    assert due() == [60, 0, 0]
    store.set_standing(whole.import_id, "", replace(OFTEN, least_seconds=100))
    assert due() == [60, 100, 100]
    store.set_standing(whole.import_id, "rest", None)
    assert due() == [60, 0, 100]
    assert store.standings(whole.import_id)["rest"] is None
    store.move(whole.import_id, rows[1].mailbox_id, wave="pilot")
    assert due() == [60, 60, 100], "a mailbox that is moved stands as its wave does"
    store.set_standing(whole.import_id, "", None)
    assert due() == [0, 0, 0]
    assert store.standings(whole.import_id) == {}
    assert not store.set_standing(whole.import_id, "none", OFTEN)
    assert not store.set_standing("nobody", "", OFTEN)


def test_a_look_waits_behind_all_other_work_until_it_is_late(store: Store, clock: Clock) -> None:
    _, rows = stands(store, 3)
    clock.forward(60)
    store.reap(5)
    _, others = start(store, 9, "other")
    assert take(store).mailbox.import_id == others[0].import_id
    assert take(store, "rung", hint=f"{rows[0].mailbox_id}.look").mailbox.import_id == others[0].import_id
    clock.forward(31)
    late = take(store, "late")
    assert late.unit.kind is UnitKind.LOOK
    assert take(store, "next").unit.kind is UnitKind.PLAN, "only one late look is at work before other work"
    clock.forward(3)
    store.looked(late, found=False)
    assert take(store, "late").unit.kind is UnitKind.PLAN, "half of that lane's time belongs to other work"
    clock.forward(3)
    assert take(store, "third").unit.kind is UnitKind.LOOK


def test_looks_are_served_by_how_long_they_are_due_and_cost_nothing(store: Store, clock: Clock) -> None:
    stands(store, 3)
    clock.forward(60)
    store.reap(5)
    store.looked(take(store), found=False)
    clock.forward(60)
    store.reap(5)
    seen = []
    while (lease := store.claim("lane")) is not None:
        seen.append(lease.mailbox.look_at)
        store.looked(lease, found=False)
    assert seen == sorted(seen)
    assert len(seen) == 3
    assert store.overview().looks_due == 0


@pytest.mark.parametrize("word", ["import", "mailbox", "wave"])
def test_what_is_paused_is_not_looked_at_and_counts_as_no_lag(store: Store, clock: Clock, word: str) -> None:
    whole = request()
    store.open_import(whole, [mailbox := replace(person(whole, 1), wave="pilot")], 14)
    store.submit(whole.import_id)
    store.seal(whole.import_id, {(mailbox.mailbox_id, "source"): b"sealed"})
    run_out(store)
    store.set_standing(whole.import_id, "pilot", OFTEN)
    chosen = mailbox.mailbox_id if word == "mailbox" else None
    wave = "pilot" if word == "wave" else ""
    clock.forward(70)
    store.reap(5)
    assert store.overview().looks_due_since == START + 60
    store.control(whole.import_id, chosen, Control.PAUSE, wave=wave)
    assert store.overview().looks_due == 0
    assert store.claim("lane") is None
    store.control(whole.import_id, chosen, Control.RUN, wave=wave)
    assert take(store).unit.kind is UnitKind.LOOK


def test_a_due_look_of_a_paused_import_is_asked_about_again_in_a_minute(store: Store, clock: Clock) -> None:
    whole, (mailbox,) = stands(store)
    store.control(whole.import_id, None, Control.PAUSE)
    clock.forward(60)
    store.reap(5)
    store.control(whole.import_id, None, Control.RUN)
    store.reap(5)
    assert store.claim("lane") is None
    clock.forward(60)
    store.reap(5)
    assert take(store).unit.kind is UnitKind.LOOK
    assert row(store, mailbox).look_at == START + 60, "since then it is due"


def test_a_look_of_a_dead_worker_is_taken_back_and_done_again(store: Store, clock: Clock) -> None:
    _, (mailbox,) = stands(store)
    clock.forward(60)
    store.reap(5)
    lost = take(store, "dead/0")
    clock.forward(70)
    store.reap(5)
    again = take(store)
    assert again.unit.kind is UnitKind.LOOK
    with pytest.raises(LeaseLost):
        store.looked(lost, found=True)
    store.looked(again, found=False)
    assert row(store, mailbox).state is MailboxState.COMPLETE


def test_a_look_that_is_refused_parks_the_mailbox_until_a_person_acts(store: Store, clock: Clock) -> None:
    whole, (mailbox,) = stands(store)
    clock.forward(60)
    store.reap(5)
    refused = Failure(code="source_auth_refused", sentence="source: refused")
    store.release(take(store), how="park", failure=refused)
    parked = row(store, mailbox)
    assert (parked.state, parked.failure, parked.look_at) == (MailboxState.PARKED, refused, 0)
    clock.forward(7200)
    store.reap(5)
    assert store.claim("lane") is None
    assert store.retry(whole.import_id, mailbox.mailbox_id, [])
    assert take(store).unit.kind is UnitKind.PLAN
    assert [one.unit.kind for one in [take(store)]] == [UnitKind.PLAN]


def test_what_came_right_again_shows_no_failure(store: Store, clock: Clock) -> None:
    _, (mailbox,) = stands(store)
    clock.forward(60)
    store.reap(5)
    away = Failure(code="source_unreachable", sentence="source: does not answer")
    store.release(take(store), how="again", delay_seconds=30, failure=away)
    assert row(store, mailbox).failure is not None
    clock.forward(31)
    store.reap(5)
    store.looked(take(store), found=False)
    assert row(store, mailbox).failure is None


def test_the_command_again_voids_a_look_at_work(store: Store, clock: Clock) -> None:
    whole, (mailbox,) = stands(store)
    clock.forward(60)
    store.reap(5)
    looking = take(store, "looker")
    store.open_import(whole, [mailbox], 14)
    store.submit(whole.import_id)
    with pytest.raises(LeaseLost):
        store.looked(looking, found=False)
    assert take(store).unit.kind is UnitKind.PLAN


def test_a_look_needs_no_destination_and_is_told_of_none(store: Store, clock: Clock) -> None:
    _, (mailbox,) = stands(store)
    other = request("other")
    store.open_import(other, [person(other, 1, "somebody", to="user1")], 14)
    store.submit(other.import_id)
    assert take(store, "writer").mailbox.import_id == other.import_id
    clock.forward(60)
    store.reap(5)
    assert take(store).unit.kind is UnitKind.LOOK
    assert row(store, mailbox).behind == ""


@pytest.mark.parametrize("ended", ["off", "forgotten", "cancelled"])
def test_passwords_are_kept_until_it_stands_no_longer(store: Store, clock: Clock, ended: str) -> None:
    whole, (mailbox,) = stands(store)
    clock.forward(40 * 86_400)
    assert store.sealed(whole.import_id, mailbox.mailbox_id, "source") == b"sealed"
    store.seal(whole.import_id, {(mailbox.mailbox_id, "source"): b"new"})
    store.reap(5)
    run_out(store)
    clock.forward(40 * 86_400)
    assert store.sealed(whole.import_id, mailbox.mailbox_id, "source") == b"new"
    if ended == "off":
        store.set_standing(whole.import_id, "", None)
    elif ended == "forgotten":
        store.forget(whole.import_id)
    else:
        store.control(whole.import_id, None, Control.CANCEL)
    assert store.standings(whole.import_id) == {}
    assert row(store, mailbox).look_at == 0
    clock.forward(15 * 86_400)
    if ended == "forgotten":
        assert store.sealed(whole.import_id, mailbox.mailbox_id, "source") is None
    store.reap(5)
    assert store.claim("lane") is None


@pytest.mark.parametrize("how", ["close", "erase"])
def test_nothing_is_left_of_what_is_closed_or_erased(store: Store, clock: Clock, how: str) -> None:
    whole, (mailbox, _) = stands(store, 2)
    clock.forward(60)
    store.reap(5)
    if how == "close":
        assert store.close(whole.import_id)
    else:
        assert store.erase(whole.import_id, mailbox.mailbox_id)
    assert store.overview().looks_due == (0 if how == "close" else 1)
    assert store.standing_tally(whole.import_id).mailboxes == (0 if how == "close" else 1)
    store.reap(5)


def test_a_look_cannot_be_finished_like_work(store: Store, clock: Clock) -> None:
    stands(store)
    clock.forward(60)
    store.reap(5)
    with pytest.raises(StoreError):
        store.finish(take(store))


def test_only_new_mail_counts_as_busy(store: Store, clock: Clock) -> None:
    whole, mailbox, _ = planned(store, (1, 5))
    store.seal(whole.import_id, {(mailbox.mailbox_id, "source"): b"sealed"})
    copy(store, take(store), 1)
    run_out(store)
    store.set_standing(whole.import_id, "", OFTEN)
    clock.forward(4000)
    store.reap(5)
    store.looked(take(store), found=True)
    run_out(store)
    after = row(store, mailbox)
    assert (after.mail_at, after.looked_at) == (START, START + 4000)
    assert after.look_at == START + 4500, "flags alone make no mailbox busy"


#: What a worker says of a source that does not answer.
AWAY = Failure(code="source_unreachable", sentence="source: does not answer")


def test_a_look_that_fails_leaves_the_next_turn_to_other_work(store: Store, clock: Clock) -> None:
    stands(store, 3)
    clock.forward(60)
    store.reap(5)
    start(store, 9, "other")
    clock.forward(31)
    late = take(store, "late")
    assert late.unit.kind is UnitKind.LOOK
    clock.forward(20)
    store.release(late, how="again", delay_seconds=30, failure=AWAY)
    assert take(store, "late").unit.kind is UnitKind.PLAN
    clock.forward(19)
    assert take(store, "next").unit.kind is UnitKind.PLAN, "as long as the look took"
    clock.forward(1)
    assert take(store, "third").unit.kind is UnitKind.LOOK


def test_a_look_that_failed_goes_behind_those_that_are_due(store: Store, clock: Clock) -> None:
    whole, _ = stands(store, 2)
    clock.forward(60)
    store.reap(5)
    failed = take(store)
    store.release(failed, how="again", delay_seconds=30, failure=AWAY)
    clock.forward(31)
    store.reap(5)
    other = take(store)
    assert other.mailbox.mailbox_id != failed.mailbox.mailbox_id, "the one that did not fail goes first"
    assert store.standing_tally(whole.import_id).due_since == START + 60, "its lag is told as it is"
    store.looked(other, found=False)
    assert take(store).mailbox.mailbox_id == failed.mailbox.mailbox_id


def test_a_host_that_is_held_keeps_no_look_at_another_waiting(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (memory_claims, redis_work):
        monkeypatch.setattr(module, "SCAN", 50)
    dead = replace(SOURCE, host="dead.example.org")
    gone = request("gone", source=dead)
    store.open_import(gone, [person(gone, n, f"gone{n}") for n in range(101)], 14)
    store.seal(gone.import_id, {(gone.import_id, "source"): b"sealed"})
    store.submit(gone.import_id)
    run_out(store)
    store.set_standing(gone.import_id, "", OFTEN)
    clock.forward(1)
    whole, _ = stands(store)
    clock.forward(60)
    store.reap(5)
    held = store.limits_of(person(gone, 1, "gone1").mailbox_id)["source_host"]
    store.hold(f"source_host:{held}", 600, import_id=gone.import_id, why="")
    assert store.overview().looks_due == 102
    assert len(store.ready_units(200)) == 102
    assert take(store).mailbox.import_id == whole.import_id


def test_a_source_that_did_not_answer_a_look_is_left_alone_by_looks_only(store: Store, clock: Clock) -> None:
    dead = replace(SOURCE, host="dead.example.org")
    gone = request("gone", source=dead)
    store.open_import(gone, [person(gone, n, f"gone{n}") for n in range(3)], 14)
    store.seal(gone.import_id, {(gone.import_id, "source"): b"sealed"})
    store.submit(gone.import_id)
    run_out(store)
    store.set_standing(gone.import_id, "", OFTEN)
    clock.forward(60)
    store.reap(5)
    failed, also = take(store, "one"), take(store, "two")
    host = store.limits_of(failed.mailbox.mailbox_id)["source_host"]
    store.release(failed, how="wait", delay_seconds=1, failure=AWAY, hold=f"{LOOK_HOLD}:{host}", hold_seconds=40)
    store.release(also, how="wait", delay_seconds=1, failure=AWAY, hold=f"{LOOK_HOLD}:{host}", hold_seconds=15)
    assert store.claim("three") is None, "the third one waits too"
    assert not store.overview().holds
    other = request("other", source=dead)
    store.open_import(other, [person(other, 9, "nine")], 14)
    store.submit(other.import_id)
    assert take(store, "four").unit.kind is UnitKind.PLAN, "all other work at this host goes on"
    whole, _ = stands(store)
    clock.forward(39)
    store.reap(5)
    assert store.claim("three") is None, "a hold is never shortened"
    clock.forward(21)
    store.reap(5)
    found = [take(store, f"lane{n}").mailbox.import_id for n in range(4)]
    assert Counter(found) == {gone.import_id: 3, whole.import_id: 1}


def test_late_looks_that_no_host_lets_in_are_not_asked_about_at_each_claim(store: Store, clock: Clock) -> None:
    whole, (mailbox,) = stands(store)
    clock.forward(60)
    store.reap(5)
    start(store, 9, "other")
    clock.forward(31)
    store.hold(f"source_account:{store.limits_of(mailbox.mailbox_id)['source_account']}", 0.2, import_id="", why="")
    assert take(store, "first").unit.kind is UnitKind.PLAN
    clock.forward(0.3)
    assert take(store, "second").unit.kind is UnitKind.PLAN, "only each half second"
    clock.forward(0.3)
    assert take(store, "third").mailbox.import_id == whole.import_id


def test_one_reap_begins_so_many_looks_and_the_next_begins_with_another_import(store: Store, clock: Clock) -> None:
    several = []
    for name in ("one", "two"):
        whole = request(name)
        store.open_import(whole, [person(whole, n, f"{name}{n}") for n in range(230)], 14)
        store.seal(whole.import_id, {(whole.import_id, "source"): b"sealed"})
        store.submit(whole.import_id)
        several.append(whole.import_id)
    run_out(store)
    for import_id in several:
        store.set_standing(import_id, "", OFTEN)
    clock.forward(60)

    def due() -> list[int]:
        store.reap(5)
        return sorted(store.standing_tally(import_id).due for import_id in several)

    assert due() == [0, 200]
    assert due() == [200, 200], "the other one's turn"
    assert due() == [230, 230]
    assert store.overview().looks_due == 460


def test_a_retry_is_no_pass_after_a_look(store: Store, clock: Clock) -> None:
    whole, (mailbox,) = stands(store)
    clock.forward(60)
    store.reap(5)
    store.looked(take(store), found=True)
    lease = take(store)
    assert lease.mailbox.after_look
    store.release(lease, how="park", failure=AWAY)
    assert store.retry(whole.import_id, mailbox.mailbox_id, [])
    assert not take(store).mailbox.after_look, "a person asks for a pass as the options say"
