"""The objects that the lanes of one process share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.model import Options, UnitKind
from shared.model.events import Listener
from shared.store import Store
from worker.copying.copy import CopyRules
from worker.lane_meter import LaneMeter
from worker.lease_keeper import LeaseKeeper
from worker.planning.batch_planner import PlanRules
from worker.planning.plans_at_work import PlansAtWork
from worker.sessions.account_making import AccountServices
from worker.sessions.mailbox_sessions import Dialer


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """The objects that all lanes of a process share."""

    #: The state store.
    store: Store
    #: Opens sessions.
    dialer: Dialer
    #: Keeps leases alive.
    lease_keeper: LeaseKeeper
    #: The listener for events.
    tell: Listener
    #: Sends a job for another lane: (kind, import id, unit id).
    ring: Callable[[UnitKind, str, str], None]
    #: True when the process is to end.
    stopping: Callable[[], bool]
    #: Sums what the lanes do; the lease keeper tells the store.
    meter: LaneMeter = field(default_factory=LaneMeter)
    #: Creates the accounts at the destination, where an import asks for it.
    accounts: AccountServices | None = None
    #: Tells whether a holder of the key let an import (by its id) remove copies as these options say.
    may_remove: Callable[[str, Options], bool] = lambda import_id, options: True
    #: The plans of very many folders.
    plans_at_work: PlansAtWork = field(default_factory=PlansAtWork)
    #: Group sizes and times.
    copy_rules: CopyRules = CopyRules()
    #: Batch sizes.
    plan_rules: PlanRules = PlanRules()
    #: The seconds that a lane may stay with one mailbox while others wait.
    slice_seconds: float = 60.0
    #: Wall clock, seconds since the epoch.
    now: Callable[[], float] = time.time
    #: Waits for so many seconds when something is owed (`worker.copying.rate_wait`).
    sleep: Callable[[float], object] = time.sleep
