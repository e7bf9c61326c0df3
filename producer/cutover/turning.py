"""Decides which mailboxes a switch is to turn, and what its answer means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from producer.cutover.facts import address_of
from producer.cutover.guards import FRESH_SECONDS, copied
from shared.model import Mailbox
from shared.model.cutover import OVER, STANDING, CopyBackState, Cutover, MailboxCutover, TurnAnswer, TurnedTo
from shared.model.lifecycle import CutoverState
from shared.model.sides import Side
from shared.store.records.cutovers import decode_mailbox
from shared.switching import SwitchedMailbox, Turned, TurnedBefore, TurnLater, TurnOutcome
from shared.wording.phrases import several

#: Seconds until a switch that did not say yes is asked again whether it would.
AGAIN_SECONDS: Final = 30.0
#: Side of a switch → what a note says of it.
SIDES: Final[Mapping[Side, TurnedTo]] = {Side.DESTINATION: TurnedTo.NEW, Side.SOURCE: TurnedTo.OLD}


def switched(cutover: Cutover, mailbox: Mailbox, to: Side, again: int = 0) -> SwitchedMailbox:
    """Returns the mailbox as a switch is told of it.

    Its key is the same for each turn to this side in this cutover, until a late turn put it in doubt (`again`).
    """
    began = cutover.steps[0].at if cutover.steps else cutover.since
    return SwitchedMailbox(
        address=address_of(mailbox),
        old_login=mailbox.source.login,
        new_login=mailbox.destination.login,
        old_host=mailbox.source.endpoint.host,
        new_host=mailbox.destination.endpoint.host,
        key=f"{mailbox.mailbox_id}.{round(began * 1000)}.{to}{f'.{again}' if again else ''}",
    )


def answered(known: MailboxCutover, outcome: TurnOutcome, at: float) -> MailboxCutover:
    """Returns what is known of a mailbox after this answer; of "later" `at` is when to ask again."""
    if isinstance(outcome, Turned):
        return replace(known, answer=TurnAnswer.DONE, words=outcome.words, at=at)
    if isinstance(outcome, TurnedBefore):
        return replace(known, answer=TurnAnswer.ALREADY, words=outcome.words, at=at)
    if isinstance(outcome, TurnLater):
        return replace(known, answer=TurnAnswer.LATER, words=outcome.words, at=at + outcome.after_seconds)
    words = several((outcome.words, outcome.advice))
    return replace(known, answer=TurnAnswer.REFUSED, words=words, at=at)


def to_rehearse(known: MailboxCutover, at: float) -> bool:
    """Tells whether the switch is to be asked now if it would turn the mailbox."""
    if known.to:
        return False
    return known.at + (FRESH_SECONDS["switch"] / 2 if known.turned else AGAIN_SECONDS) <= at


def to_turn(cutover: Cutover, mailbox: Mailbox, known: MailboxCutover, to: Side, at: float) -> bool:
    """Tells whether the mailbox is to be turned to this side now.

    What the switch refused is asked for again only after a person said so.
    """
    if known.to != SIDES[to]:
        # In other states only those are turned once more whose last turn is in doubt, to the side where they are to be.
        if to is Side.DESTINATION:
            # Whoever came to the wave after the switch was begun has to be copied first, as everybody was.
            return cutover.state is CutoverState.SWITCHED and copied(mailbox.state, mailbox.synced_at)
        return cutover.state is CutoverState.ROLLED_BACK and bool(known.to)  # not whom this cutover never turned
    if known.answer == TurnAnswer.ASKED:
        return True
    if known.answer == TurnAnswer.LATER:
        return known.at <= at
    return known.answer == TurnAnswer.REFUSED and known.at < cutover.since


def to_bring_back(cutover: Cutover, known: MailboxCutover) -> bool:
    """Tells whether the mail that came to the destination is to be brought back now."""
    if known.to != TurnedTo.OLD or not known.turned or not known.marked:
        return False
    return not known.back or (known.back == CopyBackState.REFUSED and known.at < cutover.since)


def counted(mailbox: Mailbox, known: MailboxCutover) -> MailboxCutover:
    """Returns what is known of a turned mailbox after its last look; the same when no look ended since."""
    if known.to != TurnedTo.NEW or not known.turned:
        return known
    if mailbox.mail_at != known.mail_at:
        return replace(known, mail_at=mailbox.mail_at, synced_at=mailbox.synced_at, empty=0)
    if mailbox.synced_at > max(known.synced_at, known.at):
        return replace(known, synced_at=mailbox.synced_at, empty=known.empty + 1)
    return known


def nothing_left(cutover: Cutover, notes: Mapping[str, str]) -> bool:
    """Tells whether a cutover that is over has nothing left to do."""
    if cutover.state not in OVER or notes.get(STANDING) != "off":
        return False
    known = [decode_mailbox(text) for name, text in notes.items() if name[:1] != "#"]
    if cutover.state is CutoverState.CLOSED:
        return all(one.to != TurnedTo.OLD or one.turned for one in known)
    return all(
        not one.to or (one.to == TurnedTo.OLD and one.turned and not to_bring_back(cutover, one)) for one in known
    )
