"""From the store's numbers to what a person wants to know: how far, how fast, how long still, and how it ended.
Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from producer.coordinator.holds import gathered
from shared.lifecycle import Control, ImportState, MailboxState, Outcome
from shared.model import Import, Stranded, Tally, Wait

#: Rates are averages over this time.
WINDOW_SECONDS = 60.0
#: An estimate from less than this says nothing.
EARLY_SECONDS = 5.0
#: States before the mailbox's messages are counted.
_UNCOUNTED = (MailboxState.QUEUED, MailboxState.PLANNING)

#: As it should be.
NOTHING_STRANDED = Stranded()

#: Everything is copied and verified.
EXIT_COMPLETE = 0
#: Finished, but something is parked, cancelled, refused, failed or missing.
EXIT_INCOMPLETE = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What was done at one moment."""

    #: Seconds, by a clock that never goes back.
    at: float
    #: Messages with an outcome.
    messages: int
    #: Their bytes.
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The samples that a rate is taken from."""

    #: Ascending by time.
    samples: tuple[Sample, ...] = ()

    def with_sample(self, sample: Sample) -> Window:
        """With one more, and without those that are too old. Counts that went back (a retry, a reset) begin anew."""
        last = self.samples[-1] if self.samples else None
        if last and (sample.messages < last.messages or sample.size_bytes < last.size_bytes):
            return Window(samples=(sample,))
        kept = tuple(s for s in self.samples if sample.at - s.at <= WINDOW_SECONDS)
        # Near samples add nothing to a rate over a minute.
        if len(kept) > 1 and sample.at - kept[-2].at < WINDOW_SECONDS / 120:
            kept = kept[:-1]
        return Window(samples=(*kept, sample))

    @property
    def seconds(self) -> float:
        """From the first to the last sample."""
        return self.samples[-1].at - self.samples[0].at if len(self.samples) > 1 else 0.0

    @property
    def messages_per_second(self) -> float:
        """Average over the window."""
        return (self.samples[-1].messages - self.samples[0].messages) / self.seconds if self.seconds > 0 else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Average over the window."""
        return (self.samples[-1].size_bytes - self.samples[0].size_bytes) / self.seconds if self.seconds > 0 else 0.0


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
    #: What waits for a worker that is silent.
    stranded: Stranded = Stranded()
    #: What it waits for that is over by itself.
    waits: tuple[Wait, ...] = ()
    #: Folders that the source listed and did not let be read; 0 where nobody looked for them.
    unreadable_folders: int = 0

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
    def done_messages(self) -> int:
        """Messages with an outcome."""
        return self.tally.messages - self.tally.pending

    @property
    def share_messages(self) -> float | None:
        """0 … 1 of the messages; None while nothing is known of any."""
        return self.done_messages / self.tally.messages if self.tally.messages else None

    @property
    def share_bytes(self) -> float | None:
        """0 … 1 of the bytes; never 1 while a message is pending, whatever sizes the servers told."""
        if not self.tally.size_bytes:
            return self.share_messages
        share = min(1.0, self.tally.done_bytes / self.tally.size_bytes)
        return min(share, 0.999) if self.tally.pending else 1.0

    @property
    def finished(self) -> bool:
        """Whether nothing more happens without a person."""
        return self.request.state is ImportState.FINISHED

    @property
    def word(self) -> str:
        """What a person calls it: "running", "waiting" (for its hours), "paused", "cancelling", "complete", "incomplete", …"""
        if self.finished:
            return "complete" if exit_code(self) == EXIT_COMPLETE else "incomplete"
        if self.request.control is not Control.RUN:
            return {Control.PAUSE: "paused", Control.CANCEL: "cancelling"}[self.request.control]
        return "waiting" if any(wait.what == "window" for wait in self.waits) else str(self.request.state)


def progress(
    request: Import,
    tally: Tally,
    mailboxes: Mapping[MailboxState, int],
    window: Window | None = None,
    stranded: Stranded = NOTHING_STRANDED,
    waits: Sequence[Wait] = (),
) -> Progress:
    """What the numbers say; `window` of the samples seen so far, for rates and the estimate."""
    known = Progress(request=request, tally=tally, mailboxes=mailboxes, stranded=stranded, waits=gathered(waits))
    if window is None:
        return known
    rates = replace(known, messages_per_second=window.messages_per_second, bytes_per_second=window.bytes_per_second)
    return replace(rates, eta_seconds=_eta(rates, window))


def _eta(known: Progress, window: Window) -> float | None:
    """By bytes or by messages, whichever takes longer: many small messages wait on the server, few large ones on the
    line. Nothing is done before the leases that a silent worker holds have run out; where all that is left waits for them,
    the copying comes after that."""
    left_messages, left_bytes = known.tally.pending, max(0, known.tally.size_bytes - known.tally.done_bytes)
    if not known.counted or window.seconds < EARLY_SECONDS or window.messages_per_second <= 0:
        return None
    if not left_messages:
        return known.stranded.seconds
    working = left_messages / window.messages_per_second
    if window.bytes_per_second > 0:
        working = max(working, left_bytes / window.bytes_per_second)
    waiting = known.stranded.seconds
    return working + waiting if known.stranded.messages >= left_messages else max(working, waiting)


def exit_code(known: Progress) -> int:
    """How a finished import ended. Altered messages, lost keywords and messages that vanished from the source stand
    in the report and are no fault; what is not at the destination although it should be, is."""
    amiss = known.tally[Outcome.REFUSED] + known.tally[Outcome.FAILED] + known.tally.missing
    amiss += known.unreadable_folders
    settled_badly = known.mailboxes_total - known.mailboxes_complete
    return EXIT_INCOMPLETE if amiss or settled_badly or known.tally.pending else EXIT_COMPLETE
