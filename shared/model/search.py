"""A page of an import's mailboxes, as the page and the API ask for it."""

from __future__ import annotations

from typing import Final

from shared.model.folders import Tally
from shared.model.lifecycle import MailboxState, Outcome
from shared.nouns import dataclass

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
#: The counter of a mailbox → the code of the trouble with single messages that it counts.
TROUBLE_OF: Final = {
    "o:failed": "failed",
    "o:refused": "refused",
    "missing": "missing",
    "altered": "altered",
    "normalised": "normalised",
    "doubled": "doubled",
    "undone": "undone",
    "moved": "moved",
    "removed": "removed",
    "moved_at_source": "moved_at_source",
    "deleted_at_source": "deleted_at_source",
    "dates_changed": "dates_changed",
    "keywords_lost": "keywords_lost",
    "resized": "resized",
    "withheld": "withheld",
    "unreadable": "unreadable_folder",
}


def troubles_of(counts: Tally) -> frozenset[str]:
    """Returns the codes of the trouble with single messages that these counts tell of."""
    return frozenset(
        code
        for field, code in TROUBLE_OF.items()
        if (counts[Outcome(field[2:])] if field.startswith("o:") else getattr(counts, field))
    )


def small(text: str) -> str:
    """Returns the text with small letters for the capitals of ASCII, as every store compares logins."""
    return text.encode(errors="surrogatepass").lower().decode(errors="surrogatepass")


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A query for mailboxes, with their order."""

    #: Only mailboxes in this state; None for all.
    state: MailboxState | None = None
    #: Only mailboxes with a failure of this code, or with trouble of this kind with single messages; "" for all.
    code: str = ""
    #: Only mailboxes with this text in one of their logins, whatever its capitals (of ASCII); "" for all.
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
