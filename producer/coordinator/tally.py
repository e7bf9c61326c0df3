"""From the store's numbers to what a person wants to know: how far, how fast, how long still, and how it ended.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from producer.coordinator.estimate import NO_CAPS, Caps, Left, eta, eta_range
from producer.coordinator.holds import gathered
from producer.coordinator.pace import OUTAGES, Window
from shared.lifecycle import Control, ImportState, MailboxState, Outcome
from shared.model import Import, Mailbox, Stranded, Tally, Wait

#: States before the mailbox's messages are counted.
_UNCOUNTED = (MailboxState.QUEUED, MailboxState.PLANNING)
#: States in which they are.
_COUNTED = (MailboxState.COPYING, MailboxState.VERIFYING, MailboxState.COMPLETE)
#: The largest share of what is not complete.
_ALMOST = 0.999

#: As it should be.
NOTHING_STRANDED = Stranded()

#: Everything is copied and verified.
EXIT_COMPLETE = 0
#: Finished, but something is parked, cancelled, refused, failed or missing.
EXIT_INCOMPLETE = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One import at one moment."""

    #: The import.
    request: Import
    #: Messages by outcome.
    tally: Tally
    #: Mailboxes by state.
    mailboxes: Mapping[MailboxState, int] = field(default_factory=dict)
    #: Messages a second, lately.
    messages_per_second: float = 0.0
    #: Bytes a second, lately.
    bytes_per_second: float = 0.0
    #: Seconds that are probably left; None: too early to say.
    eta_seconds: float | None = None
    #: Seconds left, at least and at most; None: too early to say.
    eta_range: tuple[float, float] | None = None
    #: Whether nobody is left who works on it: the command that did was broken off.
    interrupted: bool = False
    #: Mailboxes' worth of what is done, those at work with their part; None where only complete ones are counted.
    worth: float | None = None
    #: What waits for a worker that is silent.
    stranded: Stranded = Stranded()
    #: What it waits for that is over by itself.
    waits: tuple[Wait, ...] = ()

    @property
    def mailboxes_total(self) -> int:
        """All of them."""
        return sum(self.mailboxes.values())

    @property
    def mailboxes_complete(self) -> int:
        """Those with which nothing is left to do; one that waits for a person is none."""
        return self.mailboxes.get(MailboxState.COMPLETE, 0)

    @property
    def counted(self) -> bool:
        """Whether every mailbox has said how much there is."""
        return not any(self.mailboxes.get(state) for state in _UNCOUNTED)

    @property
    def mailboxes_counted(self) -> int:
        """Mailboxes that have said in this pass how much there is."""
        return sum(self.mailboxes.get(state, 0) for state in _COUNTED)

    @property
    def share(self) -> float | None:
        """0 … 1 of the import: mailboxes, those at work by the part of them that is done. It does not depend on how many were
        counted so far, and is 1 only when the import is complete. None while there is no mailbox."""
        if not self.mailboxes_total:
            return None
        if self.finished and self.word == "complete":
            return 1.0
        worth = max(float(self.mailboxes_complete), self.worth or 0.0)
        return min(_ALMOST, worth / self.mailboxes_total)

    @property
    def done_messages(self) -> int:
        """Messages with an outcome."""
        return sum(self.tally.outcomes.values())

    @property
    def share_messages(self) -> float | None:
        """0 … 1 of the messages counted so far; None while nothing is known of any."""
        return self.done_messages / self.tally.messages if self.tally.messages else None

    @property
    def share_bytes(self) -> float | None:
        """0 … 1 of the bytes counted so far; never 1 while a message is pending or withheld, whatever sizes the servers told."""
        if not self.tally.size_bytes:
            return self.share_messages
        share = min(1.0, self.tally.done_bytes / self.tally.size_bytes)
        return min(share, 0.999) if self.tally.pending or self.tally.withheld else 1.0

    @property
    def finished(self) -> bool:
        """Whether nothing more happens without a person."""
        return self.request.state is ImportState.FINISHED

    @property
    def word(self) -> str:
        """What a person calls it: "running", "waiting" (for its hours), "paused", "interrupted" (nobody is left who works on it),
        "cancelling", "complete", "incomplete", "cancelled", …"""
        if self.finished:
            if self.request.control is Control.CANCEL and self.mailboxes.get(MailboxState.CANCELLED):
                return "cancelled"
            return "complete" if exit_code(self) == EXIT_COMPLETE else "incomplete"
        if self.request.control is not Control.RUN:
            return {Control.PAUSE: "paused", Control.CANCEL: "cancelling"}[self.request.control]
        if self.interrupted:
            return "interrupted"
        return "waiting" if any(wait.what == "window" for wait in self.waits) else str(self.request.state)

    @property
    def to_compare(self) -> int:
        """Messages whose bytes verification compares in this pass, as far as they are known: those that stand at the destination;
        0 where it was not asked for, or is over."""
        if self.finished or self.request.options.verify != "full":
            return 0
        return self.tally[Outcome.COPIED] + self.tally[Outcome.ALREADY_PRESENT]

    @property
    def compared(self) -> int:
        """How many of these were compared."""
        return min(self.tally.compared, self.to_compare)

    @property
    def comparing(self) -> bool:
        """Whether the comparison has begun."""
        return bool(self.to_compare and (self.tally.compared or self.mailboxes.get(MailboxState.VERIFYING)))

    @property
    def outage(self) -> bool:
        """Whether a server, the store or the want of a worker keeps it from going on: that says more than that workers are
        silent."""
        return any(wait.what in (*OUTAGES, "store", "workers") for wait in self.waits)


