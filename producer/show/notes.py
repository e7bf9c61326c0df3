"""The notes on single messages of a folder, as people see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.model import Folder, Note
from shared.model.folders import DELETED, DELETED_TOO, FOLLOWED
from shared.store import Store

#: The kinds of the notes on messages that are no longer where they were at the source. The store keeps their UIDs alone,
#: in less room.
DELETED_AT_SOURCE: Final = "deleted_at_source"
MOVED_AT_SOURCE: Final = "moved_at_source"


def notes_of(store: Store, folder: Folder) -> Iterator[Note]:
    """Yields what the store has noted, then the messages that were moved or deleted at the source."""
    yield from store.notes(folder.folder_id)
    for uid in folder.followed:
        yield Note(uid=uid, what=MOVED_AT_SOURCE, reason=FOLLOWED)
    for uid in folder.deleted:
        reason = DELETED_TOO if uid in folder.deleted_too else DELETED
        yield Note(uid=uid, what=DELETED_AT_SOURCE, reason=reason)
