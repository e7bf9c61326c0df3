"""The lane: one thread that serves units, one after the other, and keeps the two logins of its current mailbox.

The lane takes the unit named in the job, or the fairest unit that may run. After that it takes the next unit of the
same mailbox, for up to a time slice, so that the number of logins does not grow with batches and no mailbox starves.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from typing import Final

from shared.folders.gmail import EXTENSION, LabelMode
from shared.model import Lease, Note, Options, UnitKind
from shared.model.errors import (
    LeaseLost,
    LedgerConflict,
    MailError,
    MailhaulError,
    OverQuota,
    StoreError,
    Throttled,
)
from shared.model.events import HeldBack, Listener, LookEnded, UnitEnded
from shared.model.lifecycle import Disposition, Outcome, Wish
from shared.model.protocols import protocol_of
from shared.model.uids import UidSet
from shared.rules.standing import LOOK_HOLD
from shared.runtime.logs import bind_job, get_logger
from shared.store import Store
from shared.wording.often_said import AND_THE_LAST, TOLD_MORE
from shared.wording.phrases import Phrase, text_of
from worker.copying.copy import BatchCopy, CopyRules
from worker.copying.inflight import announce
from worker.copying.neighbours import Neighbours
from worker.copying.returning import KnownBack, WayBack, await_return
from worker.copying.writers import FolderWriters
from worker.decisions.alike import LOOKS
from worker.decisions.closing import Divided, Finished, InDoubt, SettleLater, Split, UnitEnd
from worker.decisions.copies import divided, halves, without_copy
from worker.decisions.failures import (
    ATTEMPTS,
    FOREIGN_WRITER,
    LOOK_REST_SECONDS,
    TAKES_NOTHING,
    UNIT_ATTEMPTS,
    describe,
    judge,
    meant,
)
from worker.decisions.looking import difference, full_due, looked_at
from worker.lane_meter import LaneMeter
from worker.lease_keeper import LeaseKeeper
from worker.planning.counted import CountedFolders
from worker.planning.plan import MailboxPlan, PlanRules
from worker.sessions.account_making import AccountServices
from worker.sessions.ends import Ends
from worker.sessions.mailbox_sessions import Dialer, MailboxSessions
from worker.verifying.verify import MailboxVerification

BEGUN_AND_NEVER_ENDED: Final = Phrase(
    "begun_and_never_ended",
    "{unit} was begun {num} times and never came to an end; it may kill its workers, see their logs",
)
IMPORT_NOT_IN_STORE: Final = Phrase("import_not_in_store", "the import is not in the store")
LEASE_WAS_LOST_WHILE_COPYING: Final = Phrase("lease_was_lost_while_copying", "a lease was lost while copying")
ALL_ATTEMPTS_FAILED: Final = Phrase("all_attempts_failed", "all attempts failed")

_log = get_logger("mailhaul.worker")


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


class Lane:
    """A worker thread's loop over units. `serve` is called for each job."""

    def __init__(self, place: Workplace, holder: str) -> None:
        self._place, self._holder = place, holder
        self._tell = place.meter.listener(lambda: self._mailbox, place.tell)
        self._sessions = MailboxSessions(place.dialer, self._tell)
        self._returns = KnownBack(place.store)
        #: The mailbox whose sessions are open, "" for none, and since when (monotonic, seconds).
        self._mailbox, self._began = "", 0.0
        #: What the unit before counted at the destination, where it was a plan that found nothing to do.
        self._counted: CountedFolders | None = None
        #: Whether the current unit brought any message to an outcome.
        self._progressed = False

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
        self._counted = None
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
        result = "finished"
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
                match self._work(lease):
                    case Finished() as end:
                        following = self._followed(lease, end)
                    case InDoubt(seconds=seconds, counts=counts):
                        result = "in_doubt"
                        self._sessions.close()
                        # A lane that only waits to verify writes nothing: other lanes need not wait for it.
                        late = lease.unit.kind is UnitKind.VERIFY
                        how = Disposition.LATE if late else Disposition.DOUBT
                        if counts and not self._progressed:
                            how = Disposition.AGAIN
                        self._place.store.release(lease, how=how, delay_seconds=seconds)
                    case Split():
                        result = "split"
            except Exception as error:
                missing = self._missing(lease, error)
                # The sessions' state is unknown; whatever was answered is in the ledger.
                self._sessions.abort()
                result = self._failed(lease, error, missing)
            finally:
                lease_keeper.forget(lease)
                lasted = time.monotonic() - began
                self._tell(UnitEnded(kind=lease.unit.kind, result=result, seconds=lasted))
                _log.info("unit_ended", kind=lease.unit.kind, result=result, seconds=round(lasted, 3))
        return following

    def _followed(self, lease: Lease, end: Finished) -> Lease | None:
        """Closes a unit that is done. Returns the lease of the next."""
        self._slow_down(lease)
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

    def _work(self, lease: Lease) -> UnitEnd:
        """Works on one unit. Raises what its parts raise, for `worker.decisions.failures` to judge."""
        try:
            return self._worked(lease)
        except SettleLater as later:
            return InDoubt(seconds=later.seconds, counts=later.counts)

    def _worked(self, lease: Lease) -> UnitEnd:
        place, sessions = self._place, self._sessions
        unit = lease.unit
        self._progressed = False
        just_counted, self._counted = self._counted, None

        def wish() -> Wish:
            self._slow_down(lease)
            return Wish.PAUSE if place.stopping() else place.lease_keeper.wish(lease)

        if unit.kind is not UnitKind.COPY and unit.attempts > UNIT_ATTEMPTS:
            # The last attempt ended without a word: an attempt that meets an error is parked with that error by
            # `judge`.
            raise WornOut(BEGUN_AND_NEVER_ENDED.says(unit=unit.kind, num=unit.attempts - 1))
        if unit.kind is UnitKind.PLAN:
            began = time.monotonic()
            planned = place.store.folders(unit.mailbox_id)
            known = [folder for folder, _ in planned]
            options = self._options(lease)
            if options.accounts and place.accounts:
                place.accounts.prepare(lease, options.accounts, sessions)
            if under_way := await_return(lease.mailbox, place.store):
                return under_way
            source, destination = sessions.both(lease.mailbox)
            neighbours = Neighbours(lease, place.store, lambda: options)
            ends = None
            returning = WayBack(lease, place.store, options) if options.returns else None
            if not (options.same_mailbox or known):
                counted = partial(place.store.import_tally, lease.mailbox.import_id)
                ends = Ends(lease, source, destination, counted, neighbours.brought)
            planning = MailboxPlan(
                lease,
                place.store,
                source,
                destination,
                options,
                place.plan_rules,
                self._tell,
                neighbours,
                ends,
                settle_seconds=place.copy_rules.settle_seconds,
                unsettled_seconds=self._unsettled_seconds(lease),
                returning=returning,
            )
            pending = {folder.folder_id for folder, tally in planned if tally.pending}
            lanes = planning.run(known, pending)
            if not lanes and not pending:  # nobody can copy before the verification
                self._counted = planning.counted(began)
            for _ in range(min(lanes - 1, 7)):
                place.ring(UnitKind.COPY, lease.mailbox.import_id, "")
        elif unit.kind is UnitKind.LOOK:
            return self._look(lease)
        elif unit.kind is UnitKind.VERIFY:
            options = self._options(lease)
            folders = place.store.folders(unit.mailbox_id)
            neighbours = Neighbours(lease, place.store, lambda: options)
            return MailboxVerification(
                lease,
                place.store,
                sessions,
                neighbours,
                # What a person asked of one pass is not done again by itself.
                options=replace(options, verify=Options().verify) if lease.mailbox.after_look else options,
                wish=wish,
                tell=self._tell,
                settle_seconds=place.copy_rules.settle_seconds,
                counted=just_counted,
            ).run(folders)
        elif unit.attempts > _patience(lease) and len(remaining := lease.remaining) > 1:
            # The batch failed too often: it is halved, so that only the guilty message suffers.
            place.store.split(lease, halves(unit, remaining, lease.intents, ATTEMPTS - 1))
            return Split()
        elif unit.attempts > _patience(lease) + 1 and len(remaining) == 1 and not lease.intents:
            last = lease.mailbox.failure
            why = ALL_ATTEMPTS_FAILED.says()
            return self._given_up(lease, remaining, AND_THE_LAST.says(what=why, cause=last.sentence) if last else why)
        elif len(parts := self._shares(lease)) > 1:
            place.store.split(lease, divided(unit, parts, (), unit.attempts - 1))
            return Split()
        else:
            source, destination = sessions.both(lease.mailbox)
            neighbours = Neighbours(lease, place.store, lambda: self._options(lease), self._returns.of)
            labels = EXTENSION in source.capabilities and self._options(lease).gmail_labels == LabelMode.FOLDERS
            rules, tell, sleep = place.copy_rules, self._tell, place.sleep
            copying = BatchCopy(
                lease,
                place.store,
                source,
                destination,
                rules,
                wish,
                tell,
                neighbours,
                labels,
                sleep,
                lambda: self._believed(lease),
                lambda: place.ring(UnitKind.COPY, lease.mailbox.import_id, ""),
            )
            try:
                return copying.run()
            except Divided as batch:
                place.store.split(lease, divided(unit, batch.parts, (), unit.attempts - 1))
                return Split()
            finally:
                self._progressed = copying.progressed
        return Finished()

    def _look(self, lease: Lease) -> Finished:
        """Compares the source's folders and their numbers with what the last pass left in the ledger."""
        place, mailbox = self._place, lease.mailbox
        folders = [folder for folder, _ in place.store.folders(mailbox.mailbox_id)]
        found = ""
        if full_due(mailbox, folders, lease.claimed_at, has_flags=protocol_of(mailbox.source.endpoint).has_flags):
            found = "full_pass"
        else:
            names = [folder.source_name for folder in looked_at(folders)]
            listed, statuses = self._sessions.source(mailbox).look(names)
            for status in statuses:
                if isinstance(status, Throttled):
                    raise status
            found = difference(listed, dict(zip(names, statuses, strict=True)), folders, mailbox.unplanned)
        self._tell(LookEnded(found=found))
        _log.info("looked", found=found)
        return Finished(found=bool(found))

    def _unsettled_seconds(self, lease: Lease) -> float:
        """Returns how long mail that a run before this import had on the line may still arrive.

        The workers of a store that was lost go on until they notice, and leave no record.
        """
        import_ = self._place.store.import_(lease.mailbox.import_id)
        opened_at = import_.created_at if import_ is not None else 0.0
        return max(0.0, opened_at + self._place.copy_rules.settle_seconds - lease.claimed_at)

    def _slow_down(self, lease: Lease) -> None:
        """Puts a server on hold that said OK and asked to be asked less.

        When this unit is done, no lane claims what needs that server. The current unit goes on, since breaking it off
        would cost the server more.
        """
        for error in self._sessions.slowed():
            verdict = judge(error, lease.unit.attempts)
            name = f"{verdict.hold}:{self._place.store.limits_of(lease.mailbox.mailbox_id)[verdict.hold]}"
            self._place.store.hold(
                name, verdict.delay_seconds, import_id=lease.mailbox.import_id, why=error.detail or error.what
            )
            self._tell(HeldBack(scope=verdict.hold, seconds=verdict.delay_seconds))
            _log.info("slowed_down", scope=verdict.hold, seconds=verdict.delay_seconds)

    def _options(self, lease: Lease) -> Options:
        import_ = self._place.store.import_(lease.mailbox.import_id)
        if import_ is None:
            raise StoreError(IMPORT_NOT_IN_STORE.says())
        return import_.options

    def _shares(self, lease: Lease) -> list[UidSet]:
        """Returns the shares into which a batch is divided before it is copied, in a folder with several writers."""
        if lease.writers < 2 or lease.intents or lease.unit.attempts > 1:
            return []
        return self._place.copy_rules.widening.shares(lease.remaining, lease.folder_pending, lease.writers)

    @staticmethod
    def _given_up(lease: Lease, uids: UidSet, reason: str) -> Finished:
        notes = [Note(uid=uid, what=Outcome.FAILED, reason=reason) for uid in uids]
        size = lease.unit.size_bytes * len(uids) // max(1, len(lease.unit.uids))
        return Finished(settled=(without_copy(Outcome.FAILED, uids, notes, size),))

    def _believed(self, lease: Lease) -> bool:
        """Tells whether a destination that refuses every message is believed to mean the messages.

        It is when it never took any of this mailbox, or several further attempts changed nothing.
        """
        store, mailbox_id = self._place.store, lease.mailbox.mailbox_id
        took = any(tally[Outcome.COPIED] for _, tally in store.folders(mailbox_id))
        looks = sum(1 for _ in takewhile(lambda one: one.code == TAKES_NOTHING, store.failures(mailbox_id)))
        return not took or looks >= LOOKS

    def _missing(self, lease: Lease, error: Exception) -> int:
        """Returns the bytes of room that are missing for what is still to be copied.

        Returns 0 where room is not the problem, or the server does not say.
        """
        if not isinstance(error, OverQuota):
            return 0
        with contextlib.suppress(MailError):
            if quota := self._sessions.destination(lease.mailbox).quota():
                tallies = [tally for _, tally in self._place.store.folders(lease.mailbox.mailbox_id)]
                return quota.missing(sum(tally.size_bytes - tally.done_bytes for tally in tallies))
        return 0

    def _failed(self, lease: Lease, error: BaseException, missing_bytes: int = 0) -> str:
        """Does what the table says about `error`, and returns its code."""
        # A failure before progress does not count as one in a row.
        place, before = self._place, None if self._progressed or lease.mailbox.over_at else lease.mailbox.failure
        error = meant(error, place.lease_keeper.wish(lease))
        if isinstance(error, LedgerConflict) and lease.unit.kind is UnitKind.COPY:
            # Also of the last groups, which go to the ledger when the batch is closed (`_followed`).
            with contextlib.suppress(LeaseLost):
                FolderWriters(lease, place.store, place.copy_rules.widening).narrow()
        verdict = judge(
            error,
            lease.unit.attempts,
            before,
            kind=lease.unit.kind,
            patient=lease.mailbox.after_look,
            progressed=self._progressed,
            in_doubt=bool(lease.intents),
        )
        log = _log.error if verdict.code == "fault" else _log.warning
        log("unit_failed", code=verdict.code, how=verdict.how, exc_info=verdict.code == "fault")
        if verdict.how is Disposition.DROP:
            if isinstance(error, StoreError):
                raise error
            if lease.unit.kind is UnitKind.COPY:
                self._recheck(lease)
            return verdict.code
        folder = lease.folder.display if lease.folder else ""
        failure = describe(error, verdict, place.now(), folder, before, missing_bytes) if verdict.told else None
        hold, hold_seconds = "", verdict.delay_seconds
        crowded = isinstance(error, Throttled) and error.crowded
        if verdict.hold == LOOK_HOLD:
            hold = f"{LOOK_HOLD}:{place.store.limits_of(lease.mailbox.mailbox_id)['source_host']}"
            hold_seconds = min(hold_seconds, LOOK_REST_SECONDS)
        elif verdict.hold:
            if not crowded:
                self._tell(HeldBack(scope=verdict.hold, seconds=verdict.delay_seconds))
            hold = f"{verdict.hold}:{place.store.limits_of(lease.mailbox.mailbox_id)[verdict.hold]}"
        try:
            if verdict.how is Disposition.GIVE_UP:
                reason = (
                    TOLD_MORE.says(what=error.what, said=error.detail)
                    if isinstance(error, MailError)
                    else text_of(error)
                )
                end = self._given_up(lease, lease.remaining, reason)
                place.store.follow(lease, settled=end.settled, claim=False)
                announce(end.settled, self._tell)
            else:
                place.store.release(
                    lease,
                    how=verdict.how,
                    delay_seconds=verdict.delay_seconds,
                    failure=failure,
                    hold=hold,
                    hold_seconds=hold_seconds,
                    again_seconds=verdict.again_seconds,
                    crowded=crowded,
                )
        except LeaseLost:
            _log.warning("lease_lost", code=verdict.code)
            if lease.unit.kind is UnitKind.COPY:
                self._recheck(lease)
        return verdict.code

    def _recheck(self, lease: Lease) -> None:
        """Has the mailbox verified again after a lost lease.

        While this machine was suspended, another lane may have closed the unit, and the mailbox may have been verified
        before what was sent here arrived.
        """
        if self._place.store.recheck(lease.mailbox.mailbox_id, self._place.copy_rules.settle_seconds):
            _log.warning("verified_again", reason=LEASE_WAS_LOST_WHILE_COPYING.says())


def _patience(lease: Lease) -> int:
    """Returns the number of attempts after which a batch is halved.

    Where somebody else was found to write, they are those that park the mailbox: no message is to blame.
    """
    last = lease.mailbox.failure
    return UNIT_ATTEMPTS if last is not None and last.code == FOREIGN_WRITER else ATTEMPTS


class WornOut(MailhaulError):
    """Raised for a plan or verification that never comes to an end."""
