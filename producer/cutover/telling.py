"""Says in a sentence where a cutover is, and what comes next. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from producer.cutover.copy_back import WaveBack
from producer.cutover.guards import guard_names
from producer.cutover.measured import DomainFacts, MeasuredGuard
from shared.model import Mailbox
from shared.model.cutover import RULES, CopyBackState, Cutover, MailboxCutover, TurnAnswer, TurnedTo
from shared.model.lifecycle import CutoverState
from shared.wording.phrases import Phrase

BEGUN_SWITCH_IS_ASKED: Final = Phrase(
    "begun_switch_is_asked", "begun; the coordinator asks whether the switch would turn every mailbox"
)
SWITCH_WOULD_TURN_EVERYBODY: Final = Phrase("switch_would_turn_everybody", "the switch would turn every mailbox")
KEPT_IN_SYNC_SOME_BEHIND: Final = Phrase("kept_in_sync_some_behind", "mailboxes are kept in sync, and some are behind")
EVERY_MAILBOX_IS_IN_SYNC: Final = Phrase("every_mailbox_is_in_sync", "every mailbox is in sync")
ITS_PEOPLE_KNOW_OF_SWITCH: Final = Phrase("its_people_know_of_switch", "its people know of the switch")
TURNING_TO_NEW_SERVER: Final = Phrase("turning_to_new_server", "the mailboxes are being turned to the new server")
PEOPLE_ARE_AT_NEW_SERVER: Final = Phrase(
    "people_are_at_new_server", "people are at the new server; what still comes to the old one is copied"
)
OVER_NOTHING_MORE_IS_COPIED: Final = Phrase("over_nothing_more_is_copied", "over; nothing is copied any more")
TURNING_BACK_TO_OLD_SERVER: Final = Phrase("turning_back_to_old_server", "people are turned back to the old server")
YOU_DECIDE_BY_CUTOVER_COMMAND: Final = Phrase("you_decide_by_cutover_command", "you decide: mailhaul cutover {act}")
BROUGHT_BACK: Final = Phrase(
    "brought_back",
    "{num} of {most_num} mailboxes are brought back; messages: {part_num} are back",
)
TO_TRY_AGAIN_START_CUTOVER_ANEW: Final = Phrase(
    "to_try_again_start_cutover_anew", "to try again: mailhaul cutover start"
)
NOTHING_LEFT_CLOSE_FORGETS: Final = Phrase(
    "nothing_left_close_forgets", "nothing: mailhaul close forgets the import, when all of its waves are over"
)
TURNING_ONE_BY_ONE: Final = Phrase("turning_one_by_one", "the coordinator turns one mailbox after the other")
COORDINATOR_GOES_ON_WITHIN_SECONDS: Final = Phrase(
    "coordinator_goes_on_within_seconds", "the coordinator goes on within seconds"
)
MX_IS_AS_BEFORE_SWITCH: Final = Phrase(
    "mx_is_as_before_switch",
    "MX is as before the switch: change it if mail comes by it; then mailhaul cutover close",
)
BROUGHT_BACK_AND_STILL_TO_COME: Final = Phrase(
    "brought_back_and_still_to_come",
    "{num} of {most_num} mailboxes are brought back; messages: {part_num} are back, {listed_num} are "
    "still to come, {shown_num} were not taken",
)
MAILBOXES_DID_NOT_COME_BACK: Final = Phrase(
    "mailboxes_did_not_come_back",
    "{num} mailboxes or their mail did not come back: mend it, then mailhaul cutover rollback again",
)
TURNING_BACK_AND_BRINGING_BACK: Final = Phrase(
    "turning_back_and_bringing_back",
    "the coordinator turns back {num} mailboxes and brings back the mail of {most_num} more",
)
THE_WAY_BACK_IS_AN_IMPORT: Final = Phrase(
    "the_way_back_is_an_import",
    "the import with (back) behind its name brings back the mail; to try again: mailhaul cutover start",
)
SWITCH_REFUSES_MAILBOXES: Final = Phrase(
    "switch_refuses_mailboxes",
    "the switch refuses {num} mailboxes: mend it, then mailhaul cutover switch again, or rollback",
)
WAIT_FOR: Final = Phrase("wait_for", "wait for: {names}")
WAIT_FOR_THEN_CUTOVER: Final = Phrase("wait_for_then_cutover", "wait for: {names}; then mailhaul cutover {act}")

_S = CutoverState

#: The meaning of each state.
MEANINGS: Final[Mapping[CutoverState, str]] = {
    _S.DRAFTED: BEGUN_SWITCH_IS_ASKED.says(),
    _S.CHECKED: SWITCH_WOULD_TURN_EVERYBODY.says(),
    _S.STAGING: KEPT_IN_SYNC_SOME_BEHIND.says(),
    _S.SYNCED: EVERY_MAILBOX_IS_IN_SYNC.says(),
    _S.ANNOUNCED: ITS_PEOPLE_KNOW_OF_SWITCH.says(),
    _S.SWITCHED: TURNING_TO_NEW_SERVER.says(),
    _S.DRAINING: PEOPLE_ARE_AT_NEW_SERVER.says(),
    _S.CLOSED: OVER_NOTHING_MORE_IS_COPIED.says(),
    _S.ROLLED_BACK: TURNING_BACK_TO_OLD_SERVER.says(),
}


def next_step(
    cutover: Cutover,
    guards: Mapping[str, MeasuredGuard],
    known: Sequence[tuple[Mailbox, MailboxCutover]],
    domains: Sequence[DomainFacts],
) -> str:
    """Returns what comes next, and who does it."""
    state = cutover.state
    if state is _S.ROLLED_BACK:
        left = sum(one.to == TurnedTo.NEW or (one.to == TurnedTo.OLD and not one.turned) for _, one in known)
        back = sum(
            one.to == TurnedTo.OLD and one.turned and one.marked and one.back != CopyBackState.BEGUN for _, one in known
        )
        if refused := len(not_back(known)):
            return MAILBOXES_DID_NOT_COME_BACK.says(num=f"{refused:,}")
        if left or back:
            return TURNING_BACK_AND_BRINGING_BACK.says(num=f"{left:,}", most_num=f"{back:,}")
        if any(one.back for _, one in known):
            return THE_WAY_BACK_IS_AN_IMPORT.says()
        return TO_TRY_AGAIN_START_CUTOVER_ANEW.says()
    if state is _S.CLOSED:
        return NOTHING_LEFT_CLOSE_FORGETS.says()
    if state is _S.SWITCHED:
        refused = sum(one.answer == TurnAnswer.REFUSED for _, one in known)
        if refused:
            return SWITCH_REFUSES_MAILBOXES.says(num=f"{refused:,}")
        return TURNING_ONE_BY_ONE.says()
    event = _NEXT[state]
    failing = [guards[name] for name in RULES[event].guards if not guards[name].met]
    by_coordinator = RULES[event].by == "coordinator"
    if failing:
        names = guard_names(one.name for one in failing)
        return WAIT_FOR.says(names=names) if by_coordinator else WAIT_FOR_THEN_CUTOVER.says(names=names, act=event)
    if by_coordinator:
        return COORDINATOR_GOES_ON_WITHIN_SECONDS.says()
    if state is _S.DRAINING and any(one.servers and one.mx == one.mx_before for one in domains):
        return MX_IS_AS_BEFORE_SWITCH.says()
    return YOU_DECIDE_BY_CUTOVER_COMMAND.says(act=event)


def back_words(back: WaveBack) -> str:
    """Says how far the copies back are."""
    if back.pending or back.failed:
        return BROUGHT_BACK_AND_STILL_TO_COME.says(
            num=f"{back.whole:,}",
            most_num=f"{back.mailboxes:,}",
            part_num=f"{back.messages:,}",
            listed_num=f"{back.pending:,}",
            shown_num=f"{back.failed:,}",
        )
    return BROUGHT_BACK.says(num=f"{back.whole:,}", most_num=f"{back.mailboxes:,}", part_num=f"{back.messages:,}")


def not_back(known: Sequence[tuple[Mailbox, MailboxCutover]]) -> list[tuple[str, str]]:
    """Returns (login, why) of each mailbox that was not turned back, or whose mail is not brought back, until a person acts."""
    return [
        (mailbox.source.login, one.words)
        for mailbox, one in known
        if one.to == TurnedTo.OLD and (one.answer == TurnAnswer.REFUSED or one.back == CopyBackState.REFUSED)
    ]


_NEXT: Final[Mapping[CutoverState, str]] = {
    _S.DRAFTED: "check",
    _S.CHECKED: "stage",
    _S.STAGING: "sync",
    _S.SYNCED: "announce",
    _S.ANNOUNCED: "switch",
    _S.DRAINING: "close",
}
