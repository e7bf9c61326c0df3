"""Tells of copies that a verified folder shows with other keywords than they were sent with."""

from __future__ import annotations

from collections.abc import Sequence

from shared.mail import KnownStatus, MailDestination
from shared.model import Folder, LedgerEntry, Note
from shared.model.uids import UidSet
from worker.copying.kept_keywords import FlagsReader, keywords_sent, lost_since, shown_now
from worker.decisions.unlike_flags import nameless, told

#: The beginnings of the names of entries of copies that were not sent under them.
_FOUND = ("adopted.", "followed.")


def flags_amiss(
    destination: MailDestination,
    store: FlagsReader,
    folder: Folder,
    status: KnownStatus,
    entries: Sequence[LedgerEntry],
) -> tuple[Note, ...]:
    """Returns the notes on copies in the open folder, `status`, that have other keywords than they were sent with.

    Looks at what was not read back when it was sent. Of all others only where the folder lists a keyword without a name, and then
    only at copies with such a one: any other keyword that is missing by now may have been taken away by people.
    """
    lists_nameless = bool(nameless(status.permanent_flags))
    to: dict[int, int] = {}
    old: set[int] = set()
    for entry in entries:
        is_old = entry.checked or entry.name.startswith(_FOUND)
        if lists_nameless or not is_old:
            pairs = [pair for record in entry.records for pair in record.pairs() if pair[0] not in folder.released]
            to |= pairs
            old |= {int(copy) for _, copy in pairs if is_old}
    sent = keywords_sent(store, folder.folder_id, status.permanent_flags, UidSet.of(to)) if to else {}
    if lists_nameless:
        sent = {uid: sent.get(uid, []) for uid in to}
    if not sent:
        return ()
    shown = shown_now(destination, (to[uid] for uid in sent))
    shown = {copy: flags for copy, flags in shown.items() if copy not in old or nameless(flags)}
    return told(lost_since(store, folder.folder_id, sent, to, shown))
