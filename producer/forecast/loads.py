"""The nouns of a forecast: what is to be moved, in which order, and under which limits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Final

from shared.model.sides import Scope
from shared.nouns import dataclass
from shared.rules.hours import ALWAYS, Hours

#: The four scopes of a limit, in the order of `Load.keys`.
SCOPES: Final = tuple(Scope)
#: The connections of a scope unless something else is set.
_CONNECTIONS: Final[Mapping[str, int]] = {
    Scope.SOURCE_ACCOUNT: 4,
    Scope.SOURCE_HOST: 32,
    Scope.DESTINATION_ACCOUNT: 4,
    Scope.DESTINATION_HOST: 32,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """The work that is left of one mailbox."""

    #: Its id.
    name: str
    #: Messages without an outcome.
    messages: float
    #: Their bytes.
    size_bytes: float
    #: Whether it is still to be signed in to and planned.
    fresh: bool = True
    #: Its wave; "" for none.
    line: str = ""
    #: Within its wave the higher goes first.
    priority: int = 0
    #: Its key in each of `SCOPES`.
    keys: tuple[str, str, str, str]
    #: The most lanes that can be at it at a time.
    lanes: int = 4
    #: When it may be served again, seconds from the beginning; 0: now.
    ready_in: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ForecastLine:
    """A wave, or what is without one, as it takes its turn."""

    #: Waves of a lower order go first.
    order: int = 0
    #: Its share among those of one order.
    weight: int = 1
    #: When it begins, seconds since the epoch; 0: at once.
    starts_at: float = 0.0
    #: The hours in which it may work.
    hours: Hours = ALWAYS
    #: Whether a person paused it: then it has no end.
    paused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """The speed of one lane."""

    #: Seconds to sign in to a mailbox and to plan it.
    mailbox_seconds: float = 1.0
    #: Messages a second.
    messages: float = 200.0
    #: Bytes a second.
    size_bytes: float = 3e6
    #: Bytes a second that two hosts move together, over all lanes.
    together: float = 50e6


@dataclass(frozen=True, kw_only=True, slots=True)
class ForecastLimits:
    """Every limit that counts."""

    #: Lanes of all workers.
    lanes: int = 16
    #: Connections and rates that were set, by scope or by scope and key.
    given: Mapping[str, int] = field(default_factory=dict)
    #: The same of presets, by scope and server.
    usual: Mapping[str, int] = field(default_factory=dict)
    #: The defaults of the settings, by scope.
    default: Mapping[str, int] = field(default_factory=dict)
    #: Hours of the whole import.
    hours: Hours = ALWAYS
    #: Whether a person paused the import.
    paused: bool = False
    #: Waves by name; one that is missing has no limits.
    lines: Mapping[str, ForecastLine] = field(default_factory=dict)
    #: The pace of one lane.
    speed: Speed = Speed()

    def connections(self, scope: str, key: str) -> int:
        """Returns the most connections of an account or host."""
        return self._most(scope, key, self.default.get(scope, _CONNECTIONS[scope]))

    def rate(self, scope: str, rate: str, key: str) -> int:
        """Returns the rate of an account or host; 0 for no cap."""
        name = f"{scope}.{rate}"
        return self._most(name, key, self.default.get(name, 0))

    def _most(self, name: str, key: str, default: int) -> int:
        if (own := self.given.get(f"{name}:{key}")) is not None:
            return own
        server = "/".join(key.split("/")[:3]) if "_account" in name else key
        set_for_all, usual = self.given.get(name), self.usual.get(f"{name}:{server}")
        if "." not in name:
            most = default if set_for_all is None else set_for_all
            return most if usual is None else min(most, usual)
        found = [value for value in (set_for_all, usual) if value is not None]
        return min((value for value in found if value), default=0) if found else default

    def without(self, what: str) -> ForecastLimits:
        """Returns the limits as if this one did not count: a rate's name, "connections", "lanes", "hours" or "waves"."""
        if what == "lanes":
            return replace(self, lanes=1_000_000)
        if what == "hours":
            lines = {name: replace(line, hours=ALWAYS) for name, line in self.lines.items()}
            return replace(self, hours=ALWAYS, lines=lines)
        if what == "waves":
            return replace(self, lines={})
        if what == "connections":
            free: dict[str, int] = dict.fromkeys(SCOPES, 1_000_000)
            given = {name: most for name, most in self.given.items() if "." in name.partition(":")[0]}
            usual = {name: most for name, most in self.usual.items() if "." in name.partition(":")[0]}
            return replace(self, given=given, usual=usual, default={**self.default, **free})
        kept = [
            {name: most for name, most in some.items() if name.partition(":")[0] != what}
            for some in (self.given, self.usual, self.default)
        ]
        return replace(self, given=kept[0], usual=kept[1], default=kept[2])
