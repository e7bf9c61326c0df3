"""Decides whether a look at a mailbox that stands found anything new. Pure; `worker.unit_work` asks the source.

A look asks for the folders that there are and for their numbers (`MailSource.look`). Where they are those that the last
pass left in the ledger, a pass would find nothing to copy. What numbers do not show, a full pass finds every so often.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from shared.model import Folder, Mailbox
from shared.model.messages import FolderStatus, ListedFolder
from shared.rules.batching import Change, delta, other_number
from shared.rules.standing import digest

#: A pass follows in any case when the last one began so long ago, seconds; and where a source has no CONDSTORE
#: (RFC 7162), so that numbers show no change of flags.
FULL_SECONDS: Final = 24 * 3600.0
FULL_WITHOUT_CONDSTORE_SECONDS: Final = 6 * 3600.0


def looked_at(folders: Iterable[Folder]) -> list[Folder]:
    """Returns the folders whose numbers are asked for: those that were there and could be read."""
    return [folder for folder in folders if not (folder.gone_at_source or folder.unreadable)]


def full_due(mailbox: Mailbox, folders: Iterable[Folder], now: float, *, has_flags: bool) -> bool:
    """Tells whether a pass follows whatever the numbers say. `now` is by the store's clock, seconds since the epoch."""
    seen = not has_flags or all(folder.highestmodseq or not folder.source_messages for folder in looked_at(folders))
    return now - mailbox.planned_at >= (FULL_SECONDS if seen else FULL_WITHOUT_CONDSTORE_SECONDS)


def difference(
    listed: Iterable[ListedFolder],
    statuses: Mapping[bytes, FolderStatus | Exception],
    folders: Sequence[Folder],
    unplanned: bytes,
) -> str:
    """Returns what differs from the last pass, in a word for the log; "" for nothing.

    `statuses` are those of `looked_at(folders)`, by name. `unplanned` is `Mailbox.unplanned`.
    """
    known = {folder.source_name for folder in folders if not folder.gone_at_source}
    beside = {unplanned[at : at + 4] for at in range(0, len(unplanned), 4)}
    for one in listed:
        if one.name not in known and digest(one.name, one.attributes) not in beside:
            return "new_folder"
    for folder in looked_at(folders):
        if found := _changed(statuses[folder.source_name], folder):
            return found
    return ""


def _changed(status: FolderStatus | Exception, folder: Folder) -> str:
    """Returns what changed in the folder, in a word; "" for nothing."""
    if isinstance(status, Exception):
        return "folder_gone"
    known = status.known()
    if known is None or (folder.highestmodseq and known.highestmodseq is None):
        return "numbers_missing"
    found = delta(known, folder)
    # Some servers only know a lower bound of the next UID, and the plan keeps the highest: that alone is no new mail.
    lower = known.uidnext < folder.uidnext and known.messages == folder.source_messages
    if found.change is not Change.UNCHANGED and not (found.change is Change.CHANGED and lower):
        return "new_mail" if found.change is Change.CHANGED else "folder_replaced"
    if other_number(known, folder):
        return "deleted"
    # Without CONDSTORE `delta` has all flags compared, whether any changed or not.
    return "flags" if found.flags and folder.highestmodseq and known.highestmodseq else ""
