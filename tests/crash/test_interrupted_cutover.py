"""Tests that a coordinator may be killed in each state of a cutover, before and after each effect, and the next one goes on."""

from __future__ import annotations

from collections import Counter

import pytest

from producer.coordinator.cutover_loop import PAUSE_SECONDS, pause_after
from producer.cutover import acts
from producer.cutover.copy_back import BackProgress
from shared.model.cutover import DNS, STANDING, CutoverOptions
from shared.model.errors import ConnectionLost, MailError, Throttled, Unreachable, UsageError
from shared.model.lifecycle import Control, CutoverState, MailboxState
from shared.switching import SwitchedMailbox, SwitchSide, TurnLater, TurnOutcome, TurnRefused
from tests.contract.store_kit import run_out, start
from tests.crash.cutover_stage import CutoverStage
from tests.crash.interruption import Effects, Killed

LOGINS = ["user1", "user2", "user3"]
NEW, OLD = SwitchSide.DESTINATION, SwitchSide.SOURCE


def _played(kill_at: int, play: str) -> tuple[CutoverStage, Effects]:
    """Plays one part of a cutover by a coordinator that is killed at this step, and then by another one."""
    stage, effects = CutoverStage(), Effects(kill_at)
    if play == "begun":
        stage.begin(quiet_seconds=3600)
    else:
        stage.to(CutoverState.SWITCHED)
        if play == "rolled back":
            stage.turn()
            stage.send("rollback")
        elif play == "half rolled back":
            with pytest.raises(Killed):
                stage.turn(Effects(13))
            stage.send("rollback")
    try:
        stage.turn(effects, times=6)
    except Killed:
        stage.turn(times=6)
    return stage, effects


def _judge(stage: CutoverStage, play: str) -> None:
    if play == "begun":
        assert stage.state is CutoverState.SYNCED
        assert stage.cutovers.notes(stage.request.import_id, "")[STANDING] == "on"
        assert stage.store.standings(stage.request.import_id)
        assert stage.switch.turns == [], "a rehearsal turns nobody"
    elif play == "switched":
        assert stage.state is CutoverState.DRAINING
        assert sorted(stage.switch.turns) == [(login, NEW) for login in LOGINS], "each once"
        assert {known.answer for _, known in stage.view.mailboxes} <= {"done", "already"}
        assert set(stage.marked) == set(LOGINS)
        assert sorted(stage.told()) == ["announced", "draining", "switched", "synced"], "each once"
    else:
        assert stage.state is CutoverState.ROLLED_BACK
        assert not stage.store.standings(stage.request.import_id)
        sides = {login: side for login, side in stage.switch.sides.items() if side is not OLD}
        assert not sides, "somebody is left at the new server"
        assert max(Counter(stage.switch.turns).values()) == 1
        turned = {login for login, to in stage.switch.turns if to is NEW}
        assert turned <= set(stage.brought_back)
        assert "to try again" in stage.view.next


@pytest.mark.parametrize("play", ["begun", "switched", "rolled back", "half rolled back"])
def test_killed_before_and_after_each_effect_the_next_one_goes_on(play: str) -> None:
    stage, effects = _played(-1, play)
    _judge(stage, play)
    steps = effects.steps
    assert steps >= 8, effects.names
    for kill_at in range(steps):
        stage, effects = _played(kill_at, play)
        assert effects.dead
        _judge(stage, play)


def test_two_coordinators_at_once_do_no_harm() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.SWITCHED)
    one, other = stage.driver(), stage.driver()
    for _ in range(4):
        one.turn()
        other.turn()
    assert stage.state is CutoverState.DRAINING
    assert len(stage.switch.turns) == 3


def test_one_that_was_late_changes_nothing_after_a_rollback() -> None:
    """The control of the fence: the coordinator is inside of a turn when a person says rollback."""
    stage = CutoverStage()
    stage.to(CutoverState.SWITCHED)
    turn = stage.switch.turn

    def rolled_back_meanwhile(mailbox: object, to: SwitchSide) -> object:
        stage.switch.turn = turn  # type: ignore[method-assign]
        answer = turn(mailbox, to)  # type: ignore[arg-type]
        stage.send("rollback")
        return answer

    stage.switch.turn = rolled_back_meanwhile  # type: ignore[method-assign, assignment]
    stage.driver().turn()
    assert stage.switch.turns == [("user1", NEW)], "nobody else is turned"
    stage.turn()
    assert stage.switch.turns == [("user1", NEW), ("user1", OLD)]
    assert stage.brought_back == ["user1"]


