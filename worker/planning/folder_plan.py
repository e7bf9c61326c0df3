"""Plans one folder: finds what changed in it since the last pass, and cuts what is new into batches."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from shared.mail import KnownStatus, MailDestination, MailSource
from shared.mail.answers.numbers import known_statuses
from shared.model import LEFT_ALONE, Folder, FolderPlan, Lease
from shared.model.errors import ServerRefused, Throttled
from shared.model.events import DeletedAtSource, Listener
from shared.model.lifecycle import Outcome
from shared.model.uids import NO_UIDS, UidSet
from shared.rules.batching import Change, delta, other_number
from shared.store import Store
from shared.wording.phrases import parts, several
from worker.copying.neighbours import Neighbours
from worker.copying.recovery import known_destinations
from worker.copying.returning import WayBack
from worker.decisions.failures import FOLDER_CHANGED
from worker.following.deletions import looked_for, vanished
from worker.following.flag_sync import FlagSync
from worker.following.moves import Followed
from worker.planning.batch_planner import BatchPlanner, Skipped
from worker.planning.opened_source import OpenedSource

#: The status that stands for a destination folder that could not be created.
NOT_THERE = KnownStatus(uidnext=1, messages=0)


@dataclass(frozen=True, kw_only=True)
class FolderPlanner:
    """The planning of the folders of one mailbox, one after the other, once its moves were followed."""

    #: The lease of the mailbox's plan.
    lease: Lease
    #: The state store.
    store: Store
    #: The session at the source.
    source: MailSource
    #: The session at the destination.
    destination: MailDestination
    #: The folder that is open at the source.
    opened: OpenedSource
    #: Cuts what is new into batches.
    cutting: BatchPlanner
    #: Carries over the flags that changed.
    flags: FlagSync
    #: The other imports that write there.
    neighbours: Neighbours
    #: Listener for events.
    tell: Listener
    #: Decides for a copy back what goes where; None for others.
    returning: WayBack | None
    #: Folder id → the folder that an earlier pass planned, under its present names.
    followed: Mapping[str, Folder]
    #: Ids of the folders that their user removed at the destination, as this pass found.
    removed: Collection[str]
    #: The moves at the source that were followed.
    moves: Followed
    #: Ids of the folders that have messages without an outcome.
    pending: Collection[str]
    #: Ids of the folders of which the source did not show some message any more that was planned.
    vanished: Collection[str]

    def plan(
        self, folder: Folder, there: KnownStatus, here: KnownStatus, before: Folder | None, untold: int
    ) -> FolderPlan | None:
        """Returns the plan of a folder, or None where there is nothing to enter.

        `there` and `here` are its numbers at both sides; `before` is the folder as the last pass left it; STATUS states
        `untold` messages more than the source shows.
        """
        found = delta(there, before)
        let_go, anew = folder.folder_id in self.removed, self._is_made_anew(folder, here, before)
        moved = before is not None and not here.same_uids(before.destination_uidvalidity) and not anew
        reset = found.change is Change.REPLACED or (moved and found.change is not Change.NEW)
        fresh = before is None or reset or found.change is Change.NEW
        let_go = let_go and not reset
        modseq = there.highestmodseq or 0
        snapshot = replace(
            folder,
            uidvalidity=there.uidvalidity or 0,
            # A server may only know a lower bound; a UID that is accounted for stays so.
            uidnext=there.uidnext if fresh or before is None else max(there.uidnext, before.uidnext),
            highestmodseq=modseq if fresh or before is None else before.highestmodseq,
            object_id=there.object_id or (before.object_id if before is not None else ""),
            source_messages=there.messages,
            skipped="" if fresh or before is None else before.skipped,
            destination_uidvalidity=here.uidvalidity or 0,
            remade=_remade(before, another=moved or found.change is Change.REPLACED or self._blamed(folder)),
            destination_uidnext=here.uidnext if fresh or anew or before is None else before.destination_uidnext,
            destination_messages=here.messages if fresh or anew or before is None else before.destination_messages,
            note=_left_alone(folder.note) if let_go or (anew and here is NOT_THERE) else folder.note,
            taken_away=NO_UIDS if fresh else self.followed[folder.folder_id].taken_away,
            accounted=here.uidnext or 0,
            unmatched=NO_UIDS if fresh or before is None else before.unmatched,
            deleted=NO_UIDS if fresh or before is None else before.deleted,
        )
        earlier = None if fresh else before
        left = self.moves.left.get(folder.folder_id, NO_UIDS)
        if earlier is not None:
            earlier = replace(earlier, followed=earlier.followed | left)
            snapshot = replace(snapshot, followed=earlier.followed, moving=earlier.moving)
        placed = self.moves.placed.get(folder.folder_id, ())
        taken_away = self.moves.taken_away.get(folder.folder_id, NO_UIDS)
        if before is not None and not fresh and found.flags and not let_go:
            self._carry_flags(snapshot, modseq, before, found.changed_since)
            snapshot = replace(snapshot, highestmodseq=modseq)
        low = 1 if fresh else found.first_uid or snapshot.uidnext
        skipped = Skipped() if fresh else self.cutting.skipped(before)
        back: dict[int, int] = {}
        if earlier is not None and folder.folder_id in self.vanished:
            back, more = self._shown_again(folder)
            untold = max(untold, more)
        hidden = NO_UIDS if earlier is None else earlier.hidden
        plan = FolderPlan(folder=snapshot, reset=reset, withheld=0, let_go=let_go)
        shown = there.messages or untold
        if back or (shown and (fresh or found.change is Change.CHANGED or skipped.again or hidden)):
            opened, more = self.opened.fully(folder.source_name)
            if isinstance(opened, Exception):
                raise opened
            untold = max(untold, more)
            first = here if fresh else None
            plan = self.cutting.cut(
                plan,
                opened,
                low,
                first,
                skipped,
                before=earlier,
                untold=untold,
                placed=placed,
                taken_away=taken_away,
                back=back,
            )
            plan = replace(plan, flags=self.flags.known(plan, low, fresh=fresh))
            if before is None and not self.returning:
                followed = self.neighbours.held(plan.folder) if self.cutting.recognised else NO_UIDS
                self.flags.complete(folder, self.cutting.recognised, plan.flags or {}, followed)
            if (anew or self.returning) and plan.batches and here is NOT_THERE:
                plan = self._with_a_place(plan)
        elif before is not None and not reset and not let_go:
            if earlier is not None and other_number(there, earlier):
                plan = replace(plan, folder=self._with_deleted(snapshot, earlier, left - before.followed))
            # Arrivals at the destination count as a change where a batch is pending: the batch must learn which of
            # them are no reason to stop.
            same = before.accounted if folder.folder_id in self.pending else snapshot.accounted
            if plan.folder == replace(
                before,
                verified="",
                doubts=NO_UIDS,
                doubted_at=0.0,
                unchecked=0,
                accounted=same,
                accepted=NO_UIDS,
                deleted_too=NO_UIDS,
                mixed=False,
            ):
                return None
        if before is not None and (number := len(plan.folder.deleted - before.deleted)):
            self.tell(DeletedAtSource(messages=number))
        if earlier is not None and not let_go:
            plan = replace(plan, digests=self.moves.digests.get(folder.folder_id, {}))
        return plan

    def _shown_again(self, folder: Folder) -> tuple[dict[int, int], int]:
        """Returns source UID → size of the messages that were called vanished, and that the source shows after all.

        Returns too how many messages more STATUS states than the folder shows. A replica that lagged did not have them
        (Domino); a server that was busy did not find them.
        """
        gone = UidSet.of(note.uid for note in self.store.notes(folder.folder_id) if note.what == Outcome.VANISHED)
        back: dict[int, int] = {}
        if not gone:
            return back, 0
        opened, untold = self.opened.fully(folder.source_name)
        if not isinstance(opened, Exception):
            with contextlib.suppress(ServerRefused):  # some servers answer NO to a FETCH of what was expunged
                back.update((int(uid), size) for uid, size in self.source.sizes(opened, gone) if uid in gone)
        return back, untold

    def _is_made_anew(self, folder: Folder, here: KnownStatus, before: Folder | None) -> bool:
        """Tells whether nothing of the ledger is in the destination folder, since its user removed the one before.

        An empty one may get another UIDVALIDITY each second.
        """
        if before is None:
            return False
        unused = bool(before.taken_away) and not here.messages and not known_destinations(self.store, before.folder_id)
        return folder.folder_id in self.removed or before.left_alone or unused

    def _with_a_place(self, plan: FolderPlan) -> FolderPlan:
        """Creates the folder that its user removed, since new mail came for it.

        Where the destination refuses that, the copy says so.
        """
        name = plan.folder.destination_name
        (refused,) = self.destination.create([name])
        (here,) = [refused] if refused else known_statuses(self.destination, [name])
        if isinstance(here, Throttled):
            raise here
        if isinstance(here, Exception):
            return plan
        return replace(
            plan,
            folder=replace(
                plan.folder,
                note=several(one for one in parts(plan.folder.note) if one != LEFT_ALONE),
                destination_uidvalidity=here.uidvalidity or 0,
                destination_uidnext=here.uidnext,
                destination_messages=here.messages,
                accounted=here.uidnext,
            ),
        )

    def _with_deleted(self, folder: Folder, before: Folder, left: UidSet) -> Folder:
        """Returns the folder, to which nothing new came, with what was deleted from it at the source."""
        self.opened.forget()
        if told := vanished(self.store, self.source, before, left):
            self.opened.note(folder.source_name, told[0])
            found = told[1]
        else:
            opened = self.opened.opened(folder.source_name)
            if isinstance(opened, Exception):
                raise opened
            found = looked_for(self.store, self.source, opened, before)
        return replace(folder, deleted=found.deleted, source_messages=found.source_messages)

    def _blamed(self, folder: Folder) -> bool:
        """Tells whether the mailbox is planned anew because this folder was another when it was opened.

        STATUS need not show it. While verifying, a failure names no folder: then each may be the one.
        """
        failure = None if self.lease.mailbox.over_at else self.lease.mailbox.failure
        return failure is not None and failure.code in FOLDER_CHANGED and failure.folder in ("", folder.display)

    def _carry_flags(self, folder: Folder, modseq: int, before: Folder, changed_since: int | None) -> None:
        if before.uidnext > 1:
            opened = self.opened.opened(folder.source_name)
            if isinstance(opened, Exception):
                raise opened
            self.flags.carry(folder, modseq, before, changed_since)


def _left_alone(note: str) -> str:
    return note if LEFT_ALONE in note else several((LEFT_ALONE, note))


def _remade(before: Folder | None, *, another: bool) -> int:
    """Returns `Folder.remade`.

    It only ever grows until the folder was verified: a folder that is the same by chance for once ends no loop.
    """
    return 0 if before is None else another + (0 if before.verified else before.remade)
