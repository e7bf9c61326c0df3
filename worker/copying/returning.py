"""The copy back: decides what a rollback brings from the destination to the source, and into which folder.

An import that returns another one (`Options.returns`) goes the other way: its source is that one's destination. Of each
folder it takes what has a UID at or above the mark that was kept just before the switch, is not in the ledger as a copy
that mailhaul made, and does not stand in any folder of the old mailbox. Mail from there that its user moved since has a new
UID and a new folder; its bytes are what tells it. So nothing that came from the source goes back to it.

A folder whose UIDVALIDITY is another one than at the mark, and one that is new, has no mark: of these the bytes alone decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from shared.folders.tree import Tree, selectable
from shared.mail import FolderListing, MailDestination, MailSource, Sighting
from shared.model import (
    Folder,
    Import,
    Lease,
    LedgerEntry,
    Mailbox,
    Options,
    SwitchMarks,
    Tally,
    account_key,
    mailbox_id,
)
from shared.model.errors import CopyBackInDoubt, FolderRefused, NothingKnown, ServerRefused
from shared.model.lifecycle import MailboxState
from shared.model.messages import Owner
from shared.model.uids import NO_UIDS, UidSet
from shared.rules.selection import BEFORE_SWITCH, FROM_SOURCE, OURS
from shared.runtime.logs import get_logger
from shared.store.ports.brought import Books, between
from worker.copying.recognise import Recognition
from worker.decisions.closing import InDoubt
from worker.decisions.likeness import Reasons

_log = get_logger("mailhaul.worker")

#: Up to so many messages of the old mailbox are kept in memory as seen; of more, the headers are read anew for each folder
#: that something came to.
KEPT: Final = 50_000
#: The time for which a mailbox waits that is just being brought back, seconds.
BACK_SECONDS: Final = 5.0
#: States of a copy back in which it may write.
UNDER_WAY: Final = frozenset({MailboxState.QUEUED, MailboxState.PLANNING, MailboxState.COPYING, MailboxState.VERIFYING})


class SwitchReader(Protocol):
    """The part of the store that is asked about a switch."""

    def mailbox(self, mailbox_id: str) -> Mailbox | None: ...
    def folders(self, mailbox_id: str) -> list[tuple[Folder, Tally]]: ...
    def ledger(self, folder_id: str) -> list[LedgerEntry]: ...
    def switch_marks(self, mailbox_id: str) -> SwitchMarks | None: ...


class WayBack:
    """The copy back of one mailbox, between two signed-in sessions."""

    def __init__(self, lease: Lease, store: SwitchReader, options: Options) -> None:
        """Raises `NothingKnown` where the import that is returned, or its marks, are forgotten."""
        self._store, self._into = store, options.into
        self._origin = _origin_of(lease.mailbox, store, options.returns)
        marks = store.switch_marks(self._origin) if self._origin else None
        if marks is None:
            raise NothingKnown
        self._marks = {one.name: one for one in marks.folders}
        self._known = [folder for folder, _ in store.folders(self._origin)]
        #: Folder of the destination under its present name → its name when it was marked or planned.
        self._former: dict[bytes, bytes] = {}
        self._account: list[tuple[bytes, list[Sighting]]] | None = None

    def unsure(self, theirs: FolderListing) -> list[bytes]:
        """Returns the folders whose UIDVALIDITY is to be asked for: all, where one that was marked is gone."""
        names = [folder.name for folder in theirs.folders if selectable(folder)]
        return names if set(self._marks) - set(names) else []

    def places(self, theirs: FolderListing, numbers: dict[bytes, int]) -> dict[bytes, bytes]:
        """Returns, by the destination's folders as `theirs` lists them now, the source folders that they were made from.

        `numbers` are their UIDVALIDITYs. A folder that was renamed is found by its own, where no other has had it.
        """
        listed = {folder.name for folder in theirs.folders}
        once = Counter(one.uidvalidity for one in self._marks.values())
        now = Counter(numbers.values())
        gone = {
            mark.uidvalidity: mark.name
            for mark in self._marks.values()
            if mark.name not in listed and mark.uidvalidity and once[mark.uidvalidity] == 1 == now[mark.uidvalidity]
        }
        self._former = {
            name: gone[number] for name, number in numbers.items() if name not in self._marks and number in gone
        }
        made: dict[bytes, bytes] = {}
        for folder in self._known:
            made.setdefault(folder.destination_name, folder.source_name)
        former = {name: self._former.get(name, name) for name in listed}
        return {name: made[before] for name, before in former.items() if before in made}

    def folder_map(self, theirs: FolderListing, places: dict[bytes, bytes]) -> tuple[tuple[str, str], ...]:
        """Returns where folders go that are new below the folder into which everything was put: out of it again."""
        if not self._into:
            return ()
        tree, root = Tree(theirs), self._into.rstrip("/") + "/"
        shown = [tree.display(folder) for folder in tree.folders if folder.name not in places]
        return tuple((name, name.removeprefix(root)) for name in shown if name.startswith(root))

    def left_out(
        self, source: MailSource, destination: MailDestination, folder: Folder, uids: UidSet
    ) -> dict[str, UidSet]:
        """Returns those of `uids` of the folder now open at `source` that do not go back, by reason."""
        name = self._former.get(folder.source_name, folder.source_name)
        mark = self._marks.get(name)
        ours = self._ours(name, folder.uidvalidity) & uids
        rest = uids - ours
        before = NO_UIDS
        if mark is not None and 0 < mark.uidvalidity == folder.uidvalidity:
            before = rest & UidSet.span(1, mark.uidnext - 1)
            rest -= before
        there = self._there(source, destination, rest)
        return {
            reason: found for reason, found in ((OURS, ours), (BEFORE_SWITCH, before), (FROM_SOURCE, there)) if found
        }

    def _ours(self, name: bytes, uidvalidity: int) -> UidSet:
        """Returns the UIDs of the folder that the ledger of the import knows: copies of messages of the source."""
        ranges = [
            part
            for folder in self._known
            if folder.destination_name == name and folder.destination_uidvalidity == uidvalidity
            for entry in self._store.ledger(folder.folder_id)
            for record in entry.records
            for part in record.destination.ranges
        ]
        return UidSet.joined(ranges)

    def _there(self, source: MailSource, destination: MailDestination, uids: UidSet) -> UidSet:
        """Returns those of `uids` whose bytes stand in some folder of the old mailbox."""
        if not uids:
            return NO_UIDS
        found = NO_UIDS
        reasons = Reasons(source.sightings(uids))
        for name, seen in self._sightings(destination):
            alike = [one for one in seen if reasons.meet(one)]
            if not alike:
                continue
            destination.open(name)
            # One message of the source may have been copied several times: each of its copies came from there.
            while left := uids - found:
                pairs = Recognition(source, destination).among(left, alike)
                if not pairs:
                    break
                found |= UidSet.of(pairs)
        if found:
            _log.info("came_from_source", messages=len(found))
        return found

    def _sightings(self, destination: MailDestination) -> Iterator[tuple[bytes, list[Sighting]]]:
        """Yields each of the account's own folders of the old mailbox, and its messages."""
        if self._account is not None:
            yield from self._account
            return
        kept: list[tuple[bytes, list[Sighting]]] = []
        number = 0
        for name in _own(destination.listing()):
            seen = _seen(destination, name)
            number += len(seen)
            if number <= KEPT:
                kept.append((name, seen))
            yield name, seen
        if number <= KEPT:
            self._account = kept


