"""The kinds of settings. Each reads what a variable or an option gives, and raises `ValueError` with what it must be.

Every process reads its settings before anything else, and a library for it would take a sixth of a command's start to load
(docs/performance.md).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from shared.runtime.redis_urls import checked
from shared.runtime.secret import Secret

_KIND: Final = "kind"
_ABOUT: Final = "about"

T = TypeVar("T")
D = TypeVar("D")


def setting(kind: Callable[[object], T], default: D, about: str) -> T | D:
    """Declares a field of the settings: how a given value is read, what counts without one, and its line in `docs/settings.md`."""
    made: T | D = dataclasses.field(default=default, metadata={_KIND: kind, _ABOUT: about})
    return made


def setting_found(kind: Callable[[object], T], find: Callable[[], T], about: str) -> T:
    """Declares a field as `setting` does, whose value is looked for where none is given."""
    made: T = dataclasses.field(default_factory=find, metadata={_KIND: kind, _ABOUT: about})
    return made


def read_value(field: dataclasses.Field[Any], given: object) -> object:
    """Reads what is given for a setting. Raises `ValueError`."""
    return field.metadata[_KIND](given)


def about(field: dataclasses.Field[Any]) -> str:
    """Returns what a setting is, in words."""
    return str(field.metadata[_ABOUT])


def settings_of(noun: type[Any]) -> Mapping[str, dataclasses.Field[Any]]:
    """Returns the settings that a dataclass declares, by name."""
    return {one.name: one for one in dataclasses.fields(noun) if _KIND in one.metadata}


def whole(least: int, most: int | None = None) -> Callable[[object], int]:
    """A whole number from `least` to `most`, or without an upper bound."""

    def read(given: object) -> int:
        try:
            found = int(str(given))
        except ValueError:
            found = None
        if found is None or found < least or (most is not None and found > most):
            raise ValueError(
                f"must be a whole number, {least} or more"
                if most is None
                else f"must be a whole number from {least} to {most}"
            )
        return found

    return read


def positive(most: float) -> Callable[[object], float]:
    """A number above 0, and `most` at most."""

    def read(given: object) -> float:
        try:
            found = float(str(given))
        except ValueError:
            found = math.nan
        if not 0 < found <= most:  # also refuses "nan"
            raise ValueError(f"must be a number above 0, and {most:g} at most")
        return found

    return read


def one_of(*names: str) -> Callable[[object], Any]:
    """A word of a few."""

    def read(given: object) -> str:
        if given not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return str(given)

    return read


def text(given: object) -> str:
    """Any text."""
    return str(given)


def folder(given: object) -> Path:
    """A folder, whole: what `~` stands for is put in, and a relative one counts from where the process runs."""
    return Path(str(given)).expanduser().absolute()


def secret(given: object) -> Secret:
    """A text that is never printed."""
    return given if isinstance(given, Secret) else Secret(str(given))


def url_of_redis(given: object) -> Secret:
    """The URL of a Redis, which may hold a password."""
    return checked(secret(given))
