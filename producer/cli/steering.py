"""pause, resume, cancel, retry, verify, credentials, forget, limits, window."""

from __future__ import annotations

from pathlib import Path

from producer import operations
from producer.cli.acts import Acts
from producer.cli.ground import open_ground
from producer.cli.request import read_manifest, row_servers
from producer.cli.verb import COMPLETE, say
from producer.show.lines import spoken_mailboxes
from producer.show.waiting import waiting_lines
from shared.errors import UsageError
from shared.hours import read_hours
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


def run_credentials(which: str, file: Path, *, encoding: str, separator: str, state_dir: Path | None) -> int:
    """New passwords."""
    # Where passwords go to is known from the import; here a server only says which mailbox is meant.
    manifest = read_manifest(file, encoding=encoding, separator=separator, servers=row_servers(allow_plaintext=True))
    with open_ground(state_dir, make=False) as ground:
        request = operations.find_import(ground.store, which)
        meant = operations.meant_by(request, [one for one, _ in operations.find_mailboxes(ground.store, request, "")])
        if strange := [row.line for row in manifest.rows if meant(row) is None]:
            rows = ", ".join(map(str, strange[:20])) + (" …" if strange[20:] else "")
            raise UsageError(
                f"these rows fit no mailbox of import {clean(request.name)} by their login at the source (and server, "
                f"where several have that login): {rows}; "
                "nothing was changed"
            )
        done = Acts(ground).replace_credentials(request, manifest)
        lonely = ground.nobody_works() if done.queued else ""
    many = spoken_mailboxes(done.mailboxes)
    say(f"import {clean(request.name)}: {many} with new passwords, {done.queued} of them go on")
    if lonely:
        say(f"{lonely} (the import command reads its own CSV again: correct the password there too)")
    return COMPLETE


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
