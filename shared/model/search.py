"""A page of an import's mailboxes, as the page and the API ask for it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.lifecycle import MailboxState

#: What mailboxes can be ordered by: what a person calls it → the field of the row.
ORDERS = {
    "row": "row", "login": "source_login", "destination_login": "destination_login", "state": "state",
    "messages": "messages", "bytes": "size_bytes", "done_bytes": "done_bytes", "failed": "o:failed",
    "refused": "o:refused",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Which mailboxes, in which order."""

    #: Only in this state.
    state: MailboxState | None = None
    #: Only with a failure of this code; "" for all.
    code: str = ""
    #: Only with this in one of their logins, whatever its capitals (ASCII); "" for all.
    text: str = ""
    #: A key of `ORDERS`.
    order: str = "row"
    #: The largest first; equal ones stand by row all the same.
    descending: bool = False
    #: Mailboxes before the page.
    start: int = 0
    #: Mailboxes of the page, at most.
    count: int = 100
