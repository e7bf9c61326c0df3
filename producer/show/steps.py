"""The lines of `--verbose` on each mailbox: one when it starts, and some with notes when it ends."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from producer.operations.trouble import folder_trouble, troubled
from producer.show.lines import mailbox_line
from producer.show.naming import is_renamed, left_out_note, renaming
from shared.folders.names import visible
from shared.model import Mailbox, Tally
from shared.model.lifecycle import SETTLED, MailboxState
from shared.runtime.logs import clean
from shared.store import Store

Rows = Sequence[tuple[Mailbox, Tally]]

_AT_WORK: Final = frozenset({MailboxState.PLANNING, MailboxState.COPYING, MailboxState.VERIFYING})


def settled_of(rows: Rows) -> frozenset[str]:
    """Returns the ids of mailboxes that have ended."""
    return frozenset(mailbox.mailbox_id for mailbox, _ in rows if mailbox.state in SETTLED)


class Steps:
    """A record of the mailboxes that were reported.

    Each start is reported before its end, even if both come at once.
    """

    def __init__(self, ended: Collection[str] = ()) -> None:
        """Takes the ids of mailboxes that had ended before. They are not reported until they are queued again."""
        self._ended = set(ended)
        self._started: set[str] = set()

    def lines(self, store: Store, rows: Rows) -> Iterator[str]:
        """Yields what is new. `rows` must be all rows of the import. Reads the folders of mailboxes that have ended."""
        for mailbox, counts in rows:
            name = mailbox.mailbox_id
            over = mailbox.state in SETTLED
            if not over:
                self._ended.discard(name)
            if name in self._ended or not (over or mailbox.state in _AT_WORK):
                continue
            if name not in self._started:
                self._started.add(name)
                yield f"{_who(mailbox)}  started"
            if over:
                self._started.discard(name)
                self._ended.add(name)
                yield mailbox_line(mailbox, counts).strip()
                yield from (f"    {note}" for note in notes_of(store, mailbox, counts))


def _who(mailbox: Mailbox) -> str:
    login, there = clean(mailbox.source.login), clean(mailbox.destination.login)
    return f"row {mailbox.row}  {login}" + ("" if there == login else f" → {there}")


def notes_of(store: Store, mailbox: Mailbox, counts: Tally) -> Iterator[str]:
    """Yields why the mailbox stopped, its renamed folders, what was left out, and trouble with single messages."""
    if failure := troubled(mailbox):
        yield clean(": ".join(filter(None, (failure.sentence, failure.detail))))
    for folder, _ in store.folders(mailbox.mailbox_id):
        if is_renamed(folder):
            yield f"renamed: {renaming(folder)}"
    if note := left_out_note(mailbox):
        yield note
    for code, folder, messages, detail in folder_trouble(store, mailbox, counts):
        number = f", {messages:,} message{'s' if messages != 1 else ''}" if messages else ""
        yield f"{code}: {visible(clean(folder.display))}{number}" + (f": {clean(detail)}" if detail else "")
