"""Verifies one mailbox: the destination is counted and compared with the ledger, folder by folder.

Each message is identified by the UIDs of the ledger, its size, internal date and header fingerprint: the sum of marks
that copying kept for a batch must be the sum of what the destination shows. The worker that copied a batch reads it
back while the folder is open (`worker.copying.copy`); here the folders are counted, and what is not yet checked is read, its
keywords too (`worker.verifying.flags_amiss`). Only
where sums differ are both sides compared message by message. The mode "anew" reads every folder again; "full" reads
every message on both sides and compares SHA-256 of the canonical bytes.

The only things ever removed are second copies that are proved to be ours (`worker.verifying.doubles`), and where the operator asks
for it copies of what was deleted at the source (`worker.following.deletions_followed`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from shared.content.fingerprint import MODULUS, mark
from shared.folders.tree import selectable
from shared.mail import KnownStatus, MailDestination, MailSession, MailSource, Sighting
from shared.model import Audit, Folder, Lease, LedgerEntry, Note, Options, Tally
from shared.model.choices import Verification
from shared.model.errors import ControlRequested, FolderChanged, FolderRefused, MailError
from shared.model.events import DuplicatesRemoved, Listener, TakenAway, VerifyMismatch
from shared.model.ledger import AUDITED
from shared.model.lifecycle import Outcome, Wish
from shared.model.sides import Side
from shared.model.uids import Uid, UidSet
from shared.store import Store
from shared.wording.phrases import Phrase
from worker.copying.batch_folders import IS_NO_LONGER_LISTED
from worker.copying.flag_completion import complete_flags
from worker.copying.inflight import stop_on, while_wanted
from worker.copying.neighbours import Neighbours
from worker.copying.recovery import known_destinations
from worker.decisions.closing import Finished, InDoubt
from worker.decisions.difference import CONTENT, FORM, Told, difference, unlike
from worker.decisions.failures import MOST_REMADE, changed_in_a_row
from worker.following.deletions_followed import DeletionsFollowing
from worker.following.departures import MISSING, MOVED, REMOVED, Departure, counts_on, new_places, with_places
from worker.planning.counted import CountedFolders, counted_again
from worker.sessions.mailbox_sessions import MailboxSessions
from worker.verifying.comparison import Comparison
from worker.verifying.doubles import doubles, elsewhere, made_twice, notes_of
from worker.verifying.flags_amiss import flags_amiss

DESTINATION_LOST_ITS_FOLDER: Final = Phrase(
    "destination_lost_its_folder",
    "the destination lost its folder, where it was UID {uid}, and the source no longer has it",
)
WAS_REMOVED_OR_RECREATED: Final = Phrase("was_removed_or_recreated", "{folder} was removed or recreated")
IT_IS_BACK_AT_SOURCE: Final = Phrase(
    "it_is_back_at_source", "it is back at the source, and its copy was removed (UID {uid})"
)
REMOVED_BY_ITS_USER: Final = Phrase(
    "removed_by_its_user", "its user removed it at the destination, where it was UID {uid}"
)
NO_LONGER_IN_DESTINATION_FOLDER: Final = Phrase(
    "no_longer_in_destination_folder", "UID {uid} is no longer in the destination folder"
)

#: Number of settle times after a message was sent again for which its first copy is still waited for.
LATE_TIMES = 4

#: The differences that are reported and counted in the metrics.
MISMATCHES: Final = (CONTENT, FORM, MISSING)


class MailboxVerification:
    """The verification of one mailbox under one lease."""

    def __init__(
        self,
        lease: Lease,
        store: Store,
        sessions: MailboxSessions,
        neighbours: Neighbours,
        *,
        options: Options,
        wish: Callable[[], Wish],
        tell: Listener,
        settle_seconds: float = 30.0,
        counted: CountedFolders | None = None,
    ) -> None:
        """Takes `settle_seconds` as in `CopyRules`, and what planning counted where it found nothing to do."""
        self._planned = counted
        self._lease, self._store, self._sessions, self._neighbours = lease, store, sessions, neighbours
        self._options, self._mode, self._wish, self._tell = options, options.verify, wish, tell
        self._full = self._mode == Verification.FULL
        self._comparison = Comparison(store, lease) if self._full else None
        self._settle_seconds = settle_seconds
        #: Whether an earlier run had brought mail of which no record is left.
        self._lost = False
        #: Notes about second copies in the current folder.
        self._doubles: list[Note] = []
        #: Folder → digests of ledger entries of which copies were removed with their messages.
        self._digests: dict[str, dict[str, int]] = {}
        #: The copies that users took away since the last verification.
        self._departures: list[Departure] = []
        #: The copies of messages that were sent again, by folder and source UID.
        self._sent_again: dict[tuple[str, int], Sighting] = {}

    def run(self, planned: Sequence[tuple[Folder, Tally]]) -> Finished | InDoubt:
        """Compares every folder. Raises what the ports raise, and `ControlRequested`."""
        folders = [(folder, tally) for folder, tally in planned if folder.destination_uidvalidity]
        if (late := self._late_seconds([folder for folder, _ in folders])) > 0:
            return InDoubt(seconds=late)
        self._lost = any(tally[Outcome.ALREADY_PRESENT] for _, tally in folders)
        audits: list[Audit] = []
        try:
            if folders:
                folders = self._without_deleted(self._sessions.destination(self._lease.mailbox), folders)
                audits.extend(self._audits(folders, audits))
        except (ControlRequested, MailError) as error:
            if self._lasts and self._wish() is not Wish.LOST:
                self._store.audit(self._lease, self._with_digests(audits))
            if isinstance(error, FolderRefused) and error.side == Side.SOURCE:
                self._follow(error)
            raise
        if self._comparison:
            self._comparison.tell()
        self._store.audit(self._lease, self._placed(self._with_digests(audits), [folder for folder, _ in folders]))
        return Finished()

    def _follow(self, refused: FolderRefused) -> None:
        """Raises `FolderChanged` where the source does not list a folder of the plan any more, so that planning follows it.

        Its user renamed or removed it since. What a plan did not find either stays refused.
        """
        listed = {folder.name for folder in self._sessions.source(self._lease.mailbox).listing().folders}
        planned = (
            folder for folder, _ in self._store.folders(self._lease.mailbox.mailbox_id) if not folder.gone_at_source
        )
        for folder in planned:
            if folder.source_name not in listed and changed_in_a_row(self._lease.mailbox) < MOST_REMADE:
                raise FolderChanged(Side.SOURCE, IS_NO_LONGER_LISTED.says(folder=folder.display)) from refused

    def _audits(self, folders: Sequence[tuple[Folder, Tally]], found: Sequence[Audit]) -> Iterator[Audit]:
        """Yields the audit of each folder that is compared. `found` are those that it has yielded."""
        destination = self._sessions.destination(self._lease.mailbox)
        names = [folder.destination_name for folder, _ in folders]
        statuses = counted_again(destination, names, self._planned, self._lease.mailbox.mailbox_id, time.monotonic())
        for (folder, tally), status in zip(folders, statuses, strict=True):
            self._stop_between(found)
            taken = len(folder.released) + tally.moved + tally.removed
            ours = tally[Outcome.COPIED] + tally[Outcome.ALREADY_PRESENT] - taken
            if folder.gone_at_source and _is_another(destination, folder, status, ours):
                yield self._given_up(folder)
                continue
            if folder.remade < MOST_REMADE and _is_another(destination, folder, status, ours):
                raise FolderChanged(Side.DESTINATION, WAS_REMOVED_OR_RECREATED.says(folder=folder.display))
            if isinstance(status, Exception):
                raise status
            seen = _seen(folder, status)
            # Messages that are back at the source, although their copies were removed with them.
            back = folder.deleted_too - folder.deleted
            if seen == folder.verified and self._mode == Verification.DEFAULT and not back:
                continue
            told = tally.altered or tally.normalised or tally.missing or tally.watched or tally.doubled
            told = told or tally.moved or tally.removed > len(folder.taken_away)
            # More messages than ours came since the folder was planned: delivered mail, or second copies.
            more = status.messages > folder.destination_messages + tally[Outcome.COPIED] - taken
            looked = folder.unchecked or folder.doubts or status.messages < ours or more or back
            if self._mode != Verification.DEFAULT or looked or told:
                # The folder holds fewer messages than the ledger says, and it is unknown which are missing: all are
                # looked at.
                thorough = self._mode != Verification.DEFAULT or status.messages < ours or bool(back)
                notes = self._store.notes(folder.folder_id) if told else []
                yield self._folder(destination, folder, thorough, more or bool(tally.doubled), notes)
            else:
                yield Audit(folder_id=folder.folder_id, verified=seen, removed=len(folder.taken_away))

    @property
    def _lasts(self) -> bool:
        """Tells whether the next attempt goes on behind the folders that were compared.

        Who asks for more than is due has everything compared, and what users took away is told with the whole mailbox.
        """
        return self._mode == Verification.DEFAULT and not (self._departures or self._sent_again)

    def _stop_between(self, found: Sequence[Audit]) -> None:
        """Stops between two folders as is wanted, and gives way to another import where the attempt got on."""
        stop_on(self._wish() if found and self._lasts else self._firm_wish())

    def _firm_wish(self) -> Wish:
        """Returns what is wanted, apart from another import's share: inside of a folder all of it would be read again."""
        wish = self._wish()
        return Wish.RUN if wish is Wish.YIELD else wish

    def _with_digests(self, audits: Iterable[Audit]) -> list[Audit]:
        return [replace(one, digests={**self._digests.get(one.folder_id, {}), **one.digests}) for one in audits]

    def _without_deleted(
        self, destination: MailDestination, folders: Sequence[tuple[Folder, Tally]]
    ) -> list[tuple[Folder, Tally]]:
        """Removes the copies of what was deleted at the source, where the operator asked for it."""
        following = DeletionsFollowing(
            self._lease, self._store, destination, self._tell, lambda: stop_on(self._firm_wish())
        )
        changed = following.run(folders, self._options)
        self._digests = following.digests
        return [(changed.get(folder.folder_id, folder), tally) for folder, tally in folders]

    def _placed(self, audits: list[Audit], folders: Sequence[Folder]) -> list[Audit]:
        """Returns the audits with where users moved what they took away.

        Those that tell of it come first: they need the numbers that the others had at the last verification. Tells of what
        was sent again, and may stand in another folder, too.
        """

        def known(folder: Folder) -> UidSet:
            return known_destinations(self._store, folder.folder_id) | self._neighbours.held(folder)

        if self._sent_again:
            destination = self._sessions.destination(self._lease.mailbox)
            notes = elsewhere(destination, self._sent_again, folders, known)
            audits = [_doubled(audit, notes.get(audit.folder_id, ())) for audit in audits]
        if not self._departures:
            return audits
        destination = self._sessions.destination(self._lease.mailbox)
        places = new_places(destination, self._departures, folders, known)
        for what, number in ((MOVED, len(places)), (REMOVED, len(self._departures) - len(places))):
            if number:
                self._tell(TakenAway(what=what, messages=number))
        return sorted((with_places(audit, places) for audit in audits), key=lambda one: not (one.moved or one.removed))

    def _counted(self, sightings: Iterable[Sighting]) -> Iterable[Sighting]:
        """Passes the same messages on. Where every message is read whole, counts them and stops as the operator wants."""
        return while_wanted(self._firm_wish, self._comparison.counted(sightings)) if self._comparison else sightings

    def _whole(self, session: MailSession, uids: Iterable[int]) -> dict[int, Sighting]:
        """Reads these messages whole, and returns them by UID. Raises `ControlRequested`."""
        read = session.sightings(UidSet.of(uids), full=True)
        return {seen.uid: seen for seen in while_wanted(self._firm_wish, read)}

    def _late_seconds(self, folders: Sequence[Folder]) -> float:
        """Returns how long the first copy of a message that was sent again may still arrive.

        The worker sent the message again because it was not found.
        """
        late = max((folder.doubted_at for folder in folders), default=0.0) + LATE_TIMES * self._settle_seconds
        return late - self._lease.claimed_at if any(folder.doubts for folder in folders) else 0.0

    def _folder(
        self, destination: MailDestination, folder: Folder, thorough: bool, more: bool, kept: Sequence[Note]
    ) -> Audit:
        """Compares one folder and returns its audit.

        `more`: the folder holds, or held, more messages than it should; `kept`: the notes of an earlier pass about its
        messages.
        """
        entries = [entry for entry in self._store.ledger(folder.folder_id) if entry.records]
        status = destination.open(folder.destination_name)
        told = Told.of(kept)
        steady = counts_on(folder, status, entries)
        digests: dict[str, int] = {}
        notes: list[Note] = []
        checked = []
        for entry in entries:
            stop_on(self._firm_wish())
            pairs = [pair for record in entry.records for pair in record.pairs() if pair[0] not in folder.released]
            if entry.checked and not thorough:
                pairs = [(uid, to) for uid, to in pairs if uid in told.uids]
                notes += self._compared(destination, folder, pairs, told, steady) if pairs else []
                continue
            digest, found = self._entry(destination, folder, entry, pairs, told, steady and entry.checked)
            notes += found
            if not any(note.what == MISSING for note in found):
                # A difference is noted, and looked at again for the note.
                digests |= {entry.name: digest} if digest != entry.digest else {}
                checked.append(entry.name)
        self._doubles = []
        altered = UidSet.of(note.uid for note in notes if note.what == CONTENT)
        lost = self._lost and not folder.verified
        if folder.doubts or more or thorough or (lost and altered):
            status = self._remove_second_copies(destination, folder, entries, status, altered, lost=lost)
        notes += flags_amiss(destination, self._store, folder, status, entries)
        numbers = {what: sum(note.what == what for note in (*notes, *self._doubles)) for what in AUDITED}
        numbers[REMOVED] += len(folder.taken_away)
        known = {(note.uid, note.what) for note in kept}
        for what in MISMATCHES:
            if new := sum(note.what == what and (note.uid, what) not in known for note in notes):
                self._tell(VerifyMismatch(what=what, messages=new))
        return Audit(
            folder_id=folder.folder_id,
            verified=_seen(folder, status),
            digests=digests,
            checked=tuple(checked),
            notes=(*notes, *self._doubles),
            **numbers,
        )

    def _given_up(self, folder: Folder) -> Audit:
        """Returns the audit of a destination folder that the server lost, and that no source can fill again."""
        pairs = [
            p for entry in self._store.ledger(folder.folder_id) for record in entry.records for p in record.pairs()
        ]
        notes = tuple(
            _note(
                uid,
                MISSING,
                DESTINATION_LOST_ITS_FOLDER.says(uid=to),
                None,
            )
            for uid, to in pairs
            if uid not in folder.accepted
        )
        return Audit(
            folder_id=folder.folder_id,
            verified="",  # a later pass does not take it for removed by its user
            missing=len(notes),
            removed=len(folder.taken_away),
            notes=notes,
        )

    def _entry(
        self,
        destination: MailDestination,
        folder: Folder,
        entry: LedgerEntry,
        pairs: Sequence[tuple[Uid, Uid]],
        told: Told,
        steady: bool,
    ) -> tuple[int, list[Note]]:
        """Returns the digest of what the destination shows of a whole entry, and the differences from the source.

        `steady`: the messages were seen there once, and what is gone of them was taken away by a user.
        """
        here, digest = self._here(destination, UidSet.of(to for _, to in pairs))
        taken = sum(uid in told.gone and told.gone[uid].what != MISSING and to not in here for uid, to in pairs)
        if digest == entry.digest and len(here) == len(pairs) - taken and not self._full:
            pairs = [(uid, to) for uid, to in pairs if uid in told.uids]
        return digest, list(self._differences(folder, pairs, here, told, steady)) if pairs else []

    def _compared(
        self, destination: MailDestination, folder: Folder, pairs: Sequence[tuple[Uid, Uid]], told: Told, steady: bool
    ) -> list[Note]:
        """Returns the differences of just these pairs, of an entry whose messages were seen at the destination."""
        here, _ = self._here(destination, UidSet.of(to for _, to in pairs))
        return list(self._differences(folder, pairs, here, told, steady))

    def _here(self, destination: MailDestination, wanted: UidSet) -> tuple[dict[int, Sighting], int]:
        here: dict[int, Sighting] = {}
        digest = 0
        for s in self._counted(destination.sightings(wanted, full=self._full)):
            here[s.uid] = s
            digest += mark(s.uid, s.size_bytes, s.internaldate, s.fingerprint)
        return here, digest % MODULUS

    def _differences(
        self, folder: Folder, pairs: Sequence[tuple[Uid, Uid]], here: dict[int, Sighting], told: Told, steady: bool
    ) -> Iterator[Note]:
        gone = {uid: told.gone[uid] for uid, to in pairs if to not in here and uid in told.gone}
        yield from gone.values()
        pairs = [(uid, to) for uid, to in pairs if uid not in gone]
        if not pairs:
            return
        settled = {} if self._full else told.settled
        source = self._sessions.source(self._lease.mailbox)
        there: dict[int, Sighting] = {}
        open_ = [(uid, to) for uid, to in pairs if to in here and uid not in settled]
        if _is_as_planned(source, folder):
            uids = UidSet.of(uid for uid, to in pairs if uid not in settled)
            there = {s.uid: s for s in self._counted(source.sightings(uids, full=self._full))}
            if not self._full:
                # Some sources state sizes that are not those of the bytes they send (Exchange), servers split odd
                # headers in different ways, and a watched message may be changed where neither shows: the bytes decide.
                deep = [
                    (uid, to)
                    for uid, to in open_
                    if uid in there and (uid in told.deep or unlike(there[uid], here[to]))
                ]
                if deep:
                    destination = self._sessions.destination(self._lease.mailbox)
                    there |= self._whole(source, (uid for uid, _ in deep))
                    here |= self._whole(destination, (to for _, to in deep))
        for uid, to in pairs:
            original, copy = there.get(uid), here.get(to)
            if copy is None:
                if uid in folder.deleted_too:
                    yield _note(uid, MISSING, IT_IS_BACK_AT_SOURCE.says(uid=to), original)
                elif steady:
                    if original is not None:
                        self._departures.append(Departure(folder_id=folder.folder_id, original=original))
                    yield _note(uid, REMOVED, REMOVED_BY_ITS_USER.says(uid=to), original)
                else:
                    yield _note(uid, MISSING, NO_LONGER_IN_DESTINATION_FOLDER.says(uid=to), original)
            elif original is None:
                yield from told.of_uid(uid)  # it was compared before, or can no longer be compared
            elif found := difference(original, copy):
                yield _note(uid, found.what, found.reason, original)

    def _remove_second_copies(
        self,
        destination: MailDestination,
        folder: Folder,
        entries: list[LedgerEntry],
        status: KnownStatus,
        altered: UidSet,
        *,
        lost: bool,
    ) -> KnownStatus:
        """Removes what is proved to be a second copy of ours, and notes what may be one.

        `altered` are messages whose copies differ in content. `lost`: copies of these that an earlier run had brought may be
        there, and could not be recognised. Returns the folder's status afterwards.
        """
        pairs: dict[int, int] = {s: d for entry in entries for record in entry.records for s, d in record.pairs()}
        theirs = self._neighbours.held(folder)
        doubted = {to: uid for uid, to in pairs.items() if uid in folder.doubts}
        for seen in destination.sightings(UidSet.of(doubted)) if doubted else ():
            self._sent_again[folder.folder_id, doubted[seen.uid]] = seen
        found = doubles(destination, status, folder, pairs, lost=self._lost, theirs=theirs)
        told = {double.extra for double in found}
        again = [
            double
            for before in (True, False)
            if before <= lost
            for double in made_twice(destination, status, folder, pairs, altered, lost=before, theirs=theirs)
            if double.extra not in told
        ]
        if again:
            flags = dict(destination.flags(UidSet.of(double.extra for double in again)))
            # People may have read and marked the one that goes.
            complete_flags(destination, status.permanent_flags, {d.copy: flags.get(Uid(d.extra), ()) for d in again})
            found = [*found, *again]
        ours = UidSet.of(double.extra for double in found if double.ours)
        removed = bool(ours) and destination.remove(ours)
        self._doubles += notes_of(found, removed=removed)
        if not removed:
            return status
        self._tell(DuplicatesRemoved(messages=len(ours)))
        return destination.open(folder.destination_name)


