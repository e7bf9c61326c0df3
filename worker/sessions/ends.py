"""Checks that a mailbox's source and destination are two different mailboxes, and not the wrong way round.

The check runs before anything of a mailbox is copied for the first time, by numbers that planning already has: it costs
no further round trip unless there is a suspicion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from shared.folders.mapping import MappedFolder
from shared.mail import FolderStatus, KnownStatus, MailDestination, MailSession, MailSource
from shared.mail.one_mailbox import may_be_one, same_folders, same_maildrop, same_numbers
from shared.model import Lease, Tally
from shared.model.errors import MaybeSwapped, SameMailbox
from shared.model.lifecycle import MailboxState
from shared.model.sides import Side
from shared.model.uids import UidSet
from shared.wording.phrases import Phrase
from worker.decisions.failures import PERHAPS_SWAPPED, SWAPPED_LOOKS

PERHAPS_SWAPPED_OTHERS_AWAITED: Final = Phrase(
    "perhaps_swapped_others_awaited",
    "is empty and the destination is not: whether that is so of all mailboxes is awaited",
)

#: Number of messages that are compared where the numbers are the same.
_SAMPLE = 20
#: States in which a mailbox may still turn out to have mail.
_UNCOUNTED = (MailboxState.QUEUED, MailboxState.PLANNING)

#: The content of an import: its sums, and its mailboxes by state.
Counted = tuple[Tally, Mapping[MailboxState, int]]
Statuses = Sequence[KnownStatus | Exception]


class Ends:
    """Checks the two sides of one mailbox that was never planned; both are signed in to."""

    def __init__(
        self,
        lease: Lease,
        source: MailSource,
        destination: MailDestination,
        counted: Callable[[], Counted],
        brought: Callable[[int | None], bool],
    ) -> None:
        """Takes `counted`, which returns what the whole import has shown so far, and `brought`.

        `brought` tells whether another import of ours copied from this source into the destination folder of this
        UIDVALIDITY.
        """
        self._counted, self._brought = counted, brought
        self._mailbox, self._failure = lease.mailbox, lease.mailbox.failure
        self._source, self._destination = source, destination

    def look(self, mapped: Sequence[MappedFolder], there: KnownStatus, here: Statuses, at: int) -> None:
        """Raises `SameMailbox` when all source folders are the destination's folders.

        `there`, the first source folder with mail (the `at`-th of `mapped`), is then the destination's folder, and all
        others are too. `here` is what the destination said of each folder. Copies that we made there ourselves prove
        nothing.
        """
        ours = here[at]
        if isinstance(ours, Exception) or there.messages != ours.messages or not self._may_be_one():
            return
        ends = (self._mailbox.source, self._mailbox.destination)
        same = same_maildrop(self._source, there, ours, ends)
        if not same and same_numbers(there, ours):
            same = (
                self._same_changes(mapped, here) and self._alike(mapped[at], there) and self._shows_a_change(mapped[at])
            )
        if same and not self._brought(ours.uidvalidity):
            raise SameMailbox(Side.SOURCE, SameMailbox.ONE)

    def _same_changes(self, mapped: Sequence[MappedFolder], here: Statuses) -> bool:
        """Tells whether all folders agree, also in their mod-sequences, which a copy of the account keeps only until one changes.

        The destination is asked for these before and after the source: in one mailbox, flags may change meanwhile.
        """
        before = self._told_here(mapped, here)
        names = [one.source_name for one in mapped]
        theirs = dict(zip(names, self._source.statuses(names), strict=True))
        return same_folders(theirs, before) or same_folders(theirs, self._told_here(mapped, here))

    def _told_here(self, mapped: Sequence[MappedFolder], here: Statuses) -> dict[bytes, FolderStatus | Exception]:
        told = self._destination.statuses([one.destination_name for one in mapped], changes=True)
        return {
            one.source_name: known if isinstance(now, Exception) else now
            for one, now, known in zip(mapped, told, here, strict=True)
        }

    def _may_be_one(self) -> bool:
        return may_be_one(self._mailbox.source.endpoint, self._mailbox.destination.endpoint)

    def _alike(self, folder: MappedFolder, there: KnownStatus) -> bool:
        """Tells whether the last messages of both folders are the same ones under the same UIDs.

        Leaves both folders open.
        """
        window = UidSet.span(max(1, there.uidnext - _SAMPLE), there.uidnext - 1)
        self._source.open(folder.source_name)
        self._destination.open(folder.destination_name)
        shown = [
            {seen.uid: (seen.size_bytes, seen.internaldate, seen.fingerprint) for seen in side.sightings(window)}
            for side in (self._source, self._destination)
        ]
        return shown[0] == shown[1]

    def _shows_a_change(self, folder: MappedFolder) -> bool:
        """Tells whether the source shows that the folder is (un)subscribed at the destination; True where that cannot be tried.

        Numbers may agree by chance: two servers on one machine, whose accounts were made in one second, show the same once the
        state of an import is lost. Afterwards the subscription is as it was.
        """
        there, here = _subscribed(self._source, folder.source_name), _subscribed(self._destination, folder.source_name)
        if there is not here:
            return False
        change, undo = self._destination.subscribe, self._destination.unsubscribe
        if here:
            change, undo = undo, change
        change([folder.source_name])
        try:
            if _subscribed(self._destination, folder.source_name) is here:
                return True
            return _subscribed(self._source, folder.source_name) is not there
        finally:
            undo([folder.source_name])
            self._destination.noop()  # nobody waits for the answer to the command before

    def look_at_all(self, here: Statuses) -> None:
        """Checks a mailbox whose source holds nothing.

        If the destination holds mail and no other mailbox of the import has shown any, the sides may be swapped. Raises
        `MaybeSwapped` while other mailboxes may still show mail, then `SameMailbox`.
        """
        if not any(not isinstance(one, Exception) and one.messages for one in here):
            return
        tally, states = self._counted()
        if tally.messages:
            return
        waited = self._failure.times if self._failure and self._failure.code == PERHAPS_SWAPPED else 0
        others = sum(states.get(state, 0) for state in _UNCOUNTED) > 1
        if others and waited < SWAPPED_LOOKS:
            raise MaybeSwapped(Side.SOURCE, PERHAPS_SWAPPED_OTHERS_AWAITED.says())
        raise SameMailbox(Side.SOURCE, SameMailbox.SWAPPED)


def _subscribed(session: MailSession, name: bytes) -> bool:
    return any(folder.subscribed for folder in session.listing().folders if folder.name == name)
