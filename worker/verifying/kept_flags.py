"""Completes the flags of copies that a destination took while it had hardly any room.

Dovecot answers OK to an APPEND with keywords whose names it cannot write to its full disk, and forgets them with its index.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shared.mail import MailDestination
from shared.model import Failure, Folder
from shared.model.errors import FolderRefused, ServerRefused
from shared.runtime.logs import get_logger
from shared.store import Store
from worker.copying.flag_completion import complete_flags, wanted
from worker.decisions.failures import OVER_QUOTA, TAKES_NOTHING

_log = get_logger("mailhaul.worker")

#: Codes of a destination that had no room.
_NO_ROOM: Final = frozenset({OVER_QUOTA, TAKES_NOTHING})


def was_full(failures: Iterable[Failure]) -> bool:
    """Tells whether the mailbox met a destination without room."""
    return any(one.code in _NO_ROOM for one in failures)


def complete_new(destination: MailDestination, store: Store, folder: Folder) -> None:
    """Sets the flags that those copies lack which came since the folder was verified last.

    A destination that refuses this holds nothing back.
    """
    pairs = [pair for entry in store.ledger(folder.folder_id) for record in entry.records for pair in record.pairs()]
    to = {int(uid): int(copy) for uid, copy in pairs if copy >= folder.verified_uidnext}
    want = wanted(store.flags(folder.folder_id), to)
    if not want:
        return
    try:
        complete_flags(destination, destination.open(folder.destination_name).permanent_flags, want, ours=True)
    except (ServerRefused, FolderRefused) as error:
        _log.warning("flags_not_completed", messages=len(want), reason=str(error))
