"""Turns the store's numbers into progress: how far, how fast, how long still, and how the import ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum

from producer.coordinator.estimate import NO_CAPS, Caps, Left, eta, eta_range
from producer.coordinator.holds import gathered
from producer.coordinator.pace import OUTAGES, SETTLING, Window
from shared.model import Import, Mailbox, Stranded, Tally, Wait, WaitKind
from shared.model.choices import Verification
from shared.model.lanes import LanePlace
from shared.model.lifecycle import Control, ImportState, MailboxState, Outcome
from shared.nouns import dataclass

#: States in which the mailbox's messages are not yet counted.
_UNCOUNTED = (MailboxState.QUEUED, MailboxState.PLANNING)
#: States in which they are counted.
_COUNTED = (MailboxState.COPYING, MailboxState.VERIFYING, MailboxState.COMPLETE)
#: Largest share that an incomplete import or mailbox shows.
_ALMOST = 0.999

#: No work waits for a silent worker.
NOTHING_STRANDED = Stranded()

#: Exit code: everything is copied and verified.
EXIT_COMPLETE = 0
#: Exit code: finished, but something is parked, cancelled, refused, failed or missing.
EXIT_INCOMPLETE = 3


class ProgressState(StrEnum):
    """The states of an import as people are told them."""

    OPENING = "opening"
    RUNNING = "running"
    #: It waits for its hours.
    WAITING = "waiting"
    PAUSED = "paused"
    #: No process works on it any more.
    INTERRUPTED = "interrupted"
    CANCELLING = "cancelling"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """An import at one moment."""

    #: The import.
    import_: Import
    #: Messages by outcome.
    tally: Tally
    #: Mailboxes by state.
    mailboxes: Mapping[MailboxState, int] = field(default_factory=dict)
    #: Messages a second, over the last minute.
    messages_per_second: float = 0.0
    #: Bytes a second, over the last minute.
    bytes_per_second: float = 0.0
    #: Seconds that are probably left; None when it is too early to tell.
    eta_seconds: float | None = None
    #: Seconds left, at least and at most; None when it is too early to tell.
    eta_range: tuple[float, float] | None = None
    #: True if no process works on the import any more, since the command that ran it was interrupted.
    interrupted: bool = False
    #: The number of mailboxes done, with those at work counted by the part that is done; None where only complete ones count.
    worth: float | None = None
    #: Work that waits for a silent worker's lease to expire.
    stranded: Stranded = Stranded()
    #: Waits that end by themselves.
    waits: tuple[Wait, ...] = ()
    #: Accounts and hosts of its two servers for which the number of lanes was searched for.
    lanes: tuple[LanePlace, ...] = ()

    @property
    def mailboxes_total(self) -> int:
        """The number of mailboxes."""
        return sum(self.mailboxes.values())

    @property
    def mailboxes_complete(self) -> int:
        """The number of mailboxes with nothing left to do; one that waits for the operator is not among them."""
        return self.mailboxes.get(MailboxState.COMPLETE, 0)

    @property
    def counted(self) -> bool:
        """Tells whether every mailbox has reported its messages."""
        return not any(self.mailboxes.get(state) for state in _UNCOUNTED)

    @property
    def mailboxes_counted(self) -> int:
        """The number of mailboxes that have reported their messages in this pass."""
        return sum(self.mailboxes.get(state, 0) for state in _COUNTED)

    @property
    def share(self) -> float | None:
        """The part of the import that is done, 0 to 1: mailboxes, those at work by the part of them that is done.

        It does not depend on how many mailboxes were counted so far, and is 1 only when the import is complete. None
        while there is no mailbox.
        """
        if not self.mailboxes_total:
            return None
        if self.finished and self.word is ProgressState.COMPLETE:
            return 1.0
        worth = max(float(self.mailboxes_complete), self.worth or 0.0)
        return min(_ALMOST, worth / self.mailboxes_total)

    @property
    def done_messages(self) -> int:
        """The number of messages with an outcome."""
        return sum(self.tally.outcomes.values())

    @property
    def share_messages(self) -> float | None:
        """The part of the counted messages that is done, 0 to 1; None while no message is counted."""
        return self.done_messages / self.tally.messages if self.tally.messages else None

    @property
    def share_bytes(self) -> float | None:
        """The part of the counted bytes that is done, 0 to 1.

        It is never 1 while a message is pending or withheld, whatever sizes the servers reported.
        """
        if not self.tally.size_bytes:
            return self.share_messages
        share = min(1.0, self.tally.done_bytes / self.tally.size_bytes)
        return min(share, 0.999) if self.tally.pending or self.tally.withheld else 1.0

    @property
    def finished(self) -> bool:
        """Tells whether the import is finished: nothing more happens unless the operator acts."""
        return self.import_.state is ImportState.FINISHED

    @property
    def word(self) -> ProgressState:
        """The word for the import's state."""
        if self.finished:
            if self.import_.control is Control.CANCEL and self.mailboxes.get(MailboxState.CANCELLED):
                return ProgressState.CANCELLED
            return ProgressState.COMPLETE if exit_code(self) == EXIT_COMPLETE else ProgressState.INCOMPLETE
        if self.import_.control is not Control.RUN:
            return ProgressState.PAUSED if self.import_.control is Control.PAUSE else ProgressState.CANCELLING
        if self.interrupted:
            return ProgressState.INTERRUPTED
        if any(wait.what is WaitKind.WINDOW for wait in self.waits):
            return ProgressState.WAITING
        return ProgressState(self.import_.state)

    @property
    def to_compare(self) -> int:
        """The number of messages whose bytes verification compares in this pass, as far as they are known.

        These are the messages at the destination. The number is 0 if the comparison was not asked for, or is
        over.
        """
        if self.finished or self.import_.options.verify != Verification.FULL:
            return 0
        return self.tally[Outcome.COPIED] + self.tally[Outcome.ALREADY_PRESENT]

    @property
    def compared(self) -> int:
        """The number of these messages that were compared so far."""
        return min(self.tally.compared, self.to_compare)

    @property
    def comparing(self) -> bool:
        """Tells whether the comparison has begun."""
        return bool(self.to_compare and (self.tally.compared or self.mailboxes.get(MailboxState.VERIFYING)))

    @property
    def outage(self) -> bool:
        """Tells whether a server, the store or a missing worker stops the import.

        Workers that are silent then wait for the same, and are not lost.
        """
        return any(wait.what in (*OUTAGES, WaitKind.STORE, WaitKind.WORKERS) for wait in self.waits)

    @property
    def held(self) -> bool:
        """Tells whether a wait explains why nothing moves: an outage, or mail that may still arrive."""
        return self.outage or any(wait.what is SETTLING for wait in self.waits)


