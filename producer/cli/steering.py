"""The verbs pause, resume, cancel, retry, verify, credentials, forget, close, limits, window, waves and move."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from producer.cli.acts import Acts
from producer.cli.asking import agreed, can_ask
from producer.cli.command_context import CommandContext, open_context
from producer.cli.option_groups import SheetOptions
from producer.cli.request import read_manifest
from producer.cli.verb import COMPLETE, INCOMPLETE, note, say, show
from producer.intake.allowed import LOOKED_AT
from producer.intake.manifest_row import Manifest
from producer.intake.sign_in import read_secret
from producer.intake.waving import wave_name
from producer.operations.credentials import meant_by
from producer.operations.finding import find_import, find_mailboxes, given_up_by_cancel, progress_of
from producer.operations.limits import read_limit
from producer.show import document
from producer.show.lanes import let_in
from producer.show.lines import spoken_mailboxes, wave_line
from producer.show.paused import resume_command
from producer.show.waiting import waiting_lines
from producer.waves import read_start, wave_of, waves_of
from shared.model import Import, Tally, WaitKind
from shared.model.lifecycle import Control, ImportState
from shared.model.sides import Side
from shared.rules.hours import read_hours
from shared.runtime.logs import clean
from shared.store import SCOPES
from shared.wording.phrases import Phrase

NO_CREDENTIALS: Final = Phrase(
    "credentials_missing",
    "give FILE.csv with rows, or --source-password-file or --destination-password-file",
)
ROWS_FIT_NONE: Final = Phrase(
    "credentials_of_nobody",
    "these rows fit no mailbox of import {name} by their login at the source (and server, where several have that "
    "login): {rows}; nothing was changed",
)

#: The number of rows of a file that are named at most.
_ROWS_NAMED: Final = 20
#: The value of `--wave` of `move` that stands for no wave.
NO_WAVE = "-"
#: Control → what was done; `{resume}` is the command that ends it.
_DONE: Final = {
    Control.PAUSE: "paused; go on with: {resume}",
    Control.RUN: "goes on",
    Control.CANCEL: "cancelled; what was copied stays; go on with: {resume}",
}
#: The same where no mailbox is under way.
_DONE_AT_REST: Final = {
    Control.PAUSE: "paused: nothing is looked at until it is resumed: {resume}",
    Control.RUN: "resumed: nothing of it is under way",
    Control.CANCEL: "cancelled: nothing of it was under way, and nothing is looked at any more",
}


def run_control(
    word: str,
    which: str,
    login: str,
    wave: str = "",
    *,
    sure: bool = True,
    detach: bool = False,
    state_dir: Path | None,
) -> int:
    """Pauses, resumes or cancels.

    Unless `sure`, a cancellation asks first, if there is a terminal. What is resumed is worked on here if no other
    process works on it.
    """
    wish = Control(word)
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        if _declined(context, import_, wish, login, wave, sure=sure):
            say("nothing was changed")
            return COMPLETE
        before = context.store.import_tally(import_.import_id)[0]
        interrupted = context.owner and import_.state is ImportState.RUNNING and import_.control is Control.RUN
        concerned, changed = Acts(context).control(import_, wish, login, wave)
        resume = resume_command(import_, login, wave)
        what = f"mailbox {clean(login)} of import" if login else f"wave {clean(wave)} of import" if wave else "import"
        name = f"{what} {clean(import_.name)} ({import_.import_id[:8]})"
        if concerned:
            say(f"{name}: {_DONE[wish].format(resume=resume)} ({spoken_mailboxes(concerned)})")
        elif wish is Control.RUN and interrupted and not wave:
            say(f"{name} was interrupted: it goes on")
        elif changed:
            say(f"{name}: {_DONE_AT_REST[wish].format(resume=resume)}")
        else:
            say(f"{name} {_unchanged(import_, wish, login or wave)}")
        if wish is not Control.RUN or not (concerned or interrupted):
            return COMPLETE
        if (login or wave) and import_.control is Control.PAUSE:
            say(f"the import as a whole is paused: {resume_command(import_)}")
            return COMPLETE
        return _worked_on(context, import_, before, detach=detach)


def _unchanged(import_: Import, wish: Control, login: str) -> str:
    """Says why an act changed nothing."""
    if not login and wish is Control.PAUSE and import_.control is Control.PAUSE:
        return "is paused already"
    if login and import_.state is not ImportState.FINISHED:
        return "has nothing under way, or it is so already: nothing was changed"
    if import_.state is ImportState.FINISHED:
        return "has nothing under way: nothing was changed"
    return "is not paused" if wish is Control.RUN else "has nothing under way: nothing was changed"


def _declined(context: CommandContext, import_: Import, wish: Control, login: str, wave: str, *, sure: bool) -> bool:
    """Tells whether the operator says no to a cancellation. It can be taken back, so it needs no terminal."""
    asks = wish is Control.CANCEL and not sure and can_ask()
    return asks and not agreed(_question(context, import_, login, wave), "cancel")


def _question(context: CommandContext, import_: Import, login: str, wave: str) -> str:
    open_, complete = given_up_by_cancel(context.store, import_, login, wave)
    kept = f"; {complete:,} that are complete stay so" if complete else ""
    return f"cancel {spoken_mailboxes(open_)} of import {clean(import_.name)}{kept}?"


def run_retry(
    which: str,
    login: str,
    wave: str = "",
    *,
    copy_missing: bool = False,
    detach: bool = False,
    state_dir: Path | None,
) -> int:
    """Queues again what is parked, refused, failed or cancelled, and works on it if no other process does."""
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        before = context.store.import_tally(import_.import_id)[0]
        mailboxes, messages = Acts(context).retry(import_, login, wave, copy_missing=copy_missing)
        again = f"{spoken_mailboxes(mailboxes)} queued again"
        if messages:
            why = "were refused, failed or are missing" if copy_missing else "were refused or failed"
            again += f", with {messages:,} message{'s' if messages != 1 else ''} that {why}"
        what = (
            "parked, refused, failed, missing or cancelled" if copy_missing else "parked, refused, failed or cancelled"
        )
        nothing = f"nothing is {what}: nothing was changed"
        (note if mailboxes else say)(f"import {clean(import_.name)}: {again if mailboxes else nothing}")
        return _worked_on(context, import_, before, detach=detach) if mailboxes else COMPLETE


def run_verify(
    which: str,
    login: str,
    wave: str = "",
    *,
    full: bool,
    accept_missing: bool = False,
    detach: bool = False,
    state_dir: Path | None,
) -> int:
    """Queues a further pass, and works on it if no other process does."""
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        before = context.store.import_tally(import_.import_id)[0]
        queued, accepted = Acts(context).verify(import_, login, wave, full=full, accept_missing=accept_missing)
        if accept_missing:
            messages = f"{accepted:,} missing message{'s' if accepted != 1 else ''}"
            say(f"import {clean(import_.name)}: {messages} accepted as removed at the destination")
        note(f"import {clean(import_.name)}: {spoken_mailboxes(queued)} queued for verification")
        code = _worked_on(context, import_, before, detach=detach)
        if context.owner and not detach:
            Acts(context).verified(import_)
        return code


def _worked_on(context: CommandContext, import_: Import, before: Tally, *, detach: bool) -> int:
    """Works on what was queued if this process owns the embedded Redis; else says where to look.

    Returns the exit code.
    """
    if context.owner and not detach:
        from producer.cli.importing import follow

        return follow(context, import_, before)
    say(context.nobody_works() or "see: mailhaul watch")
    return COMPLETE


def run_credentials(
    which: str,
    file: Path | None,
    secret_files: Mapping[Side, str],
    *,
    sheet: SheetOptions,
    detach: bool = False,
    state_dir: Path | None,
) -> int:
    """Replaces passwords. `file` has those of mailboxes, `secret_files` by side those that sign in for all."""
    if file is None and not secret_files:
        raise NO_CREDENTIALS.error()
    # The import says where passwords are used. Here a server only tells which mailbox is meant.
    manifest = read_manifest(file, sheet, LOOKED_AT) if file else None
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        before = context.store.import_tally(import_.import_id)[0]
        if manifest:
            _fits(context, import_, manifest)
        files = {side: partial(read_secret, side, path=path) for side, path in secret_files.items()}
        given = context.operations.shared_anew(import_, files) if files else {}
        acts, going_on, told = Acts(context), 0, []
        if given:
            going_on += acts.replace_shared(import_, given)
            told.append(f"new at the {' and the '.join(given)}")
        if manifest:
            done = acts.replace_credentials(import_, manifest)
            going_on += done.queued
            told.append(f"passwords updated for {spoken_mailboxes(done.mailboxes)}")
        again = f"{spoken_mailboxes(going_on)} queued again" if going_on else "no parked mailbox was waiting for it"
        say(f"import {clean(import_.name)}: {', '.join(told)}; {again}")
        if file:
            say("the import command reads its own CSV again: correct the password there too")
        return _worked_on(context, import_, before, detach=detach) if going_on else COMPLETE


def _fits(context: CommandContext, import_: Import, manifest: Manifest) -> None:
    """Raises `UsageError` if a row fits no mailbox of the import."""
    meant = meant_by(import_, [one for one, _ in find_mailboxes(context.store, import_, "")])
    if strange := [row for row in manifest.rows if meant(row) is None]:
        rows = ", ".join(f"row {row.line} ({clean(row.login)})" for row in strange[:_ROWS_NAMED])
        rows += f" and {len(strange) - _ROWS_NAMED:,} more" if strange[_ROWS_NAMED:] else ""
        raise ROWS_FIT_NONE.error(name=clean(import_.name), rows=rows)


def run_forget(which: str, *, sure: bool = True, state_dir: Path | None) -> int:
    """Deletes the stored passwords of an import."""
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        if not sure and not agreed(f"delete the stored passwords of import {clean(import_.name)}?", "forget"):
            say("nothing was changed")
            return COMPLETE
        found = Acts(context).forget(import_)
        full = sum(wait.mailboxes for wait in context.store.waits(import_.import_id) if wait.what is WaitKind.ROOM)
    say(f"import {clean(import_.name)}: {'passwords deleted' if found.there else 'no passwords are stored'}")
    if found.there and full:
        are = "mailbox that is full waits" if full == 1 else "mailboxes that are full wait"
        say(
            f"{full:,} {are} for room, and cannot go on without a password: give the import command again once there is room"
        )
    if found.there and not found.purged:
        say(
            "the append-only file of Redis holds them, sealed, until it is written anew: an administrator of Redis runs "
            "BGREWRITEAOF"
        )
    return COMPLETE


def run_archive(which: str, *, away: bool, state_dir: Path | None) -> int:
    """Puts an import into the archive, or takes it back."""
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        changed = Acts(context).archive(import_, away=away)
    said = {True: "in the archive; `mailhaul list --archived` shows it", False: "in the list again"}
    already = {True: "was in the archive before", False: "was not in the archive"}
    say(f"import {clean(import_.name)}: {said[away] if changed else already[away]}")
    return COMPLETE


def run_close(which: str, *, sure: bool, state_dir: Path | None) -> int:
    """Forgets an import, its ledger and its report."""
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        counts, mailboxes = context.store.import_tally(import_.import_id)
        say(
            f"import {clean(import_.name)} ({import_.import_id[:8]}): what goes is what mailhaul knows of "
            f"{spoken_mailboxes(sum(mailboxes.values()))} and {counts.messages:,} messages: the ledger, the report, the stored "
            "passwords; mail stays as it is on both sides"
        )
        say(
            "another pass of the same list then has to compare what is at the destination; take the report first, if you want it"
        )
        if not sure and not agreed("close it?", "close"):
            say("nothing was closed")
            return INCOMPLETE
        there = Acts(context).close(import_)
    say(f"import {clean(import_.name)}: {'closed' if there else 'was closed meanwhile'}")
    return COMPLETE


def run_window(which: str, text: str, wave: str = "", *, state_dir: Path | None) -> int:
    """Shows the hours of an import or a wave, or sets them."""
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        if wave:
            wave_of(context.store, import_, wave)
        if text:
            Acts(context).set_window(import_, read_hours(text), wave)
        progress = progress_of(context.store, find_import(context.store, import_.import_id))
        window = wave_of(context.store, import_, wave).window if wave else progress.import_.window
    what = f"wave {clean(wave)} of import" if wave else "import"
    say(f"{what} {clean(import_.name)}: {f'works in these hours: {clean(window)}' if window else 'works at any time'}")
    for line in waiting_lines(progress):
        say(line)
    return COMPLETE


def run_waves(
    which: str,
    wave: str,
    *,
    start_at: str = "",
    weight: int | None = None,
    order: int | None = None,
    as_json: bool,
    state_dir: Path | None,
) -> int:
    """Shows the waves of an import, or sets something of one."""
    asked = bool(start_at) or weight is not None or order is not None
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        if asked:
            starts_at = read_start(start_at) if start_at else None
            Acts(context).set_wave(import_, wave_name(wave), starts_at=starts_at, weight=weight, order=order)
        elif wave:
            wave_of(context.store, import_, wave)
        found = [one for one in waves_of(context.store, import_) if wave in ("", one.name)]
    if as_json:
        print(json.dumps([document.wave_fields(one) for one in found], ensure_ascii=False, indent=2), flush=True)
    elif not found:
        say(
            f"import {clean(import_.name)}: "
            + ("set, for its mailboxes without a wave" if asked else "it has no waves")
        )
    for one in [] if as_json else found:
        show(wave_line(one))
    return COMPLETE


def run_move(
    which: str, login: str, *, wave: str | None, priority: int | None, front: bool, state_dir: Path | None
) -> int:
    """Moves a mailbox into another wave, or within its own."""
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        to = None if wave is None else "" if wave == NO_WAVE else wave_name(wave)
        moved = Acts(context).move(import_, login, wave=to, priority=priority, front=front)
        rows = find_mailboxes(context.store, import_, login)
    where = rows[0][0].wave
    place = f"in wave {clean(where)}" if where else "without a wave"
    what = f"mailbox {clean(login)} of import {clean(import_.name)}"
    say(f"{what}: moved, {place}{', to the front' if front else ''}" if moved else f"{what}: nothing was changed")
    return COMPLETE


def run_limits(scope: str, most: str, *, state_dir: Path | None) -> int:
    """Shows the limits, or sets one."""
    with open_context(state_dir, make=bool(scope)) as context:
        if not scope:
            given = context.store.limits()
            for name in map(str, SCOPES):
                default = getattr(context.settings, f"{name}_connections")
                show(f"{name}  {given.pop(name, default)}  (default {default})")
            for name, default in context.settings.rates.items():
                if default and name not in given:
                    show(f"{name}  {default}  (default)")
            for name, number in sorted(given.items()):
                show(f"{clean(name)}  {number}")
            for name, number in sorted(context.store.usual().items()):
                show(f"{clean(name)}  {number}  (usual there; set it to have more)")
            for place in context.store.lane_places():
                if place.search:
                    show(f"{clean(place.name)}  {let_in(place)}  (found by trying; at most {place.most})")
            return COMPLETE
        Acts(context).set_limit(scope, read_limit(scope, most))
    say(f"{clean(scope)}: {most}")
    return COMPLETE
