"""keys rotate, keys drop."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Final

from producer.cli.acts import Acts
from producer.cli.asking import agreed, can_ask
from producer.cli.command_context import CommandContext, open_context
from producer.cli.verb import COMPLETE, INCOMPLETE, say
from shared.runtime.credentials import add_key, keep_first_key, key_file, load_keys
from shared.runtime.logs import clean
from shared.runtime.processes import host_of
from shared.wording.phrases import Phrase
from shared.wording.spoken import spoken_duration

KEYS_IN_SETTING: Final = Phrase(
    "keys_in_setting",
    "the keys are in MAILHAUL_SECRET_KEY: remove the old ones there, for every process",
)
ONE_KEY: Final = Phrase(
    "keys_only_one",
    "MAILHAUL_SECRET_KEY holds one key: put the new key before it, separated by a comma, for every process and "
    "restart them; then: mailhaul keys rotate",
)

STILL_NEEDED: Final = Phrase(
    "keys_still_needed",
    "no key was dropped, since the old one may be needed still (above); --yes drops it all the same",
)

#: Seconds that what began before a rotation may take with the old key.
_USED_SECONDS: Final = 3600.0
#: The number of machines that are named at most.
_NAMED: Final = 10


def run_rotate(*, state_dir: Path | None) -> int:
    """Everything stored by another key."""
    with open_context(state_dir) as context:
        keys = load_keys(context.settings)
        if context.settings.secret_key is None:
            add_key(key_file(context.settings))
        elif len(keys) < 2:
            raise ONE_KEY.error()
        whole = _rotate(context)
    if context.settings.secret_key is None:
        say(f"the old key stays in {key_file(context.settings)} for what is under way; in an hour: mailhaul keys drop")
        say("backups from before now open with the old key only: keep a copy of that file with them")
    else:
        say("in an hour, remove the old keys from MAILHAUL_SECRET_KEY of every process")
    return COMPLETE if whole else INCOMPLETE


def run_drop(*, sure: bool, state_dir: Path | None) -> int:
    """Drops all keys of the file but the first. What an older one sealed meanwhile is sealed anew before.

    Where something may need an older key still it says what, and asks.
    """
    with open_context(state_dir) as context:
        if context.settings.secret_key is not None:
            raise KEYS_IN_SETTING.error()
        path = key_file(context.settings)
        if len(load_keys(context.settings)) < 2:
            say(f"{path} holds one key: nothing was changed")
            return COMPLETE
        if not _rotate(context):
            say("no key was dropped")
            return INCOMPLETE
        needs = _needs(context, path)
        for need in needs:
            say(need)
        if needs and not sure and not _agreed():
            say("no key was dropped")
            return COMPLETE
        number = keep_first_key(path)
    say(f"{number} old key{'s' if number != 1 else ''} dropped")
    return COMPLETE


def _agreed() -> bool:
    if not can_ask():
        raise STILL_NEEDED.error()
    return agreed("drop the old key all the same?", "keys drop")


def _needs(context: CommandContext, path: Path) -> list[str]:
    """Returns what may need an older key although all that is stored is sealed by the first one."""
    needs = []
    if (left := path.stat().st_mtime + _USED_SECONDS - time.time()) > 0:
        needs.append(
            f"the keys were changed {spoken_duration(_USED_SECONDS - left)} ago, and what began before may need the old "
            f"one: give the same command in {spoken_duration(left)}"
        )
    own = socket.gethostname()
    if others := sorted({host for host in map(host_of, context.store.processes()) if host != own}):
        named = ", ".join(map(clean, others[:_NAMED])) + (" …" if others[_NAMED:] else "")
        needs.append(
            f"workers or coordinators of other machines ({named}) were here within a day, and do not read {path}: give them the "
            "new key in MAILHAUL_SECRET_KEY and restart them first"
        )
    if needs:
        needs.append(f"backups from before the change open with the old key only: keep a copy of {path} with them")
    return needs


def _rotate(context: CommandContext) -> bool:
    """Tells whether nothing needs an older key any more."""
    found = Acts(context).rotate()
    say(f"{found.renewed} stored secrets and rights are under the first key now")
    if found.lost:
        say(f"{found.lost} open with no key of this process: was one left out? They are as they were")
    return not found.lost
