"""Ends the units that failed as `worker.decisions.failures` judged, and heeds servers that ask to be asked less."""

from __future__ import annotations

import contextlib
from typing import Final

from shared.model import Lease, UnitKind
from shared.model.errors import (
    FolderVanished,
    LeaseLost,
    LedgerConflict,
    MailError,
    MailhaulError,
    OverQuota,
    StoreError,
    Throttled,
)
from shared.model.events import HeldBack, Listener
from shared.model.lifecycle import Disposition, Outcome
from shared.rules.standing import LOOK_HOLD
from shared.runtime.logs import get_logger
from shared.wording.often_said import TOLD_MORE
from shared.wording.phrases import Phrase, text_of
from worker.copying.forgotten_flags import see_to_brought
from worker.copying.inflight import announce
from worker.copying.writers import FolderWriters
from worker.decisions.failures import LOOK_REST_SECONDS, describe, judge, meant
from worker.decisions.ledger_entries import given_up
from worker.sessions.mailbox_sessions import MailboxSessions
from worker.workplace import Workplace

LEASE_WAS_LOST_WHILE_COPYING: Final = Phrase("lease_was_lost_while_copying", "a lease was lost while copying")
_log = get_logger("mailhaul.worker")


class FailedUnits:
    """The units of one lane that failed. Kept as long as the lane is."""

    def __init__(self, place: Workplace, sessions: MailboxSessions, tell: Listener) -> None:
        self._place, self._sessions, self._tell = place, sessions, tell

    def slow_down(self, lease: Lease) -> None:
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

    def missing(self, lease: Lease, error: Exception) -> int:
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

    def handle(self, lease: Lease, error: BaseException, missing_bytes: int = 0, *, progressed: bool = False) -> str:
        """Does what the table says about `error`, and returns its code. `progressed`: the attempt brought a message on.

        Shuts the sessions, whose state is unknown; whatever was answered is in the ledger. Where a batch is given up, since a
        folder was refused, they are as good as before, and the flags of what it brought are seen to without another sign-in.
        """
        # A failure before progress does not count as one in a row.
        place, before = self._place, None if progressed or lease.mailbox.over_at else lease.mailbox.failure
        error = meant(error, place.lease_keeper.wish(lease))
        verdict = judge(
            error,
            lease.unit.attempts,
            before,
            kind=lease.unit.kind,
            patient=lease.mailbox.after_look,
            progressed=progressed,
            # Of a folder that is gone nothing can be sent again: its intents were withdrawn.
            in_doubt=bool(lease.intents) and not isinstance(error, FolderVanished),
        )
        if verdict.how is not Disposition.GIVE_UP:
            self._sessions.abort()
        if isinstance(error, LedgerConflict) and lease.unit.kind is UnitKind.COPY:
            # Also of the last groups, which go to the ledger when the batch is closed (`_followed`).
            with contextlib.suppress(LeaseLost):
                FolderWriters(lease, place.store, place.copy_rules.widening).narrow()
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
                self._see_to_flags(lease)
                outcome = Outcome.VANISHED if isinstance(error, FolderVanished) else Outcome.FAILED
                settled = (given_up(lease, lease.remaining, reason, outcome),)
                place.store.follow(lease, settled=settled, claim=False)
                announce(settled, self._tell)
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

    def _see_to_flags(self, lease: Lease) -> None:
        """Sees to the flags of what was brought before the rest is given up, which nothing but the lease or the store stops."""
        try:
            see_to_brought(lease, self._place.store, lambda: self._sessions.destination(lease.mailbox))
        except (LeaseLost, StoreError):
            raise
        except MailhaulError as error:
            messages = sum(len(one.source) for one in lease.records)
            _log.warning("flags_not_completed", messages=messages, reason=str(error))
        finally:
            self._sessions.close()

    def _recheck(self, lease: Lease) -> None:
        """Has the mailbox verified again after a lost lease.

        While this machine was suspended, another lane may have closed the unit, and the mailbox may have been verified
        before what was sent here arrived.
        """
        if self._place.store.recheck(lease.mailbox.mailbox_id, self._place.copy_rules.settle_seconds):
            _log.warning("verified_again", reason=LEASE_WAS_LOST_WHILE_COPYING.says())
