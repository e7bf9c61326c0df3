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
from shared.model.sides import Side
from shared.switching import SwitchedMailbox, TurnLater, TurnOutcome, TurnRefused
from tests.contract.store_kit import run_out, start
from tests.crash.cutover_stage import CutoverStage
from tests.crash.interruption import Effects, Killed

LOGINS = ["user1", "user2", "user3"]
NEW, OLD = Side.DESTINATION, Side.SOURCE


def _played(kill_at: int, play: str) -> tuple[CutoverStage, Effects]:
    """Plays one part of a cutover by a coordinator that is killed at this step, and then by another one."""
    in_process, effects = CutoverStage(), Effects(kill_at)
    if play == "begun":
        in_process.begin(quiet_seconds=3600)
    else:
        in_process.to(CutoverState.SWITCHED)
        if play == "rolled back":
            in_process.turn()
            in_process.send("rollback")
        elif play == "half rolled back":
            with pytest.raises(Killed):
                in_process.turn(Effects(13))
            in_process.send("rollback")
    try:
        in_process.turn(effects, times=6)
    except Killed:
        in_process.turn(times=6)
    return in_process, effects


def _judge(in_process: CutoverStage, play: str) -> None:
    if play == "begun":
        assert in_process.state is CutoverState.SYNCED
        assert in_process.cutovers.notes(in_process.request.import_id, "")[STANDING] == "on"
        assert in_process.store.standings(in_process.request.import_id)
        assert in_process.switch.turns == [], "a rehearsal turns nobody"
    elif play == "switched":
        assert in_process.state is CutoverState.DRAINING
        assert sorted(in_process.switch.turns) == [(login, NEW) for login in LOGINS], "each once"
        assert {known.answer for _, known in in_process.view.mailboxes} <= {"done", "already"}
        assert set(in_process.marked) == set(LOGINS)
        assert sorted(in_process.told()) == ["announced", "draining", "switched", "synced"], "each once"
    else:
        assert in_process.state is CutoverState.ROLLED_BACK
        assert not in_process.store.standings(in_process.request.import_id)
        sides = {login: side for login, side in in_process.switch.sides.items() if side is not OLD}
        assert not sides, "somebody is left at the new server"
        assert max(Counter(in_process.switch.turns).values()) == 1
        turned = {login for login, to in in_process.switch.turns if to is NEW}
        assert turned <= set(in_process.brought_back)
        assert "to try again" in in_process.view.next


@pytest.mark.parametrize("play", ["begun", "switched", "rolled back", "half rolled back"])
def test_killed_before_and_after_each_effect_the_next_one_goes_on(play: str) -> None:
    in_process, effects = _played(-1, play)
    _judge(in_process, play)
    steps = effects.steps
    assert steps >= 8, effects.names
    for kill_at in range(steps):
        in_process, effects = _played(kill_at, play)
        assert effects.dead
        _judge(in_process, play)


def test_two_coordinators_at_once_do_no_harm() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SWITCHED)
    one, other = in_process.driver(), in_process.driver()
    for _ in range(4):
        one.turn()
        other.turn()
    assert in_process.state is CutoverState.DRAINING
    assert len(in_process.switch.turns) == 3


def test_one_that_was_late_changes_nothing_after_a_rollback() -> None:
    """The control of the fence: the coordinator is inside of a turn when a person says rollback."""
    in_process = CutoverStage()
    in_process.to(CutoverState.SWITCHED)
    turn = in_process.switch.turn

    def rolled_back_meanwhile(mailbox: object, to: Side) -> object:
        in_process.switch.turn = turn  # type: ignore[method-assign]
        answer = turn(mailbox, to)  # type: ignore[arg-type]
        in_process.send("rollback")
        return answer

    in_process.switch.turn = rolled_back_meanwhile  # type: ignore[method-assign, assignment]
    in_process.driver().turn()
    assert in_process.switch.turns == [("user1", NEW)], "nobody else is turned"
    in_process.turn()
    assert in_process.switch.turns == [("user1", NEW), ("user1", OLD)]
    assert in_process.brought_back == ["user1"]


