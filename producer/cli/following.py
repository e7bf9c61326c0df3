"""The verbs list, status, watch, errors and report; and the watching that `import` shares."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from producer.cli.command_context import CommandContext, open_context
from producer.cli.signals import interruptible
from producer.cli.verb import COMPLETE, INTERRUPTED, is_quiet, is_verbose, say, show
from producer.coordinator import tally as tallying
from producer.coordinator.estimate import NO_CAPS
from producer.coordinator.pace import Sample, Window, may_move
from producer.coordinator.tally import Progress, ProgressState
from producer.operations.finding import (
    caps_of,
    errors_of,
    every_mailbox,
    find_import,
    find_mailboxes,
    progress_of,
    weighed,
)
from producer.operations.outages import waits_of
from producer.operations.trouble import ErrorGroup, troubled
from producer.show import document
from producer.show.lanes import lane_lines
from producer.show.lines import (
    error_lines,
    mailbox_line,
    outcome_words,
    percent,
    progress_line,
    quiet_summary,
    state_bar,
    summary,
    undelivered_line,
    wave_line,
)
from producer.show.naming import is_renamed, left_out_note, naming_lines, renaming
from producer.show.paused import paused_lines
from producer.show.protocols import protocol_lines
from producer.show.standing_words import standing_lines
from producer.show.waiting import waiting_lines
from producer.waves import wave_of, waves_of
from shared.folders.names import visible
from shared.model import Import, Stranded, Wait, WaitKind, Wave
from shared.model.errors import StoreError
from shared.model.lifecycle import SETTLED, ImportState, MailboxState
from shared.runtime.logs import clean
from shared.store import Store
from shared.wording.phrases import Phrase
from shared.wording.spoken import spoken_size

if TYPE_CHECKING:
    from producer.show.live import Display, Rows
    from producer.show.steps import Steps

GONE: Final = Phrase("import_gone", "import {id} is no longer in the store")
UNWRITABLE: Final = Phrase("report_unwritable", "{path} cannot be written ({cause})")

#: Seconds between two looks at the import itself, which cost one short command.
LOOK_SECONDS = 0.15
#: … and how soon it looks again at first; the pause grows to the above within three seconds.
_FIRST_LOOK_SECONDS = 0.02
#: Minimum number of seconds between two readings of all its mailboxes. They take at most a twentieth of the time.
ROWS_SECONDS = 1.0
#: Seconds without a worker after which the command says so.
ALONE_SECONDS = 8.0
#: Mailboxes up to which `status` names all. With more, it names only those with trouble.
_NAMED = 40


class Watch:
    """The repeated look at one import, and its display."""

    def __init__(
        self, context: CommandContext, import_id: str, shown: Display, ended: Collection[str] = (), wave: str = ""
    ) -> None:
        """Takes the display. `ended`: ids of mailboxes that had ended before; `wave`: only this one is looked at."""
        self._wave = wave
        self._steps = _steps(ended) if is_verbose() else None
        self._context, self._import_id, self._shown = context, import_id, shown
        self._window = Window()
        self._rows: Rows = ()
        self._groups: Sequence[ErrorGroup] = ()
        self._stranded = Stranded()
        self._waits: Sequence[Wait] = ()
        self._caps = NO_CAPS
        self._rows_due = 0.0
        self._began = time.monotonic()
        self._last: Progress | None = None
        #: Seconds to wait before the next look.
        self.pause_seconds = LOOK_SECONDS

    def look(self) -> Progress:
        """Looks once, and shows the progress. While Redis does not answer, it returns the last progress."""
        try:
            return self._looked()
        except StoreError as error:
            if self._last is None:
                self._context.ensure()  # another command may have ended the embedded server just now, which was its own
                return self._looked()
            self._shown.say(f"{error}; waiting for it")
            self.pause_seconds = 2.0
            return self._last

    def _looked_at_wave(self, import_: Import) -> Progress:
        """Looks at one wave. All of its rows are read, so that it is done less often."""
        store, began = self._context.store, time.monotonic()
        progress = progress_of(store, import_, wave=self._wave)
        progress = replace(progress, waits=tuple(self._told_waits(progress.waits)))
        rows = find_mailboxes(store, import_, "", self._wave)
        for line in self._steps.lines(store, rows) if self._steps else ():
            self._shown.say(line)
        self._shown.show(progress, rows, errors_of(store, import_, everyone=rows))
        self._last, self.pause_seconds = progress, max(ROWS_SECONDS, 20 * (time.monotonic() - began))
        return progress

    def leave(self) -> None:
        """Looks a last time, and says what the import waits for, since the display may not have shown it."""
        with contextlib.suppress(StoreError):
            self._rows_due = 0.0
            for line in waiting_lines(self._looked()):
                self._shown.say(line)

    def _told_waits(self, waits: Sequence[Wait]) -> Sequence[Wait]:
        """Returns the waits to show.

        The lack of a worker is left out if this command starts the workers itself, or if they had no time to
        start yet.
        """
        starting = self._context.owner or time.monotonic() - self._began < ALONE_SECONDS
        return [wait for wait in waits if not (starting and wait.what is WaitKind.WORKERS)]

    def _looked(self) -> Progress:
        store = self._context.store
        import_ = store.import_(self._import_id)
        if import_ is None:
            raise GONE.error(id=self._import_id)
        if self._wave:
            return self._looked_at_wave(import_)
        counts, mailboxes = store.import_tally(self._import_id)
        done = sum(counts.outcomes.values()) + counts.compared
        sample = Sample(
            at=time.monotonic(),
            messages=done,
            size_bytes=counts.done_bytes,
            mailboxes=mailboxes.get(MailboxState.COMPLETE, 0),
        )
        self._window = self._window.with_sample(sample, moving=may_move(import_, self._waits, self._window, sample.at))
        if import_.state is ImportState.FINISHED:  # at the end, stale values must not be shown
            self._stranded, self._waits = store.stranded(self._import_id), waits_of(store, import_)
            self._rows = store.mailboxes(self._import_id) if self._steps else ()  # nobody is at work any more
        elif time.monotonic() >= self._rows_due:
            began = time.monotonic()
            self._rows = store.mailboxes(self._import_id)
            self._groups = errors_of(store, import_, everyone=self._rows)
            self._stranded = store.stranded(self._import_id)
            self._waits = self._told_waits(waits_of(store, import_))
            self._caps = caps_of(store, import_)
            self._rows_due = time.monotonic() + max(ROWS_SECONDS, 20 * (time.monotonic() - began))
        for line in self._steps.lines(store, self._rows) if self._steps else ():
            self._shown.say(line)
        rows = self._rows if self._rows and weighed(import_, mailboxes) else None
        progress = tallying.progress(
            import_, counts, mailboxes, self._window, self._stranded, self._waits, rows, self._caps
        )
        self._shown.show(progress, self._rows, self._groups)
        # An import that began a moment ago may be over in another.
        ran = time.monotonic() - self._began
        self._last, self.pause_seconds = progress, min(LOOK_SECONDS, max(_FIRST_LOOK_SECONDS, ran / 20))
        return progress


def _steps(ended: Collection[str]) -> Steps:
    from producer.show.steps import Steps

    return Steps(ended)


def _over(progress: Progress, wave: str) -> bool:
    """Tells whether all that is watched is settled."""
    return progress.finished or (bool(wave) and all(state in SETTLED for state, n in progress.mailboxes.items() if n))


def ended(store: Store, progress: Progress, wave: str = "") -> tuple[Progress, int, list[ErrorGroup]]:
    """Returns the progress, the exit code once the import is finished, and what went wrong."""
    groups = errors_of(store, progress.import_, wave=wave)
    return progress, tallying.exit_code(progress), groups


def say_end(
    store: Store, progress: Progress, copied_now: int | None, seconds: float, groups: Sequence[ErrorGroup]
) -> None:
    """Says how an import ended."""
    if is_quiet():
        lines = [*quiet_summary(progress, seconds, groups)]
    else:
        names = naming_lines(store, store.mailboxes(progress.import_.import_id))
        more = (*names, *protocol_lines(store, progress))
        lines = [*summary(progress, copied_now, seconds, groups), *(f"  {line}" for line in more)]
    for line in lines:
        say(line)


def progress_at(context: CommandContext, import_: Import, wave: str = "") -> Progress:
    """Returns the progress of an import as seen from this machine: "interrupted" if no process works on it any more."""
    progress = progress_of(context.store, import_, wave=wave)
    interrupted = bool(context.owner and import_.state is ImportState.RUNNING)
    waits = tuple(wait for wait in progress.waits if not (interrupted and wait.what is WaitKind.WORKERS))
    return replace(progress, interrupted=interrupted, waits=waits)


def run_list(context: CommandContext, *, archived: bool = False, as_json: bool) -> int:
    """Lists all imports, with `archived` also those in the archive."""
    every = context.store.imports()
    found = [progress_at(context, import_) for import_ in every if archived or not import_.archived]
    if as_json:
        _print([document.import_fields(progress) for progress in found])
    elif not every:
        print("there is no import yet")
    elif not found:
        print("every import is in the archive: --archived shows them")
    for progress in [] if as_json else found:
        import_ = progress.import_
        # What is over and did not come to its end is told by its numbers: a share would say that the rest is on its way.
        over = progress.finished and progress.word is not ProgressState.COMPLETE
        show(
            f"{import_.import_id[:8]}  {clean(import_.name)}  {progress.word}  "
            + ("" if over else f"{percent(progress.share)}  ")
            + f"{progress.mailboxes_complete}/{progress.mailboxes_total} mailboxes  "
            f"{progress.done_messages:,}/{progress.tally.messages:,} messages  "
            f"{import_.source.url} → {import_.destination.url}" + ("  archived" if import_.archived else "")
        )
    return COMPLETE


def run_status(
    context: CommandContext, which: str, login: str, wave: str = "", *, failed: bool = False, as_json: bool
) -> int:
    """Prints the progress of an import, of a wave or of one mailbox."""
    store = context.store
    import_ = find_import(store, which)
    progress = progress_at(context, import_, wave)
    rows = find_mailboxes(store, import_, login, wave)
    if as_json and login:
        _print([document.mailbox_fields(store, mailbox, counts) for mailbox, counts in rows])
    elif as_json:
        progress, code, groups = ended(store, progress, wave)
        exit_code = code if progress.finished else None
        _print(document.whole(store, progress, groups, exit_code=exit_code, wave=wave))
    elif login:
        for mailbox, counts in rows:
            show(mailbox_line(mailbox, counts))
            for folder, own in store.folders(mailbox.mailbox_id):
                name = renaming(folder) if is_renamed(folder) else visible(clean(folder.display))
                show(f"      {name}: {own.messages:,} messages, {outcome_words(own)}")
            if note := left_out_note(mailbox):
                show(f"      note: {note}")
        for line in error_lines(errors_of(store, import_, login, wave=wave), everyone=True):
            show(line)
    else:
        waves = [one for one in waves_of(store, import_) if wave in ("", one.name)]
        lonely = "" if progress.finished else context.nobody_works()
        stands = standing_lines(store.standings(import_.import_id), store.standing_tally(import_.import_id))
        stands += _cutover_lines(context, import_, wave)
        stands += paused_lines(import_, waves) if progress.finished else ()
        _print_status(progress, rows, lonely, waves, stands, failed=failed)
        if lost := len(store.undelivered()):
            show(f"  {undelivered_line(lost)}")
    return COMPLETE


def _cutover_lines(context: CommandContext, import_: Import, wave: str) -> list[str]:
    """Returns a line for each cutover that is under way, of one wave or of all."""
    if not context.store.cutover_rows(import_.import_id):
        return []
    # Loaded here: most imports have no cutover, and are only looked at.
    from producer.cutover.acts import look_at_all
    from producer.show.cutover_lines import under_way_line

    at = time.time()
    views = look_at_all(context.operations.cutovers, import_, at)
    return list(filter(None, (under_way_line(one, at) for one in views if wave in ("", one.cutover.wave))))


def _print_status(
    progress: Progress, rows: Rows, nobody_works: str, waves: Sequence[Wave], stands: Sequence[str], *, failed: bool
) -> None:
    import_, counts = progress.import_, progress.tally
    show(f"{clean(import_.name)} ({import_.import_id[:8]}): {progress_line(progress)}")
    show(f"  {import_.source.url} → {import_.destination.url}, pass {import_.passes}")
    if progress.mailboxes_total:
        show(f"  {state_bar(progress.mailboxes)}")
    for wave in waves:
        show(f"  wave {wave_line(wave)}")
    for line in stands:
        show(f"  {line}")
    if counts.messages:
        show(f"  {counts.messages:,} messages, {spoken_size(counts.size_bytes)}: {outcome_words(counts)}")
    named = replace(progress, waits=tuple(wait for wait in progress.waits if wait.what is not WaitKind.WORKERS))
    for line in (*waiting_lines(named if nobody_works else progress), *lane_lines(progress.lanes)):
        show(f"  {line}")
    if nobody_works:
        show(f"  {nobody_works}")
    amiss = [pair for pair in rows if troubled(pair[0]) or pair[1].unreadable]
    shown = amiss if failed else rows if len(rows) <= _NAMED else amiss[:_NAMED]
    for mailbox, own in shown:
        show(mailbox_line(mailbox, own))
    if failed and not amiss:
        show("  no mailbox has trouble")
    elif len(shown) < len(rows):
        show(f"  … {len(rows)} mailboxes in all: mailhaul status --json, or --mailbox LOGIN")
    if amiss:
        show("  what to do: mailhaul errors")


def run_watch(which: str, wave: str = "", *, as_json: bool, state_dir: Path | None) -> int:
    """Follows an import, or one wave of it, until it is finished. Returns the exit code."""
    began = time.monotonic()
    with interruptible() as interrupted, open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        before = None if wave else context.store.import_tally(import_.import_id)[0]
        from producer.show.live import display
        from producer.show.steps import settled_of

        with display(quiet=is_quiet()) as shown:
            if not progress_of(context.store, import_).finished and (lonely := context.nobody_works()):
                shown.say(lonely)
            ended_before = settled_of(context.store.mailboxes(import_.import_id)) if is_verbose() else ()
            watch = Watch(context, import_.import_id, shown, ended_before, wave)
            progress = watch.look()
            while not _over(progress, wave) and not interrupted.is_set():
                interrupted.wait(watch.pause_seconds)
                context.ensure()
                progress = watch.look()
            if not _over(progress, wave):
                watch.leave()
        if not _over(progress, wave):
            say(f"no longer watching; {context.nobody_works() or 'the import goes on'}")
            return INTERRUPTED
        progress, code, groups = ended(context.store, progress, wave)
        if wave:
            say(f"wave {wave_line(wave_of(context.store, import_, wave))}")
        else:
            say_end(context.store, progress, None, time.monotonic() - began, groups)
        if as_json:
            _print(document.whole(context.store, progress, groups, exit_code=code, before=before, wave=wave))
    return code


def run_errors(context: CommandContext, which: str, login: str, wave: str = "", *, as_json: bool) -> int:
    """Prints what went wrong."""
    import_ = find_import(context.store, which)
    groups = errors_of(context.store, import_, login, wave=wave)
    if not as_json:
        for line in waiting_lines(progress_of(context.store, import_, wave=wave)):
            print(line)
    if as_json:
        _print(document.error_fields(groups))
    elif groups:
        print("\n".join(error_lines(groups, everyone=True)))
    else:
        say(f"no errors in import {clean(import_.name)}")
    return COMPLETE


def run_report(
    which: str, out: Path, wave: str = "", *, language: str = "en", zone: str = "UTC", state_dir: Path | None
) -> int:
    """Writes the files of the report, and prints their paths."""
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        for path in report_files(context, import_, out, wave, language, zone):
            print(path)
    return COMPLETE


def report_files(
    context: CommandContext, import_: Import, out: Path, wave: str = "", language: str = "en", zone: str = "UTC"
) -> list[Path]:
    """Writes the files of the report, or of that of one wave. Returns their paths."""
    from producer.show.report import write_report

    store = context.store
    progress = progress_of(store, import_, wave=wave)
    progress, code, groups = ended(store, progress, wave)
    whole = document.without_mailboxes(
        store, progress, groups, exit_code=code if progress.finished else None, wave=wave
    )
    rows = partial(every_mailbox, store, import_, wave)
    return write_report(store, whole, rows, out) + one_page_files(context, import_, out, wave, language, zone)


def one_page_files(
    context: CommandContext, import_: Import, out: Path, wave: str, language: str, zone: str
) -> list[Path]:
    """Writes the files of the report of one page. Returns their paths. Raises `UsageError`."""
    from producer.notices.setup import checked_reader
    from producer.operations import forecasting
    from producer.reports.reporting import one_page, write_one_page

    settings = context.settings
    look_ahead = partial(forecasting.look_ahead, default=settings.limits, threads=settings.worker_threads)
    checked_reader(language, zone)
    try:
        return write_one_page(one_page(context.store, import_, language, zone, wave, look_ahead=look_ahead), out)
    except OSError as error:
        raise UNWRITABLE.error("out", path=str(out), cause=str(error.strerror)) from None


def _print(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2), flush=True)
