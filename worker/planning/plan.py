"""Plans one mailbox: lists both sides, maps and creates folders, snapshots each, cuts batches, adopts what is there.

The same code makes the first plan and every delta: a folder whose numbers are those of the last snapshot is left alone,
otherwise only UIDs from the last UIDNEXT on are new. Flags that changed at the source since then are carried over.

A plan that is to give way, or is told to pause, stops between two folders. It needs no place to go on from: what it planned is
entered, and for the next attempt these are folders in which nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from shared.folders.mapping import MappedFolder
from shared.mail import FolderListing, FolderStatus, KnownStatus, MailDestination, MailSource
from shared.mail.answers.numbers import as_opened, known_statuses
from shared.mail.imap.choosing import look_at_labels
from shared.model import CANNOT_BE_READ_AT_SOURCE, REMOVED, Folder, FolderPlan, Lease, Options, folder_id
from shared.model.choices import MoveChoice
from shared.model.errors import ConnectionLost, FolderInUse, FolderRefused, ProtocolViolation, ServerRefused
from shared.model.events import Listener, MovedAtSource, TakenAway
from shared.model.lifecycle import Wish
from shared.model.sides import Side
from shared.rules.standing import digest
from shared.store import Store
from shared.wording.phrases import several, text_of
from worker.copying.inflight import stop_on
from worker.copying.neighbours import Neighbours
from worker.copying.returning import WayBack
from worker.decisions.closing import SettleLater
from worker.decisions.failures import UNIT_ATTEMPTS
from worker.decisions.whereabouts import SideView
from worker.following.flag_sync import FlagSync
from worker.following.moves import FolderChange, Followed, MoveFollowing
from worker.planning.batch_planner import BatchPlanner, PlanRules
from worker.planning.counted import CountedFolders
from worker.planning.folder_making import make_folders
from worker.planning.folder_plan import NOT_THERE, FolderPlanner
from worker.planning.folder_search import FolderSearch, FoundFolders
from worker.planning.neighbour_folders import NeighbourFolders
from worker.planning.opened_source import OpenedSource
from worker.planning.plans_at_work import PlansAtWork
from worker.sessions.ends import Ends
from worker.sessions.mailbox_sessions import together

#: Number of planned batches, or of folders, that are entered together.
BATCHES_AT_ONCE, FOLDERS_AT_ONCE = 50, 500

#: Number of folders whose sizes are asked for before their turn.
FORESEEN = 8

#: Number of attempts after which folders are opened one by one.
ALONE_ATTEMPTS = 2


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
    ) -> None:
        """Takes `ends`, the check that both sides are not one mailbox or swapped; None where no check is due or it was confirmed.

        `settle_seconds` as in `CopyRules`; `unsettled_seconds` as for `BatchPlanner`. `returning` decides for a copy
        back what goes where. `wish` says without a round trip what is wanted of the lane. `wide` are the plans of this
        process.
        """
        self._wish, self._wide = wish, wide or PlansAtWork()
        self._ends, self._tell, self._settle_seconds = ends, tell, settle_seconds
        self._neighbours = neighbours
        self._pending: Collection[str] = ()
        self._vanished: Collection[str] = ()
        #: Folder id → the folder that an earlier pass planned, under its present names; source name → folder id.
        self._followed: dict[str, Folder] = {}
        self._ids: dict[bytes, str] = {}
        #: Source name → the place that another import gave the folder, and its `Folder.same_as`.
        self._places: Mapping[bytes, bytes] = {}
        self._same_as: Mapping[bytes, frozenset[str]] = {}
        #: Ids of the folders that their user removed at the destination, as this pass found.
        self._removed: frozenset[str] = frozenset()
        #: Name → STATUS as far as it was asked for, at the source and at the destination.
        self._asked: dict[bytes, FolderStatus | Exception] = {}
        self._seen_here: dict[bytes, KnownStatus | Exception] = {}
        #: `MailDestination.commands` at the moment of all statuses of the destination; -1 where they are of several moments.
        self._told_at = -1
        self._lease, self._store, self._source, self._destination = lease, store, source, destination
        self._options, self._rules, self._tell = options, rules, tell
        self._cutting = BatchPlanner(
            store, source, destination, options, rules, tell, neighbours, unsettled_seconds, now=lease.claimed_at
        )
        self._returning = self._cutting.returning = returning
        self._flags = FlagSync(lease, store, source, destination)
        self._opened = OpenedSource(source)
        #: The moves at the source that were followed, and the folders that were planned since.
        self._moves = Followed()
        self._planned: set[str] = set()
        #: Sums of what was entered: folders, those with batches, and these batches' messages and bytes.
        self._entered = self._busy = self._messages = self._size_bytes = 0

    def run(self, known: Sequence[Folder], pending: Collection[str] = (), vanished: Collection[str] = ()) -> int:
        """Enters every folder.

        `known` are the folders that an earlier pass planned; the folders `pending` have messages without an outcome, the
        folders `vanished` some that the source did not show any more.
        Returns how many lanes the remaining work is worth, at most one a folder; 0 for nothing. Raises what the ports
        raise, `SettleLater` and `ControlRequested`.
        """
        self._pending, self._vanished = pending, vanished
        listings = together(self._source.listing, self._destination.listing)
        with self._wide.turn(max(len(one.folders) for one in listings), self._wish):
            return self._planned_from(listings, known)

    def _planned_from(self, listings: tuple[FolderListing, FolderListing], known: Sequence[Folder]) -> int:
        before = {folder.folder_id: folder for folder in known}
        followed = self._follow(*listings, known)
        listed_here = {folder.name for folder in followed.ours.folders}
        absent = {
            f.source_name
            for f in followed.folders
            if (f.left_alone or f.folder_id in followed.removed) and f.destination_name not in listed_here
        }
        places = self._places_back(listings[0]) if self._returning else self._places
        if self._returning:
            # A folder is made only when something goes into it.
            absent = {folder.name for folder in listings[0].folders}
        made = make_folders(
            self._source,
            self._destination,
            self._options,
            followed.folders,
            (listings[0], followed.ours),
            absent=absent,
            places=places,
            go_on=self._stop_between,
        )
        if self._returning:
            absent = {m.source_name for m in made.mapped if not m.exists}
        apart, mailbox = made.left_out, self._lease.mailbox
        if (apart.other, apart.public) != (mailbox.other_folders, mailbox.public_folders):
            self._store.note_left_out(self._lease, apart.other, apart.public)
        mapped = [m for m in self._labelled(made.listing, made.mapped) if not m.skip]
        planned = {one.source_name for one in mapped}
        unplanned = b"".join(sorted(digest(f.name, f.attributes) for f in listings[0].folders if f.name not in planned))
        if unplanned != mailbox.unplanned:
            self._store.note_unplanned(self._lease, unplanned)
        # Doubtful folders come last: some servers close the connection when one is opened.
        mapped.sort(key=lambda m: self._doubtful(m, before))
        mapped = self._turned(mapped, before)
        there, here = together(
            lambda: self._source_statuses(mapped, before),
            lambda: self._destination_statuses(mapped, absent),
        )
        if before:
            self._follow_moves(mapped, there, here, before)
        planner = FolderPlanner(
            lease=self._lease,
            store=self._store,
            source=self._source,
            destination=self._destination,
            opened=self._opened,
            cutting=self._cutting,
            flags=self._flags,
            neighbours=self._neighbours,
            tell=self._tell,
            returning=self._returning,
            followed=self._followed,
            removed=self._removed,
            moves=self._moves,
            pending=self._pending,
            vanished=self._vanished,
        )
        plain = [self._plain(*one, before) for one in zip(mapped, there, here, strict=True)]
        plans: list[tuple[FolderPlan, int]] = []
        filled = False
        for order, (one, source, destination) in enumerate(zip(mapped, there, here, strict=True), start=1):
            folder, untold, was_opened = self._folder(one), 0, False
            try:
                for coming in takewhile(lambda n: plain[n], range(order - 1, min(order - 1 + FORESEEN, len(mapped)))):
                    self._source.foresee(mapped[coming].source_name)
                if source is None:
                    source, untold = self._opened.fully(folder.source_name)
                if isinstance(source, Exception):
                    plans.append((_unreadable(folder, source, before.get(folder.folder_id)), order))
                    continue
                if isinstance(destination, Exception):
                    destination = NOT_THERE
                if self._ends and source.messages and not filled:
                    self._ends.look(mapped, source, here, order - 1)
                    filled = True
                was_opened = True
                plan = planner.plan(folder, source, destination, before.get(folder.folder_id), untold)
            except (ConnectionLost, ProtocolViolation) as error:
                if error.side != Side.SOURCE:
                    raise
                plans.append((_unreadable(folder, error, before.get(folder.folder_id)), order))
                # A line that breaks while a long folder is listed says less about the folder than one that breaks at EXAMINE.
                more = order < len(mapped) or was_opened
                tries_left = more and self._lease.unit.attempts < UNIT_ATTEMPTS
                if tries_left or not self._doubtful(one, before):
                    if self._ends and not filled:
                        # Nothing else is entered before both sides are known to be two mailboxes: the next attempt looks again.
                        del plans[:-1]
                    self._enter(plans)
                    raise
                # At the last attempt the folders behind it, which the connection can tell nothing of any more, share its fault.
                for later, behind in enumerate(mapped[order:], start=order + 1):
                    folder = self._folder(behind)
                    plans.append((_unreadable(folder, error, before.get(folder.folder_id)), later))
                break
            self._planned.add(folder.folder_id)
            if plan is not None:
                self._tell_removed(plan.folder, before.get(folder.folder_id, plan.folder), let_go=plan.let_go)
                plans.append((plan, order))
            wish = self._wish()
            # However often others are to have the lane, each attempt gets on by a folder.
            stops = wish is not Wish.RUN and bool(plans or self._entered)
            many = sum(len(p.batches) for p, _ in plans) >= BATCHES_AT_ONCE or len(plans) >= FOLDERS_AT_ONCE
            # An attempt that knows folders does not check whether both sides are one mailbox.
            if (stops or many) and (filled or not self._ends):
                self._enter(plans)
                if stops:
                    stop_on(wish)
        if self._ends and not filled:
            self._ends.look_at_all(here)
        beside = self._beside(mapped, made.listing, before)
        plans += [(plan, order) for order, plan in enumerate(beside, start=len(mapped) + 1)]
        self._enter(plans)
        for name in self._moves.noted:
            # Read again: `before` is older than the notes of moves, of which those are left that are not done.
            noted = self._store.folder(name)
            left = [one for one in noted.moving if one.folder_id not in self._planned] if noted else []
            self._store.set_moving(self._lease, name, left)
        return min(self._busy, self._rules.worth.lanes(self._messages, self._size_bytes))

    def _stop_between(self) -> None:
        """Stops where a person or the end of the process wants so, even with nothing entered: what others want can wait."""
        if (wish := self._wish()) not in (Wish.YIELD, Wish.LEAVE):
            stop_on(wish)

    def _follow(self, theirs: FolderListing, ours: FolderListing, known: Sequence[Folder]) -> FoundFolders:
        """Asks both sides for the numbers of the folders planned before, and finds those that are no longer there."""
        there, here = (SideView(listing=one, numbers={}) for one in (theirs, ours))
        alone = self._lease.unit.attempts > ALONE_ATTEMPTS
        names = [f.source_name for f in known if f.source_name in there.names and not (alone or f.unreadable)]
        places = list({f.destination_name: 0 for f in known if f.destination_name in here.names})
        if known:
            told, seen = together(
                lambda: self._source.statuses(names), lambda: known_statuses(self._destination, places)
            )
            # What was another folder when a batch opened it is opened here too, whatever STATUS says.
            theirs_before = {f.source_name: -1 if f.remade else f.uidvalidity for f in known}
            ours_before = {f.destination_name: -1 if f.remade else f.destination_uidvalidity for f in known}
            self._asked.update(as_opened(self._source, dict(zip(names, told, strict=True)), theirs_before))
            there = replace(there, numbers=self._asked)
            numbers = as_opened(self._destination, dict(zip(places, seen, strict=True)), ours_before)
            here = replace(here, numbers=numbers)
        following = FolderSearch(self._source, self._destination, self._store, self._options, known, self._pending)
        followed = following.run(there, here)
        self._told_at = self._destination.commands
        if self._returning is None and self._lease.neighbours:
            beside = NeighbourFolders(self._source, self._destination, self._store, self._options).find(
                self._neighbours.planned(), followed, replace(there, numbers=self._asked), alone=alone
            )
            if beside.own is not followed and known:
                self._told_at = -1
            followed, self._places, self._same_as = beside.own, beside.places, beside.same_as
            self._asked.update(beside.told)
        self._followed = {folder.folder_id: folder for folder in followed.folders}
        self._ids = {folder.source_name: folder.folder_id for folder in followed.folders}
        self._removed, self._seen_here = followed.removed, followed.numbers
        return followed

    def counted(self, at: float) -> CountedFolders:
        """Returns what the destination's folders were seen to hold; `at`: before they were asked for, by the monotonic clock."""
        return CountedFolders(
            mailbox_id=self._lease.mailbox.mailbox_id, numbers=self._seen_here, commands=self._told_at, at=at
        )

    def _places_back(self, theirs: FolderListing) -> dict[bytes, bytes]:
        """Returns, for a copy back, the places of folders that were made from some folder of the old mailbox."""
        if self._returning is None:
            return {}
        names = self._returning.unsure(theirs)
        self._asked.update(zip(names, self._source.statuses(names) if names else (), strict=True))
        known = {name: told for name in names if not isinstance(told := self._asked[name], Exception)}
        places = self._returning.places(theirs, {name: told.uidvalidity or 0 for name, told in known.items()})
        self._options = replace(self._options, into="", folder_map=self._returning.folder_map(theirs, places))
        return places

    def _destination_statuses(
        self, mapped: Sequence[MappedFolder], absent: Collection[bytes]
    ) -> list[KnownStatus | Exception]:
        """Returns the numbers of each destination folder, asked for where they are not known yet."""
        names = [m.destination_name for m in mapped if m.source_name not in absent]
        new = [name for name in names if name not in self._seen_here]
        if new:
            alone = not self._seen_here
            self._seen_here.update(zip(new, known_statuses(self._destination, new), strict=True))
            self._told_at = self._destination.commands if alone else -1
        return [NOT_THERE if m.source_name in absent else self._seen_here[m.destination_name] for m in mapped]

    def _beside(
        self, mapped: Sequence[MappedFolder], listing: FolderListing, before: Mapping[str, Folder]
    ) -> Iterator[FolderPlan]:
        """Yields what became of the folders that an earlier pass planned, and that this one does not plan."""
        planned = {one.source_name for one in mapped}
        listed = {folder.name for folder in listing.folders}
        for folder_id_, folder in self._followed.items():
            if folder.source_name in planned:
                continue
            gone, let_go = folder.source_name not in listed, folder_id_ in self._removed
            now = replace(folder, note=REMOVED) if gone else folder
            if let_go:
                now = replace(now, destination_uidvalidity=0)
            if now != before[folder_id_]:
                self._tell_removed(now, before[folder_id_], let_go=let_go)
                yield FolderPlan(folder=now, withheld=0 if gone else None, let_go=let_go)

    def _tell_removed(self, folder: Folder, before: Folder, *, let_go: bool) -> None:
        if let_go and (messages := len(folder.taken_away) - len(before.taken_away)):
            self._tell(TakenAway(what="removed", messages=messages))

    def _follow_moves(
        self,
        mapped: Sequence[MappedFolder],
        there: Sequence[KnownStatus | Exception | None],
        here: Sequence[KnownStatus | Exception],
        before: Mapping[str, Folder],
    ) -> None:
        """Moves copies at the destination whose messages were moved at the source, before the folders are planned."""
        places = []
        for one, source, destination in zip(mapped, there, here, strict=True):
            folder = self._folder(one)
            if not (isinstance(source, Exception) or isinstance(destination, Exception)):
                known = before.get(folder.folder_id)
                removed = folder.folder_id in self._removed
                places.append(
                    FolderChange(folder=folder, there=source, here=destination, before=known, removed=removed)
                )
        following = MoveFollowing(self._lease, self._store, self._source, self._destination)
        self._moves = following.run(places, self._pending, follow=self._options.moves == MoveChoice.FOLLOW)
        if number := sum(map(len, self._moves.left.values())):
            self._tell(MovedAtSource(messages=number))

    def _turned(self, mapped: list[MappedFolder], before: Mapping[str, Folder]) -> list[MappedFolder]:
        """Rotates the folders that could not be opened, so that each attempt begins with another one.

        Where the first closes the connection again, nothing is known of the others.
        """
        first = next((at for at, one in enumerate(mapped) if self._doubtful(one, before)), len(mapped))
        doubtful = mapped[first:]
        turn = self._lease.unit.attempts % max(1, len(doubtful))
        return [*mapped[:first], *doubtful[turn:], *doubtful[:turn]]

    def _source_statuses(
        self, mapped: Sequence[MappedFolder], before: Mapping[str, Folder]
    ) -> list[KnownStatus | Exception | None]:
        """Asks STATUS of folders planned before, to see whether they changed.

        Returns None for a folder that has to be opened: one not planned before, one whose STATUS is refused or leaves a
        number out, or one whose UIDNEXT is lower than before. All are asked for, while the destination is asked too:
        EXAMINE must not tell of fewer messages than STATUS.
        """
        # Where a connection was lost twice, one folder may be the cause: each is opened by itself.
        alone = self._lease.unit.attempts > ALONE_ATTEMPTS
        names = [m.source_name for m in mapped if not alone and not self._doubtful(m, before)]
        if new := [name for name in names if name not in self._asked]:
            self._asked.update(zip(new, self._source.statuses(new), strict=True))
        asked = {name: self._asked[name] for name in names}
        for name, told in asked.items():
            if not isinstance(told, Exception):
                self._opened.stated[name] = told.messages or 0
        known = [(asked.get(m.source_name), before.get(self._folder(m).folder_id)) for m in mapped]
        return [None if folder is None else _sure(told, folder) for told, folder in known]

    def _plain(
        self,
        one: MappedFolder,
        there: KnownStatus | Exception | None,
        here: KnownStatus | Exception,
        before: Mapping[str, Folder],
    ) -> bool:
        """Tells whether a folder only needs to be opened and listed, so that both can be requested ahead.

        False after a lost connection: then it must be known which folder was to blame.
        """
        empty = isinstance(here, Exception) or not here.messages
        return (
            there is None
            and empty
            and not self._cutting.chooses(one.source_name)
            and self._folder(one).folder_id not in before
            and self._lease.unit.attempts == 1
        )

    def _doubtful(self, one: MappedFolder, before: Mapping[str, Folder]) -> bool:
        known = before.get(self._folder(one).folder_id)
        return known is not None and known.unreadable

    def _enter(self, plans: list[tuple[FolderPlan, int]]) -> None:
        """Enters the planned folders in the store; other lanes may begin with them while the rest is listed."""
        try:
            self._store.plan_folders(self._lease, plans, settle_seconds=self._settle_seconds)
        except FolderInUse as used:
            raise SettleLater(used.seconds) from None
        batches = [batch for plan, _ in plans for batch in plan.batches]
        self._entered += len(plans)
        self._busy += sum(bool(plan.batches) for plan, _ in plans)
        self._messages += sum(len(batch.uids) for batch in batches)
        self._size_bytes += sum(batch.size_bytes for batch in batches)
        plans.clear()

    def _labelled(self, listing: FolderListing, mapped: list[MappedFolder]) -> list[MappedFolder]:
        """Looks at Gmail's labels, and returns the folders with the notes about them."""
        seen = look_at_labels(self._source, listing, mapped, self._options.gmail_labels)
        if seen is None:
            return mapped
        self._cutting.view = seen.view
        return [replace(m, note=several((m.note, seen.notes.get(m.source_name, "")))) for m in mapped]

    def _folder(self, one: MappedFolder) -> Folder:
        mailbox = self._lease.mailbox.mailbox_id
        found = self._ids.get(one.source_name) or folder_id(mailbox, one.source_name, self._followed)
        before = self._followed.get(found)
        return Folder(
            folder_id=found,
            mailbox_id=mailbox,
            source_name=one.source_name,
            destination_name=one.destination_name,
            display=one.display,
            note=one.note,
            same_as=(before.same_as if before else frozenset()) | self._same_as.get(one.source_name, frozenset()),
        )


def _sure(status: FolderStatus | Exception | None, before: Folder | None) -> KnownStatus | Exception | None:
    """Returns the status, or None for one that does not prove what changed since `before`.

    A folder of which STATUS is refused may be opened all the same.
    """
    if isinstance(status, FolderRefused | ServerRefused):
        return None
    if status is None or isinstance(status, Exception):
        return status
    known = status.known()
    if known is None or before is None or known.uidnext < before.uidnext:
        return None
    # A server that told a mod-sequence before and does not now may tell it when the folder is opened.
    return None if before.highestmodseq and not known.highestmodseq else known


def _unreadable(folder: Folder, error: Exception, before: Folder | None) -> FolderPlan:
    """Returns the plan of a folder that LIST shows and STATUS refuses.

    The folder stands in the report and costs no other folder anything.
    """
    said = getattr(error, "detail", "") or text_of(error)
    return FolderPlan(folder=replace(before or folder, note=CANNOT_BE_READ_AT_SOURCE.says(cause=said)))
