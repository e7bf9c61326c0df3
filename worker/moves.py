"""Follows moves at the source: moves the copy at the destination instead of copying the message a second time.

A message that is gone from one source folder and new in another is the same when the code that recognises copies says
so of the copy that we made of it (`worker.recognise`). Its copy is moved by UID MOVE (RFC 6851), which never makes a
second one. Only where the copy is still where we put it: what its user moved or removed at the destination stays as it
is, and so does what we did not copy.

`Folder.moving` is stored before MOVE is sent, and goes when all folders that it concerns are planned. A later holder
that finds it looks in the other destination folder first, and moves what is not there.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.mail import KnownStatus, MailDestination, MailSource, Sighting
from shared.model import Folder, Lease, Moving, Settled
from shared.model.errors import FolderRefused, MessagesRefused, OverQuota, ServerRefused
from shared.model.uids import NO_UIDS, UidSet
from shared.runtime.logs import get_logger
from shared.store import Store
from worker.decide import kept_flags, sent_as, settled_group
from worker.deletions import as_counted, known_sources
from worker.departures import MOVED, REMOVED
from worker.flag_changes import FlagsSeen, flag_changes, translated
from worker.recognise import Recognition
from worker.recovery import arrived, known_destinations

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

    def _same(self, before: Folder, there: KnownStatus) -> bool:
        """Tells whether both folders are those that were planned before."""
        here = bool(before.destination_uidvalidity) and self.here.same_uids(before.destination_uidvalidity)
        return here and there.same_uids(before.uidvalidity)


@dataclass(slots=True)
class Followed:
    """The moves that were followed."""

    #: Folder → the ledger entries of the copies that were moved into it.
    placed: dict[str, list[Settled]] = field(default_factory=lambda: defaultdict(list))
    #: Folder → the source UIDs whose copies were moved out of it.
    left: dict[str, UidSet] = field(default_factory=dict)
    #: Folder → the source UIDs of messages that were moved into it, after their user took the copies away.
    taken_away: dict[str, UidSet] = field(default_factory=dict)
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
        self._followed = Followed()
        #: Message-ID, internal date and size of messages whose copies their user took away → how many.
        self._taken_away: Counter[tuple[str, int | None, int]] = Counter()

    def run(self, places: Sequence[FolderChange], pending: Collection[str], *, follow: bool) -> Followed:
        """Moves the copies; folders `pending` have messages without an outcome, and are left alone.

        Without `follow` it only ends what an earlier holder began. Raises what the ports raise.
        """
        self._places = {place.folder.folder_id: place for place in places}
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
            else:
                self._begin(losing, gaining)
        return self._followed

    # -- finding moves

    def _begin(self, losing: Sequence[FolderChange], gaining: Sequence[FolderChange]) -> None:
        gone: dict[str, dict[int, int]] = {}
        copies: dict[str, list[Sighting]] = {}
        for place in losing:
            if pairs := self._gone(place):
                name, seen = place.folder.folder_id, self._still_there(place, pairs)
                gone[name], copies[name] = pairs, seen
                here = {int(copy.uid) for copy in seen}
                self._note_taken_away(place, {uid for to, uid in pairs.items() if to not in here})
        moves: dict[str, list[Moving]] = defaultdict(list)
        sizes = {size for _, _, size in self._taken_away}
        for into in gaining if gone else ():
            new = self._new(into, sizes | {seen.size_bytes for every in copies.values() for seen in every})
            new -= self._followed.of(into.folder.folder_id)
            new -= self._leave_out(into, new)
            for name, every in copies.items():
                if not new or not every or name == into.folder.folder_id:
                    continue
                self._destination.open(self._places[name].folder.destination_name)
                found = Recognition(self._source, self._destination).among(new, every)
                if not found:
                    continue
                new -= UidSet.of(found)
                taken = {int(pair.copy.uid) for pair in found.values()}
                copies[name] = [seen for seen in every if seen.uid not in taken]
                messages = tuple(
                    (gone[name][int(p.copy.uid)], int(p.copy.uid), uid) for uid, p in sorted(found.items())
                )
                uidnext = into.here.uidnext
                moves[name].append(
                    Moving(folder_id=into.folder.folder_id, destination_uidnext=uidnext, messages=messages)
                )
        for name, every_move in moves.items():
            place = self._places[name]
            kept = place.before.moving if place.before is not None else ()
            self._store.set_moving(self._lease, name, (*kept, *every_move))
            self._followed.noted.append(name)
            for moving in every_move:
                self._move(place, self._places[moving.folder_id], moving.messages, moving.destination_uidnext)

    def _gone(self, place: FolderChange) -> dict[int, int]:
        """Returns destination UID → source UID of the copies of ours whose messages went since the last pass."""
        before = place.before
        assert before is not None
        with contextlib.suppress(FolderRefused, ServerRefused):
            opened = self._source.open(place.folder.source_name)
            shown = self._source.existing() if opened.messages else NO_UIDS
            if opened.same_uids(before.uidvalidity) and as_counted(shown, opened):
                left = self._followed.left.get(before.folder_id, NO_UIDS)
                known = shown | before.deleted | before.released | left
                ledger = self._store.ledger(before.folder_id)
                records = (r for entry in ledger if not entry.name.startswith("adopted.") for r in entry.records)
                return {int(to): int(uid) for record in records for uid, to in record.pairs() if uid not in known}
        return {}

    def _still_there(self, place: FolderChange, pairs: Mapping[int, int]) -> list[Sighting]:
        with contextlib.suppress(FolderRefused, ServerRefused):
            if self._destination.open(place.folder.destination_name).same_uids(place.here.uidvalidity or 0):
                return list(self._destination.sightings(UidSet.of(pairs)))
        return []

    def _note_taken_away(self, place: FolderChange, uids: set[int]) -> None:
        """Notes what verification wrote down of messages whose user had taken the copies away."""
        if uids:
            for note in self._store.notes(place.folder.folder_id):
                if note.uid in uids and note.what in (MOVED, REMOVED) and note.message_id:
                    self._taken_away[note.message_id, note.internaldate, note.size_bytes] += 1

    def _leave_out(self, place: FolderChange, new: UidSet) -> UidSet:
        """Returns those new messages of the open source folder whose user had taken the copies away."""
        if not new or not self._taken_away:
            return NO_UIDS
        found = []
        for seen in self._source.sightings(new):
            key = (seen.message_id, seen.internaldate, seen.size_bytes)
            if self._taken_away[key] > 0:
                self._taken_away[key] -= 1
                found.append(int(seen.uid))
        self._followed.taken_away[place.folder.folder_id] = left_out = UidSet.of(found)
        return left_out

    def _new(self, place: FolderChange, sizes: set[int]) -> UidSet:
        """Opens the source folder, and returns its new messages that have one of these sizes."""
        before = place.before
        with contextlib.suppress(FolderRefused, ServerRefused):
            opened = self._source.open(place.folder.source_name)
            if before is not None and not opened.same_uids(before.uidvalidity):
                return NO_UIDS
            new = UidSet.span(before.uidnext if before is not None else 1, opened.uidnext - 1)
            if not opened.messages or not new:
                return NO_UIDS
            among = None if before is None else new
            return UidSet.of(uid for uid, size in self._source.sizes(opened, among) if size in sizes)
        return NO_UIDS

    # -- moving

    def _end(self, place: FolderChange, moving: Moving) -> None:
        """Finds out what became of copies that an earlier holder was about to move, and moves those that stayed."""
        into = self._places.get(moving.folder_id)
        if into is None:
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
        self._leave(place, olds.values())
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
                    add=kept_flags(change.add, opened.permanent_flags)[0],
                    remove=kept_flags(change.remove, opened.permanent_flags)[0],
                )
                for change in translated(changes, places)
            )

    def _leave(self, place: FolderChange, uids: Iterable[int]) -> None:
        name = place.folder.folder_id
        self._followed.left[name] = self._followed.left.get(name, NO_UIDS) | UidSet.of(uids)


def _same(ours: Sighting, here: Sighting) -> bool:
    return ours.fingerprint == here.fingerprint
