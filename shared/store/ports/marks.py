"""The store's part about switches: what a destination held just before one, and what a copy back may have left there."""

from __future__ import annotations

from typing import Protocol

from shared.model.marks import SwitchMarks


class MarkStore(Protocol):
    """The methods that keep the marks of mailboxes."""

    def mark_switch(self, mailbox_id: str, marks: SwitchMarks) -> bool:
        """Keeps the marks of the mailbox, in place of those kept before. They go with the mailbox.

        Returns False when there is no such mailbox.
        """

    def switch_marks(self, mailbox_id: str) -> SwitchMarks | None:
        """Returns what `mark_switch` kept last, or None."""

    def in_doubt(self, mailbox_id: str) -> bool:
        """Tells whether an intent of the mailbox is open: what it sent may stand at the destination, or not."""