def _seen(destination: MailDestination, name: bytes) -> list[Sighting]:
    try:
        opened = destination.open(name)
        return list(destination.sightings(UidSet.span(1, opened.uidnext - 1))) if opened.messages else []
    except (FolderRefused, ServerRefused):
        return []  # what cannot be read there cannot be told to stand there


def _own(listing: FolderListing) -> Sequence[bytes]:
    tree = Tree(listing)
    return [one.name for one in tree.folders if selectable(one) and tree.owner(one.name) is Owner.PERSONAL]


def _origin_of(mailbox: Mailbox, store: SwitchReader, import_id: str) -> str:
    """Returns the id of the mailbox whose copies are brought back; "" where it is no longer there."""
    for server in ("", mailbox.destination.endpoint.url):
        found = mailbox_id(import_id, mailbox.destination.login, mailbox.source.login, server)
        origin = store.mailbox(found)
        if origin and account_key(origin.source) == account_key(mailbox.destination):
            return found
    return ""


class BackReader(Books, Protocol):
    """The part of the store that is asked what came back."""

    def ledger(self, folder_id: str) -> list[LedgerEntry]: ...
    def switch_marks(self, mailbox_id: str) -> SwitchMarks | None: ...
    def in_doubt(self, mailbox_id: str) -> bool: ...
    def import_(self, import_id: str) -> Import | None: ...


def await_return(mailbox: Mailbox, store: BackReader) -> InDoubt | None:
    """Returns how long to wait while the mailbox is brought back. Raises `CopyBackInDoubt` where that stopped halfway.

    What a copy back has appended and not recorded would be taken for new mail of the source, and come a second time.
    """
    for one in returned(mailbox, store):
        if one.state in UNDER_WAY:
            return InDoubt(seconds=BACK_SECONDS)
        if store.in_doubt(one.mailbox_id):
            import_ = store.import_(one.import_id)
            raise CopyBackInDoubt(import_.name if import_ else one.import_id)
    return None


class KnownBack:
    """The copies back of the mailbox that a lane serves, asked for once in each of its passes.

    A batch holds what its pass listed at the source. What a copy back that was begun later brings there is in none of them.
    """

    def __init__(self, store: BackReader) -> None:
        self._store = store
        self._of: tuple[str, float] = ("", 0.0)
        self._found: list[Mailbox] = []

    def of(self, mailbox: Mailbox) -> list[Mailbox]:
        """Returns the copies back of this mailbox."""
        if self._of != (mailbox.mailbox_id, mailbox.planned_at):
            self._found = returned(mailbox, self._store)
            self._of = mailbox.mailbox_id, mailbox.planned_at
        return self._found


def returned(mailbox: Mailbox, store: BackReader) -> list[Mailbox]:
    """Returns the copies back of this mailbox. The store is asked once where it was never switched."""
    if store.switch_marks(mailbox.mailbox_id) is None:
        return []
    found = (store.mailbox(one) for one in between(store, mailbox.destination, mailbox.source))
    return [one for one in found if one is not None]
