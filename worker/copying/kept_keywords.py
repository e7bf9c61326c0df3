"""Looks whether copies of which nobody looked at the flags when they were sent have the keywords that they were sent with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from shared.mail import MailDestination
from shared.model import Note
from shared.model.errors import ServerRefused
from shared.model.uids import Uid, UidSet
from worker.decisions.permanent_flags import kept_flags
from worker.decisions.unlike_flags import LOST, keywords_of, unlike


class FlagsReader(Protocol):
    """The part of the store that is asked for flags."""

    def flags(self, folder_id: str) -> dict[str, UidSet]: ...
    def notes(self, folder_id: str) -> list[Note]: ...


def keywords_sent(store: FlagsReader, folder_id: str, permanent: frozenset[str], among: UidSet) -> dict[int, list[str]]:
    """Returns the keywords that messages were sent with, as the source listed them, by source UID; none for most."""
    found: dict[int, list[str]] = {}
    for text, uids in store.flags(folder_id).items():
        if keywords := list(kept_flags(keywords_of(text.split()), permanent)[0]):
            found |= {int(uid): keywords for uid in uids & among}
    return found


def lost_since(
    store: FlagsReader,
    folder_id: str,
    sent: Mapping[int, Sequence[str]],
    to: Mapping[int, int],
    shown: Mapping[int, Sequence[str]],
) -> list[tuple[Uid, str]]:
    """Returns the messages of which the copy has other keywords than were `sent`, and how it differs.

    `to` has the copies, and `shown` their flags by their UIDs. What was told of a message before is not told again.
    """
    found = [
        (Uid(uid), reason)
        for uid, keywords in sorted(sent.items())
        if to[uid] in shown and (reason := unlike(keywords, shown[to[uid]], now=True))
    ]
    known = {note.uid for note in store.notes(folder_id) if note.what == LOST} if found else set()
    return [(uid, reason) for uid, reason in found if uid not in known]


def shown_now(destination: MailDestination, uids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """Returns the flags of these messages of the open folder; of none that the server refuses to show."""
    found: dict[int, tuple[str, ...]] = {}
    with contextlib.suppress(ServerRefused):
        for uid, flags in destination.flags(UidSet.of(uids)):
            found[int(uid)] = flags
    return found
