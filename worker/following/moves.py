"""Follows moves at the source: moves the copy at the destination instead of copying the message a second time.

A message that is gone from one source folder and new in another is the same when the code that recognises copies says
so of the copy that we made of it (`worker.copying.recognise`). Its copy is moved by UID MOVE (RFC 6851), which never makes a
second one. Only where the copy is still where we put it: what its user moved or removed at the destination stays as it
is, and so does what we did not copy. Such a message is not copied into its new folder either (`worker.following.remainders`).

`Folder.moving` is stored before MOVE is sent, and goes when all folders that it concerns are planned. A later holder
that finds it looks in the other destination folder first, and moves what is not there.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace

from shared.mail import KnownStatus, MailDestination, MailSource, Sighting
from shared.model import Folder, Lease, Moving, Settled
from shared.model.errors import FolderRefused, MessagesRefused, OverQuota, ServerRefused
from shared.model.uids import NO_UIDS, UidSet
from shared.nouns import dataclass
from shared.runtime.logs import get_logger
from shared.store import Store
from worker.copying.recognise import Recognition
from worker.copying.recovery import arrived, known_destinations
from worker.decisions.flag_changes import FlagsSeen, flag_changes, translated
from worker.decisions.ledger_entries import settled_group
from worker.decisions.permanent_flags import settable_flags
from worker.decisions.sent import sent_as
from worker.following.deletions import as_counted, known_sources
from worker.following.departures import counts_on, without_marks
from worker.following.remainders import Remainders

_log = get_logger("mailhaul.worker")

_REFUSED = (FolderRefused, MessagesRefused, OverQuota, ServerRefused)


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderChange:
    """A folder of this pass, with what both sides say of it."""

    #: The folder, with its names.
    folder: Folder
    #: The source folder's status; None where it has to be opened.
    there: KnownStatus | None
    #: The destination folder's status.
    here: KnownStatus
    #: The folder as it was planned last; None before.
    before: Folder | None
    #: Whether this pass finds that its user removed the destination folder.
    removed: bool = False

    @property
    def lost(self) -> bool:
        """Tells whether the numbers show that messages went from the source folder."""
        before, there = self.before, self.there
        if before is None or there is None or not self._same(before, there):
            return False
        return there.messages - before.source_messages < max(0, there.uidnext - before.uidnext)

    @property
    def gained(self) -> bool:
        """Tells whether there may be new messages in the source folder."""
        before, there = self.before, self.there
        if before is None:
            return True
        return there is not None and self._same(before, there) and there.uidnext > before.uidnext

    @property
    def was_seen(self) -> bool:
        """Tells whether the destination folder is the one that was verified last."""
        before = self.before
        return before is not None and before.was_seen and self.here.same_uids(before.destination_uidvalidity)

    def _same(self, before: Folder, there: KnownStatus) -> bool:
        """Tells whether both folders are those that were planned before, or the user removed the destination's."""
        here = bool(before.destination_uidvalidity) and self.here.same_uids(before.destination_uidvalidity)
        return (here or self.removed) and there.same_uids(before.uidvalidity)


@dataclass(slots=True)
class Followed:
    """The moves that were followed."""

    #: Folder → the ledger entries of the copies that were moved into it.
    placed: dict[str, list[Settled]] = field(default_factory=lambda: defaultdict(list))
    #: Folder → the source UIDs whose copies were moved out of it.
    left: dict[str, UidSet] = field(default_factory=dict)
    #: Folder → the source UIDs of messages that were moved into it, after their user took the copies away.
    taken_away: dict[str, UidSet] = field(default_factory=dict)
    #: Folder → the digests of the ledger entries from which copies were moved away.
    digests: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    #: Folders that have notes of moves (`Folder.moving`).
    noted: list[str] = field(default_factory=list)

    def of(self, folder_id: str) -> UidSet:
        """Returns the source UIDs of the folder that need not be copied."""
        return UidSet.joined(
            [part for one in self.placed.get(folder_id, ()) for r in one.records for part in r.source.ranges]
        )


