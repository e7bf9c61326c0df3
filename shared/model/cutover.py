"""The nouns of a cutover: what it keeps, who may send which event, and what must be met first."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from shared.model.lifecycle import CUTOVER, CutoverState
from shared.nouns import dataclass

#: The guards, in the order in which they are shown.
GUARDS: Final = ("copied", "synced", "switch", "ttl", "turned", "quiet", "empty")
#: The guards that a person may overrule with a reason. Overruling another would lose mail that nobody hears of.
FORCIBLE: Final = frozenset({"synced", "ttl", "quiet"})

#: The states before the switch: a cutover may be given up there.
BEFORE_SWITCH: Final = frozenset(CutoverState(state) for state in CUTOVER["give_up"])
#: The states in which the mailboxes are kept in sync.
IN_SYNC: Final = frozenset(
    {
        CutoverState.STAGING,
        CutoverState.SYNCED,
        CutoverState.ANNOUNCED,
        CutoverState.SWITCHED,
        CutoverState.DRAINING,
    }
)
#: The states in which nothing is left to decide.
OVER: Final = frozenset({CutoverState.CLOSED, CutoverState.ROLLED_BACK})

#: The notes of a cutover that are of no mailbox: whether the wave is kept in sync ("on", "off", or why not), what the DNS said,
#: and why the switch cannot be asked for anybody.
STANDING: Final = "#standing"
DNS: Final = "#dns"
NO_SWITCH: Final = "#switch"
#: The note of how the wave stood before the cutover (`producer.cutover.stood`).
STOOD: Final = "#stood"
#: The note of the states that people were told of (`producer.notices`), separated by blanks.
TOLD: Final = "#told"


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoverRule:
    """The rule for an event of a cutover."""

    #: The sender: "person" or "coordinator".
    by: str
    #: The guards that must be met, or overruled where that is allowed.
    guards: tuple[str, ...] = ()


#: Event → its rule.
RULES: Final[Mapping[str, CutoverRule]] = {
    "start": CutoverRule(by="person"),
    "check": CutoverRule(by="coordinator", guards=("switch",)),
    "stage": CutoverRule(by="coordinator"),
    "sync": CutoverRule(by="coordinator", guards=("copied", "synced")),
    "lag": CutoverRule(by="coordinator"),
    "announce": CutoverRule(by="person", guards=("copied", "synced", "switch")),
    "switch": CutoverRule(by="person", guards=("copied", "synced", "switch", "ttl")),
    "drain": CutoverRule(by="coordinator", guards=("turned",)),
    "close": CutoverRule(by="person", guards=("copied", "turned", "quiet", "empty")),
    "give_up": CutoverRule(by="person"),
    "rollback": CutoverRule(by="person"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoverOptions:
    """The options of a cutover, as the person who began it set them."""

    #: The switch, as `shared.switching` reads it; it goes for every mailbox of the wave.
    switch: str = ""
    #: The longest time since a mailbox's last finished look, seconds.
    synced_seconds: float = 1800.0
    #: The longest time that a resolver may keep the MX and SPF records, seconds.
    ttl_seconds: int = 300
    #: The time for which the source must have got no new mail, seconds.
    quiet_seconds: float = 86_400.0
    #: The mail domains; empty: those of the logins.
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Overruled:
    """A guard that a person overruled."""

    #: The guard.
    guard: str
    #: The event for which it was overruled.
    event: str
    #: The person's reason.
    reason: str
    #: The person who did it.
    who: str
    #: When, seconds since the epoch.
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoverStep:
    """A state that a cutover came to."""

    #: The state.
    state: CutoverState
    #: When, seconds since the epoch.
    at: float
    #: The sender of the event; "" for the coordinator.
    who: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cutover:
    """The cutover of a wave, or of an import without waves."""

    #: The import.
    import_id: str
    #: The wave; "" for the whole import.
    wave: str
    #: Its state.
    state: CutoverState
    #: When the last event came, seconds since the epoch. What a switch refused before is asked for once more.
    since: float
    #: The number of its changes: two rows of one cutover are never alike.
    serial: int = 1
    #: Its options.
    options: CutoverOptions = CutoverOptions()
    #: The guards that were overruled.
    overruled: tuple[Overruled, ...] = ()
    #: The states that it came through, oldest first.
    steps: tuple[CutoverStep, ...] = ()

    def entered(self, state: CutoverState) -> float:
        """Returns when it came to this state last, seconds since the epoch; 0 if it never did."""
        return max((step.at for step in self.steps if step.state is state), default=0.0)


class TurnedTo(StrEnum):
    """The servers that a mailbox may be turned to."""

    #: None yet: the switch is still to come.
    NOWHERE = ""
    OLD = "old"
    NEW = "new"


class TurnAnswer(StrEnum):
    """The answers of a switch about one mailbox."""

    #: It was not asked.
    NONE = ""
    #: It was asked, and has not answered.
    ASKED = "asked"
    #: It turned the mailbox.
    DONE = "done"
    #: The mailbox stood so before.
    ALREADY = "already"
    #: It turns the mailbox only after a person acts.
    REFUSED = "refused"
    #: It is to be asked again.
    LATER = "later"


class CopyBackState(StrEnum):
    """The states of the copy that brings a mailbox's new mail back to the old server."""

    #: Nothing is to be brought back, or not yet.
    NONE = ""
    BEGUN = "begun"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class MailboxCutover:
    """The part of a cutover that is of one mailbox."""

    #: The server that it was last to be turned to.
    to: TurnedTo = TurnedTo.NOWHERE
    #: The answer of the switch.
    answer: TurnAnswer = TurnAnswer.NONE
    #: The words of the answer.
    words: str = ""
    #: When that was, seconds since the epoch.
    at: float = 0.0
    #: Whether the messages at the destination before the switch are marked.
    marked: bool = False
    #: The state of the copy back.
    back: CopyBackState = CopyBackState.NONE
    #: Its `Mailbox.synced_at` and `Mailbox.mail_at` when looks were last counted.
    synced_at: float = 0.0
    mail_at: float = 0.0
    #: The number of looks in a row, begun after it was turned, that found nothing new.
    empty: int = 0
    #: The number of late turns that put in doubt where the mailbox is; after each it was turned once more.
    again: int = 0

    @property
    def turned(self) -> bool:
        """Tells whether the switch turned the mailbox to where it was to go."""
        return self.answer in (TurnAnswer.DONE, TurnAnswer.ALREADY)
