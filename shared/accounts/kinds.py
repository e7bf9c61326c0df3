"""The kinds of account services. Each is one module of this package, called as the kind is, which registers itself.

A module is imported when a URL first names its kind, so that nobody loads the HTTP clients of the others.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.nouns import dataclass
from shared.wording.phrases import Phrase

if TYPE_CHECKING:
    from shared.accounts import AccountService
    from shared.runtime.secret import Secret


class ServicePlace(StrEnum):
    """The form of what stands behind an account service's kind."""

    #: An absolute path on the worker's machine.
    PATH = "path"
    #: An http(s) URL, behind "+".
    HTTP = "http"
    #: A name: an organisation, a tenant.
    NAME = "name"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceUrl:
    """A service that makes accounts, as its URL names it."""

    #: A registered kind.
    kind: str
    #: The URL as given.
    text: str
    #: The place: an http(s) URL without query, an absolute path, or a name (an organisation, a tenant).
    place: str
    #: Option → its last value.
    options: Mapping[str, str]
    #: Every `arg`, in order.
    arguments: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The service's name for people and logs."""
        return f"{self.kind} {self.place}"

    def number(self, name: str, default: float) -> float:
        """Returns an option that is a number of seconds, or `default`."""
        return float(self.options.get(name, default))


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountKind:
    """A kind of account service."""

    #: The word before the URL's colon.
    name: str
    #: The form of its place.
    place: ServicePlace
    #: An example of its URL.
    example: str
    #: Opens the adapter, given the seconds that a new account may refuse its password; nothing is sent yet. Raises
    #: `UsageError` for a secret of the wrong form.
    open: Callable[[ServiceUrl, Secret, float], AccountService]
    #: The name that people know; "" for that of the kind.
    title: str = ""
    #: The description of the secret, for people.
    secret_is: Phrase = Phrase("account_secret", "what the service demands")
    #: The names of its options, beside "settle", and "ca" of those that speak HTTP.
    options: frozenset[str] = frozenset()
    #: Whether it needs a secret.
    secretive: bool = True
    #: Whether its secret may have several lines.
    several_lines: bool = False
    #: The time for which a new account may refuse its password, seconds, unless "settle" says otherwise.
    settling_seconds: float = 0.0
    #: Whether a login may stand before the name.
    has_login: bool = False
    #: Whether the name is a number.
    numbered: bool = False

    @property
    def called(self) -> str:
        """The name for people."""
        return self.title or self.name

    @property
    def known(self) -> frozenset[str]:
        """The names of all options."""
        return self.options | ({"settle"} if self.place is ServicePlace.PATH else {"settle", "ca"})


_KINDS: dict[str, AccountKind] = {}


def register(kind: AccountKind) -> None:
    """Makes a kind of account service known."""
    _KINDS[kind.name] = kind


def kind_of(name: str) -> AccountKind | None:
    """Returns the kind of this name; None if there is none."""
    module = f"{__package__}.{name.replace('-', '_')}"
    if name not in _KINDS and module.rpartition(".")[2] in {one.name for one in _modules()}:
        importlib.import_module(module)
    return _KINDS.get(name)


def kinds() -> Mapping[str, AccountKind]:
    """Returns every kind by its name."""
    for module in _modules():
        importlib.import_module(f"{__package__}.{module.name}")
    return dict(sorted(_KINDS.items()))


def _modules() -> list[pkgutil.ModuleInfo]:
    return list(pkgutil.iter_modules(sys.modules[__package__].__path__))
