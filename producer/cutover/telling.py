"""Says in a sentence where a cutover is, and what comes next. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from producer.cutover.copy_back import WaveBack
from producer.cutover.guards import DomainFacts, MeasuredGuard
from shared.model import Mailbox
from shared.model.cutover import RULES, Cutover, MailboxCutover
from shared.model.lifecycle import CutoverState

_S = CutoverState

#: What a state means.
MEANINGS: Final[Mapping[CutoverState, str]] = {
    _S.DRAFTED: "begun; the coordinator asks whether the switch would turn every mailbox",
    _S.CHECKED: "the switch would turn every mailbox",
    _S.STAGING: "mailboxes are kept in sync, and some are behind",
    _S.SYNCED: "every mailbox is in sync",
    _S.ANNOUNCED: "its people know of the switch",
    _S.SWITCHED: "the mailboxes are being turned to the new server",
    _S.DRAINING: "people are at the new server; what still comes to the old one is copied",
    _S.CLOSED: "over; nothing is copied any more",
    _S.ROLLED_BACK: "people are turned back to the old server",
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
            return (
                f"{refused:,} mailboxes or their mail did not come back: mend it, then mailhaul cutover rollback again"
            )
        if left or back:
            return f"the coordinator turns back {left:,} mailboxes and brings back the mail of {back:,} more"
        if any(one.back for _, one in known):
            return "the import with (back) behind its name brings back the mail; to try again: mailhaul cutover start"
        return "to try again: mailhaul cutover start"
    if state is _S.CLOSED:
        return "nothing: mailhaul close forgets the import, when all of its waves are over"
    if state is _S.SWITCHED:
        refused = sum(one.answer == "refused" for _, one in known)
        if refused:
            return f"the switch refuses {refused:,} mailboxes: mend it, then mailhaul cutover switch again, or rollback"
        return "the coordinator turns one mailbox after the other"
    event, word = _NEXT[state]
    failing = [guards[name] for name in RULES[event].guards if not guards[name].met]
    by_coordinator = RULES[event].by == "coordinator"
    if failing:
        names = ", ".join(one.name for one in failing)
        return f"wait for: {names}" if by_coordinator else f"wait for: {names}; then mailhaul cutover {word}"
    if by_coordinator:
        return "the coordinator goes on within seconds"
    if state is _S.DRAINING and any(one.servers and one.mx == one.mx_before for one in domains):
        return "MX is as before the switch: change it if mail comes by it; then mailhaul cutover close"
    return f"you decide: mailhaul cutover {word}"


def back_words(back: WaveBack) -> str:
    """Says how far the copies back are."""
    if back.pending or back.failed:
        return (
            f"{back.whole:,} of {back.mailboxes:,} mailboxes are brought back; messages: {back.messages:,} are back, "
            f"{back.pending:,} are still to come, {back.failed:,} were not taken"
        )
    return f"{back.whole:,} of {back.mailboxes:,} mailboxes are brought back; messages: {back.messages:,} are back"


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
