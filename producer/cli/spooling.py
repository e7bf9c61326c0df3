"""`mailhaul spool`, and the end of `mailhaul import --spool-refused`: saves messages that the destination refused."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from producer.cli.acts import Acts
from producer.cli.command_context import CommandContext, open_context
from producer.cli.signals import interruptible
from producer.cli.verb import COMPLETE, INCOMPLETE, INTERRUPTED, say
from producer.operations.finding import find_import, find_mailboxes
from producer.spool.fetch import Spooled, Spooling
from producer.spool.spool_folder import INDEX, SpoolFolder
from shared.model import Import
from shared.runtime.logs import clean
from shared.sign_in.entrance import Entrance


@contextlib.contextmanager
def shelf_for(folder: Path | None, field: str) -> Iterator[SpoolFolder | None]:
    """Opens the folder, and checks that it can be used; None if none is asked for. Raises `UsageError`."""
    if folder is None:
        yield None
    else:
        with SpoolFolder(folder, field) as spool_folder:
            yield spool_folder


def run_spool(which: str, out: Path, login: str, wave: str = "", *, state_dir: Path | None) -> int:
    """Fetches the refused messages that are not in the folder yet."""
    with (
        interruptible() as interrupted,
        open_context(state_dir, make=False) as context,
        SpoolFolder(out, "out") as spool_folder,
    ):
        import_ = find_import(context.store, which)
        spool_folder.belongs_to(import_.import_id)
        done = keep_refused(context, import_, spool_folder, interrupted, login, wave)
        if interrupted.is_set():
            return INTERRUPTED
        return COMPLETE if done is not None and not done.missed else INCOMPLETE


def keep_refused(
    context: CommandContext,
    import_: Import,
    spool_folder: SpoolFolder,
    interrupted: threading.Event,
    login: str = "",
    wave: str = "",
) -> Spooled | None:
    """Fetches the refused messages that are not in the folder yet, and reports it. Returns None if the disk is full."""
    chosen = [one for one, _ in find_mailboxes(context.store, import_, login, wave)] if login or wave else None
    Acts(context).spool(import_, login, wave)
    entrance = Entrance(context.store, context.vault, context.settings)
    spooling = Spooling(context.store, entrance, import_, spool_folder, interrupted.is_set)
    again = f"mailhaul spool {import_.import_id[:8]} --out {spool_folder.folder}"
    try:
        done = spooling.run(chosen)
    except OSError as error:
        say(f"{spool_folder.folder} cannot be written ({error.strerror}): make room, then: {again}")
        return None
    kept = done.fetched + done.there
    many = f"{kept:,} message{'s' if kept != 1 else ''}"
    before = f" ({done.there:,} from before)" if done.there else ""
    if kept:
        say(f"{many} that the destination did not take: kept in {spool_folder.folder}{before}, see {INDEX} there")
    elif not done.missed:
        say(f"import {clean(import_.name)}: nothing was refused, nothing to keep")
    if done.missed:
        say(f"{done.missed:,} of them could not be had: {clean(done.problem)}; see {INDEX}, then: {again}")
    return done
