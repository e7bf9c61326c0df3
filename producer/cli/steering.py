"""pause, resume, cancel, retry, verify, credentials, forget, limits, window."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from producer import operations
from producer.cli.acts import Acts
from producer.cli.ground import Ground, open_ground
from producer.cli.request import read_manifest, row_servers
from producer.cli.verb import COMPLETE, say
from producer.intake.allowed import LOOKED_AT
from producer.intake.columns import Reading
from producer.intake.manifest import Manifest
from producer.intake.sign_in import read_secret
from producer.show.lines import spoken_mailboxes
from producer.show.waiting import waiting_lines
from shared.errors import UsageError
from shared.hours import read_hours
from shared.lifecycle import Control
from shared.logs import clean
from shared.model import Import
from shared.store import SCOPES

_DONE = {
    Control.PAUSE: "paused; go on with: mailhaul resume",
    Control.RUN: "goes on",
    Control.CANCEL: "cancelled; what was copied stays",
}


def run_control(word: str, which: str, login: str, *, state_dir: Path | None) -> int:
    """Pause, resume or cancel."""
    wish = Control(word)
    with open_ground(state_dir, make=False) as ground:
        request = operations.find_import(ground.store, which)
        concerned = Acts(ground).control(request, wish, login)
        lonely = ground.nobody_works() if wish is Control.RUN and concerned else ""
    what = f"mailbox {clean(login)} of import" if login else "import"
    done = f"{_DONE[wish]} ({spoken_mailboxes(concerned)})" if concerned else "nothing there that this could change"
    say(f"{what} {clean(request.name)} ({request.import_id[:8]}): {done}")
    if login and wish is Control.RUN and request.control is Control.PAUSE:
        say("the import as a whole is paused: mailhaul resume")
    elif lonely:
        say(lonely)
    return COMPLETE


def run_retry(which: str, login: str, *, state_dir: Path | None) -> int:
    """Try again."""
    with open_ground(state_dir, make=False) as ground:
        request = operations.find_import(ground.store, which)
        mailboxes, messages = Acts(ground).retry(request, login)
        lonely = ground.nobody_works() if mailboxes else ""
    again = f"{spoken_mailboxes(mailboxes)} queued again"
    if messages:
        again += f", with {messages:,} message{'s' if messages != 1 else ''} that were refused or failed"
    say(f"import {clean(request.name)}: {again if mailboxes else 'nothing is parked, refused or failed'}")
    if lonely:
        say(lonely)
    return COMPLETE


def run_verify(which: str, login: str, *, full: bool, state_dir: Path | None) -> int:
    """Another pass."""
    with open_ground(state_dir, make=False) as ground:
        request = operations.find_import(ground.store, which)
        queued = Acts(ground).verify(request, login, full=full)
        lonely = ground.nobody_works()
    say(f"import {clean(request.name)}: {spoken_mailboxes(queued)} queued; see mailhaul watch")
    if lonely:
        say(lonely)
    return COMPLETE


def run_credentials(
    which: str, file: Path | None, secret_files: Mapping[str, str], *, encoding: str, separator: str, reading: Reading,
    state_dir: Path | None,
) -> int:  # fmt: skip
    """New passwords: `file` of mailboxes, `secret_files` by side of what signs in for all."""
    if file is None and not secret_files:
        raise UsageError("give FILE.csv with rows, or --source-password-file or --destination-password-file")
    # Where passwords go to is known from the import; here a server only says which mailbox is meant.
    servers = row_servers(allow_plaintext=True)
    manifest = (
        read_manifest(file, encoding=encoding, separator=separator, servers=servers, allowed=LOOKED_AT, reading=reading)
        if file
        else None
    )
    with open_ground(state_dir, make=False) as ground:
        request = operations.find_import(ground.store, which)
        if manifest:
            _fits(ground, request, manifest)
        files = {side: partial(read_secret, side, path=path) for side, path in secret_files.items()}
        given = operations.shared_anew(ground.store, ground.vault, request, files) if files else {}
        acts, going_on, told = Acts(ground), 0, []
        if given:
            going_on += acts.replace_shared(request, given)
            told.append(f"new at the {' and the '.join(given)}")
        if manifest:
            done = acts.replace_credentials(request, manifest)
            going_on += done.queued
            told.append(f"{spoken_mailboxes(done.mailboxes)} with new passwords")
        lonely = ground.nobody_works() if going_on else ""
    goes_on = "1 goes on" if going_on == 1 else f"{going_on} go on"
    say(f"import {clean(request.name)}: {', '.join(told)}; {goes_on}")
    if lonely:
        say(
            f"{lonely} (the import command reads its own CSV again: correct the password there too)" if file else lonely
        )
    return COMPLETE


def _fits(ground: Ground, request: Import, manifest: Manifest) -> None:
    """Raises `UsageError`."""
    meant = operations.meant_by(request, [one for one, _ in operations.find_mailboxes(ground.store, request, "")])
    if strange := [row.line for row in manifest.rows if meant(row) is None]:
        rows = ", ".join(map(str, strange[:20])) + (" …" if strange[20:] else "")
        raise UsageError(
            f"these rows fit no mailbox of import {clean(request.name)} by their login at the source (and server, "
            f"where several have that login): {rows}; "
            "nothing was changed"
        )


def run_forget(which: str, *, state_dir: Path | None) -> int:
    """Delete passwords."""
    with open_ground(state_dir, make=False) as ground:
        request = operations.find_import(ground.store, which)
        there = Acts(ground).forget(request)
    say(f"import {clean(request.name)}: {'passwords deleted' if there else 'no passwords are stored'}")
    return COMPLETE


def run_window(which: str, text: str, *, state_dir: Path | None) -> int:
    """Show or set."""
    with open_ground(state_dir, make=False) as ground:
        request = operations.find_import(ground.store, which)
        if text:
            Acts(ground).set_window(request, read_hours(text))
        progress = operations.progress_of(ground.store, operations.find_import(ground.store, request.import_id))
    window = progress.request.window
    say(f"import {clean(request.name)}: {f'works in these hours: {clean(window)}' if window else 'works at any time'}")
    for line in waiting_lines(progress):
        say(line)
    return COMPLETE


def run_limits(scope: str, most: str, *, state_dir: Path | None) -> int:
    """Show or set."""
    with open_ground(state_dir, make=bool(scope)) as ground:
        if not scope:
            given = ground.store.limits()
            for name in SCOPES:
                default = getattr(ground.settings, f"{name}_connections")
                print(f"{name}  {given.pop(name, default)}  (default {default})")
            for name, default in ground.settings.rates.items():
                if default and name not in given:
                    print(f"{name}  {default}  (default)")
            for name, number in sorted(given.items()):
                print(f"{clean(name)}  {number}")
            for name, number in sorted(ground.store.usual().items()):
                print(f"{clean(name)}  {number}  (usual there; set it to have more)")
            return COMPLETE
        Acts(ground).set_limit(scope, operations.read_limit(scope, most))
    say(f"{clean(scope)}: {most}")
    return COMPLETE