def _is_another(destination: MailDestination, folder: Folder, status: KnownStatus | Exception, ours: int) -> bool:
    """Tells whether the folder that was filled is gone: removed, or removed and created again by somebody.

    Created again, an empty folder with none of `ours` is as good as before: some servers give an empty folder another
    UIDVALIDITY each second.
    """
    if isinstance(status, Exception):
        there = {one.name for one in destination.listing().folders if selectable(one)}
        return isinstance(status, FolderRefused) and folder.destination_name not in there
    return bool(ours > 0 or status.messages) and not status.same_uids(folder.destination_uidvalidity)


def _doubled(audit: Audit, notes: Sequence[Note]) -> Audit:
    """Returns the audit with these notes on messages that may stand twice, beside its own."""
    told = {note.uid for note in audit.notes if note.what == "doubled"}
    new = [note for note in notes if note.uid not in told]
    return replace(audit, notes=(*audit.notes, *new), doubled=audit.doubled + len(new))


def _seen(folder: Folder, status: KnownStatus) -> str:
    return f"{folder.uidvalidity}:{folder.uidnext}/{status.uidvalidity}:{status.uidnext}:{status.messages}"


def _is_as_planned(source: MailSource, folder: Folder) -> bool:
    """Opens the source folder, and tells whether its UIDs still mean the messages that were planned.

    Not with another UIDVALIDITY, and not where the source no longer lists it: then nothing can be compared.
    """
    try:
        return source.open(folder.source_name).uidvalidity == folder.uidvalidity
    except FolderRefused:
        if not folder.gone_at_source:
            raise
        return False


def _note(uid: int, what: str, reason: str, seen: Sighting | None) -> Note:
    return Note(
        uid=uid,
        what=what,
        reason=reason,
        message_id=seen.message_id if seen else "",
        internaldate=seen.internaldate if seen else None,
        size_bytes=seen.size_bytes if seen else -1,
    )
