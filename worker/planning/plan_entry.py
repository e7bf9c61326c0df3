"""Enters the folders of a plan in the store, several together, and calls other lanes to begin with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.model import FolderPlan, Lease
from shared.model.errors import FolderInUse
from shared.nouns import dataclass
from shared.rules.batching import Worth
from shared.store import Store
from worker.decisions.batch_ahead import BatchAhead, coming_after
from worker.decisions.closing import SettleLater

#: Number of planned batches, or of folders, that are entered together.
BATCHES_AT_ONCE, FOLDERS_AT_ONCE = 50, 500

#: Number of lanes that are called at most, beside the one that plans.
LANES_AT_ONCE = 7

#: Number of batches of which it is foretold which comes next: what one lane copies by itself is seldom more.
FORETOLD = 50


@dataclass(frozen=True, slots=True)
class _Work:
    """Sums of planned work."""

    #: Folders, and those with batches.
    folders: int = 0
    busy: int = 0
    #: Batches, and their messages and bytes.
    batches: int = 0
    messages: int = 0
    size_bytes: int = 0

    def more(self, plan: FolderPlan) -> _Work:
        """Returns the sums with those of one folder more."""
        return _Work(
            self.folders + 1,
            self.busy + bool(plan.batches),
            self.batches + len(plan.batches),
            self.messages + sum(len(batch.uids) for batch in plan.batches),
            self.size_bytes + sum(batch.size_bytes for batch in plan.batches),
        )

    def lanes(self, worth: Worth) -> int:
        """Returns how many lanes the work is worth: at most one a folder."""
        return min(self.busy, worth.lanes(self.messages, self.size_bytes))


class PlanEntry:
    """The folders of one plan that wait to be entered, and the sums of those that were."""

    def __init__(
        self, lease: Lease, store: Store, worth: Worth, ring: Callable[[], object], *, settle_seconds: float
    ) -> None:
        """Takes `ring`, which calls one lane more; `settle_seconds` as in `CopyRules`."""
        self._lease, self._store, self._worth, self._ring = lease, store, worth, ring
        self._settle_seconds = settle_seconds
        #: The plans that wait, with their places in the order of the mailbox.
        self._plans: list[tuple[FolderPlan, int]] = []
        #: The sums of what was entered, and of that together with what waits.
        self._entered = self._planned = _Work()
        #: The number of lanes that were called.
        self._called = 0
        #: The plans with batches that were entered, as long as this lane may be alone at them.
        self._alone: list[tuple[FolderPlan, int]] | None = []

    @property
    def lanes(self) -> int:
        """The lanes that what was entered is worth: at most one a folder, and 0 for nothing."""
        return self._entered.lanes(self._worth)

    def __bool__(self) -> bool:
        """Tells whether any folder was planned."""
        return self._planned.folders > 0

    def add(self, plan: FolderPlan, order: int) -> None:
        """Adds the plan of a folder, with its place in the order of the mailbox."""
        self._plans.append((plan, order))
        self._planned = self._planned.more(plan)

    def keep_last(self) -> None:
        """Forgets all plans that wait but the last."""
        del self._plans[:-1]

    def due(self, *, early: bool) -> bool:
        """Tells whether what waits is to be entered while the rest is planned.

        It is where it is much, or, with `early`, where it is work for one lane more beside this one.
        """
        if len(self._plans) >= FOLDERS_AT_ONCE or self._planned.batches - self._entered.batches >= BATCHES_AT_ONCE:
            return True
        return early and self._called < min(self._planned.lanes(self._worth) - 1, LANES_AT_ONCE)

    def enter(self) -> None:
        """Enters what waits; other lanes may begin with it. Raises `SettleLater` where a lane is at work in a folder of it."""
        try:
            self._store.plan_folders(self._lease, self._plans, settle_seconds=self._settle_seconds)
        except FolderInUse as used:
            raise SettleLater(used.seconds) from None
        self._entered = self._planned
        if self._alone is not None and self._entered.batches <= FORETOLD:
            self._alone += [one for one in self._plans if one[0].batches]
        else:
            self._alone = None
        self._plans.clear()

    def call(self) -> None:
        """Calls as many lanes as what was entered is worth beside this one, which goes on to copy."""
        for _ in range(self._called, min(self.lanes - 1, LANES_AT_ONCE)):
            self._ring()
            self._called += 1
            self._alone = None

    def coming(self, below_messages: int) -> Mapping[str, BatchAhead]:
        """Returns unit id → the batch that this lane claims after it, as far as it is known (`worker.decisions.batch_ahead`)."""
        return coming_after(self._alone or (), below_messages)
