"""Tests that every exception to the table of failures is a decision of its own, which needs no store and no lane."""

from __future__ import annotations

import pytest

from shared.model import Failure, UnitKind, errors
from shared.model.lifecycle import Disposition, Wish
from worker.decisions.failures import ATTEMPTS, CONTROL, TABLE, UNIT_ATTEMPTS, UNREACHABLE_TIMES, judge, meant

_LOST = errors.ConnectionLost("source", "connection lost")
_REFUSED = errors.FolderRefused("source", "refused the folder")
_AWAY = errors.Unreachable("source", "cannot connect")


def _before(code: str, times: int) -> Failure:
    return Failure(code=code, sentence="", at=0.0, times=times)


def test_an_attempt_that_got_on_does_not_count() -> None:
    assert judge(_LOST, 1).how is Disposition.AGAIN
    assert judge(_LOST, 1, progressed=True).how is Disposition.WAIT


def test_messages_of_a_closed_folder_fail_at_the_last_attempt_unless_some_are_in_doubt() -> None:
    assert judge(_REFUSED, ATTEMPTS - 1).how is Disposition.AGAIN
    assert judge(_REFUSED, ATTEMPTS).how is Disposition.GIVE_UP
    assert judge(_REFUSED, ATTEMPTS, in_doubt=True).how is Disposition.PARK


@pytest.mark.parametrize("kind", [UnitKind.PLAN, UnitKind.VERIFY])
def test_a_unit_without_messages_of_its_own_is_parked_at_its_last_attempt(kind: UnitKind) -> None:
    assert judge(_LOST, UNIT_ATTEMPTS - 1, kind=kind).how is Disposition.AGAIN
    assert judge(_LOST, UNIT_ATTEMPTS, kind=kind).how is Disposition.PARK
    assert judge(_LOST, UNIT_ATTEMPTS).how is Disposition.AGAIN, "a batch is halved instead"
    assert judge(ValueError("worn out"), UNIT_ATTEMPTS + 1, kind=kind).how is Disposition.PARK


@pytest.mark.parametrize("progressed", [False, True])
def test_another_writer_that_goes_on_parks_the_mailbox_whatever_it_brought(*, progressed: bool) -> None:
    other = errors.ForeignWriter("destination", "somebody else writes")
    found = [judge(other, attempts, progressed=progressed) for attempts in range(1, UNIT_ATTEMPTS + 1)]
    assert [one.how for one in found] == [Disposition.AGAIN] * (UNIT_ATTEMPTS - 1) + [Disposition.PARK]
    assert "mailhaul retry" in found[-1].advice


def test_a_server_that_stays_away_parks_the_mailbox_but_not_a_look_at_it() -> None:
    last = _before("source_unreachable", UNREACHABLE_TIMES - 1)
    assert judge(_AWAY, 1, last).how is Disposition.PARK
    look = judge(_AWAY, 1, last, kind=UnitKind.LOOK)
    assert (look.how, look.again_seconds, look.delay_seconds) == (Disposition.WAIT, 0.0, 600.0)
    refused = judge(errors.AuthenticationRefused("source", "no"), 1, kind=UnitKind.LOOK)
    assert refused.how is Disposition.PARK, "a person has to act"


def test_the_advice_says_whether_it_is_tried_again_by_itself() -> None:
    last = _before("source_unreachable", UNREACHABLE_TIMES - 1)
    parked, goes_on = "when the server answers: mailhaul retry", "goes on by itself when the server answers"
    assert goes_on in judge(_AWAY, 1).advice
    assert parked in judge(_AWAY, 1, last).advice
    assert goes_on in judge(_AWAY, 1, last, patient=True).advice
    assert goes_on in judge(_AWAY, 1, last, kind=UnitKind.LOOK).advice


def test_a_pass_after_a_look_is_tried_again_by_itself() -> None:
    last = _before("source_unreachable", UNREACHABLE_TIMES - 1)
    assert judge(_AWAY, 1, last).again_seconds == 0
    assert judge(_AWAY, 1, last, patient=True).again_seconds > 0


@pytest.mark.parametrize(
    ("wish", "kind"),
    [
        (Wish.RUN, errors.ConnectionLost),
        (Wish.LOST, errors.LeaseLost),
        (Wish.PAUSE, errors.ControlRequested),
        (Wish.CANCEL, errors.ControlRequested),
    ],
)
def test_a_connection_that_the_lease_keeper_shut_is_no_fault_of_the_server(wish: Wish, kind: type[Exception]) -> None:
    assert type(meant(_LOST, wish)) is kind
    assert meant(_AWAY, wish) is _AWAY


def test_what_the_operator_wants_is_no_failure() -> None:
    verdict = judge(errors.ControlRequested(Wish.PAUSE), 1)
    assert (verdict.code, verdict.how, verdict.told) == (CONTROL, Disposition.WAIT, False)
    assert judge(_LOST, 1).told


def test_the_table_never_decides_what_only_the_end_of_a_unit_can_be() -> None:
    assert {row.how for row in TABLE} & {Disposition.DOUBT, Disposition.LATE} == set()
