"""Plans one mailbox: lists both sides, maps and creates folders, snapshots each, cuts batches, adopts what is there.

The same code makes the first plan and every delta: a folder whose numbers are those of the last snapshot is left alone,
otherwise only UIDs from the last UIDNEXT on are new. Flags that changed at the source since then are carried over.

A plan that is to give way, or is told to pause, stops between two folders. It needs no place to go on from: what it planned is
entered, and for the next attempt these are folders in which nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from shared.folders.gmail import EXTENSION
from shared.folders.mapping import MappedFolder
from shared.mail import FolderListing, KnownStatus, MailDestination, MailSource
from shared.mail.imap.choosing import look_at_labels
from shared.model import Folder, Lease, Options
from shared.model.choices import MoveChoice
from shared.model.events import Listener, MovedAtSource
from shared.model.lifecycle import Wish
from shared.rules.standing import digest
from shared.store import Store
from shared.wording.phrases import several
from worker.copying.inflight import stop_on
from worker.copying.neighbours import Neighbours
from worker.copying.returning import WayBack
from worker.decisions.batch_ahead import BatchAhead
from worker.decisions.folder_opening import ALONE_ATTEMPTS, first_opened
from worker.decisions.mailbox_folders import MailboxFolders
from worker.following.flag_sync import FlagSync
from worker.following.moves import FolderChange, Followed, MoveFollowing
from worker.planning.batch_planner import BatchPlanner, PlanRules
from worker.planning.counted import CountedFolders
from worker.planning.folder_counts import FolderCounts
from worker.planning.folder_making import PreparedFolders, WantedFolders
from worker.planning.folder_plan import FolderPlanner
from worker.planning.folder_search import FolderSearch
from worker.planning.folder_turns import FolderTurns, tell_removed
from worker.planning.neighbour_folders import FoundBeside, NeighbourFolders
from worker.planning.opened_source import OpenedSource
from worker.planning.plan_entry import PlanEntry
from worker.planning.plans_at_work import PlansAtWork
from worker.sessions.ends import Ends
from worker.sessions.mailbox_sessions import together


class MailboxPlan:
    """The planning of one mailbox under one lease, between two signed-in sessions."""

    def __init__(
        self,
        lease: Lease,
        store: Store,
        source: MailSource,
        destination: MailDestination,
        options: Options,
        rules: PlanRules,
        tell: Listener,
        neighbours: Neighbours,
        ends: Ends | None = None,
        *,
        settle_seconds: float,
        unsettled_seconds: float = 0.0,
        returning: WayBack | None = None,
        wish: Callable[[], Wish] = lambda: Wish.RUN,
        wide: PlansAtWork | None = None,
        ring: Callable[[], object] = lambda: None,
    ) -> None:
        """Takes `ends`, the check that both sides are not one mailbox or swapped; None where no check is due or it was confirmed.

        `settle_seconds` as in `CopyRules`; `unsettled_seconds` as for `BatchPlanner`. `returning` decides for a copy
        back what goes where. `wish` says without a round trip what is wanted of the lane. `wide` are the plans of this
        process. `ring` calls one lane more, which begins with what is entered.
        """
        self._wish, self._wide = wish, wide or PlansAtWork()
        self._ends, self._tell, self._neighbours = ends, tell, neighbours
        self._lease, self._store, self._source, self._destination = lease, store, source, destination
        self._options = options
        self._pending: Collection[str] = ()
        self._vanished: Collection[str] = ()
        self._numbers = FolderCounts(source, destination, alone=lease.unit.attempts > ALONE_ATTEMPTS)
        self._cutting = BatchPlanner(
            store, source, destination, options, rules, tell, neighbours, unsettled_seconds, now=lease.claimed_at
        )
        self._returning = self._cutting.returning = returning
        self._opened = OpenedSource(source)
        self._entering = PlanEntry(lease, store, rules.worth, ring, settle_seconds=settle_seconds)

    def run(self, known: Sequence[Folder], pending: Collection[str] = (), vanished: Collection[str] = ()) -> int:
        """Enters every folder.

        `known` are the folders that an earlier pass planned; the folders `pending` have messages without an outcome, the
        folders `vanished` some that the source did not show any more.
        Returns how many lanes the remaining work is worth, at most one a folder; 0 for nothing. Raises what the ports
        raise, `SettleLater` and `ControlRequested`.
        """
        self._pending, self._vanished = pending, vanished
        listings = self._numbers.listings(known)
        with self._wide.turn(max(len(one.folders) for one in listings), self._wish) as waited:
            if waited:  # what was asked for ahead is too old by now, and so may the connections be
                together(self._source.noop, self._destination.noop)
            return self._planned_from(listings, known)

    def _planned_from(self, listings: tuple[FolderListing, FolderListing], known: Sequence[Folder]) -> int:
        found = self._found(listings, known)
        folders = MailboxFolders(
            mailbox_id=self._lease.mailbox.mailbox_id,
            before={folder.folder_id: folder for folder in known},
            followed=found.own.folders,
            removed=found.own.removed,
            same_as=found.same_as,
        )
        made, absent = self._made(listings[0], folders, found)
        mapped = [one for one in self._labelled(made.listing, made.mapped) if not one.skip]
        self._note_unplanned(made, {one.source_name for one in mapped})
        mapped = folders.in_turn(mapped, self._lease.unit.attempts)
        there = self._numbers.at_source(mapped, folders, self._opened.stated)
        here = self._numbers.at_destination(mapped, absent)
        moves = self._follow_moves(mapped, there, here, folders) if known else Followed()
        turns = FolderTurns(
            lease=self._lease,
            source=self._source,
            opened=self._opened,
            cutting=self._cutting,
            planner=self._planner(folders, moves),
            entering=self._entering,
            folders=folders,
            ends=self._ends,
            wish=self._wish,
            tell=self._tell,
            early=not (known or self._options.newest_first),
        )
        planned = turns.run(mapped, there, here)
        names = {folder.name for folder in made.listing.folders}
        for order, plan in enumerate(folders.beside({m.source_name for m in mapped}, names), start=len(mapped) + 1):
            tell_removed(self._tell, plan, folders.before[plan.folder.folder_id])
            self._entering.add(plan, order)
        self._entering.enter()
        self._entering.call()
        for name in moves.noted:
            # Read again: what is known is older than the notes of moves, of which those are left that are not done.
            noted = self._store.folder(name)
            left = [one for one in noted.moving if one.folder_id not in planned] if noted else []
            self._store.set_moving(self._lease, name, left)
        return self._entering.lanes

    def _found(self, listings: tuple[FolderListing, FolderListing], known: Sequence[Folder]) -> FoundBeside:
        """Asks both sides for the numbers of the folders planned before, and finds those that are no longer there."""
        numbers, alone = self._numbers, self._lease.unit.attempts > ALONE_ATTEMPTS
        there, here = numbers.of_known(listings, known)
        search = FolderSearch(self._source, self._destination, self._store, self._options, known, self._pending)
        found = FoundBeside(own=search.run(there, here))
        numbers.told_at = self._destination.commands
        if self._returning is None and self._lease.neighbours:
            own = found.own
            found = NeighbourFolders(self._source, self._destination, self._store, self._options).find(
                self._neighbours.planned(), own, replace(there, numbers=numbers.there), alone=alone
            )
            if found.own is not own and known:
                numbers.told_at = -1
            numbers.there.update(found.told)
        numbers.here = dict(found.own.numbers)
        if not known:
            numbers.of_inbox()
        return found

    def _made(
        self, theirs: FolderListing, folders: MailboxFolders, found: FoundBeside
    ) -> tuple[PreparedFolders, Collection[bytes]]:
        """Makes the folders at the destination, while the source tells its numbers.

        Returns them, and the source names of those that are not to be at the destination.
        """
        listed_here = {folder.name for folder in found.own.ours.folders}
        absent = {
            f.source_name
            for f in folders.followed
            if (f.left_alone or f.folder_id in folders.removed) and f.destination_name not in listed_here
        }
        if self._returning:
            # A folder is made only when something goes into it.
            absent = {folder.name for folder in theirs.folders}
        places = self._places_back(theirs, self._returning) if self._returning else found.places
        making = WantedFolders(
            self._source,
            self._destination,
            self._options,
            folders.followed,
            (theirs, found.own.ours),
            absent=absent,
            places=places,
            counted=self._numbers.here,
        )
        asked = self._numbers.asked_of(making.mapped, folders)
        opening = [] if folders.before else self._first_opened(making.mapped)
        made, _ = together(lambda: making.make(self._stop_between), lambda: self._numbers.survey(asked, opening))
        if self._returning:
            absent = {m.source_name for m in made.mapped if not m.exists}
        return made, absent

    def _stop_between(self) -> None:
        """Stops where a person or the end of the process wants so, even with nothing entered: what others want can wait."""
        if (wish := self._wish()) not in (Wish.YIELD, Wish.LEAVE):
            stop_on(wish)

    def _places_back(self, theirs: FolderListing, returning: WayBack) -> dict[bytes, bytes]:
        """Returns, for a copy back, the places of folders that were made from some folder of the old mailbox."""
        known = self._numbers.at(returning.unsure(theirs))
        places = returning.places(theirs, {name: told.uidvalidity or 0 for name, told in known.items()})
        self._options = replace(self._options, into="", folder_map=returning.folder_map(theirs, places))
        return places

    def _first_opened(self, mapped: Sequence[MappedFolder]) -> list[bytes]:
        """Returns the folders that a first pass opens while others are made.

        Nothing is opened ahead where labels decide, or a connection was lost: then it must be known which folder was to blame.
        """
        if self._lease.unit.attempts > 1 or EXTENSION in self._source.capabilities:
            return []
        return first_opened(mapped, self._numbers.here, self._cutting.chooses)

    def _labelled(self, listing: FolderListing, mapped: list[MappedFolder]) -> list[MappedFolder]:
        """Looks at Gmail's labels, and returns the folders with the notes about them."""
        seen = look_at_labels(self._source, listing, mapped, self._options.gmail_labels)
        if seen is None:
            return mapped
        self._cutting.view = seen.view
        return [replace(m, note=several((m.note, seen.notes.get(m.source_name, "")))) for m in mapped]

    def _note_unplanned(self, made: PreparedFolders, planned: Collection[bytes]) -> None:
        apart, mailbox = made.left_out, self._lease.mailbox
        if (apart.other, apart.public) != (mailbox.other_folders, mailbox.public_folders):
            self._store.note_left_out(self._lease, apart.other, apart.public)
        listed = made.listing.folders
        unplanned = b"".join(sorted(digest(f.name, f.attributes) for f in listed if f.name not in planned))
        if unplanned != mailbox.unplanned:
            self._store.note_unplanned(self._lease, unplanned)

    def _follow_moves(
        self,
        mapped: Sequence[MappedFolder],
        there: Sequence[KnownStatus | Exception | None],
        here: Sequence[KnownStatus | Exception],
        folders: MailboxFolders,
    ) -> Followed:
        """Moves copies at the destination whose messages were moved at the source, before the folders are planned."""
        places = []
        for one, source, destination in zip(mapped, there, here, strict=True):
            folder = folders.folder(one)
            if not (isinstance(source, Exception) or isinstance(destination, Exception)):
                known = folders.before.get(folder.folder_id)
                removed = folder.folder_id in folders.removed
                places.append(
                    FolderChange(folder=folder, there=source, here=destination, before=known, removed=removed)
                )
        following = MoveFollowing(self._lease, self._store, self._source, self._destination)
        moves = following.run(places, self._pending, follow=self._options.moves == MoveChoice.FOLLOW)
        if number := sum(map(len, moves.left.values())):
            self._tell(MovedAtSource(messages=number))
        return moves

    def _planner(self, folders: MailboxFolders, moves: Followed) -> FolderPlanner:
        return FolderPlanner(
            lease=self._lease,
            store=self._store,
            source=self._source,
            destination=self._destination,
            opened=self._opened,
            cutting=self._cutting,
            flags=FlagSync(self._lease, self._store, self._source, self._destination),
            neighbours=self._neighbours,
            tell=self._tell,
            returning=self._returning,
            followed=folders.by_id,
            removed=folders.removed,
            moves=moves,
            pending=self._pending,
            vanished=self._vanished,
        )

    def counted(self, at: float) -> CountedFolders:
        """Returns what the destination's folders were seen to hold; `at`: before they were asked for, by the monotonic clock."""
        return self._numbers.counted(self._lease.mailbox.mailbox_id, at)

    def coming(self, below_messages: int) -> Mapping[str, BatchAhead]:
        """Returns unit id → the batch that this lane claims after it, as far as it is known (`worker.decisions.batch_ahead`)."""
        return self._entering.coming(below_messages)
