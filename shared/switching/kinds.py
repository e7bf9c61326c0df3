"""The kinds of switches. Each is one module of `shared.switching.adapters`, which registers itself by `register`.

The URL of a switch is KIND:/whole/path or KIND+https://host/path, with options behind "?". It never holds a secret.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from typing import Final

from shared.nouns import dataclass
from shared.runtime.secret import Secret
from shared.switching import Switch
from shared.wording.phrases import Phrase

NO_KIND: Final = Phrase("switch_kind_unknown", "no such kind of switch; write {names}")


class SwitchPlace(StrEnum):
    """The form of what stands behind a switch's kind."""

    #: An absolute path on this machine.
    PATH = "path"
    #: An http(s) URL.
    HTTP = "http"
    #: Nothing.
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchUrl:
    """A switch, as its URL names it."""

    #: A registered kind.
    kind: str
    #: The place: an http(s) URL without query, an absolute path, or "".
    place: str
    #: Option → its last value.
    options: Mapping[str, str]
    #: Every `arg`, in order.
    arguments: tuple[str, ...] = ()
    #: The mail domains that it is bound to, in lower case; empty for none.
    domains: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The switch's name for people and logs."""
        return f"{self.kind} {self.place}".rstrip()


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchKind:
    """A kind of switch."""

    #: The word before the URL's colon.
    name: str
    #: The form of its place.
    place: SwitchPlace
    #: An example of its URL.
    example: str
    #: The names of its options; each kind has `domains` too.
    options: frozenset[str]
    #: Whether it needs a secret.
    secretive: bool
    #: Opens the switch; nothing is sent yet. Raises `UsageError`.
    open: Callable[[SwitchUrl, Secret], Switch]
    #: The options that its URL must have: without them the servers that an import names would get into a table.
    needed: frozenset[str] = frozenset()


_KINDS: dict[str, SwitchKind] = {}


def register(kind: SwitchKind) -> None:
    """Makes a kind of switch known."""
    _KINDS[kind.name] = kind


@cache
def kinds() -> Mapping[str, SwitchKind]:
    """Returns every kind by its name."""
    from shared.switching import adapters

    for module in pkgutil.iter_modules(adapters.__path__):
        importlib.import_module(f"{adapters.__name__}.{module.name}")
    return dict(sorted(_KINDS.items()))


def kind_of(name: str) -> SwitchKind:
    """Returns the kind of this name. Raises `UsageError`."""
    found = kinds().get(name)
    if found is None:
        # The text may hold a secret that was put there by mistake.
        raise NO_KIND.error(names=", ".join(kind.example for kind in kinds().values()))
    return found
