"""The model's part that decides which mailbox has a destination mailbox.

One mailbox has it at a time, from the claim of its plan until it is settled, or only waits to verify. The module is
plain Python; its callers hold the lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.model import Neighbour
from shared.model.lifecycle import UnitState

if TYPE_CHECKING:
    from shared.store.memory.memory_tables import MailboxRow, UnitRow

#: The time for which a destination is kept while messages of a settled mailbox may still be on the way to it, ms: above the
#: settle time.
PARTING_MS = 60_000


class Destinations:
    """The destinations, the mailboxes that have them, and those that wait for them."""

    mailboxes: dict[str, MailboxRow]
    units: dict[str, UnitRow]

    def __init__(self) -> None:
        #: Destination → the mailbox that has it.
        self.destinations: dict[str, str] = {}
        #: Destination of a settled mailbox that may still have messages on the way → until when it is kept, ms.
        self.parting: dict[str, int] = {}

    def now(self) -> int:
        """Returns the milliseconds of the store's clock."""
        raise NotImplementedError

    def refresh(self, m: MailboxRow) -> None:
        """Enters the mailbox in its queue, or takes it out."""
        raise NotImplementedError

    def occupant(self, m: MailboxRow) -> MailboxRow | None:
        """Returns the other mailbox that has this mailbox's destination, or None."""
        holder = self.destinations.get(m.destination_key, "")
        return self.mailboxes.get(holder) if holder != m.mailbox.mailbox_id else None

    def behind(self, m: MailboxRow, holder: MailboxRow | None, name: str) -> None:
        """Notes in words which mailbox has the destination that this one waits for.

        `name` is that of the holder's import.
        """
        words = ""
        if holder is not None:
            same = holder.mailbox.import_id == m.mailbox.import_id
            words = f"row {holder.mailbox.row}" if same else f"import {name}"
        m.set(behind=words)

    def take_destination(self, m: MailboxRow) -> None:
        """Gives the mailbox its destination."""
        self.parting.pop(m.destination_key, None)
        if self.destinations.get(m.destination_key) != m.mailbox.mailbox_id:
            self.destinations[m.destination_key] = m.mailbox.mailbox_id
            self._refresh_others(m.destination_key, m.mailbox.mailbox_id)

    def free_destination(self, destination: str) -> None:
        """Frees the destination for the mailboxes that wait for it."""
        self.parting.pop(destination, None)
        if self.destinations.pop(destination, None):
            self._refresh_others(destination)

    def leave_destination(self, m: MailboxRow) -> None:
        """Frees the destination of a mailbox that is settled, or only waits to verify.

        While a lane is still at it, or something is in doubt, the destination is kept for `PARTING_MS`.
        """
        if self.destinations.get(m.destination_key) != m.mailbox.mailbox_id:
            return
        rows = [self.units[u] for u in m.open]
        if any(row.unit.state is UnitState.LEASED or row.intents for row in rows):
            self.parting[m.destination_key] = self.now() + PARTING_MS
        else:
            self.free_destination(m.destination_key)

    def part(self) -> None:
        """Frees the destinations that were kept long enough."""
        for destination in sorted(d for d, until in self.parting.items() if until <= self.now()):
            self.free_destination(destination)

    def neighbours(self, m: MailboxRow) -> tuple[Neighbour, ...]:
        """Returns the other mailboxes that were planned into the same destination."""
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
