"""`mailhaul import`: opens the import, starts workers if needed, and waits for the end.

If no Redis is configured, the process that owns the state folder runs everything as its children. A second process only
submits and watches, and takes over when the owner ends. On Ctrl-C or SIGTERM, workers finish the groups in progress;
Redis stops last.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from producer.cli.acts import Acts
from producer.cli.command_context import CommandContext
from producer.cli.dead_workers import DeadWorkerReaper
from producer.cli.following import ALONE_SECONDS, Watch, ended, say_end
from producer.cli.local_processes import LocalProcesses
from producer.cli.overheard import Overheard
from producer.cli.owner import mark_owner
from producer.cli.signals import interruptible
from producer.cli.verb import INTERRUPTED, is_quiet, is_verbose, note, say
from producer.coordinator.tally import Progress
from producer.intake.manifest_row import Row
from producer.intake.passwords import hand_over, passwords_path
from producer.intake.preparing import prepare_import
from producer.intake.specification import ImportSpecification
from producer.operations.finding import find_import, progress_of
from producer.show import document
from producer.show.destinations import destination_lines
from producer.show.lines import known_part, mailbox_words, spoken_mailboxes
from producer.show.live import Display, display
from producer.show.steps import settled_of
from shared.model import Import, Mailbox, Tally
from shared.model.errors import StoreError
from shared.model.lifecycle import Control, ImportState
from shared.runtime.early_child import EarlyChild
from shared.runtime.logs import clean
from shared.runtime.processes import process_name
from shared.store.records.targets import Targets
from shared.store.redis.redis_store import connect

if TYPE_CHECKING:
    from producer.notices.notifier import Notifier
    from producer.spool.spool_folder import SpoolFolder

#: Seconds after which an import starts a coordinator: after so many in any case, and after so many in which nothing moved.
COORDINATOR_AFTER_SECONDS = 10.0
STILL_SECONDS = 1.0


def run_import(
    specification: ImportSpecification,
    context: CommandContext,
    interrupted: threading.Event,
    *,
    workers: int | None,
    as_json: bool,
    spool: Path | None = None,
    early: Sequence[EarlyChild] = (),
) -> int:
    """Runs the verb. Returns the exit code. `early`: workers that were forked already."""
    began = time.monotonic()
    with _shelf(spool) as spool_folder:
        count = workers if workers is not None else 0 if context.settings.redis_url else context.settings.workers
        with _staffed(context, count, asked=bool(workers), early=early) as staff:
            rows = specification.manifest.rows
            wanted, mailboxes = prepare_import(
                rows, specification.source, specification.destination, specification.options, specification.name
            )
            if spool_folder:
                spool_folder.belongs_to(wanted.import_id)
            if specification.accounts.generate:
                rows = _with_passwords(context, wanted, mailboxes, rows)
            before = _before(context, wanted)
            known = context.store.import_(wanted.import_id)
            if known is None:
                for line in destination_lines(rows):
                    note(line)
            elif known.control is Control.PAUSE and known.state is not ImportState.FINISHED:
                note(f"import {clean(known.name)} was paused; this command resumes it")
            Acts(context).begin(specification, wanted, mailboxes, rows)
            opened = find_import(context.store, wanted.import_id)
            with display(quiet=is_quiet()) as shown:
                again = f", pass {opened.passes}" if opened.passes > 1 else ""
                many = spoken_mailboxes(len(mailboxes))
                if not is_quiet():
                    shown.say(f"import {clean(opened.name)} ({opened.import_id[:8]}): {many}{again}")
                progress = _wait(context, staff, opened, interrupted, shown)
            if progress is None:
                note("stopping …")
            else:
                if spool_folder:
                    from producer.cli.spooling import keep_refused

                    keep_refused(context, opened, spool_folder, interrupted)
                return _finish(context, progress, before, time.monotonic() - began, as_json=as_json)
    say(_left(context, opened, staff.started, "run the same command to go on"))
    return INTERRUPTED


@contextlib.contextmanager
def _shelf(spool: Path | None) -> Iterator[SpoolFolder | None]:
    """Yields the shelf for what is refused, where one was asked for."""
    if spool is None:
        yield None
        return
    from producer.cli.spooling import shelf_for

    with shelf_for(spool, "spool_refused") as shelf:
        yield shelf


def follow(context: CommandContext, import_: Import, before: Tally) -> int:
    """Works on an import that was queued again, and waits for its end, as `import` does. Returns the exit code.

    For the process that owns the embedded Redis. Elsewhere other workers do it.
    """
    began = time.monotonic()
    # Read before the workers start, so that mailboxes that end from here on are reported.
    ended_before = settled_of(context.store.mailboxes(import_.import_id)) if is_verbose() else ()
    with interruptible() as interrupted, _staffed(context, context.settings.workers, asked=False) as staff:
        with display(quiet=is_quiet()) as shown:
            progress = _wait(context, staff, import_, interrupted, shown, ended_before)
        if progress is not None:
            return _finish(context, progress, before, time.monotonic() - began, as_json=False)
        note("stopping …")
    say(_left(context, import_, staff.started, f"go on with: mailhaul resume {clean(import_.name)}"))
    return INTERRUPTED


def _left(context: CommandContext, import_: Import, started: int, go_on: str) -> str:
    """Returns the last line of an interrupted command: "interrupted with 38 of 40 mailboxes complete, 1 full; …".

    It is read after the workers of this command ended, since they finish what they have in hand. `started` is their
    number: they stay listed for a while, and what others run goes on.
    """
    try:
        context.ensure()
        last = progress_of(context.store, find_import(context.store, import_.import_id))
        others = not context.owner and context.store.workers() > started
    except StoreError:
        return f"interrupted; {go_on}"
    if others and last.import_.control is Control.RUN and not last.finished:
        return f"no longer watched; the workers go on; stop it with: mailhaul pause {clean(import_.name)}"
    done = f"{last.mailboxes_complete:,} of {spoken_mailboxes(last.mailboxes_total)} complete"
    said = ", ".join([f"interrupted with {done}", *mailbox_words(last), *known_part(last)[:1]])
    return f"{said}; {go_on}"


def _with_passwords(
    context: CommandContext, wanted: Import, mailboxes: Sequence[Mailbox], rows: Sequence[Row]
) -> tuple[Row, ...]:
    """Returns the rows with a password for every account, and says in which file the new ones are."""
    path = passwords_path(context.settings.state_dir, wanted.name, wanted.import_id)
    stored = context.operations.stored_passwords(mailboxes)
    filled, made = hand_over(path, rows, stored)
    if made:
        say(f"{made} new password{'s' if made > 1 else ''} for the destination: {path} (only you may read it)")
    return filled


class _Staff:
    """The child processes of this command: none until it owns the embedded Redis or was asked for workers."""

    def __init__(
        self, context: CommandContext, count: int, asked: bool, stack: contextlib.ExitStack, early: Sequence[EarlyChild]
    ) -> None:
        self._context, self._count, self._asked, self._stack, self._early = context, count, asked, stack, early
        self._processes: LocalProcesses | None = None
        self._reaper = DeadWorkerReaper(context)
        self._since = time.monotonic()
        self._said = False
        #: The sums at the look before, and the moment of the last change of them (monotonic).
        self._done: tuple[object, ...] = ()
        self._moved_at = self._since
        self._overheard: Overheard | None = None
        #: The number of workers that this command started.
        self.started = 0

    def see_to(self, shown: Display | None = None) -> None:
        """Starts the children if it is up to this process, and says so if no worker is running.

        Raises `MailhaulError` if they cannot run.
        """
        self._reaper.look()
        if self._processes is None and (self._context.owner or self._asked):
            self._start()
        if self._processes is not None:
            if shown is not None:
                self.tell(shown)
            return self._processes.check()
        if shown is not None and not self._said and time.monotonic() - self._since > ALONE_SECONDS:
            self._said = True
            if lonely := self._context.nobody_works():
                shown.say(f"{lonely}, or give --workers N")
        return None

    def wake(self, progress: Progress) -> None:
        """Starts the coordinator, which rings for what waits, once something waits or nothing has moved for a while."""
        done, now = (progress.tally, dict(progress.mailboxes)), time.monotonic()
        if done != self._done:
            self._done, self._moved_at = done, now
        still = bool(progress.waits or progress.stranded.units) or now - self._moved_at >= STILL_SECONDS
        if still and self._processes is not None:
            self._processes.start_coordinator()

    def tell(self, shown: Display) -> None:
        """Says which extensions the workers here left out, if the operator asked for `--verbose`."""
        for line in self._overheard.lines() if self._overheard else ():
            shown.say(f"note: {line}")

    def _start(self) -> None:
        settings = self._context.settings
        if self._context.owner:
            self._stack.enter_context(mark_owner(settings.state_dir, "import"))
        # The usual port is used only if asked for, since several imports may run on one machine.
        port = None if "MAILHAUL_COORDINATOR_PORT" in os.environ else 0
        variables = self._context.child_settings() | {"MAILHAUL_WORKER_THREADS": str(settings.worker_threads)}
        self._overheard = Overheard(settings.state_dir / "logs") if is_verbose() else None
        # A short import ends without a coordinator: while its lanes get on, nothing of it expires or is lost in that time. Its
        # metrics are served at once.
        processes = LocalProcesses(
            variables,
            settings.state_dir / "logs",
            workers=self._count,
            coordinator_port=port,
            early=self._early,
            coordinator_after_seconds=COORDINATOR_AFTER_SECONDS if port == 0 else 0.0,
        )
        self._processes, self.started = self._stack.enter_context(processes), self._count


@contextlib.contextmanager
def _staffed(context: CommandContext, count: int, *, asked: bool, early: Sequence[EarlyChild] = ()) -> Iterator[_Staff]:
    with contextlib.ExitStack() as stack:
        staff = _Staff(context, count, asked, stack, early)
        staff.see_to()
        notifier = _notifier(context)
        notifier.start()
        try:
            yield staff
        except BaseException:
            notifier.stop(0)
            raise
        notifier.last_words()


def _notifier(context: CommandContext) -> Notifier:
    """Returns the notifier of this command: where no page runs, nobody else sends."""
    from producer.notices.notifier import notifier_of

    targets = Targets(connect(context.urls[1]), context.vault)
    return notifier_of(context.settings, context.store, targets, process_name())


def _before(context: CommandContext, import_: Import) -> Tally:
    """Returns what earlier runs of the import did."""
    return context.store.import_tally(import_.import_id)[0]


def _wait(
    context: CommandContext,
    staff: _Staff,
    import_: Import,
    interrupted: threading.Event,
    shown: Display,
    ended_before: Collection[str] = (),
) -> Progress | None:
    """Watches until the import is finished. Returns None if interrupted.

    `ended_before` are mailboxes that had ended already.
    """
    watch = Watch(context, import_.import_id, shown, ended_before)
    while not interrupted.is_set():
        context.ensure()
        staff.see_to(shown)
        progress = watch.look()
        staff.wake(progress)
        if progress.finished:
            staff.tell(shown)
            return progress
        interrupted.wait(watch.pause_seconds)
    watch.leave()
    return None


def _finish(context: CommandContext, progress: Progress, before: Tally, seconds: float, *, as_json: bool) -> int:
    context.ensure()  # another command may have ended the embedded server meanwhile, which was its own
    progress, code, groups = ended(context.store, progress)
    copied_now = document.since(progress.tally, before)["copied"]
    say_end(context.store, progress, copied_now, seconds, groups)
    if as_json:
        whole = document.whole(context.store, progress, groups, exit_code=code, before=before)
        print(json.dumps(whole, ensure_ascii=False, indent=2), flush=True)
    return code
