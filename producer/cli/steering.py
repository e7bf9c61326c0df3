"""pause, resume, cancel, retry, verify, credentials, forget, limits."""

from __future__ import annotations

from pathlib import Path

from producer import operations
from producer.cli.ground import open_ground
from producer.cli.request import read_manifest
from producer.cli.verb import COMPLETE, say
from shared.errors import UsageError
from shared.lifecycle import Control
from shared.logs import clean
from shared.store import SCOPES

_DONE = {
    Control.PAUSE: "paused; go on with: mailhaul resume",
    Control.RUN: "goes on",
    Control.CANCEL: "cancelled; what was copied stays",
}


def run_control(word: str, which: str, login: str, *, state_dir: Path | None) -> int:
    """Pause, resume or cancel."""
    wish = Control(word)
    with open_ground(state_dir) as ground:
        request = operations.find_import(ground.store, which)
        concerned = operations.control(ground.store, ground.ring, request, wish, login)
    what = f"mailbox {clean(login)} of import" if login else "import"
    say(f"{what} {clean(request.name)} ({request.import_id[:8]}): {_DONE[wish]} ({_mailboxes(concerned)})")
    return COMPLETE


def run_retry(which: str, login: str, *, state_dir: Path | None) -> int:
    """Try again."""
    with open_ground(state_dir) as ground:
        request = operations.find_import(ground.store, which)
        mailboxes, messages = operations.retry(ground.store, ground.ring, request, login)
        if mailboxes:
            _tell_who_works(ground.store.overview().workers)
    say(
        f"import {clean(request.name)}: {_mailboxes(mailboxes)} queued again, {messages:,} messages among them"
        if mailboxes
        else f"import {clean(request.name)}: nothing is parked, refused or failed"
    )
    return COMPLETE


def run_verify(which: str, login: str, *, full: bool, state_dir: Path | None) -> int:
    """Another pass."""
    with open_ground(state_dir) as ground:
        request = operations.find_import(ground.store, which)
        days = ground.settings.retention_days
        queued = operations.verify(ground.store, ground.ring, request, days, full=full, login=login)
        _tell_who_works(ground.store.overview().workers)
    say(f"import {clean(request.name)}: {_mailboxes(queued)} queued; see mailhaul watch")
    return COMPLETE


def run_credentials(which: str, file: Path, *, encoding: str, separator: str, state_dir: Path | None) -> int:
    """New passwords."""
    manifest = read_manifest(file, encoding=encoding, separator=separator)
    with open_ground(state_dir) as ground:
        request = operations.find_import(ground.store, which)
        done = operations.replace_credentials(
            ground.store, ground.vault, ground.ring, request, manifest.rows, manifest.columns
        )
        if done.queued:
            _tell_who_works(ground.store.overview().workers)
    say(f"import {clean(request.name)}: {_mailboxes(done.mailboxes)} with new passwords, {done.queued} of them go on")
    if done.unknown_rows:
        rows = ", ".join(map(str, done.unknown_rows[:20]))
        raise UsageError(f"these rows fit no mailbox of the import by their login at the source: {rows}")
    return COMPLETE


def run_forget(which: str, *, state_dir: Path | None) -> int:
    """Delete passwords."""
    with open_ground(state_dir) as ground:
        request = operations.find_import(ground.store, which)
        there = operations.forget(ground.store, request)
    say(f"import {clean(request.name)}: {'passwords deleted' if there else 'no passwords are stored'}")
    return COMPLETE


def run_limits(scope: str, most: str, *, state_dir: Path | None) -> int:
    """Show or set."""
    with open_ground(state_dir) as ground:
        if not scope:
            given = ground.store.limits()
            for name in SCOPES:
                default = getattr(ground.settings, f"{name}_connections")
                print(f"{name}  {given.pop(name, default)}  (default {default})")
            for name, number in sorted(given.items()):
                print(f"{clean(name)}  {number}")
            return COMPLETE
        if not most.isdecimal() and most != "default":
            raise UsageError("give a number of connections, or: default")
        operations.set_limit(ground.store, scope, None if most == "default" else int(most))
    say(f"{clean(scope)}: {most}")
    return COMPLETE


def _mailboxes(number: int) -> str:
    return f"{number:,} mailbox{'es' if number != 1 else ''}"


def _tell_who_works(workers: int) -> None:
    if not workers:
        say("no worker is running now: run the import command again, `mailhaul up`, or `mailhaul worker`")
