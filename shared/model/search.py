"""A page of an import's mailboxes, as the page and the API ask for it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.model.lifecycle import MailboxState

#: The order's name for people → the field of the row.
ORDERS = {
    "row": "row",
    "login": "source_login",
    "destination_login": "destination_login",
    "state": "state",
    "messages": "messages",
    "bytes": "size_bytes",
    "done_bytes": "done_bytes",
    "failed": "o:failed",
    "refused": "o:refused",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A query for mailboxes, with their order."""

    #: Only mailboxes in this state; None for all.
    state: MailboxState | None = None
    #: Only mailboxes with a failure of this code; "" for all.
    code: str = ""
    #: Only mailboxes with this text in one of their logins, whatever its capitals (ASCII); "" for all.
    text: str = ""
    #: Only mailboxes of this wave; "" for all.
    wave: str = ""
    #: A key of `ORDERS`.
    order: str = "row"
    #: Whether the largest come first; equal ones stay in the order of their rows.
    descending: bool = False
    #: The number of mailboxes before the page.
    start: int = 0
    #: The most mailboxes of the page.
    count: int = 100
