"""Says in a sentence where a cutover is, and what comes next. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from producer.cutover.copy_back import WaveBack
from producer.cutover.guards import DomainFacts, MeasuredGuard
from shared.model import Mailbox
from shared.model.cutover import RULES, Cutover, MailboxCutover
from shared.model.lifecycle import CutoverState
from shared.wording.phrases import Phrase

BEGUN_COORDINATOR_ASKS_WHETHER: Final = Phrase(
    "begun_coordinator_asks_whether", "begun; the coordinator asks whether the switch would turn every mailbox"
)
SWITCH_WOULD_TURN_EVERY: Final = Phrase("switch_would_turn_every", "the switch would turn every mailbox")
MAILBOXES_ARE_KEPT_IN_SYNC_AND_SOME: Final = Phrase(
    "mailboxes_are_kept_in_sync_and_some", "mailboxes are kept in sync, and some are behind"
)
EVERY_MAILBOX_IS_IN_SYNC: Final = Phrase("every_mailbox_is_in_sync", "every mailbox is in sync")
ITS_PEOPLE_KNOW_OF_SWITCH: Final = Phrase("its_people_know_of_switch", "its people know of the switch")
MAILBOXES_ARE_BEING_TURNED_TO_NEW: Final = Phrase(
    "mailboxes_are_being_turned_to_new", "the mailboxes are being turned to the new server"
)
PEOPLE_ARE_AT_NEW_SERVER_WHAT: Final = Phrase(
    "people_are_at_new_server_what", "people are at the new server; what still comes to the old one is copied"
)
OVER_NOTHING_IS_COPIED_ANY: Final = Phrase("over_nothing_is_copied_any", "over; nothing is copied any more")
PEOPLE_ARE_TURNED_BACK_TO_OLD: Final = Phrase(
    "people_are_turned_back_to_old", "people are turned back to the old server"
)
YOU_DECIDE_MAILHAUL_CUTOVER: Final = Phrase("you_decide_mailhaul_cutover", "you decide: mailhaul cutover {word}")
OF_MAILBOXES_ARE_BROUGHT_BACK_MESSAGES: Final = Phrase(
    "of_mailboxes_are_brought_back_messages",
    "{num} of {most_num} mailboxes are brought back; messages: {part_num} are back",
)
TO_TRY_AGAIN_MAILHAUL_CUTOVER: Final = Phrase("to_try_again_mailhaul_cutover", "to try again: mailhaul cutover start")
NOTHING_MAILHAUL_CLOSE_FORGETS: Final = Phrase(
    "nothing_mailhaul_close_forgets", "nothing: mailhaul close forgets the import, when all of its waves are over"
)
COORDINATOR_TURNS_ONE_MAILBOX: Final = Phrase(
    "coordinator_turns_one_mailbox", "the coordinator turns one mailbox after the other"
)
COORDINATOR_GOES_ON_WITHIN_SECONDS: Final = Phrase(
    "coordinator_goes_on_within_seconds", "the coordinator goes on within seconds"
)
MX_IS_AS_BEFORE_SWITCH_CHANGE: Final = Phrase(
    "mx_is_as_before_switch_change",
    "MX is as before the switch: change it if mail comes by it; then mailhaul cutover close",
)
OF_MAILBOXES_ARE_BROUGHT_BACK_MESSAGES_ARE_BACK: Final = Phrase(
    "of_mailboxes_are_brought_back_messages_are_back",
    "{num} of {most_num} mailboxes are brought back; messages: {part_num} are back, {listed_num} are "
    "still to come, {shown_num} were not taken",
)
MAILBOXES_OR_THEIR_MAIL_DID: Final = Phrase(
    "mailboxes_or_their_mail_did",
    "{num} mailboxes or their mail did not come back: mend it, then mailhaul cutover rollback again",
)
COORDINATOR_TURNS_BACK_MAILBOXES: Final = Phrase(
    "coordinator_turns_back_mailboxes",
    "the coordinator turns back {num} mailboxes and brings back the mail of {most_num} more",
)
IMPORT_WITH_BACK_BEHIND_ITS_NAME: Final = Phrase(
    "import_with_back_behind_its_name",
    "the import with (back) behind its name brings back the mail; to try again: mailhaul cutover start",
)
SWITCH_REFUSES_MAILBOXES_MEND: Final = Phrase(
    "switch_refuses_mailboxes_mend",
    "the switch refuses {num} mailboxes: mend it, then mailhaul cutover switch again, or rollback",
)
WAIT_FOR: Final = Phrase("wait_for", "wait for: {names}")
WAIT_FOR_THEN_MAILHAUL_CUTOVER: Final = Phrase(
    "wait_for_then_mailhaul_cutover", "wait for: {names}; then mailhaul cutover {word}"
)

_S = CutoverState

#: What a state means.
MEANINGS: Final[Mapping[CutoverState, str]] = {
    _S.DRAFTED: BEGUN_COORDINATOR_ASKS_WHETHER.says(),
    _S.CHECKED: SWITCH_WOULD_TURN_EVERY.says(),
    _S.STAGING: MAILBOXES_ARE_KEPT_IN_SYNC_AND_SOME.says(),
    _S.SYNCED: EVERY_MAILBOX_IS_IN_SYNC.says(),
    _S.ANNOUNCED: ITS_PEOPLE_KNOW_OF_SWITCH.says(),
    _S.SWITCHED: MAILBOXES_ARE_BEING_TURNED_TO_NEW.says(),
    _S.DRAINING: PEOPLE_ARE_AT_NEW_SERVER_WHAT.says(),
    _S.CLOSED: OVER_NOTHING_IS_COPIED_ANY.says(),
    _S.ROLLED_BACK: PEOPLE_ARE_TURNED_BACK_TO_OLD.says(),
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
        left = sum(one.to == "new" or (one.to == "old" and not one.turned) for _, one in known)
        back = sum(one.to == "old" and one.turned and one.marked and one.back != "begun" for _, one in known)
        if refused := len(not_back(known)):
            return MAILBOXES_OR_THEIR_MAIL_DID.says(num=f"{refused:,}")
        if left or back:
            return COORDINATOR_TURNS_BACK_MAILBOXES.says(num=f"{left:,}", most_num=f"{back:,}")
        if any(one.back for _, one in known):
            return IMPORT_WITH_BACK_BEHIND_ITS_NAME.says()
        return TO_TRY_AGAIN_MAILHAUL_CUTOVER.says()
    if state is _S.CLOSED:
        return NOTHING_MAILHAUL_CLOSE_FORGETS.says()
    if state is _S.SWITCHED:
        refused = sum(one.answer == "refused" for _, one in known)
        if refused:
            return SWITCH_REFUSES_MAILBOXES_MEND.says(num=f"{refused:,}")
        return COORDINATOR_TURNS_ONE_MAILBOX.says()
    event, word = _NEXT[state]
    failing = [guards[name] for name in RULES[event].guards if not guards[name].met]
    by_coordinator = RULES[event].by == "coordinator"
    if failing:
        names = ", ".join(one.name for one in failing)
        return (
            WAIT_FOR.says(names=names)
            if by_coordinator
            else WAIT_FOR_THEN_MAILHAUL_CUTOVER.says(names=names, word=word)
        )
    if by_coordinator:
        return COORDINATOR_GOES_ON_WITHIN_SECONDS.says()
    if state is _S.DRAINING and any(one.servers and one.mx == one.mx_before for one in domains):
        return MX_IS_AS_BEFORE_SWITCH_CHANGE.says()
    return YOU_DECIDE_MAILHAUL_CUTOVER.says(word=word)


def back_words(back: WaveBack) -> str:
    """Says how far the copies back are."""
    if back.pending or back.failed:
        return OF_MAILBOXES_ARE_BROUGHT_BACK_MESSAGES_ARE_BACK.says(
            num=f"{back.whole:,}",
            most_num=f"{back.mailboxes:,}",
            part_num=f"{back.messages:,}",
            listed_num=f"{back.pending:,}",
            shown_num=f"{back.failed:,}",
        )
    return OF_MAILBOXES_ARE_BROUGHT_BACK_MESSAGES.says(
        num=f"{back.whole:,}", most_num=f"{back.mailboxes:,}", part_num=f"{back.messages:,}"
    )


def not_back(known: Sequence[tuple[Mailbox, MailboxCutover]]) -> list[tuple[str, str]]:
    """Returns (login, why) of each mailbox that was not turned back, or whose mail is not brought back, until a person acts."""
    return [
        (mailbox.source.login, one.words)
        for mailbox, one in known
        if one.to == "old" and (one.answer == "refused" or one.back == "refused")
    ]


_NEXT: Final[Mapping[CutoverState, tuple[str, str]]] = {
    _S.DRAFTED: ("check", ""),
    _S.CHECKED: ("stage", ""),
    _S.STAGING: ("sync", ""),
    _S.SYNCED: ("announce", "announce"),
    _S.ANNOUNCED: ("switch", "switch"),
    _S.DRAINING: ("close", "close"),
}
