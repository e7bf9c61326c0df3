"""The effects of the coordinator on the world: switches of the settings, the DNS, and looks of the store."""

from __future__ import annotations

from collections.abc import Callable

from producer.cutover.copy_back import CopyBack
from producer.cutover.dns_records import DnsRecords
from producer.cutover.measured import DomainFacts
from shared.model import Import, Mailbox
from shared.model.binding import bound_to
from shared.model.cutover import Cutover
from shared.model.errors import CredentialsError
from shared.model.sides import Side
from shared.rules.standing import Standing
from shared.runtime.config import Settings
from shared.runtime.credentials import Vault
from shared.sign_in.entrance import Entrance
from shared.store import Store
from shared.switching import Switch
from shared.switching.configured import open_switch
from shared.wording.often_said import CREDENTIALS_ARE_NO_LONGER_STORED


class LiveCutoverEffects:
    """The real `producer.cutover.cutover_resources.CutoverEffects`."""

    def __init__(self, settings: Settings, store: Store, vault: Vault, now: Callable[[], float]) -> None:
        self._settings, self._store, self._vault, self._now = settings, store, vault, now
        self._back = CopyBack(store, vault, Entrance(store, vault, settings), settings.retention_days, now)
        self._dns = DnsRecords(settings.dns_resolver or "")

    def open_switch(self, name: str) -> Switch:
        """Opens a switch of the settings. Raises `UsageError`."""
        return open_switch(self._settings, name)

    def ask(self, domain: str, at: float) -> DomainFacts:
        """Asks the DNS where the mail of a domain goes."""
        return self._dns.ask(domain, at)

    def keep_in_sync(self, import_: Import, cutover: Cutover, standing: Standing | None, *, on: bool) -> None:
        """Has the mailboxes of the wave looked at so often, or no longer."""
        self._store.set_standing(import_.import_id, cutover.wave, standing)
        if on:
            self._back.rest(import_, cutover.wave)

    def prove(self, import_: Import, mailbox: Mailbox) -> None:
        """Raises `CredentialsError` unless the ends of the mailbox are those that its passwords were sealed with.

        Who may write to Redis, and has no key, could else have a switch told of another login or server.
        """
        for side in Side:
            sealed = self._store.sealed(mailbox.import_id, mailbox.mailbox_id, side)
            if sealed is None:
                raise CredentialsError(CREDENTIALS_ARE_NO_LONGER_STORED.says(side=side))
            self._vault.open(mailbox.mailbox_id, side, sealed, bound=bound_to(import_, mailbox))

    def mark(self, import_: Import, mailbox: Mailbox) -> None:
        """Marks what the destination holds of the mailbox."""
        self._back.mark(mailbox)

    def bring_back(self, import_: Import, mailbox: Mailbox) -> None:
        """Begins to bring back what came to the destination since the mark."""
        self._back.begin(mailbox)
