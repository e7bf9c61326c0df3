"""Tells which folders get another name at the destination, and how many shared folders are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from shared.folders.names import decode_name, visible
from shared.model import Folder, Mailbox, Tally
from shared.runtime.logs import clean
from shared.store import Store
from shared.wording.phrases import parts, several

#: Number of folders named at the end of an import; the report names all.
_NAMED: Final = 5
#: Largest import for which this is printed; for a larger one it stands in the report only, since every folder is read
#: for it.
_MOST_MAILBOXES: Final = 1000


def is_renamed(folder: Folder) -> bool:
    """Tells whether people see another name at the destination; a different separator alone does not count."""
    return any(part.startswith("called ") for part in parts(folder.note))


def _is_removed(folder: Folder) -> bool:
    """Tells whether its user removed the folder at the destination."""
    return bool(folder.taken_away) or folder.left_alone


def left_out_note(mailbox: Mailbox) -> str:
    """Says what the mailbox's last plan left out, "" for nothing."""
    return _left_out_note(mailbox.other_folders, mailbox.public_folders)


def _left_out_note(other: int, public: int) -> str:
    if not (other or public):
        return ""
    from shared.folders.mapping import LeftOut  # as good as never needed

    return LeftOut(other=other, public=public).note()


def naming_lines(store: Store, rows: Sequence[tuple[Mailbox, Tally]]) -> Iterator[str]:
    """Yields lines for the end of an import.

    They tell how many folders got another name, list the first of them, name folders that the source no longer has and
    those that users removed at the destination, and tell how many folders were left out.
    """
    mailboxes = [mailbox for mailbox, _ in rows]
    few = mailboxes if len(mailboxes) <= _MOST_MAILBOXES else []
    # Of the folders of a whole import only these are kept, and each is read once.
    found = [
        (m, f)
        for m in few
        for f, _ in store.folders(m.mailbox_id)
        if f.gone_at_source or _is_removed(f) or is_renamed(f)
    ]
    if called := [(m, folder) for m, folder in found if is_renamed(folder)]:
        subject = f"{len(called):,} folders have" if len(called) > 1 else "1 folder has"
        yield f"{subject} another name at the destination (folders.csv of the report names all):"
        yield from (f"    row {mailbox.row}, {renaming(folder)}" for mailbox, folder in called[:_NAMED])
    if gone := [(m, folder) for m, folder in found if folder.gone_at_source]:
        subject = f"{len(gone):,} folders are" if len(gone) > 1 else "1 folder is"
        yield (
            f"note: {subject} no longer at the source ({_named(gone)}): what was copied stays; a renamed one came under its "
            "new name"
        )
    if taken := [(m, folder) for m, folder in found if _is_removed(folder)]:
        subject = (
            f"{len(taken):,} folders were removed by their users"
            if len(taken) > 1
            else "1 folder was removed by its user"
        )
        yield f"note: {subject} at the destination ({_named(taken)}): what was copied there does not come again"
    other, public = (sum(getattr(m, f"{whose}_folders") for m in mailboxes) for whose in ("other", "public"))
    if note := _left_out_note(other, public):
        yield f"note: {note}"


def _named(folders: Sequence[tuple[Mailbox, Folder]]) -> str:
    names = ", ".join(f"row {m.row} {visible(clean(folder.display))}" for m, folder in folders[:_NAMED])
    return names + (" …" if folders[_NAMED:] else "")


def renaming(folder: Folder) -> str:
    """Words one renamed folder: "old → new (why)"."""
    called = decode_name(folder.destination_name)
    others = several(part for part in parts(folder.note) if not part.startswith("called "))
    why = f" ({clean(others)})" if others else ""
    return f"{visible(clean(folder.display))} → {visible(clean(called))}{why}"