class MoveFollowing:
    """The following of moves in one plan, between two signed-in sessions. Not reused."""

    def __init__(self, lease: Lease, store: Store, source: MailSource, destination: MailDestination) -> None:
        self._lease, self._store, self._source, self._destination = lease, store, source, destination
        self._places: dict[str, FolderChange] = {}
        self._pending: Collection[str] = ()
        self._followed = Followed()
        self._remainders = Remainders(source, destination)
        #: Folder → its new messages of which nothing told whether they were moved.
        self._untold: dict[str, list[Sighting]] = {}
        #: Notes of what is left out, for a later holder.
        self._left_out: list[Moving] = []

    def run(self, places: Sequence[FolderChange], pending: Collection[str], *, follow: bool) -> Followed:
        """Moves the copies; folders `pending` have messages without an outcome, and are left alone.

        Without `follow` it only ends what an earlier holder began. Raises what the ports raise.
        """
        self._places, self._pending = {place.folder.folder_id: place for place in places}, pending
        for place in places:
            if place.before is not None and place.before.moving:
                self._followed.noted.append(place.folder.folder_id)
                for moving in place.before.moving:
                    self._end(place, moving)
        quiet = [place for place in places if place.folder.folder_id not in pending]
        losing, gaining = [p for p in quiet if p.lost], [p for p in quiet if p.gained]
        between = any(one is not other for one in losing for other in gaining)
        if follow and between and not self._lease.neighbours:
            if not self._destination.moves:
                _log.info("moves_not_followed", reason="the destination has no MOVE, or no UIDPLUS")
            self._begin(losing, gaining)
        return self._followed

    # -- finding moves

    def _begin(self, losing: Sequence[FolderChange], gaining: Sequence[FolderChange]) -> None:
        gone: dict[str, dict[int, int]] = {}
        copies: dict[str, list[Sighting]] = {}
        for place in losing:
            went, stand = self._losses(place)
            if went:
                gone[place.folder.folder_id], copies[place.folder.folder_id] = went, stand
        if not gone:
            return
        moves: dict[str, list[Moving]] = defaultdict(list)
        sizes = {seen.size_bytes for every in copies.values() for seen in every}
        for into in gaining:
            new = self._new(into)
            seen = list(self._source.sightings(UidSet.of(new))) if new and self._remainders else []
            told = self._remainders.among(seen)
            self._leave_out(into, told)
            alike = UidSet.of(uid for uid, size in new.items() if size in sizes)
            alike -= told | self._followed.of(into.folder.folder_id)
            for name, every in copies.items():
                if not alike or not every or name == into.folder.folder_id or into.removed:
                    continue
                self._destination.open(self._places[name].folder.destination_name)
                found = Recognition(self._source, self._destination).among(alike, every)
                if not found:
                    continue
                alike, told = alike - UidSet.of(found), told | UidSet.of(found)
                taken = {int(pair.copy.uid) for pair in found.values()}
                copies[name] = [seen for seen in every if seen.uid not in taken]
                messages = tuple(
                    (gone[name][int(p.copy.uid)], int(p.copy.uid), uid) for uid, p in sorted(found.items())
                )
                uidnext = into.here.uidnext
                moves[name].append(
                    Moving(folder_id=into.folder.folder_id, destination_uidnext=uidnext, messages=messages)
                )
            told |= self._followed.of(into.folder.folder_id)
            self._untold[into.folder.folder_id] = [one for one in seen if one.uid not in told]
        for name, uids in self._moved_elsewhere().items():
            self._leave_out(self._places[name], uids)
        moves[next(iter(gone))] += self._left_out
        for name, every_move in moves.items():
            if not every_move:
                continue
            place = self._places[name]
            kept = place.before.moving if place.before is not None else ()
            self._store.set_moving(self._lease, name, (*kept, *every_move))
            self._followed.noted.append(name)
            for moving in every_move:
                if moving.uidvalidity is None:
                    self._move(place, self._places[moving.folder_id], moving.messages, moving.destination_uidnext)

    def _losses(self, place: FolderChange) -> tuple[dict[int, int], list[Sighting]]:
        """Returns the copies whose messages went since the last pass, and those of them that can be moved.

        The former as destination UID → source UID; the latter are ours, and stand where we put them. Those that do not
        become remainders.
        """
        before = place.before
        assert before is not None
        name = before.folder_id
        with contextlib.suppress(FolderRefused, ServerRefused):
            opened = self._source.open(place.folder.source_name)
            shown = self._source.existing() if opened.messages else NO_UIDS
            if not opened.same_uids(before.uidvalidity) or not as_counted(shown, opened):
                return {}, []
            known = shown | before.deleted | before.released | self._followed.left.get(name, NO_UIDS)
            ledger = self._store.ledger(name)
            went = {int(to): int(uid) for e in ledger for r in e.records for uid, to in r.pairs() if uid not in known}
            if not went:
                return {}, []
            stand, steady = list[Sighting](), place.removed
            if not place.removed:
                status = self._destination.open(place.folder.destination_name)
                if not status.same_uids(place.here.uidvalidity or 0):
                    return {}, []
                steady = counts_on(before, status, ledger)
                stand = list(self._destination.sightings(UidSet.of(went)))
            if away := went.keys() - {int(seen.uid) for seen in stand}:
                gone = {to: went[to] for to in away}
                self._remainders.add(
                    before, ledger if steady else (), self._store.notes(name), gone, removed=place.removed
                )
            ours = (e for e in ledger if not e.name.startswith("adopted."))
            movable = (
                {int(to) for e in ours for r in e.records for to in r.destination} if self._destination.moves else ()
            )
            return went, [seen for seen in stand if seen.uid in movable]
        return {}, []

    def _leave_out(self, into: FolderChange, uids: UidSet) -> None:
        """Leaves these messages out of the folder's plan, since their user had taken the copies away."""
        name = into.folder.folder_id
        if uids := uids - self._followed.taken_away.get(name, NO_UIDS):
            self._followed.taken_away[name] = self._followed.taken_away.get(name, NO_UIDS) | uids
            messages = tuple((0, 0, uid) for uid in uids)
            opened = self._source.open(into.folder.source_name)
            self._left_out.append(Moving(folder_id=name, uidvalidity=opened.uidvalidity or 0, messages=messages))

    def _moved_elsewhere(self) -> dict[str, UidSet]:
        """Returns the new messages that stand where their user moved the copy, by folder."""
        new = {self._places[name].folder.source_name: seen for name, seen in self._untold.items() if seen}
        planned = {
            name: replace(place.before, destination_name=place.folder.destination_name)
            for name, place in self._places.items()
            if place.before is not None and place.was_seen and name not in self._pending
        }
        ours = [place.folder for place in self._places.values()]
        ours += [folder for folder, _ in self._store.folders(self._lease.mailbox.mailbox_id)]
        without = {folder.destination_name for folder in ours if folder.folder_id not in planned}
        found = self._remainders.elsewhere(new, list(planned.values()), self._known_destinations, without)
        return {name: found.get(self._places[name].folder.source_name, NO_UIDS) for name in self._untold}

    def _known_destinations(self, folder: Folder) -> UidSet:
        placed = self._followed.placed.get(folder.folder_id, ())
        moved = UidSet.of(to for one in placed for record in one.records for to in record.destination)
        return known_destinations(self._store, folder.folder_id) | moved

    def _new(self, place: FolderChange) -> dict[int, int]:
        """Opens the source folder, and returns UID → size of its new messages."""
        before = place.before
        with contextlib.suppress(FolderRefused, ServerRefused):
            opened = self._source.open(place.folder.source_name)
            if before is not None and not opened.same_uids(before.uidvalidity):
                return {}
            new = UidSet.span(before.uidnext if before is not None else 1, opened.uidnext - 1)
            if opened.messages and new:
                among = None if before is None else new
                return {int(uid): size for uid, size in self._source.sizes(opened, among)}
        return {}

    # -- moving

    def _end(self, place: FolderChange, moving: Moving) -> None:
        """Finds out what became of copies that an earlier holder was about to move, and moves those that stayed."""
        into = self._places.get(moving.folder_id)
        if into is None:
            return
        if moving.uidvalidity is not None:
            with contextlib.suppress(FolderRefused):
                if self._source.open(into.folder.source_name).same_uids(moving.uidvalidity):
                    left = self._followed.taken_away.get(moving.folder_id, NO_UIDS)
                    self._followed.taken_away[moving.folder_id] = left | UidSet.of(new for _, _, new in moving.messages)
            return
        entered = known_sources(self._store, moving.folder_id)
        self._leave(place, (uid for uid, _, new in moving.messages if new in entered))
        messages = [one for one in moving.messages if one[2] not in entered]
        low = moving.destination_uidnext
        found = self._looked_for(into, UidSet.of(new for _, _, new in messages), low)
        self._enter(place, into, messages, found)
        rest = [one for one in messages if one[2] not in found]
        if rest and self._destination.moves:
            self._move(place, into, rest, low)

    def _move(
        self, place: FolderChange, into: FolderChange, messages: Iterable[tuple[int, int, int]], low: int
    ) -> None:
        """Moves these copies; what a server refuses to move is copied, which tells what is wrong."""
        messages = list(messages)
        moved: dict[int, int] = {}
        try:
            if not self._destination.open(place.folder.destination_name).same_uids(place.here.uidvalidity or 0):
                return
            moved = self._destination.move(UidSet.of(to for _, to, _ in messages), into.folder.destination_name)
        except _REFUSED as error:
            _log.info("moves_not_followed", reason=str(error))
        found = {new: moved[to] for _, to, new in messages if to in moved}
        if rest := UidSet.of(new for _, _, new in messages if new not in found):
            # COPYUID need not come, or was lost.
            found |= self._looked_for(into, rest, low, UidSet.of(found.values()))
        self._enter(place, into, messages, found)

    def _looked_for(self, into: FolderChange, uids: UidSet, low: int, known: UidSet = NO_UIDS) -> dict[int, int]:
        """Returns source UID → destination UID of those messages that stand in the destination folder since `low`."""
        if not uids:
            return {}
        with contextlib.suppress(FolderRefused):
            self._source.open(into.folder.source_name)
            opened = self._destination.open(into.folder.destination_name)
            known |= known_destinations(self._store, into.folder.folder_id)
            seen = arrived(self._destination, opened, low, known)
            pairs = Recognition(self._source, self._destination).among(uids, seen)
            return {int(uid): int(pair.copy.uid) for uid, pair in pairs.items()}
        return {}

    def _enter(
        self,
        place: FolderChange,
        into: FolderChange,
        messages: Iterable[tuple[int, int, int]],
        found: Mapping[int, int],
    ) -> None:
        """Notes the ledger entries of moved copies, source UID → UID, and gives them the flags that changed."""
        if not found:
            return
        self._source.open(into.folder.source_name)
        opened = self._destination.open(into.folder.destination_name)
        ours = {int(seen.uid): seen for seen in self._source.sightings(UidSet.of(found))}
        here = {int(seen.uid): seen for seen in self._destination.sightings(UidSet.of(found.values()))}
        good = {uid: to for uid, to in found.items() if uid in ours and to in here and _same(ours[uid], here[to])}
        if not good:
            return
        group = [sent_as(ours[uid], here[to].internaldate) for uid, to in good.items()]
        self._followed.placed[into.folder.folder_id].append(settled_group("", group, list(good.values())))
        olds = {new: old for old, _, new in messages if new in good}
        digests = self._followed.digests[place.folder.folder_id]
        self._leave(place, olds.values())
        followed = place.before.followed if place.before is not None else NO_UIDS
        copies = {old: here[good[new]] for new, old in olds.items() if old not in followed}
        ledger = [replace(e, digest=digests.get(e.name, e.digest)) for e in self._store.ledger(place.folder.folder_id)]
        digests |= without_marks(ledger, copies)
        self._carry_flags(place, olds, good, opened)

    def _carry_flags(
        self, place: FolderChange, olds: Mapping[int, int], places: Mapping[int, int], opened: KnownStatus
    ) -> None:
        """Sets and clears what changed at the source while the message was moved; repeating it changes nothing."""
        kept = self._store.flags(place.folder.folder_id)
        before = {text: UidSet.of(new for new, old in olds.items() if old in uids) for text, uids in kept.items()}
        seen = FlagsSeen()
        with contextlib.suppress(ServerRefused):
            for uid, flags in self._source.flags(UidSet.of(places)):
                seen.add(uid, flags)
            changes = flag_changes({t: uids for t, uids in before.items() if uids}, seen.by_flags(), UidSet.of(places))
            self._destination.store_flags(
                replace(
                    change,
                    add=settable_flags(change.add, opened.permanent_flags),
                    remove=settable_flags(change.remove, opened.permanent_flags),
                )
                for change in translated(changes, places)
            )

    def _leave(self, place: FolderChange, uids: Iterable[int]) -> None:
        name = place.folder.folder_id
        self._followed.left[name] = self._followed.left.get(name, NO_UIDS) | UidSet.of(uids)


def _same(ours: Sighting, here: Sighting) -> bool:
    return ours.fingerprint == here.fingerprint
