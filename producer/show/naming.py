"""Folders that are called differently at the destination, and those that are left out because they are nobody's own here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from shared.folder_names import decode_name, visible
from shared.folders import LeftOut
from shared.logs import clean
from shared.model import REMOVED, Folder, Mailbox, Tally
from shared.store import Store

#: Folders that are named at the end of an import; the report names all.
_NAMED: Final = 5
#: Of a larger import only the report says it: the folders of every mailbox would be read.
_MOST_MAILBOXES: Final = 1000


def is_renamed(folder: Folder) -> bool:
    """Whether people see another name at the destination; another separator alone is none."""
    return any(part.startswith("called ") for part in folder.note.split("; "))


def left_out_of(mailbox: Mailbox) -> LeftOut:
    """What the last plan of it left out."""
    return LeftOut(other=mailbox.other_folders, public=mailbox.public_folders)


def renamed(store: Store, mailboxes: Sequence[Mailbox]) -> Iterator[tuple[Mailbox, Folder]]:
    """Every folder of these that is called differently at the destination."""
    for mailbox in mailboxes:
        yield from ((mailbox, folder) for folder, _ in store.folders(mailbox.mailbox_id) if is_renamed(folder))


def naming_lines(store: Store, rows: Sequence[tuple[Mailbox, Tally]]) -> Iterator[str]:
    """For the end of an import: how many folders got another name, the first of them, which the source has no more, and how many
    were left out."""
    mailboxes = [mailbox for mailbox, _ in rows]
    few = mailboxes if len(mailboxes) <= _MOST_MAILBOXES else []
    found = renamed(store, few)
    first = list(islice(found, _NAMED))
    number = len(first) + sum(1 for _ in found)
    if number:
        subject = f"{number:,} folders have" if number > 1 else "1 folder has"
        yield f"{subject} another name at the destination (folders.csv of the report names all):"
        yield from (f"    row {mailbox.row}, {renaming(folder)}" for mailbox, folder in first)
    if removed := [(m, folder) for m in few for folder, _ in store.folders(m.mailbox_id) if folder.note == REMOVED]:
        subject = f"{len(removed):,} folders are" if len(removed) > 1 else "1 folder is"
        names = ", ".join(f"row {m.row} {visible(clean(folder.display))}" for m, folder in removed[:_NAMED])
        more = " …" if removed[_NAMED:] else ""
        yield (
            f"note: {subject} no longer at the source ({names}{more}): what was copied stays; a renamed one came under its "
            "new name"
        )
    apart = LeftOut(other=sum(m.other_folders for m in mailboxes), public=sum(m.public_folders for m in mailboxes))
    if note := apart.note():
        yield f"note: {note}"


def renaming(folder: Folder) -> str:
    """One of them: "old → new (why)"."""
    called = decode_name(folder.destination_name)
    parts = [part for part in folder.note.split("; ") if not part.startswith("called ")]
    why = f" ({clean('; '.join(parts))})" if parts else ""
    return f"{visible(clean(folder.display))} → {visible(clean(called))}{why}"
