"""Finds which messages with an outcome are no longer in their source folder.

Only where the numbers show that something went: then the server is asked what went (QRESYNC, RFC 7162), or which messages
the folder has. What it counts
and does not show is not deleted, so its answer must be as long as its count. A folder that is another one
(UIDVALIDITY), cannot be opened, or is not listed says nothing about its messages.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from shared.mail import KnownStatus, MailSource
from shared.model import Folder
from shared.model.errors import FolderRefused, ServerRefused
from shared.model.uids import NO_UIDS, UidSet
from shared.store import WorkStore

#: Number of looks at a folder from which messages go meanwhile; the next pass looks again.
LOOKS = 3


def known_sources(store: WorkStore, folder_id: str) -> UidSet:
    """Returns every source UID that was copied, or found to be present."""
    records = (record for entry in store.ledger(folder_id) for record in entry.records)
    return UidSet.joined([part for record in records for part in record.source.ranges])


def deleted(store: WorkStore, before: Folder, shown: UidSet, *, whole: bool) -> UidSet:
    """Returns the source UIDs with a copy that a listing of the folder does not show.

    `before` is the folder as it was planned last, and `whole` tells whether the listing shows all that the server
    counts: without that nothing is deleted that was not before.
    """
    old = shown & UidSet.span(1, before.uidnext - 1)
    if not whole or (len(old) >= before.source_messages and not before.deleted):
        return before.deleted - shown - before.followed
    return known_sources(store, before.folder_id) - shown - before.followed


def as_counted(shown: UidSet, opened: KnownStatus) -> bool:
    """Tells whether an answer shows as many messages as the folder held at its opening."""
    return len(shown & UidSet.span(1, opened.uidnext - 1)) == opened.messages


def vanished(
    store: WorkStore, source: MailSource, before: Folder, left: UidSet = NO_UIDS
) -> tuple[KnownStatus, Folder] | None:
    """Asks which messages went since the last pass, where the source tells that (QRESYNC).

    `left` are those of `before.followed` that this pass found to be moved: they still count among its messages.
    Returns the folder's status and `before` with those that were deleted. None where they are not just as many as the
    messages that the folder holds fewer, whatever became of these (a copy, a move, none), or where something came: then
    what is left has to be asked for.
    """
    found = None
    with contextlib.suppress(FolderRefused, ServerRefused):
        found = source.vanished(before.source_name, before.uidvalidity, before.highestmodseq)
    if found is None:
        return None
    opened, went = found
    fewer = before.source_messages - opened.messages
    new = (went & UidSet.span(1, before.uidnext - 1)) - before.deleted - (before.followed - left)
    if not 0 < fewer == len(new) or opened.uidnext > before.uidnext:
        return None
    new = (new & known_sources(store, before.folder_id)) - before.followed
    return opened, replace(before, deleted=before.deleted | new, source_messages=opened.messages)


def looked_for(store: WorkStore, source: MailSource, opened: KnownStatus, before: Folder) -> Folder:
    """Asks which messages the open source folder has, and returns `before` with those that were deleted.

    `opened` is its status at its opening. What cannot be found out stays as it was, with the number of messages that
    makes the next pass look again.
    """
    with contextlib.suppress(FolderRefused, ServerRefused):
        for look in range(LOOKS):
            if look:
                opened = source.open(before.source_name)
            if not opened.same_uids(before.uidvalidity):
                break
            shown = source.existing() if opened.messages else NO_UIDS
            if as_counted(shown, opened):
                gone = deleted(store, before, shown, whole=True)
                return replace(before, deleted=gone, source_messages=opened.messages)
    return before
