"""Options saved in a small file: `mailhaul.toml` in the current folder, or `--config`. So both servers are typed once.

A key is the long name of an option without its dashes. At the top level it applies to every command with this option;
in a table named after a command it applies to that command alone. The command line takes precedence.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from typer.core import TyperCommand, TyperOption

from shared.wording.phrases import Phrase

NO_COMMAND_HAS: Final = Phrase("saved_option_unknown", "{path}: {key}: no command of mailhaul has an option --{key}.")
ONE_VALUE: Final = Phrase("saved_list", "{path}: {key}: one value is expected, not a list.")
YES_OR_NO: Final = Phrase("saved_switch", "{path}: {key}: true or false is expected, not {text}.")
NO_COMMAND: Final = Phrase(
    "saved_command_unknown",
    "{path}: [{name}] is no command of mailhaul. `mailhaul --help` names them.",
)
NOT_AN_OPTION: Final = Phrase("saved_option_of_other", "{path}: [{name}] {key}: {name} has no option --{key}.")
UNREADABLE: Final = Phrase("saved_unreadable", "{path} cannot be read: {cause}. Name another file with --config.")
NO_TOML: Final = Phrase(
    "saved_no_toml",
    '{path} is no TOML: {cause}. A line reads: source = "imaps://mail.old.example"',
)
FOREIGN: Final = Phrase(
    "saved_foreign",
    "{path} belongs to another user, or anybody may write to it: its options are not used. Make it your own (chmod "
    "o-w), or work in another folder.",
)

NAME: Final = "mailhaul.toml"

#: Options that cannot be saved.
_NEVER: Final = frozenset({"help", "version", "config"})


def saved_options(path: Path, commands: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns command → parameter → value, for `default_map`. Raises `UsageError` with the key that is wrong."""
    written = _read(path)
    tables = {name: value for name, value in written.items() if isinstance(value, dict)}
    for name in tables:
        if name not in commands:
            raise NO_COMMAND.error(path=str(path), name=name)
    found: dict[str, dict[str, Any]] = {}
    unused = written.keys() - tables.keys()
    for name, command in commands.items():
        options = _options(command)
        own = tables.get(name, {})
        if unknown := sorted(own.keys() - options.keys()):
            raise NOT_AN_OPTION.error(path=str(path), name=name, key=unknown[0])
        general = {key: value for key, value in written.items() if key not in tables and key in options}
        unused -= general.keys()
        found[name] = {
            str(options[key].name): _value(path, key, value, options[key]) for key, value in (general | own).items()
        }
    if unused:
        key = min(unused)
        raise NO_COMMAND_HAS.error(path=str(path), key=key)
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            info = os.fstat(file.fileno())
            # An option can name a program that makes accounts: whoever can write this file could run it as us.
            if info.st_uid not in {0, os.geteuid()} or stat.S_IMODE(info.st_mode) & stat.S_IWOTH:
                raise FOREIGN.error(path=str(path))
            return tomllib.load(file)
    except OSError as error:
        raise UNREADABLE.error(path=str(path), cause=str(error.strerror)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NO_TOML.error(path=str(path), cause=str(error)) from error


def _options(command: TyperCommand) -> dict[str, TyperOption]:
    """Returns the long options of a command, without their dashes."""
    return {
        text.removeprefix("--"): parameter
        for parameter in command.params
        if isinstance(parameter, TyperOption)
        for text in parameter.opts
        if text.startswith("--") and text.removeprefix("--") not in _NEVER
    }


def _value(path: Path, key: str, value: Any, option: TyperOption) -> Any:
    """Returns the value as the option takes it: a list if the option may be repeated. Raises `UsageError`."""
    if option.multiple:
        return value if isinstance(value, list) else [value]
    if isinstance(value, list):
        raise ONE_VALUE.error(path=str(path), key=key)
    if option.is_flag and not isinstance(value, bool):
        raise YES_OR_NO.error(path=str(path), key=key, text=f"{value!r}")
    return value if isinstance(value, bool | int | float) else str(value)