def progress(
    import_: Import,
    tally: Tally,
    mailboxes: Mapping[MailboxState, int],
    window: Window | None = None,
    stranded: Stranded = NOTHING_STRANDED,
    waits: Sequence[Wait] = (),
    rows: Sequence[tuple[Mailbox, Tally]] | None = None,
    caps: Caps = NO_CAPS,
) -> Progress:
    """Computes the progress from the store's numbers.

    `window` holds the samples seen so far, for rates and the estimate. With `rows` (all of the import's) the share
    counts what is done of mailboxes at work, and the estimate respects the `caps` of single accounts.
    """
    full = import_.options.verify == Verification.FULL
    worth = None if rows is None else worth_of(rows, import_.passes, full=full)
    known = Progress(
        import_=import_, tally=tally, mailboxes=mailboxes, stranded=stranded, waits=gathered(waits), worth=worth
    )
    if window is None:
        return known
    left = Left(
        messages=tally.pending,
        size_bytes=max(0, tally.size_bytes - tally.done_bytes),
        known_messages=tally.messages,
        known_bytes=tally.size_bytes,
        counted=known.mailboxes_counted,
        uncounted=sum(mailboxes.get(state, 0) for state in _UNCOUNTED),
        at_work=sum(mailboxes.get(state, 0) for state in (MailboxState.COPYING, MailboxState.VERIFYING)),
        to_compare=known.to_compare - known.compared + (tally.pending if full else 0),
        first_pass=import_.passes <= 1,
        stranded=stranded,
    )
    if caps.held_back(import_):
        likely = caps.seconds(import_, tally, rows or (), eta(left, window) or 0.0)
        left = replace(left, floor_seconds=likely)
    return replace(
        known,
        messages_per_second=window.messages_per_second,
        bytes_per_second=window.bytes_per_second,
        eta_seconds=eta(left, window),
        eta_range=eta_range(left, window),
    )


#: The part of a mailbox's work that copying is where all bytes are compared afterwards: half, since as much is read
#: as was sent; little in a later pass, which copies little.
_COPYING_FIRST, _COPYING_AGAIN = 0.5, 0.1


def worth_of(rows: Iterable[tuple[Mailbox, Tally]], passes: int, *, full: bool = False) -> float:
    """Returns how many mailboxes are done, with fractions.

    A complete one counts 1, and another one the part of its messages that have an outcome; where all bytes are compared
    (`full`), the part of them that was compared, too. A mailbox that this pass has not looked into does not count for
    what an earlier pass did.
    """
    worth = 0.0
    for mailbox, tally in rows:
        if mailbox.state is MailboxState.COMPLETE:
            worth += 1.0
        elif tally.messages and (passes <= 1 or mailbox.state in _COUNTED or tally.pending):
            part = (tally.messages - tally.pending) / tally.messages
            if full:
                copying = _COPYING_FIRST if passes <= 1 else _COPYING_AGAIN
                there = tally[Outcome.COPIED] + tally[Outcome.ALREADY_PRESENT]
                part = copying * part + (1 - copying) * min(1.0, mailbox.compared / max(1, there))
            worth += min(_ALMOST, part)
    return worth


def exit_code(known: Progress) -> int:
    """Returns the exit code of a finished import.

    Messages that the destination normalised, lost keywords and messages that vanished from the source stand in the
    report and are no fault. A message that is wrongly absent from the destination, or is not what was copied, is one.
    """
    amiss = known.tally[Outcome.REFUSED] + known.tally[Outcome.FAILED] + known.tally.missing
    amiss += known.tally.altered + known.tally.withheld + known.tally.unreadable
    settled_badly = known.mailboxes_total - known.mailboxes_complete
    return EXIT_INCOMPLETE if amiss or settled_badly or known.tally.pending else EXIT_COMPLETE
