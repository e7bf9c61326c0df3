"""Opens the folder of a batch at both sides, and finds out whether it is the folder that was planned."""

from __future__ import annotations

from typing import Final

from shared.mail import KnownStatus, MailDestination, MailSource
from shared.mail.answers.limits import may_be_too_large
from shared.mail.answers.refusals import response_code
from shared.model import Lease, batch_id
from shared.model.errors import FolderChanged, FolderRefused, FolderVanished, MailError
from shared.model.sides import Side
from shared.store import WorkStore
from shared.wording.often_said import FOLDER_RECREATED
from shared.wording.phrases import Phrase
from worker.copying.recovery import known_destinations
from worker.copying.writers import FolderWriters
from worker.decisions.failures import MOST_REMADE, changed_in_a_row

IS_NUMBERED_ANEW_EACH_TIME: Final = Phrase(
    "is_numbered_anew_each_time", "{folder} is numbered anew each time it is opened (UIDVALIDITY)"
)
IS_ANOTHER_FOLDER_EACH_TIME: Final = Phrase(
    "is_another_folder_each_time", "{folder} is another folder each time it is opened (UIDVALIDITY)"
)
IS_NO_LONGER_LISTED: Final = Phrase(
    "is_no_longer_listed", "{folder} is no longer in the list of folders: somebody renamed or removed it"
)
WAS_REMOVED_MEANWHILE: Final = Phrase(
    "was_removed_meanwhile", "{folder} was removed while it was being filled; it is made again"
)

#: Response codes of an APPEND into a folder that is not there (RFC 9051 §6.3.12, §7.1).
_GONE: Final = frozenset({"TRYCREATE", "NONEXISTENT"})


class BatchFolders:
    """The folder of one batch under one lease, at both sides."""

    def __init__(
        self,
        lease: Lease,
        store: WorkStore,
        source: MailSource,
        destination: MailDestination,
        writers: FolderWriters,
        *,
        labels: bool,
    ) -> None:
        """Takes `labels`: several folders of the source may show one message (`worker.copying.gmail_sharing`)."""
        assert lease.folder is not None, "a batch has a folder"
        self._lease, self._folder, self._store, self._writers = lease, lease.folder, store, writers
        self._source, self._destination, self._labels = source, destination, labels

    def open(self) -> tuple[KnownStatus, KnownStatus]:
        """Opens the folder at both sides, and returns the source's status and the destination's.

        Raises `FolderChanged` where either is not the folder that was planned, so that the mailbox is planned anew; and
        `FolderRefused` where that happened too often, or a side refuses the folder.
        """
        lease, folder = self._lease, self._folder
        doubtful = may_be_too_large(self._destination.capabilities, lease.unit.size_bytes)
        unclear = lease.intents or doubtful or self._labels or not self.as_planned()
        if not unclear and (remaining := lease.remaining):
            self._source.foresee(folder.source_name, self._writers.first_part(remaining, self._destination))
        here, made = self._opened_there(folder.destination_name)
        there = self._opened_at_source()
        if not there.same_uids(folder.uidvalidity):
            if folder.remade >= MOST_REMADE:
                raise FolderRefused(Side.SOURCE, IS_NUMBERED_ANEW_EACH_TIME.says(folder=folder.display))
            raise FolderChanged(Side.SOURCE, FOLDER_RECREATED.says(folder=folder.display))
        if not here.same_uids(folder.destination_uidvalidity) and (made or not self._still_unused(here)):
            if folder.remade >= MOST_REMADE:
                raise FolderRefused(Side.DESTINATION, IS_ANOTHER_FOLDER_EACH_TIME.says(folder=folder.display))
            raise FolderChanged(Side.DESTINATION, FOLDER_RECREATED.says(folder=folder.display))
        return there, here

    def refused(self, error: MailError) -> MailError:
        """Returns the error that a refused APPEND stands for: `FolderChanged` where the folder is gone since it was opened.

        Then it is made again by the next plan, unless that happened too often.
        """
        gone = isinstance(error, FolderRefused) and response_code(error.detail.encode()) in _GONE
        if not gone or self._folder.remade >= MOST_REMADE:
            return error
        return FolderChanged(Side.DESTINATION, WAS_REMOVED_MEANWHILE.says(folder=self._folder.display), error.detail)

    def _still_unused(self, here: KnownStatus) -> bool:
        """Tells whether the destination folder is empty, and nothing of ours was ever sent there.

        Some servers give such a folder another UIDVALIDITY each second (GNU Mailutils). Nothing that was planned is void
        then: the next intent says which folder it is.
        """
        folder = self._folder
        return (
            not here.messages
            and here.uidnext >= folder.destination_uidnext
            and not self._lease.intents
            and not self._writers.asks
            and not known_destinations(self._store, folder.folder_id)
        )

    def _opened_at_source(self) -> KnownStatus:
        """Opens the source folder.

        Raises `FolderChanged` where its user renamed or removed it, so that planning follows it; `FolderVanished` where a plan
        did not find it either.
        """
        folder = self._folder
        try:
            return self._source.open(folder.source_name)
        except FolderRefused as refused:
            if any(one.name == folder.source_name for one in self._source.listing().folders):
                raise
            said = IS_NO_LONGER_LISTED.says(folder=folder.display)
            if folder.gone_at_source:
                raise FolderVanished(Side.SOURCE, said, refused.detail) from None
            # One plan more for each batch would find the same.
            if changed_in_a_row(self._lease.mailbox) >= MOST_REMADE:
                raise
        raise FolderChanged(Side.SOURCE, said)

    def _opened_there(self, name: bytes) -> tuple[KnownStatus, bool]:
        """Opens the destination folder, and creates it once where it is missing. Tells whether it was missing.

        It is missing when somebody removed it, or no name that was tried for it was taken. It is another folder then,
        so the mailbox is planned anew. Raises the server's refusal to create it.
        """
        lease = self._lease
        # Who looks for what an earlier holder, another lane or another import brought looks at what is there since the claim; so
        # does who waited for a rate.
        past = lease.intents or lease.restarted or lease.unit.attempts > 1
        anew = past or lease.neighbours or lease.due or self._writers.asks
        try:
            return self._destination.open(name, announced=not anew), False
        except FolderRefused:
            for error in self._destination.create([name]):
                if error is not None:
                    raise error from None
        return self._destination.open(name), True

    def as_planned(self) -> bool:
        """Tells whether the batch is as it was planned, so that its size is the sum of the source's sizes.

        The size of a half is an estimate; the size of what is tried again may be unknown.
        """
        unit, folder = self._lease.unit, self._folder
        return unit.unit_id == batch_id(folder.folder_id, folder.uidvalidity, unit.uids)
