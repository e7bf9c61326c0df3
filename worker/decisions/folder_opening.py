"""Decides which source folders a plan opens, and which of them before their turn. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from shared.folders.mapping import MappedFolder
from shared.folders.tree import is_inbox
from shared.model import Folder
from shared.model.errors import FolderRefused, ServerRefused
from shared.model.messages import FolderStatus, KnownStatus

#: Number of folders whose sizes are asked for before their turn.
FORESEEN: Final = 8

#: Number of attempts after which folders are opened one by one.
ALONE_ATTEMPTS: Final = 2


def sure(status: FolderStatus | Exception | None, before: Folder | None) -> KnownStatus | Exception | None:
    """Returns the status, or None for one that does not prove what changed since `before`: the folder has to be opened.

    A folder of which STATUS is refused may be opened all the same.
    """
    if before is None or isinstance(status, FolderRefused | ServerRefused):
        return None
    if status is None or isinstance(status, Exception):
        return status
    known = status.known()
    if known is None or known.uidnext < before.uidnext:
        return None
    # A server that told a mod-sequence before and does not now may tell it when the folder is opened.
    return None if before.highestmodseq and not known.highestmodseq else known


def is_empty(here: KnownStatus | Exception | None) -> bool:
    """Tells whether a destination folder holds nothing, so that no message of its source folder can have a copy there."""
    return isinstance(here, Exception) or (here is not None and not here.messages)


def first_opened(
    mapped: Iterable[MappedFolder], seen: Mapping[bytes, KnownStatus | Exception], chooses: Callable[[bytes], bool]
) -> list[bytes]:
    """Returns the folders that a first pass opens first, up to the first one whose messages may have copies already.

    That one stays open for longer, since its messages are compared with what stands at the destination. `seen` are the numbers
    of the destination's folders that are known by now; `chooses` tells of a folder whether anything of it may be left out.
    """
    opened: list[bytes] = []
    for one in sorted(mapped, key=lambda m: not is_inbox(m.source_name)):
        if one.skip:
            continue
        if len(opened) == FORESEEN or chooses(one.source_name):
            break
        opened.append(one.source_name)
        here = seen.get(one.destination_name)
        if one.exists and not (isinstance(here, KnownStatus) and is_empty(here)):
            break
    return opened
