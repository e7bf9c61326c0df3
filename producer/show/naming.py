"""Tells which folders get another name at the destination, and how many shared folders are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from shared.folder_names import decode_name, visible
from shared.folders import LeftOut
from shared.logs import clean
from shared.model import Folder, Mailbox, Tally
from shared.store import Store

#: Number of folders named at the end of an import; the report names all.
_NAMED: Final = 5
#: Largest import for which this is printed; for a larger one it stands in the report only, since every folder is read
#: for it.
_MOST_MAILBOXES: Final = 1000


def is_renamed(folder: Folder) -> bool:
    """Tells whether people see another name at the destination; a different separator alone does not count."""
    return any(part.startswith("called ") for part in folder.note.split("; "))


def left_out_of(mailbox: Mailbox) -> LeftOut:
    """Returns what the mailbox's last plan left out."""
    return LeftOut(other=mailbox.other_folders, public=mailbox.public_folders)


def renamed(store: Store, mailboxes: Sequence[Mailbox]) -> Iterator[tuple[Mailbox, Folder]]:
    """Yields every folder of these mailboxes that has another name at the destination."""
    for mailbox in mailboxes:
        yield from ((mailbox, folder) for folder, _ in store.folders(mailbox.mailbox_id) if is_renamed(folder))


def naming_lines(store: Store, rows: Sequence[tuple[Mailbox, Tally]]) -> Iterator[str]:
    """Yields lines for the end of an import.

    They tell how many folders got another name, list the first of them, name folders that the source no longer has and
    those that users removed at the destination, and tell how many folders were left out.
    """
    mailboxes = [mailbox for mailbox, _ in rows]
    few = mailboxes if len(mailboxes) <= _MOST_MAILBOXES else []
    found = renamed(store, few)
    first = list(islice(found, _NAMED))
    number = len(first) + sum(1 for _ in found)
    if number:
        subject = f"{number:,} folders have" if number > 1 else "1 folder has"
        yield f"{subject} another name at the destination (folders.csv of the report names all):"
        yield from (f"    row {mailbox.row}, {renaming(folder)}" for mailbox, folder in first)
    planned = [(m, folder) for m in few for folder, _ in store.folders(m.mailbox_id)]
    if gone := [(m, folder) for m, folder in planned if folder.gone_at_source]:
        subject = f"{len(gone):,} folders are" if len(gone) > 1 else "1 folder is"
        yield (
            f"note: {subject} no longer at the source ({_named(gone)}): what was copied stays; a renamed one came under its "
            "new name"
        )
    if taken := [(m, folder) for m, folder in planned if folder.taken_away or folder.left_alone]:
        subject = (
            f"{len(taken):,} folders were removed by their users"
            if len(taken) > 1
            else "1 folder was removed by its user"
        )
        yield f"note: {subject} at the destination ({_named(taken)}): what was copied there does not come again"
    apart = LeftOut(other=sum(m.other_folders for m in mailboxes), public=sum(m.public_folders for m in mailboxes))
    if note := apart.note():
        yield f"note: {note}"


def _named(folders: Sequence[tuple[Mailbox, Folder]]) -> str:
    names = ", ".join(f"row {m.row} {visible(clean(folder.display))}" for m, folder in folders[:_NAMED])
    return names + (" …" if folders[_NAMED:] else "")


def renaming(folder: Folder) -> str:
    """Words one renamed folder: "old → new (why)"."""
    called = decode_name(folder.destination_name)
    parts = [part for part in folder.note.split("; ") if not part.startswith("called ")]
    why = f" ({clean('; '.join(parts))})" if parts else ""
    return f"{visible(clean(folder.display))} → {visible(clean(called))}{why}"
