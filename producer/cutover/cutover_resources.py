"""The resources with which cutovers are moved on: the store, the effects, the switches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from producer.cutover.measured import DomainFacts
from shared.model import Import, Mailbox
from shared.model.cutover import Cutover
from shared.rules.standing import Standing
from shared.store import Store
from shared.store.records.cutovers import Cutovers
from shared.switching import Switch, TurnLater, TurnOutcome


class CutoverEffects(Protocol):
    """The effects of the driver outside of a cutover's own rows."""

    def open_switch(self, name: str) -> Switch:
        """Opens a switch of the settings. Raises `UsageError`."""

    def ask(self, domain: str, at: float) -> DomainFacts:
        """Asks the DNS where the mail of a domain goes."""

    def keep_in_sync(self, import_: Import, cutover: Cutover, standing: Standing | None, *, on: bool) -> None:
        """Keeps the wave in sync, or ends that. With `on` no mail is brought back any more. Raises `UsageError`."""

    def prove(self, import_: Import, mailbox: Mailbox) -> None:
        """Raises `MailhaulError` unless logins and servers of the mailbox are those that a person gave."""

    def mark(self, import_: Import, mailbox: Mailbox) -> None:
        """Marks what the destination holds of the mailbox: what comes later would be brought back. Raises `MailhaulError`."""

    def bring_back(self, import_: Import, mailbox: Mailbox) -> None:
        """Begins to bring back what came to the destination since the mark. Raises `MailhaulError`."""


@dataclass
class CutoverResources:
    """The resources that the turns over all cutovers share."""

    #: The state store.
    store: Store
    #: Its cutovers.
    cutovers: Cutovers
    #: The effects.
    effects: CutoverEffects
    #: Tells whether this process may go on: it leads, and is not to stop.
    leads: Callable[[], bool] = lambda: True
    #: The time of day, seconds since the epoch.
    now: Callable[[], float] = time.time

    #: Whether the time of the last turn was up before the switch was asked for everybody.
    hurried: bool = field(init=False, default=False)

    _switches: dict[str, Switch] = field(init=False, default_factory=dict)
    #: Name of a switch → the moment until which it is left alone, for all mailboxes, seconds since the epoch.
    _waits: dict[str, float] = field(init=False, default_factory=dict)

    def close(self) -> None:
        """Closes the switches."""
        for switch in self._switches.values():
            switch.close()
        self._switches.clear()

    def switch_of(self, name: str) -> Switch:
        """Returns the switch of this name, opened. Raises `UsageError`."""
        if name not in self._switches:
            self._switches[name] = self.effects.open_switch(name)
        return self._switches[name]

    def heed(self, name: str, outcome: TurnOutcome, at: float) -> None:
        """Notes that a switch asked at the moment `at` to be left alone for a while, for all mailboxes."""
        if isinstance(outcome, TurnLater) and outcome.everyone:
            self._waits[name] = max(self._waits.get(name, 0.0), at + outcome.after_seconds)

    def waits(self, name: str, at: float) -> bool:
        """Tells whether the switch is to be left alone, for all mailboxes, at the moment `at`."""
        return self._waits.get(name, 0.0) > at