@pytest.mark.parametrize("then", ["", "begun again", "given up again"])
def test_a_turn_that_comes_after_a_rollback_is_taken_back(then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A coordinator hangs inside of the switch. A person rolls back, another one does it, and then the late turn comes."""
    monkeypatch.setattr(acts, "back_progress", lambda *_: BackProgress(state=MailboxState.COMPLETE))
    in_process = CutoverStage()
    in_process.to(CutoverState.SWITCHED)
    turn = in_process.switch.turn

    def late(mailbox: object, to: Side) -> object:
        in_process.switch.turn = turn  # type: ignore[method-assign]
        in_process.send("rollback")
        in_process.turn()
        if then:
            in_process.begin()
        if then == "given up again":
            in_process.send("give_up")
        return turn(mailbox, to)  # type: ignore[arg-type]

    in_process.switch.turn = late  # type: ignore[method-assign, assignment]
    in_process.driver().turn()
    assert in_process.switch.sides["user1"] is NEW, "the control: the late turn had its effect"
    keys = in_process.switch.keys[:]
    in_process.turn()
    assert in_process.switch.sides["user1"] is OLD
    assert not set(keys) & set(in_process.switch.keys[len(keys) :]), "a receiver that knows the key would do nothing"
    if not then:
        assert in_process.brought_back.count("user1") == 2, "mail may have come to the new server meanwhile"


def test_whoever_is_not_copied_is_not_turned() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SWITCHED)
    newcomer = in_process.join()
    in_process.turn()
    assert (newcomer.source.login, NEW) not in in_process.switch.turns
    assert in_process.state is CutoverState.SWITCHED
    assert (newcomer.source.login, "not asked while it is not copied") in in_process.view.guards["turned"].who
    run_out(in_process.store)
    in_process.turn()
    assert (newcomer.source.login, NEW) in in_process.switch.turns
    assert in_process.state is CutoverState.DRAINING


def test_a_cutover_that_fails_delays_no_other_one() -> None:
    in_process = CutoverStage()
    in_process.begin()
    other, _ = start(in_process.store, 1, name="behind")
    run_out(in_process.store)
    wanted = CutoverOptions(switch="table", domains=("example.com",))
    acts.start(in_process.cutovers, other, "", wanted, who="anna", at=in_process.time)
    in_process.fails_for = {"example.org"}
    assert [view.cutover.import_id for view in in_process.driver().turn()] == [other.import_id]
    in_process.turn(times=6)
    assert in_process.cutovers.one(other.import_id, "").cutover.state is CutoverState.SYNCED  # type: ignore[union-attr]
    in_process.fails_for = set()
    in_process.turn(times=6)
    assert in_process.state is CutoverState.SYNCED


@pytest.mark.parametrize(
    "note", ['{"at": "x"}', '{"to": 5}', '{"empty": "2", "to": "new"}', "[]", '"x"', '{"marked": 1}', "null"]
)
def test_a_note_that_a_stranger_wrote_stops_nothing(note: str) -> None:
    in_process = CutoverStage()
    in_process.begin()
    kept = in_process.cutovers.one(in_process.request.import_id, "")
    domains = '{"example.org": {"domain": "example.org", "at": "x", "faults": [], "mx": [1], "mx_before": []}}'
    assert in_process.cutovers.put_notes(kept, {in_process.people[0].mailbox_id: ("", note), DNS: ("", domains)})
    in_process.turn(times=6)
    assert in_process.state is CutoverState.SYNCED


def test_many_slow_domains_hold_nobody_up() -> None:
    in_process = CutoverStage()
    in_process.dns_seconds = 3.0
    domains = tuple(f"d{number}.example" for number in range(30))
    in_process.begin(domains=domains, synced_seconds=86_400.0)
    in_process.turn(times=1)
    assert all(known.turned for _, known in in_process.view.mailboxes), "the switch was asked for everybody at once"
    in_process.turn(times=4)
    assert in_process.state is CutoverState.SYNCED
    ttl = in_process.view.guards["ttl"]
    assert ttl.met, f"each domain has its turn: {ttl}"


def test_a_switch_that_wants_everybody_to_wait_is_asked_for_nobody_until_then() -> None:
    in_process = CutoverStage()
    in_process.switch.instead = {"user1": TurnLater(after_seconds=20, words="busy", everyone=True)}
    in_process.begin(quiet_seconds=3600)
    driver = in_process.driver()
    for seconds, rehearsed in ((0, 1), (10, 1), (9, 1)):
        in_process.time += seconds
        driver.turn()
        assert len(in_process.switch.rehearsed) == rehearsed
    in_process.switch.instead.clear()
    in_process.time += 31
    for _ in range(6):
        driver.turn()
    in_process.send("announce")
    in_process.send("switch")
    in_process.switch.instead = {"user1": TurnLater(after_seconds=20, words="busy", everyone=True)}
    for seconds, asked in ((0, 1), (10, 1), (9, 1), (2, 2)):
        in_process.time += seconds
        driver.turn()
        assert len(in_process.switch.keys) == asked
    in_process.switch.instead.clear()
    in_process.time += 21
    driver.turn()
    assert in_process.state is CutoverState.DRAINING


def test_while_the_time_of_a_turn_is_not_enough_the_next_one_comes_soon() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SWITCHED)
    turn = in_process.switch.turn

    def slow(mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        in_process.time += 15
        return turn(mailbox, to)

    in_process.switch.turn = slow  # type: ignore[method-assign]
    driver = in_process.driver()
    driver.turn()
    assert len(in_process.switch.turns) == 2
    assert driver.hurried
    assert pause_after(30, hurried=driver.hurried) == PAUSE_SECONDS
    driver.turn()
    assert in_process.state is CutoverState.DRAINING
    assert not driver.hurried
    assert pause_after(30, hurried=driver.hurried) == pytest.approx(120), (
        "else a turn takes a fifth of the time at most"
    )


def test_what_the_switch_refuses_waits_for_a_person_and_later_is_asked_again() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SWITCHED)
    in_process.switch.instead = {
        "user2": TurnRefused(words="no such row"),
        "user3": TurnLater(after_seconds=20, words="busy"),
    }
    in_process.turn()
    assert in_process.state is CutoverState.SWITCHED
    assert "refuses 1" in in_process.view.next
    assert ("user2", "the switch refused: no such row") in in_process.view.guards["turned"].who
    del in_process.switch.instead["user3"]
    in_process.time += 20
    in_process.turn()
    assert ("user3", NEW) in in_process.switch.turns
    in_process.switch.instead.clear()
    in_process.turn()
    assert ("user2", NEW) not in in_process.switch.turns, "not before a person says so"
    in_process.send("switch")
    in_process.turn()
    assert in_process.state is CutoverState.DRAINING


def test_without_a_mark_nobody_is_turned() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SWITCHED)
    in_process.no_mark = "the server does not answer"
    in_process.turn()
    assert in_process.switch.turns == []
    assert "could not be marked: the server does not answer" in in_process.view.guards["turned"].who[0][1]
    in_process.no_mark = ""
    in_process.send("switch")
    in_process.turn()
    assert in_process.state is CutoverState.DRAINING


@pytest.mark.parametrize(
    "fault",
    [
        Unreachable("destination", "no connection"),
        ConnectionLost("destination", "the connection broke"),
        Throttled("destination", "too many connections", wait_seconds=30.0),
    ],
)
def test_a_mark_that_fails_in_passing_is_tried_again_by_itself(fault: MailError) -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SWITCHED)
    in_process.no_mark = fault
    in_process.turn()
    assert in_process.switch.turns == []
    assert {known.answer for _, known in in_process.view.mailboxes} == {"later"}
    assert "asked again later: the destination could not be marked" in in_process.view.guards["turned"].who[0][1]
    in_process.no_mark = ""
    in_process.turn(times=1)
    assert in_process.switch.turns == [], "not at once"
    in_process.time += 31
    in_process.turn()
    assert in_process.state is CutoverState.DRAINING


def test_whoever_is_not_as_was_given_is_not_turned_not_even_back() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SWITCHED)
    in_process.turn()
    in_process.send("rollback")
    in_process.not_proved = "the state store names another server"
    in_process.turn()
    assert {side for _, side in in_process.switch.turns} == {NEW}
    assert in_process.brought_back == []
    in_process.not_proved = ""
    in_process.send("rollback")
    in_process.turn()
    assert len(in_process.brought_back) == 3


def test_it_is_closed_when_it_is_quiet_and_empty_twice_and_not_before() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SWITCHED)
    in_process.turn()
    assert in_process.state is CutoverState.DRAINING
    with pytest.raises(UsageError, match=r"(?s)quiet.*empty"):
        in_process.send("close")
    with pytest.raises(UsageError, match="empty cannot be overruled"):
        in_process.send("close", force=["empty"], reason="I know better")
    in_process.looks(700)
    in_process.turn(times=1)
    in_process.looks(700)
    in_process.turn(times=1)
    guards = in_process.view.guards
    assert (guards["empty"].met, guards["quiet"].met) == (True, False), guards
    with pytest.raises(UsageError, match="--reason"):
        in_process.send("close", force=["quiet"])
    in_process.looks(3600)
    in_process.turn()
    assert in_process.send("close").overruled == ()
    in_process.turn()
    assert not in_process.store.standings(in_process.request.import_id)
    assert in_process.driver().turn()[0].guards == {}, "it is over: nothing is measured any more"


def test_a_mailbox_that_nobody_can_mend_after_the_switch_is_given_up_by_a_person() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SWITCHED)
    in_process.turn()
    in_process.park(in_process.people[0])
    for _ in range(8):
        in_process.looks(700)
        in_process.turn(times=1)
    with pytest.raises(UsageError, match=r"copied: 2 of 3 mailboxes are copied; .* give them up \(mailhaul cancel\)"):
        in_process.send("close", force=["quiet"], reason="x")
    in_process.store.control(in_process.request.import_id, in_process.people[0].mailbox_id, Control.CANCEL)
    guards = in_process.view.guards
    assert guards["copied"].value == "2 of 2 mailboxes are copied; 1 cancelled ones count no more"
    assert in_process.send("close").state is CutoverState.CLOSED


def test_before_the_switch_a_cancelled_mailbox_counts() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.ANNOUNCED)
    in_process.park(in_process.people[0])
    in_process.store.control(in_process.request.import_id, in_process.people[0].mailbox_id, Control.CANCEL)
    with pytest.raises(UsageError, match=r"copied: 2 of 3 mailboxes are copied; .* another wave"):
        in_process.send("switch")


def test_who_falls_behind_brings_it_back_to_staging() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SYNCED)
    in_process.time += 3600
    in_process.turn(times=1)
    assert in_process.state is CutoverState.STAGING
    with pytest.raises(UsageError, match="behind the source"):
        in_process.send("announce")
    in_process.store.reap(5)
    in_process.looks(700)
    in_process.turn(times=1)
    assert in_process.state is CutoverState.SYNCED


def test_a_guard_is_overruled_with_a_reason_that_stays() -> None:
    in_process = CutoverStage()
    in_process.ttl = 86_400
    in_process.to(CutoverState.ANNOUNCED)
    with pytest.raises(UsageError, match=r"ttl: example.org: MX mx.old.example 86400 s; .* at most 300 s"):
        in_process.send("switch")
    with pytest.raises(UsageError, match="copied cannot be overruled"):
        in_process.send("switch", force=["copied"], reason="x")
    after = in_process.send("switch", force=["ttl", "synced"], reason="the MX stays")
    assert [(one.guard, one.event, one.reason, one.who) for one in after.overruled] == [
        ("ttl", "switch", "the MX stays", "anna")
    ], "only what was not met"


def test_given_up_before_the_switch_it_may_be_begun_again() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.ANNOUNCED)
    with pytest.raises(UsageError, match="nobody can rollback it now"):
        in_process.send("rollback")
    in_process.send("give_up")
    in_process.turn()
    assert not in_process.store.standings(in_process.request.import_id)
    assert in_process.switch.turns == []
    in_process.to(CutoverState.ANNOUNCED)
    assert in_process.state is CutoverState.ANNOUNCED


@pytest.mark.parametrize("play", ["rolled back", "half rolled back"])
def test_a_new_cutover_waits_until_all_mail_is_brought_back(play: str) -> None:
    """A new mark would stand above the mail that is still to come: a second rollback would leave it behind."""
    in_process, _ = _played(-1, play)
    assert in_process.brought_back, "begun, and nothing of it is there yet"
    with pytest.raises(UsageError, match="still on their way back"):
        in_process.begin()
    whole = BackProgress(state=MailboxState.COMPLETE)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(acts, "back_progress", lambda *_: whole)
        in_process.begin()
    assert in_process.state is CutoverState.DRAFTED


def test_only_whom_a_turn_refused_is_counted_as_refused() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.ANNOUNCED)
    in_process.switch.instead[LOGINS[1]] = TurnRefused(words="no")
    in_process.send("switch")
    in_process.turn()
    assert acts.refused(in_process.view) == 1
    del in_process.switch.instead[LOGINS[1]]
    in_process.send("switch")
    in_process.turn()
    assert acts.refused(in_process.view) == 0
    rehearsed = CutoverStage()
    rehearsed.switch.instead[LOGINS[1]] = TurnRefused(words="no")
    rehearsed.begin()
    rehearsed.turn()
    assert acts.refused(rehearsed.view) == 0, "a rehearsal turns nobody: the cutover stays drafted, which is told"


def test_a_wave_that_drains_is_kept_in_sync_although_a_person_ended_that() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.DRAINING)
    in_process.store.set_standing(in_process.request.import_id, "", None)
    in_process.turn()
    assert in_process.store.standings(in_process.request.import_id), "without looks it would never be quiet"