def progress(
    request: Import,
    tally: Tally,
    mailboxes: Mapping[MailboxState, int],
    window: Window | None = None,
    stranded: Stranded = NOTHING_STRANDED,
    waits: Sequence[Wait] = (),
    rows: Sequence[tuple[Mailbox, Tally]] | None = None,
    caps: Caps = NO_CAPS,
) -> Progress:
    """What the numbers say; `window` of the samples seen so far, for rates and the estimate. With `rows` (all of the import's)
    the share counts what is done of mailboxes at work, and the estimate minds the `caps` of single accounts."""
    full = request.options.verify == "full"
    worth = None if rows is None else worth_of(rows, request.passes, full=full)
    known = Progress(
        request=request, tally=tally, mailboxes=mailboxes, stranded=stranded, waits=gathered(waits), worth=worth
    )
    if window is None:
        return known
    left = Left(
        messages=tally.pending, size_bytes=max(0, tally.size_bytes - tally.done_bytes), known_messages=tally.messages,
        known_bytes=tally.size_bytes, counted=known.mailboxes_counted,
        uncounted=sum(mailboxes.get(state, 0) for state in _UNCOUNTED),
        at_work=sum(mailboxes.get(state, 0) for state in (MailboxState.COPYING, MailboxState.VERIFYING)),
        to_compare=known.to_compare - known.compared + (tally.pending if full else 0),
        first_pass=request.passes <= 1, stranded=stranded, floor_seconds=caps.seconds(request, tally, rows or ()),
    )  # fmt: skip
    return replace(
        known, messages_per_second=window.messages_per_second, bytes_per_second=window.bytes_per_second,
        eta_seconds=eta(left, window), eta_range=eta_range(left, window),
    )  # fmt: skip


#: What copying is of the work of a mailbox whose bytes are compared afterwards: as much is read and sent; in a later pass, little
#: is copied.
_COPYING_FIRST, _COPYING_AGAIN = 0.5, 0.1


def worth_of(rows: Iterable[tuple[Mailbox, Tally]], passes: int, *, full: bool = False) -> float:
    """How many mailboxes' worth is done: 1 for each complete one, and of the others the part of their messages with an outcome;
    where all bytes are compared (`full`), the part of them that was compared too. What an earlier pass did of a mailbox that
    this one has not looked into is not counted."""
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
    """How a finished import ended. What the destination normalised, lost keywords and messages that vanished from the source
    stand in the report and are no fault; what is not at the destination although it should be, or is not what was copied, is."""
    amiss = known.tally[Outcome.REFUSED] + known.tally[Outcome.FAILED] + known.tally.missing
    amiss += known.tally.altered + known.tally.withheld + known.tally.unreadable
    settled_badly = known.mailboxes_total - known.mailboxes_complete
    return EXIT_INCOMPLETE if amiss or settled_badly or known.tally.pending else EXIT_COMPLETE
