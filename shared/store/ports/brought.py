"""Tells whether mailhaul itself brought a source account's mail into a destination mailbox.

Where both then show the same mail under the same numbers, that is mailhaul's own work, and no proof that they are one
mailbox (`shared.mail.one_mailbox`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from shared.model import Account, Folder, Import, Mailbox, Tally, account_key, mailbox_id
from shared.model.lifecycle import Outcome


class FolderReader(Protocol):
    """The part of the store that `brought` reads."""

    def folders(self, mailbox_id: str) -> list[tuple[Folder, Tally]]: ...


class Books(FolderReader, Protocol):
    """The part of the store that `between` reads."""

    def imports(self) -> list[Import]: ...
    def mailbox(self, mailbox_id: str) -> Mailbox | None: ...


def brought(books: FolderReader, mailbox_ids: Iterable[str], uidvalidity: int | None) -> bool:
    """Tells whether one of these mailboxes appended a message to the destination folder of this UIDVALIDITY.

    A mailbox that is its own source appends nothing, since everything was there already.
    """
    return any(
        tally[Outcome.COPIED] > 0 and 0 < folder.destination_uidvalidity == (uidvalidity or 0)
        for one in mailbox_ids
        for folder, tally in books.folders(one)
    )


def between(books: Books, source: Account, destination: Account) -> list[str]:
    """Returns the ids of the mailboxes of any import that go from this account to that one."""
    if account_key(source) == account_key(destination):
        return []
    found = []
    for import_ in books.imports():
        # Only a source may be another for a row: what goes elsewhere need not be asked about.
        if account_key(replace(destination, endpoint=import_.destination)) != account_key(destination):
            continue
        for server in ("", source.endpoint.url):
            one = mailbox_id(import_.import_id, source.login, destination.login, server)
            mailbox = books.mailbox(one)
            if mailbox and _keys(mailbox.source, mailbox.destination) == _keys(source, destination):
                found.append(one)
    return found


def _keys(source: Account, destination: Account) -> tuple[str, str]:
    return account_key(source), account_key(destination)
