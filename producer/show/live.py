"""Shows progress while a command runs: bars on a terminal, a line every few seconds elsewhere.

It writes to standard error only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from producer.coordinator.tally import Progress, ProgressState
from producer.operations.trouble import HARMLESS, ErrorGroup
from producer.show.lines import BAR, cells, error_lines, known_part, lost_worker, percent, progress_line, time_left
from producer.show.waiting import waiting_lines
from shared.model import Mailbox, Tally
from shared.model.lifecycle import Control, MailboxState
from shared.runtime.logs import clean

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

#: Seconds between two plain lines.
PLAIN_SECONDS = 5.0
#: Seconds after which an unchanged line is printed again.
_SAME_SECONDS = 60.0
_ACTIVE_SHOWN = 8
#: Width of a bar.
_BAR = 40
_COLOURS = {
    MailboxState.COMPLETE: "green",
    MailboxState.VERIFYING: "cyan",
    MailboxState.COPYING: "blue",
    MailboxState.PLANNING: "magenta",
    MailboxState.QUEUED: "bright_black",
    MailboxState.PARKED: "red",
    MailboxState.CANCELLED: "yellow",
}
_WORKED_ON = (MailboxState.COPYING, MailboxState.PLANNING, MailboxState.VERIFYING)

Rows = Sequence[tuple[Mailbox, Tally]]


class Display(Protocol):
    """A display that shows progress between `with` and its end."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, progress: Progress, rows: Rows, groups: Sequence[ErrorGroup]) -> None:
        """Shows the current state; may be called at any rate."""

    def say(self, sentence: str) -> None:
        """Prints a line that stays."""


def display(stream: TextIO | None = None, *, quiet: bool = False) -> Display:
    """Returns the display that fits the stream (standard error by default); with `quiet` it shows trouble only."""
    stream = stream or sys.stderr
    if quiet:
        return PlainDisplay(stream, quiet=True)
    return LiveDisplay(stream) if stream.isatty() else PlainDisplay(stream)


class PlainDisplay:
    """Prints one line every few seconds, each kind of trouble once, and sentences as they come."""

    def __init__(self, stream: TextIO, seconds: float = PLAIN_SECONDS, *, quiet: bool = False) -> None:
        """Sets up the display; with `quiet` it prints neither progress nor harmless differences."""
        self._stream, self._seconds, self._quiet = stream, seconds, quiet
        self._due = time.monotonic() + seconds
        self._last, self._last_at = "", 0.0
        self._told: set[tuple[str, str, str]] = set()
        self._waits: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Does nothing: printed lines stay."""

    def show(self, progress: Progress, rows: Rows, groups: Sequence[ErrorGroup]) -> None:
        """Prints a line when one is due."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + self._seconds
        line = progress_line(progress)
        if not self._quiet and (line != self._last or now - self._last_at >= _SAME_SECONDS):
            self._last, self._last_at = line, now
            self.say(line)
        for text in waiting_lines(progress):
            if text not in self._waits:
                self._waits.add(text)
                self.say(text)
        # Trouble that is tried again by itself, and a server that does not answer, must not wait for the summary.
        groups = [group for group in groups if not (self._quiet and group.code in HARMLESS)]
        fresh = [group for group in groups if (group.code, group.server, group.sentence) not in self._told]
        self._told |= {(group.code, group.server, group.sentence) for group in fresh}
        for text in error_lines(fresh):
            self.say(text)

    def say(self, sentence: str) -> None:
        """Prints a line."""
        print(sentence, file=self._stream, flush=True)


class LiveDisplay:
    """Draws bars of the import and of its mailboxes by state; shows rate, time left, mailboxes at work and errors."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=stream)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, sentence: str) -> None:
        """Prints a line above the bars."""
        self._console.print(sentence, markup=False, highlight=False)

    def show(self, progress: Progress, rows: Rows, groups: Sequence[ErrorGroup]) -> None:
        """Draws the display again."""
        self._live.update(_drawn(progress, rows, groups))


def _states(progress: Progress) -> Text:
    from rich.text import Text

    bar = Text()
    for state, count in cells(progress.mailboxes, _BAR):
        bar.append("━" * count, style=_COLOURS[state])
    return bar


def _at_work(mailbox: Mailbox, counts: Tally) -> str:
    done = f"{counts.messages - counts.pending:,} of {counts.messages:,}"
    if mailbox.state is MailboxState.VERIFYING and mailbox.compared:
        done = f"{mailbox.compared:,} messages compared byte by byte"
    return f"{clean(mailbox.source.login)}: {mailbox.state}, {done}"


def _drawn(progress: Progress, rows: Rows, groups: Sequence[ErrorGroup]) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    bars = Table.grid(padding=(0, 1))
    # Once all are counted the bar measures the messages that are named below it; before, only mailboxes are known.
    what, share = ("messages", progress.share_messages) if progress.counted else ("import", progress.share)
    bars.add_row(what, ProgressBar(total=1.0, completed=share or 0.0, width=_BAR), percent(share))
    done = f"{progress.mailboxes_complete:,} of {progress.mailboxes_total:,} complete"
    bars.add_row("mailboxes", _states(progress), done)
    heads = [f"{clean(progress.import_.name)}: {progress.word}"]
    if progress.import_.control is Control.RUN and progress.word is not ProgressState.WAITING:
        if progress.messages_per_second:
            heads.append(f"{progress.messages_per_second:,.0f} messages/s, {progress.bytes_per_second / 1e6:,.1f} MB/s")
        heads += [*filter(None, [lost_worker(progress)]), *time_left(progress)]
    head = "; ".join(heads)
    known = "; ".join(known_part(progress))
    legend = ", ".join(f"{number:,} {state}" for state in BAR if (number := progress.mailboxes.get(state)))
    waits = [f"  {line}" for line in waiting_lines(progress)]
    active = [(mailbox, counts) for mailbox, counts in rows if mailbox.state in _WORKED_ON]
    active.sort(key=lambda pair: -pair[1].pending)
    lines = [f"  {_at_work(mailbox, counts)}" for mailbox, counts in active[:_ACTIVE_SHOWN]]
    if len(active) > _ACTIVE_SHOWN:
        lines.append(f"  … and {len(active) - _ACTIVE_SHOWN} more at work")
    return Group(Text(head), bars, *map(Text, [f"  {legend}", f"  {known}", *waits, *lines, *error_lines(groups)]))
