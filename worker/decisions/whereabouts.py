"""Decides where the folders of an earlier pass are now, from what both sides list and count. Pure.

A folder is displaced where its name is gone or stands for another UIDVALIDITY. It may be one of the folders that no
other record explains, under the same UIDVALIDITY (RFC 9051 §2.3.1.1); whether it is, its messages tell
(`worker.planning.folder_search`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from shared.folders.tree import Tree, is_inbox, selectable
from shared.model import Folder
from shared.model.messages import FolderListing, FolderStatus, Owner
from shared.model.uids import Uid

#: Number of messages at the beginning of a folder, and at its end, by which it is recognised.
SAMPLE: Final = 20
#: Number of folders that may all be gone at once by their user's act; more are a loss.
MOST_REMOVED: Final = 2


@dataclass(frozen=True, kw_only=True)
class SideView:
    """The folders that one side shows now."""

    #: The listing.
    listing: FolderListing
    #: Name → its numbers, or the refusal to tell them.
    numbers: Mapping[bytes, FolderStatus | Exception]

    @cached_property
    def names(self) -> frozenset[bytes]:
        """The names that can be selected; found once, since they are asked for with each of perhaps very many folders."""
        return frozenset(one.name for one in self.listing.folders if selectable(one))

    def displaced(self, name: bytes, uidvalidity: int) -> bool:
        """Tells whether the folder of this UIDVALIDITY is no longer under this name; never of what has no number."""
        if not uidvalidity or is_inbox(name):
            return False
        status = self.numbers.get(name)
        other = isinstance(status, FolderStatus) and status.uidvalidity not in (None, uidvalidity)
        return name not in self.names or other

    def own(self) -> list[bytes]:
        """Returns the names of the account's own folders without INBOX."""
        tree = Tree(self.listing)
        return [n for n in sorted(self.names) if not is_inbox(n) and tree.owner(n) is Owner.PERSONAL]

    def alike(self, was: bytes, uidvalidity: int, uidnext: int, taken: Collection[bytes]) -> list[bytes]:
        """Returns the folders that may be the one called `was` before, the likeliest first.

        They have its UIDVALIDITY, and a UIDNEXT that did not go back from `uidnext`.
        """
        found = [
            (name, status.uidnext or 0)
            for name in self.own()
            if name not in taken
            and isinstance(status := self.numbers.get(name), FolderStatus)
            and status.uidvalidity == uidvalidity
            and (status.uidnext or 0) >= uidnext
        ]
        found.sort(key=lambda one: (self._last(one[0]) != self._last(was), one[1] - uidnext))
        return [name for name, _ in found]

    def only(self, uidvalidity: int) -> bool:
        """Tells whether just one folder has this UIDVALIDITY."""
        return [s.uidvalidity for s in self.numbers.values() if isinstance(s, FolderStatus)].count(uidvalidity) == 1

    def _last(self, name: bytes) -> bytes:
        separator = (self.listing.separator or "").encode()
        return name.rpartition(separator)[2] if separator else name


def counts_on(known: Iterable[Folder], displaced: Collection[str], here: SideView) -> bool:
    """Tells whether the destination still is the one that was verified, apart from the folders `displaced`.

    At least one folder bears witness, INBOX has its UIDVALIDITY, and no UIDNEXT went back, as it does in a restored or
    a newly made account.
    """
    witnesses = 0
    for folder in known:
        if folder.folder_id in displaced or not folder.was_seen:
            continue
        status = here.numbers.get(folder.destination_name)
        if not isinstance(status, FolderStatus):
            continue
        if not status.same_uids(folder.destination_uidvalidity) or (status.uidnext or 0) < folder.verified_uidnext:
            return False
        # Some servers give every folder the UIDVALIDITY 1: then only a UIDNEXT that was raised tells anything.
        witnesses += folder.destination_uidvalidity > 1 or folder.verified_uidnext > 1
    return witnesses > 0


def removed_by_users(
    gone: Sequence[Folder],
    known: Sequence[Folder],
    displaced: Collection[str],
    here: SideView,
    pending: Collection[str],
) -> list[Folder]:
    """Returns those of the folders `gone` from the destination that their user removed; the server lost the others.

    A verification has seen such a folder, nothing is on its way to it, and the server counts on. More than
    `MOST_REMOVED` folders that are gone at once are a loss where none but INBOX is left.
    """
    if not counts_on(known, displaced, here):
        return []
    left = [f for f in known if f.folder_id not in displaced and f.was_seen and not is_inbox(f.destination_name)]
    if not left and len(gone) > MOST_REMOVED:
        return []
    return [folder for folder in gone if folder.was_seen and folder.folder_id not in pending]


def sample(pairs: Sequence[tuple[Uid, Uid]]) -> list[tuple[Uid, Uid]]:
    """Returns the first and the last of the pairs."""
    ordered = sorted(pairs)
    return ordered if len(ordered) <= 2 * SAMPLE else [*ordered[:SAMPLE], *ordered[-SAMPLE:]]
