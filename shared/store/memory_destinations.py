"""The part of the model that says whose a destination mailbox is: one mailbox's at a time, from the claim of its plan until it is
settled, or only waits to verify. Plain Python; its callers hold the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.lifecycle import UnitState
from shared.model import Neighbour

if TYPE_CHECKING:
    from shared.store.memory_rows import MailboxRow, UnitRow

#: How long a destination is kept for what a settled mailbox may still have on the wire, ms: above the settle time.
PARTING_MS = 60_000


class Destinations:
    """Who has which, and who waits for it."""

    mailboxes: dict[str, MailboxRow]
    units: dict[str, UnitRow]

    def __init__(self) -> None:
        #: Destination → the mailbox that has it.
        self.destinations: dict[str, str] = {}
        #: Destination of a settled mailbox that may still have something on the wire → until when, ms.
        self.parting: dict[str, int] = {}

    def now(self) -> int:
        """Milliseconds by the store's clock."""
        raise NotImplementedError

    def refresh(self, m: MailboxRow) -> None:
        """Puts the mailbox where it belongs."""
        raise NotImplementedError

    def occupant(self, m: MailboxRow) -> MailboxRow | None:
        """Who has the mailbox's destination, if another has it."""
        holder = self.destinations.get(m.destination_key, "")
        return self.mailboxes.get(holder) if holder != m.mailbox.mailbox_id else None

    def behind(self, m: MailboxRow, holder: MailboxRow | None, name: str) -> None:
        """Notes who has the destination that the mailbox waits for; `name` is that of the holder's import."""
        words = ""
        if holder is not None:
            same = holder.mailbox.import_id == m.mailbox.import_id
            words = f"row {holder.mailbox.row}" if same else f"import {name}"
        m.set(behind=words)

    def take_destination(self, m: MailboxRow) -> None:
        """The mailbox has its destination from here on."""
        self.parting.pop(m.destination_key, None)
        if self.destinations.get(m.destination_key) != m.mailbox.mailbox_id:
            self.destinations[m.destination_key] = m.mailbox.mailbox_id
            self._refresh_others(m.destination_key, m.mailbox.mailbox_id)

    def free_destination(self, destination: str) -> None:
        """Whoever waits for it may have it."""
        self.parting.pop(destination, None)
        if self.destinations.pop(destination, None):
            self._refresh_others(destination)

    def leave_destination(self, m: MailboxRow) -> None:
        """The mailbox is settled, or only waits to verify. While a lane is still at it, or something is in doubt, nobody else is
        let in for a while."""
        if self.destinations.get(m.destination_key) != m.mailbox.mailbox_id:
            return
        rows = [self.units[u] for u in m.open]
        if any(row.unit.state is UnitState.LEASED or row.intents for row in rows):
            self.parting[m.destination_key] = self.now() + PARTING_MS
        else:
            self.free_destination(m.destination_key)

    def part(self) -> None:
        """Frees what was kept long enough."""
        for destination in sorted(d for d, until in self.parting.items() if until <= self.now()):
            self.free_destination(destination)

    def neighbours(self, m: MailboxRow) -> tuple[Neighbour, ...]:
        """Who else was planned into the same destination."""
        return tuple(
            Neighbour(mailbox_id=other.mailbox.mailbox_id, same_source=other.source_key == m.source_key)
            for other in self._others(m.destination_key, m.mailbox.mailbox_id)
            if other.folders
        )

    def _others(self, destination: str, mailbox_id: str = "") -> list[MailboxRow]:
        found = (m for m in self.mailboxes.values() if m.destination_key == destination)
        return sorted(
            (m for m in found if m.mailbox.mailbox_id != mailbox_id), key=lambda other: other.mailbox.mailbox_id
        )

    def _refresh_others(self, destination: str, mailbox_id: str = "") -> None:
        for other in self._others(destination, mailbox_id):
            self.refresh(other)
