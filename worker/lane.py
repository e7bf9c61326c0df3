"""The lane: one thread that serves units, one after the other, and keeps the two logins of its current mailbox.

The lane takes the unit named in the job, or the fairest unit that may run. After that it takes the next unit of the
same mailbox, for up to a time slice, so that the number of logins does not grow with batches and no mailbox starves.
"""

from __future__ import annotations

import contextlib
import time

from shared.model import Lease
from shared.model.errors import (
    LeaseLost,
    StoreError,
)
from shared.model.events import UnitEnded
from shared.model.lifecycle import Disposition, UnitResult
from shared.runtime.logs import bind_job, get_logger
from worker.copying.inflight import announce
from worker.decisions.closing import Finished, InDoubt
from worker.failed_units import FailedUnits
from worker.sessions.mailbox_sessions import MailboxSessions
from worker.unit_work import UnitWork
from worker.workplace import Workplace

_log = get_logger("mailhaul.worker")


class Lane:
    """A worker thread's loop over units. `serve` is called for each job."""

    def __init__(self, place: Workplace, holder: str) -> None:
        self._place, self._holder = place, holder
        self._tell = place.meter.listener(lambda: self._mailbox, place.tell)
        self._sessions = MailboxSessions(place.dialer, self._tell)
        self._failures = FailedUnits(place, self._sessions, self._tell)
        self._work = UnitWork(place, self._sessions, self._tell, self._failures.slow_down)
        #: The mailbox whose sessions are open, "" for none, and since when (monotonic, seconds).
        self._mailbox, self._began = "", 0.0

    def serve(self, hint: str) -> int:
        """Serves units until nothing may run, and returns how many. Never raises for what a unit did."""
        place = self._place
        served = 0
        lease: Lease | None = None
        try:
            while not place.stopping():
                if lease is None:
                    lease = place.store.claim(self._holder, prefer=self._preferred(), hint=hint, held=self._mailbox)
                    hint = ""
                if lease is None:
                    break
                if lease.mailbox.mailbox_id != self._mailbox:
                    self._sessions.close()
                    self._mailbox, self._began = lease.mailbox.mailbox_id, time.monotonic()
                lease = self._serve_one(lease)
                served += 1
            if lease is not None:
                # The process was told to stop while the next unit was on its way here: the unit goes back at once, and
                # that attempt does not count. The unit may belong to another mailbox, whose connections were counted as
                # ours with it: they are given back too, or that mailbox would seem served for the length of a lease.
                self._mailbox = lease.mailbox.mailbox_id
                with contextlib.suppress(LeaseLost):
                    place.store.release(lease, how=Disposition.WAIT)
        except StoreError as error:
            # Nothing can be written, so nothing may be done. Leases expire by themselves, and their units become
            # runnable again.
            _log.warning("store_unreachable", error=str(error))
            self._sessions.abort()
        finally:
            self._leave()
        return served

    def _preferred(self) -> str:
        """Returns the mailbox whose logins are open, as long as its time slice lasts."""
        return self._mailbox if time.monotonic() - self._began < self._place.slice_seconds else ""

    def _leave(self) -> None:
        self._sessions.close()
        self._work.forget()
        if self._mailbox:
            try:
                self._place.store.leave(self._holder, self._mailbox)
            except StoreError as error:
                _log.warning("store_unreachable", error=str(error))
            self._mailbox = ""

    def _serve_one(self, lease: Lease) -> Lease | None:
        """Works on one unit. Returns the lease of the next, when this one ended well and there is a next one."""
        began = time.monotonic()
        lease_keeper = self._place.lease_keeper
        lease_keeper.watch(lease, self._sessions.live)
        result: str = UnitResult.FINISHED
        following = None
        with bind_job(
            import_id=lease.mailbox.import_id,
            mailbox=lease.mailbox.mailbox_id,
            folder=lease.unit.folder_id,
            unit=lease.unit.unit_id,
            term=lease.term,
            worker=self._holder,
        ):
            try:
                end = self._work.run(lease)
                result = end.result
                match end:
                    case Finished():
                        following = self._followed(lease, end)
                    case InDoubt():
                        self._sessions.close()
                        how = end.disposition(lease.unit.kind, progressed=self._work.progressed)
                        self._place.store.release(lease, how=how, delay_seconds=end.seconds)
            except Exception as error:
                missing = self._failures.missing(lease, error)
                result = self._failures.handle(lease, error, missing, progressed=self._work.progressed)
            finally:
                lease_keeper.forget(lease)
                lasted = time.monotonic() - began
                self._tell(UnitEnded(kind=lease.unit.kind, result=result, seconds=lasted))
                _log.info("unit_ended", kind=lease.unit.kind, result=result, seconds=round(lasted, 3))
        return following

    def _followed(self, lease: Lease, end: Finished) -> Lease | None:
        """Closes a unit that is done. Returns the lease of the next."""
        self._failures.slow_down(lease)
        following = self._place.store.follow(
            lease,
            settled=end.settled,
            records=end.records,
            prefer=self._preferred(),
            claim=not self._place.stopping(),
            found=end.found,
        )
        announce(end.settled, self._tell)
        return following
