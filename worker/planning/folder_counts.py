"""The numbers of a mailbox's folders, as STATUS tells them to a plan: each folder is asked for once.

Numbers go out in the flight before, where it is known which ones are wanted: behind LIST, of what was there and of what was made.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shared.folders.mapping import MappedFolder
from shared.mail import FolderListing, FolderStatus, KnownStatus, MailDestination, MailSource
from shared.mail.answers.numbers import as_opened, known_statuses
from shared.model import Folder
from shared.model.errors import FolderRefused
from worker.decisions.folder_opening import sure
from worker.decisions.mailbox_folders import MailboxFolders
from worker.decisions.whereabouts import SideView
from worker.planning.counted import CountedFolders
from worker.planning.folder_plan import NOT_THERE
from worker.sessions.mailbox_sessions import together

#: The folder that every account has (RFC 9051 §5.1).
INBOX = b"INBOX"


class FolderCounts:
    """The numbers that one plan knows, at both sides."""

    def __init__(self, source: MailSource, destination: MailDestination, *, alone: bool) -> None:
        """Takes `alone`: no source folder is asked for before its turn.

        Where a connection was lost twice, one folder may be the cause: each is opened by itself.
        """
        self._source, self._destination, self._alone = source, destination, alone
        #: Source folder → what STATUS said of it.
        self.there: dict[bytes, FolderStatus | Exception] = {}
        #: Destination folder → its numbers.
        self.here: dict[bytes, KnownStatus | Exception] = {}
        #: `MailDestination.commands` at the moment of all numbers `here`; -1 where they are of several moments.
        self.told_at = -1

    def listings(self, known: Sequence[Folder]) -> tuple[FolderListing, FolderListing]:
        """Lists both sides, and asks in the same flight for the numbers of the folders that the last pass planned."""
        return together(
            lambda: self._source.listing(counting=[f.source_name for f in known if self._asks(f)]),
            lambda: self._destination.listing(counting=list({f.destination_name: 0 for f in known}) or [INBOX]),
        )

    def _asks(self, folder: Folder) -> bool:
        return not (self._alone or folder.unreadable)

    def of_known(
        self, listings: tuple[FolderListing, FolderListing], known: Sequence[Folder]
    ) -> tuple[SideView, SideView]:
        """Returns both sides with the numbers of the folders that the last pass planned and that are listed still."""
        theirs, ours = (SideView(listing=one, numbers={}) for one in listings)
        if not known:
            return theirs, ours
        names = [f.source_name for f in known if f.source_name in theirs.names and self._asks(f)]
        places = list({f.destination_name: 0 for f in known if f.destination_name in ours.names})
        told, seen = together(lambda: self._source.statuses(names), lambda: known_statuses(self._destination, places))
        # What was another folder when a batch opened it is opened here too, whatever STATUS says.
        theirs_before = {f.source_name: -1 if f.remade else f.uidvalidity for f in known}
        ours_before = {f.destination_name: -1 if f.remade else f.destination_uidvalidity for f in known}
        self.there = as_opened(self._source, dict(zip(names, told, strict=True)), theirs_before)
        numbers = as_opened(self._destination, dict(zip(places, seen, strict=True)), ours_before)
        return SideView(listing=theirs.listing, numbers=self.there), self._still_listed(ours.listing, numbers)

    def _still_listed(self, listing: FolderListing, numbers: dict[bytes, FolderStatus | Exception]) -> SideView:
        """Returns the destination with a new listing where a folder is refused: its user may have renamed it since it was listed.

        Taken for one that was never there, it would lose its ledger, and all of it would come once more.
        """
        if any(isinstance(told, FolderRefused) for told in numbers.values()):
            listing = self._destination.listing()
        listed = {folder.name for folder in listing.folders}
        return SideView(listing=listing, numbers={name: told for name, told in numbers.items() if name in listed})

    def of_inbox(self) -> None:
        """Asks for the numbers of INBOX at the destination, of a mailbox that was never planned.

        Where they are refused, INBOX may have to be made first: it is asked for again with the others.
        """
        told = known_statuses(self._destination, [INBOX])[0]
        if isinstance(told, KnownStatus):
            self.here[INBOX] = told

    def at(self, names: Sequence[bytes]) -> dict[bytes, FolderStatus]:
        """Asks for the numbers of these source folders, and returns those that the source tells."""
        self.there.update(zip(names, self._source.statuses(names) if names else (), strict=True))
        return {name: told for name in names if not isinstance(told := self.there[name], Exception)}

    def survey(self, names: Sequence[bytes], opening: Sequence[bytes]) -> None:
        """Asks for the source folders that were not asked for yet, and opens those of `opening` in the same flight.

        All are asked for: EXAMINE must not tell of fewer messages than STATUS.
        """
        if new := [name for name in names if name not in self.there]:
            self.there.update(zip(new, self._source.survey(new, opening), strict=True))

    def asked_of(self, mapped: Sequence[MappedFolder], folders: MailboxFolders) -> list[bytes]:
        """Returns the source folders of which STATUS is asked."""
        return [m.source_name for m in mapped if not (m.skip or self._alone or folders.doubtful(m))]

    def at_source(
        self, mapped: Sequence[MappedFolder], folders: MailboxFolders, stated: dict[bytes, int]
    ) -> list[KnownStatus | Exception | None]:
        """Returns the numbers of each source folder; None for one that has to be opened (`worker.decisions.folder_opening.sure`).

        Enters the number of messages that STATUS states of each in `stated`.
        """
        names = self.asked_of(mapped, folders)
        self.survey(names, ())
        asked = {name: self.there[name] for name in names}
        for name, told in asked.items():
            if not isinstance(told, Exception):
                stated[name] = told.messages or 0
        return [sure(asked.get(one.source_name), folders.earlier(one)) for one in mapped]

    def at_destination(
        self, mapped: Sequence[MappedFolder], absent: Collection[bytes]
    ) -> list[KnownStatus | Exception]:
        """Returns the numbers of each destination folder, asked for where they are not known yet."""
        names = [m.destination_name for m in mapped if m.source_name not in absent]
        if new := list({name: 0 for name in names if name not in self.here}):
            alone = not self.here
            self.here.update(zip(new, known_statuses(self._destination, new), strict=True))
            self.told_at = self._destination.commands if alone else -1
        return [NOT_THERE if m.source_name in absent else self.here[m.destination_name] for m in mapped]

    def counted(self, mailbox_id: str, at: float) -> CountedFolders:
        """Returns what the destination's folders were seen to hold; `at` as in `CountedFolders`."""
        return CountedFolders(mailbox_id=mailbox_id, numbers=self.here, commands=self.told_at, at=at)
