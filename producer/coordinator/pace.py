"""How fast an import goes: samples of what is done, and the rates between them. Pure.

A sample that is taken while nothing can move (before the start, during a pause, outside the hours, while a server is away)
empties the window: that time counts for no rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared.lifecycle import Control, ImportState
from shared.model import Import, Wait

#: Rates are averages over this time.
WINDOW_SECONDS = 60.0
#: An estimate from less than this says nothing.
EARLY_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What was done at one moment."""

    #: Seconds, by a clock that never goes back.
    at: float
    #: Messages with an outcome, and once more those whose bytes were compared.
    messages: int
    #: Bytes of messages with an outcome.
    size_bytes: int
    #: Mailboxes that are complete.
    mailboxes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The samples that a rate is taken from."""

    #: Ascending by time.
    samples: tuple[Sample, ...] = ()

    def with_sample(self, sample: Sample, *, moving: bool = True) -> Window:
        """The window with one more sample and without those that are too old. Counts that went back (a retry, a reset)
        begin anew; so does a rate after a time in which nothing could move (`moving` off)."""
        last = self.samples[-1] if self.samples else None
        if not moving:
            return Window()
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

    def still(self, at: float) -> float:
        """Seconds until `at` in which no message got an outcome, as far back as the window goes."""
        last = next((s for s in self.samples if s.messages == self.samples[-1].messages), None)
        return at - last.at if last else 0.0

    @property
    def messages_per_second(self) -> float:
        """Average over the window."""
        return (self.samples[-1].messages - self.samples[0].messages) / self.seconds if self.seconds > 0 else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Average over the window."""
        return (self.samples[-1].size_bytes - self.samples[0].size_bytes) / self.seconds if self.seconds > 0 else 0.0

    @property
    def mailboxes_per_second(self) -> float:
        """Average over the window; never below 0, although a complete mailbox may be opened again."""
        if self.seconds <= 0:
            return 0.0
        return max(0, self.samples[-1].mailboxes - self.samples[0].mailboxes) / self.seconds


#: Without a message for so long while a server is away, nothing moves, seconds.
_STILL_SECONDS: Final = 5.0
#: Waits under which nothing at all moves.
STOPPING: Final = ("window", "store", "workers")
#: Waits under which nothing may move: other mailboxes may go to other servers.
OUTAGES: Final = ("source_server", "destination_server", "rate")


def may_move(request: Import, waits: Iterable[Wait], window: Window | None = None, at: float = 0.0) -> bool:
    """Whether workers can copy now: it was started, nobody paused it, it does not wait for its hours, the store or a worker; and
    while a server is away, whether other mailboxes still moved lately (`window`, at this moment)."""
    if request.state is not ImportState.RUNNING or request.control is not Control.RUN:
        return False
    causes = {wait.what for wait in waits}
    if causes & set(STOPPING):
        return False
    return not (causes & set(OUTAGES) and window and window.still(at) > _STILL_SECONDS)
