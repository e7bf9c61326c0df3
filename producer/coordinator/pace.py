"""The speed of an import: samples of what is done, and the rates between them. Pure.

A sample taken while nothing can move (before the start, during a pause, outside the hours, while a server is away)
empties the window, so that this time counts for no rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shared.model import Import, Wait, WaitKind
from shared.model.lifecycle import Control, ImportState
from shared.nouns import dataclass

#: Time over which rates are averaged, in seconds.
WINDOW_SECONDS = 60.0
#: Shortest window that gives an estimate, in seconds.
EARLY_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The work done up to one moment."""

    #: Moment in seconds, by a monotonic clock.
    at: float
    #: Messages with an outcome, and once more those whose bytes were compared.
    messages: int
    #: Bytes of messages with an outcome.
    size_bytes: int
    #: Mailboxes that are complete.
    mailboxes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The samples from which a rate is computed."""

    #: Samples, ascending by time.
    samples: tuple[Sample, ...] = ()

    def with_sample(self, sample: Sample, *, moving: bool = True) -> Window:
        """Returns the window with one more sample and without those that are too old.

        The window begins again when counts went back (a retry, a reset), and after a time in which nothing could move
        (`moving` off).
        """
        last = self.samples[-1] if self.samples else None
        if not moving:
            return Window()
        if last and (sample.messages < last.messages or sample.size_bytes < last.size_bytes):
            return Window(samples=(sample,))
        kept = tuple(s for s in self.samples if sample.at - s.at <= WINDOW_SECONDS)
        # Samples close together add nothing to a rate over a minute.
        if len(kept) > 1 and sample.at - kept[-2].at < WINDOW_SECONDS / 120:
            kept = kept[:-1]
        return Window(samples=(*kept, sample))

    @property
    def seconds(self) -> float:
        """The seconds from the first to the last sample."""
        return self.samples[-1].at - self.samples[0].at if len(self.samples) > 1 else 0.0

    def still(self, at: float) -> float:
        """Returns the seconds until `at` in which no message got an outcome, as far back as the window reaches."""
        last = next((s for s in self.samples if s.messages == self.samples[-1].messages), None)
        return at - last.at if last else 0.0

    @property
    def messages_per_second(self) -> float:
        """The average over the window."""
        return (self.samples[-1].messages - self.samples[0].messages) / self.seconds if self.seconds > 0 else 0.0

    @property
    def bytes_per_second(self) -> float:
        """The average over the window."""
        return (self.samples[-1].size_bytes - self.samples[0].size_bytes) / self.seconds if self.seconds > 0 else 0.0

    @property
    def mailboxes_per_second(self) -> float:
        """The average over the window; never below 0, although a complete mailbox may be opened again."""
        if self.seconds <= 0:
            return 0.0
        return max(0, self.samples[-1].mailboxes - self.samples[0].mailboxes) / self.seconds


#: While a server is away, an import without a new message for this many seconds does not move.
_STILL_SECONDS: Final = 5.0
#: Waits under which nothing moves at all.
STOPPING: Final = (WaitKind.WINDOW, WaitKind.STORE, WaitKind.WORKERS)
#: Waits under which some mailboxes may still move, since they may use other servers.
OUTAGES: Final = (WaitKind.SOURCE_SERVER, WaitKind.DESTINATION_SERVER, WaitKind.RATE)
#: The wait for mail that may still arrive: other folders and mailboxes go on meanwhile.
SETTLING: Final = WaitKind.SETTLE


def may_move(import_: Import, waits: Iterable[Wait], window: Window | None = None, at: float = 0.0) -> bool:
    """Tells whether workers can copy now.

    They can if the import was started, is not paused, and waits neither for its hours nor for the store nor for a
    worker. While a server is away, or mail may still arrive, they can if other mailboxes still moved lately (`window`, at
    the moment `at`).
    """
    if import_.state is not ImportState.RUNNING or import_.control is not Control.RUN:
        return False
    causes = {wait.what for wait in waits}
    if causes & set(STOPPING):
        return False
    return not (causes & {*OUTAGES, SETTLING} and window and window.still(at) > _STILL_SECONDS)
