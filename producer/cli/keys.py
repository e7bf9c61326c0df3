"""keys rotate, keys drop."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from producer.cli.acts import Acts
from producer.cli.command_context import CommandContext, open_context
from producer.cli.verb import COMPLETE, INCOMPLETE, say
from shared.runtime.credentials import add_key, keep_first_key, key_file, load_keys
from shared.wording.phrases import Phrase

KEYS_IN_SETTING: Final = Phrase(
    "keys_in_setting",
    "the keys are in MAILHAUL_SECRET_KEY: remove the old ones there, for every process",
)
ONE_KEY: Final = Phrase(
    "keys_only_one",
    "MAILHAUL_SECRET_KEY holds one key: put the new key before it, separated by a comma, for every process and "
    "restart them; then: mailhaul keys rotate",
)


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
    else:
        say("in an hour, remove the old keys from MAILHAUL_SECRET_KEY of every process")
    return COMPLETE if whole else INCOMPLETE


def run_drop(*, state_dir: Path | None) -> int:
    """Drops all keys of the file but the first. What an older one sealed meanwhile is sealed anew before."""
    with open_context(state_dir) as context:
        if context.settings.secret_key is not None:
            raise KEYS_IN_SETTING.error()
        if len(load_keys(context.settings)) < 2:
            say(f"{key_file(context.settings)} holds one key: nothing was changed")
            return COMPLETE
        if not _rotate(context):
            say("no key was dropped")
            return INCOMPLETE
        number = keep_first_key(key_file(context.settings))
    say(f"{number} old key{'s' if number != 1 else ''} dropped")
    return COMPLETE


def _rotate(context: CommandContext) -> bool:
    """Tells whether nothing needs an older key any more."""
    found = Acts(context).rotate()
    say(f"{found.renewed} stored secrets and rights are under the first key now")
    if found.lost:
        say(f"{found.lost} open with no key of this process: was one left out? They are as they were")
    return not found.lost
