"""Plans the folders of a mailbox in turn, and enters what is planned now and then, so that lanes begin with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from shared.folders.mapping import MappedFolder
from shared.mail import KnownStatus, MailSource
from shared.model import Folder, FolderPlan, Lease
from shared.model.errors import ConnectionLost, FolderChanged, FolderRefused, ProtocolViolation
from shared.model.events import Listener, TakenAway
from shared.model.lifecycle import Wish
from shared.model.sides import Side
from shared.nouns import dataclass
from worker.copying.batch_folders import IS_NO_LONGER_LISTED
from worker.copying.inflight import stop_on
from worker.decisions.failures import MOST_REMADE, UNIT_ATTEMPTS, changed_in_a_row
from worker.decisions.folder_opening import FORESEEN, is_empty
from worker.decisions.mailbox_folders import MailboxFolders
from worker.planning.batch_planner import BatchPlanner
from worker.planning.folder_plan import NOT_THERE, FolderPlanner
from worker.planning.opened_source import OpenedSource
from worker.planning.plan_entry import PlanEntry
from worker.sessions.ends import Ends

#: The numbers of folders, in their order: at the source (None for one that has to be opened) and at the destination.
There = Sequence[KnownStatus | Exception | None]
Here = Sequence[KnownStatus | Exception]


@dataclass(frozen=True, kw_only=True)
class FolderTurns:
    """The turns of the folders of one mailbox in its plan."""

    #: The lease of the mailbox's plan.
    lease: Lease
    #: The session at the source.
    source: MailSource
    #: The folder that is open there.
    opened: OpenedSource
    #: Cuts what is new into batches.
    cutting: BatchPlanner
    #: Plans one folder.
    planner: FolderPlanner
    #: Takes what is planned.
    entering: PlanEntry
    #: The folders as the last pass left them.
    folders: MailboxFolders
    #: The check that both sides are not one mailbox or swapped; None where it is not due.
    ends: Ends | None
    #: Says without a round trip what is wanted of the lane.
    wish: Callable[[], Wish]
    #: Listener for events.
    tell: Listener
    #: Whether other lanes begin as soon as there is work for them.
    early: bool

    def run(self, mapped: Sequence[MappedFolder], there: There, here: Here) -> set[str]:
        """Plans each folder, and returns the ids of those that could be read. What was planned last is not entered yet."""
        entering, folders, planned, filled = self.entering, self.folders, set[str](), False
        plain = [self._plain(*one) for one in zip(mapped, there, here, strict=True)]
        for order, (one, source, destination) in enumerate(zip(mapped, there, here, strict=True), start=1):
            folder, before = folders.folder(one), folders.earlier(one)
            untold, was_opened = 0, False
            try:
                for coming in takewhile(lambda n: plain[n], range(order - 1, min(order - 1 + FORESEEN, len(mapped)))):
                    self.source.foresee(mapped[coming].source_name)
                if source is None:
                    source, untold = self.opened.fully(folder.source_name)
                if isinstance(source, Exception):
                    self._leave(one, source, order)
                    continue
                if isinstance(destination, Exception):
                    destination = NOT_THERE
                if self.ends and source.messages and not filled:
                    self.ends.look(mapped, source, here, order - 1)
                    filled = True
                was_opened = True
                plan = self.planner.plan(folder, source, destination, before, untold)
            except FolderRefused as refused:
                if refused.side != Side.SOURCE:
                    raise
                self._leave(one, refused, order)
                continue
            except (ConnectionLost, ProtocolViolation) as error:
                if error.side != Side.SOURCE:
                    raise
                entering.add(folders.unreadable(one, error), order)
                # A line that breaks while a long folder is listed says less about the folder than one that breaks at EXAMINE.
                more = order < len(mapped) or was_opened
                tries_left = more and self.lease.unit.attempts < UNIT_ATTEMPTS
                if tries_left or not folders.doubtful(one):
                    if self.ends and not filled:
                        # Nothing else is entered before both sides are known to be two mailboxes: the next attempt looks again.
                        entering.keep_last()
                    entering.enter()
                    raise
                # Nothing can be told any more of the folders behind it: they share its fault.
                for later, behind in enumerate(mapped[order:], start=order + 1):
                    entering.add(folders.unreadable(behind, error), later)
                break
            planned.add(folder.folder_id)
            if plan is not None:
                tell_removed(self.tell, plan, before or plan.folder)
                entering.add(plan, order)
            # An attempt that knows folders does not check whether both sides are one mailbox.
            if filled or not self.ends:
                self._enter_early(last=order == len(mapped))
        if self.ends and not filled:
            self.ends.look_at_all(here)
        return planned

    def _leave(self, one: MappedFolder, error: Exception, order: int) -> None:
        """Enters a folder that cannot be read.

        Raises `FolderChanged` where its user renamed or removed it since it was listed, so that planning follows it.
        """
        refused = isinstance(error, FolderRefused) and changed_in_a_row(self.lease.mailbox) < MOST_REMADE
        if refused and not self.opened.lists(one.source_name):
            said = IS_NO_LONGER_LISTED.says(folder=self.folders.folder(one).display)
            raise FolderChanged(Side.SOURCE, said) from error
        self.entering.add(self.folders.unreadable(one, error), order)

    def _plain(self, one: MappedFolder, there: KnownStatus | Exception | None, here: KnownStatus | Exception) -> bool:
        """Tells whether a folder only needs to be opened and listed, so that both can be requested ahead.

        False after a lost connection: then it must be known which folder was to blame.
        """
        return (
            there is None
            and is_empty(here)
            and not self.cutting.chooses(one.source_name)
            and self.folders.earlier(one) is None
            and self.lease.unit.attempts == 1
        )

    def _enter_early(self, *, last: bool) -> None:
        """Enters what waits, where it is much, or other lanes are to begin with it, or this lane is to stop."""
        wish = self.wish()
        # However often others are to have the lane, each attempt gets on by a folder.
        stops = wish is not Wish.RUN and bool(self.entering)
        if stops or (self.entering.due(early=self.early) and not last):
            self.entering.enter()
            if stops:
                stop_on(wish)
            self.entering.call()


def tell_removed(tell: Listener, plan: FolderPlan, before: Folder) -> None:
    """Tells of messages that their user removed with their folder since `before`."""
    if plan.let_go and (messages := len(plan.folder.taken_away) - len(before.taken_away)):
        tell(TakenAway(what="removed", messages=messages))
