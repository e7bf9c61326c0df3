"""Reads what arrived in every folder of a destination mailbox, whoever brought it there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence

from shared.folders.tree import Tree, selectable
from shared.mail import MailDestination, Sighting
from shared.mail.answers.numbers import known_statuses
from shared.model import Folder
from shared.model.errors import FolderRefused
from shared.model.messages import Owner
from shared.model.uids import UidSet


def since_verified(planned: Sequence[Folder]) -> int:
    """Returns the UID from which on mail arrived since the destination folder was last verified; 1 for any other folder."""
    return max((folder.verified_uidnext for folder in planned), default=1)


def arrivals(
    destination: MailDestination,
    sizes: Container[int],
    folders: Sequence[Folder],
    known: Callable[[Folder], UidSet],
    without: Container[bytes] = (),
    since: Callable[[Sequence[Folder]], int] = since_verified,
) -> Iterator[tuple[bytes, Sequence[Sighting]]]:
    """Yields each folder of the account, opened, with what arrived in it.

    `folders` are those that were planned, and `known` returns the destination UIDs that ledgers give away in one. `since`
    takes those that were planned into a destination folder, and returns the first UID that counts as arrived there. Only
    messages of these `sizes` count, and no folder of the names `without`.
    """
    planned: dict[bytes, list[Folder]] = defaultdict(list)
    for folder in folders:
        planned[folder.destination_name].append(folder)
    listing = destination.listing()
    tree = Tree(listing)
    names = [one.name for one in listing.folders if selectable(one) and tree.owner(one.name) is Owner.PERSONAL]
    for name, status in zip(names, known_statuses(destination, names), strict=True):
        if name in without or isinstance(status, Exception) or not status.messages:
            continue
        ours = [folder for folder in planned[name] if status.same_uids(folder.destination_uidvalidity)]
        window = UidSet.span(max(1, since(ours)), status.uidnext - 1)
        for folder in ours:
            window -= known(folder)
        if not window:
            continue
        try:
            opened = destination.open(name)
        except FolderRefused:
            continue
        if alike := UidSet.of(uid for uid, size in destination.sizes(opened, window) if size in sizes):
            yield name, list(destination.sightings(alike))