@pytest.mark.parametrize("then", ["", "begun again", "given up again"])
def test_a_turn_that_comes_after_a_rollback_is_taken_back(then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A coordinator hangs inside of the switch. A person rolls back, another one does it, and then the late turn comes."""
    monkeypatch.setattr(acts, "back_progress", lambda *_: BackProgress(state=MailboxState.COMPLETE))
    stage = CutoverStage()
    stage.to(CutoverState.SWITCHED)
    turn = stage.switch.turn

    def late(mailbox: object, to: SwitchSide) -> object:
        stage.switch.turn = turn  # type: ignore[method-assign]
        stage.send("rollback")
        stage.turn()
        if then:
            stage.begin()
        if then == "given up again":
            stage.send("give_up")
        return turn(mailbox, to)  # type: ignore[arg-type]

    stage.switch.turn = late  # type: ignore[method-assign, assignment]
    stage.driver().turn()
    assert stage.switch.sides["user1"] is NEW, "the control: the late turn had its effect"
    keys = stage.switch.keys[:]
    stage.turn()
    assert stage.switch.sides["user1"] is OLD
    assert not set(keys) & set(stage.switch.keys[len(keys) :]), "a receiver that knows the key would do nothing"
    if not then:
        assert stage.brought_back.count("user1") == 2, "mail may have come to the new server meanwhile"


def test_whoever_is_not_copied_is_not_turned() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.SWITCHED)
    newcomer = stage.join()
    stage.turn()
    assert (newcomer.source.login, NEW) not in stage.switch.turns
    assert stage.state is CutoverState.SWITCHED
    assert (newcomer.source.login, "not asked while it is not copied") in stage.view.guards["turned"].who
    run_out(stage.store)
    stage.turn()
    assert (newcomer.source.login, NEW) in stage.switch.turns
    assert stage.state is CutoverState.DRAINING


def test_a_cutover_that_fails_delays_no_other_one() -> None:
    stage = CutoverStage()
    stage.begin()
    other, _ = start(stage.store, 1, name="behind")
    run_out(stage.store)
    wanted = CutoverOptions(switch="table", domains=("example.com",))
    acts.start(stage.cutovers, stage.store, other, "", wanted, who="anna", at=stage.time)
    stage.fails_for = {"example.org"}
    assert [view.cutover.import_id for view in stage.driver().turn()] == [other.import_id]
    stage.turn(times=6)
    assert stage.cutovers.one(other.import_id, "").cutover.state is CutoverState.SYNCED  # type: ignore[union-attr]
    stage.fails_for = set()
    stage.turn(times=6)
    assert stage.state is CutoverState.SYNCED


@pytest.mark.parametrize(
    "note", ['{"at": "x"}', '{"to": 5}', '{"empty": "2", "to": "new"}', "[]", '"x"', '{"marked": 1}', "null"]
)
def test_a_note_that_a_stranger_wrote_stops_nothing(note: str) -> None:
    stage = CutoverStage()
    stage.begin()
    kept = stage.cutovers.one(stage.request.import_id, "")
    domains = '{"example.org": {"domain": "example.org", "at": "x", "faults": [], "mx": [1], "mx_before": []}}'
    assert stage.cutovers.put_notes(kept, {stage.people[0].mailbox_id: ("", note), DNS: ("", domains)})
    stage.turn(times=6)
    assert stage.state is CutoverState.SYNCED


def test_many_slow_domains_hold_nobody_up() -> None:
    stage = CutoverStage()
    stage.dns_seconds = 3.0
    domains = tuple(f"d{number}.example" for number in range(30))
    stage.begin(domains=domains, synced_seconds=86_400.0)
    stage.turn(times=1)
    assert all(known.turned for _, known in stage.view.mailboxes), "the switch was asked for everybody at once"
    stage.turn(times=4)
    assert stage.state is CutoverState.SYNCED
    ttl = stage.view.guards["ttl"]
    assert ttl.met, f"each domain has its turn: {ttl}"


def test_a_switch_that_wants_everybody_to_wait_is_asked_for_nobody_until_then() -> None:
    stage = CutoverStage()
    stage.switch.instead = {"user1": TurnLater(after_seconds=20, words="busy", everyone=True)}
    stage.begin(quiet_seconds=3600)
    driver = stage.driver()
    for seconds, rehearsed in ((0, 1), (10, 1), (9, 1)):
        stage.time += seconds
        driver.turn()
        assert len(stage.switch.rehearsed) == rehearsed
    stage.switch.instead.clear()
    stage.time += 31
    for _ in range(6):
        driver.turn()
    stage.send("announce")
    stage.send("switch")
    stage.switch.instead = {"user1": TurnLater(after_seconds=20, words="busy", everyone=True)}
    for seconds, asked in ((0, 1), (10, 1), (9, 1), (2, 2)):
        stage.time += seconds
        driver.turn()
        assert len(stage.switch.keys) == asked
    stage.switch.instead.clear()
    stage.time += 21
    driver.turn()
    assert stage.state is CutoverState.DRAINING


def test_while_the_time_of_a_turn_is_not_enough_the_next_one_comes_soon() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.SWITCHED)
    turn = stage.switch.turn

    def slow(mailbox: SwitchedMailbox, to: SwitchSide) -> TurnOutcome:
        stage.time += 15
        return turn(mailbox, to)

    stage.switch.turn = slow  # type: ignore[method-assign]
    driver = stage.driver()
    driver.turn()
    assert len(stage.switch.turns) == 2
    assert driver.hurried
    assert pause_after(30, hurried=driver.hurried) == PAUSE_SECONDS
    driver.turn()
    assert stage.state is CutoverState.DRAINING
    assert not driver.hurried
    assert pause_after(30, hurried=driver.hurried) == pytest.approx(120), (
        "else a turn takes a fifth of the time at most"
    )


def test_what_the_switch_refuses_waits_for_a_person_and_later_is_asked_again() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.SWITCHED)
    stage.switch.instead = {
        "user2": TurnRefused(words="no such row"),
        "user3": TurnLater(after_seconds=20, words="busy"),
    }
    stage.turn()
    assert stage.state is CutoverState.SWITCHED
    assert "refuses 1" in stage.view.next
    assert ("user2", "the switch refused: no such row") in stage.view.guards["turned"].who
    del stage.switch.instead["user3"]
    stage.time += 20
    stage.turn()
    assert ("user3", NEW) in stage.switch.turns
    stage.switch.instead.clear()
    stage.turn()
    assert ("user2", NEW) not in stage.switch.turns, "not before a person says so"
    stage.send("switch")
    stage.turn()
    assert stage.state is CutoverState.DRAINING


def test_without_a_mark_nobody_is_turned() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.SWITCHED)
    stage.no_mark = "the server does not answer"
    stage.turn()
    assert stage.switch.turns == []
    assert "could not be marked: the server does not answer" in stage.view.guards["turned"].who[0][1]
    stage.no_mark = ""
    stage.send("switch")
    stage.turn()
    assert stage.state is CutoverState.DRAINING


@pytest.mark.parametrize(
    "fault",
    [
        Unreachable("destination", "no connection"),
        ConnectionLost("destination", "the connection broke"),
        Throttled("destination", "too many connections", wait_seconds=30.0),
    ],
)
def test_a_mark_that_fails_in_passing_is_tried_again_by_itself(fault: MailError) -> None:
    stage = CutoverStage()
    stage.to(CutoverState.SWITCHED)
    stage.no_mark = fault
    stage.turn()
    assert stage.switch.turns == []
    assert {known.answer for _, known in stage.view.mailboxes} == {"later"}
    assert "asked again later: the destination could not be marked" in stage.view.guards["turned"].who[0][1]
    stage.no_mark = ""
    stage.turn(times=1)
    assert stage.switch.turns == [], "not at once"
    stage.time += 31
    stage.turn()
    assert stage.state is CutoverState.DRAINING


def test_whoever_is_not_as_was_given_is_not_turned_not_even_back() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.SWITCHED)
    stage.turn()
    stage.send("rollback")
    stage.not_proved = "the state store names another server"
    stage.turn()
    assert {side for _, side in stage.switch.turns} == {NEW}
    assert stage.brought_back == []
    stage.not_proved = ""
    stage.send("rollback")
    stage.turn()
    assert len(stage.brought_back) == 3


def test_it_is_closed_when_it_is_quiet_and_empty_twice_and_not_before() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.SWITCHED)
    stage.turn()
    assert stage.state is CutoverState.DRAINING
    with pytest.raises(UsageError, match=r"(?s)quiet.*empty"):
        stage.send("close")
    with pytest.raises(UsageError, match="empty cannot be overruled"):
        stage.send("close", force=["empty"], reason="I know better")
    stage.looks(700)
    stage.turn(times=1)
    stage.looks(700)
    stage.turn(times=1)
    guards = stage.view.guards
    assert (guards["empty"].met, guards["quiet"].met) == (True, False), guards
    with pytest.raises(UsageError, match="--reason"):
        stage.send("close", force=["quiet"])
    stage.looks(3600)
    stage.turn()
    assert stage.send("close").overruled == ()
    stage.turn()
    assert not stage.store.standings(stage.request.import_id)
    assert stage.driver().turn()[0].guards == {}, "it is over: nothing is measured any more"


def test_a_mailbox_that_nobody_can_mend_after_the_switch_is_given_up_by_a_person() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.SWITCHED)
    stage.turn()
    stage.park(stage.people[0])
    for _ in range(8):
        stage.looks(700)
        stage.turn(times=1)
    with pytest.raises(UsageError, match=r"copied: 2 of 3 mailboxes are copied; .* give them up \(mailhaul cancel\)"):
        stage.send("close", force=["quiet"], reason="x")
    stage.store.control(stage.request.import_id, stage.people[0].mailbox_id, Control.CANCEL)
    guards = stage.view.guards
    assert guards["copied"].value == "2 of 2 mailboxes are copied; 1 cancelled ones count no more"
    assert stage.send("close").state is CutoverState.CLOSED


def test_before_the_switch_a_cancelled_mailbox_counts() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.ANNOUNCED)
    stage.park(stage.people[0])
    stage.store.control(stage.request.import_id, stage.people[0].mailbox_id, Control.CANCEL)
    with pytest.raises(UsageError, match=r"copied: 2 of 3 mailboxes are copied; .* another wave"):
        stage.send("switch")


def test_who_falls_behind_brings_it_back_to_staging() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.SYNCED)
    stage.time += 3600
    stage.turn(times=1)
    assert stage.state is CutoverState.STAGING
    with pytest.raises(UsageError, match="behind the source"):
        stage.send("announce")
    stage.store.reap(5)
    stage.looks(700)
    stage.turn(times=1)
    assert stage.state is CutoverState.SYNCED


def test_a_guard_is_overruled_with_a_reason_that_stays() -> None:
    stage = CutoverStage()
    stage.ttl = 86_400
    stage.to(CutoverState.ANNOUNCED)
    with pytest.raises(UsageError, match=r"ttl: example.org: MX mx.old.example 86400 s; .* at most 300 s"):
        stage.send("switch")
    with pytest.raises(UsageError, match="copied cannot be overruled"):
        stage.send("switch", force=["copied"], reason="x")
    after = stage.send("switch", force=["ttl", "synced"], reason="the MX stays")
    assert [(one.guard, one.event, one.reason, one.who) for one in after.overruled] == [
        ("ttl", "switch", "the MX stays", "anna")
    ], "only what was not met"


def test_given_up_before_the_switch_it_may_be_begun_again() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.ANNOUNCED)
    with pytest.raises(UsageError, match="nobody can rollback it now"):
        stage.send("rollback")
    stage.send("give_up")
    stage.turn()
    assert not stage.store.standings(stage.request.import_id)
    assert stage.switch.turns == []
    stage.to(CutoverState.ANNOUNCED)
    assert stage.state is CutoverState.ANNOUNCED


@pytest.mark.parametrize("play", ["rolled back", "half rolled back"])
def test_a_new_cutover_waits_until_all_mail_is_brought_back(play: str) -> None:
    """A new mark would stand above the mail that is still to come: a second rollback would leave it behind."""
    stage, _ = _played(-1, play)
    assert stage.brought_back, "begun, and nothing of it is there yet"
    with pytest.raises(UsageError, match="still on their way back"):
        stage.begin()
    whole = BackProgress(state=MailboxState.COMPLETE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(acts, "back_progress", lambda *_: whole)
        stage.begin()
    assert stage.state is CutoverState.DRAFTED


def test_a_wave_that_drains_is_kept_in_sync_although_a_person_ended_that() -> None:
    stage = CutoverStage()
    stage.to(CutoverState.DRAINING)
    stage.store.set_standing(stage.request.import_id, "", None)
    stage.turn()
    assert stage.store.standings(stage.request.import_id), "without looks it would never be quiet"
