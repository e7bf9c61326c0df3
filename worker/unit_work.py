"""The work on one unit: plans, copies, verifies or looks, and says how the unit ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from shared.folders.gmail import EXTENSION
from shared.model import Import, Lease, Options, UnitKind
from shared.model.choices import DeletionsChoice, LabelMode
from shared.model.errors import MailError, MailhaulError, NothingTaken, StoreError, Throttled
from shared.model.events import Listener, LookEnded
from shared.model.lifecycle import Outcome, Wish
from shared.model.protocols import protocol_of
from shared.model.uids import UidSet
from shared.runtime.logs import get_logger
from shared.wording.often_said import AND_THE_LAST, SERVER_SAID
from shared.wording.phrases import Phrase
from worker.copying.copy import BatchCopy
from worker.copying.forgotten_flags import see_to_brought
from worker.copying.neighbours import Neighbours
from worker.copying.returning import KnownBack, WayBack, await_return
from worker.decisions.alike import LOOKS
from worker.decisions.batch_ahead import BatchAhead
from worker.decisions.closing import Divided, Finished, InDoubt, SettleLater, Split, UnitEnd
from worker.decisions.failures import ATTEMPTS, FOREIGN_WRITER, UNIT_ATTEMPTS, same_in_a_row
from worker.decisions.ledger_entries import given_up
from worker.decisions.looking import difference, full_due, looked_at
from worker.decisions.unit_parts import divided, halves
from worker.decisions.wishes import strongest
from worker.planning.counted import CountedFolders
from worker.planning.plan import MailboxPlan
from worker.sessions.ends import Ends
from worker.sessions.mailbox_sessions import MailboxSessions
from worker.verifying.verify import MailboxVerification
from worker.workplace import Workplace

BEGUN_AND_NEVER_ENDED: Final = Phrase(
    "begun_and_never_ended",
    "{unit} was begun {num} times and never came to an end; it may kill its workers, see their logs",
)
IMPORT_NOT_IN_STORE: Final = Phrase("import_not_in_store", "the import is not in the store")
ALL_ATTEMPTS_FAILED: Final = Phrase("all_attempts_failed", "all attempts failed")

_log = get_logger("mailhaul.worker")


class WornOut(MailhaulError):
    """Raised for a plan or verification that never comes to an end."""


class UnitWork:
    """The work of one lane on its units, whatever their kind. Kept as long as the lane is."""

    def __init__(self, place: Workplace, sessions: MailboxSessions, tell: Listener, slow_down: Callable[[Lease], None]):
        """Takes `slow_down`, which heeds a server that asked to be asked less."""
        self._place, self._sessions, self._tell, self._slow_down = place, sessions, tell, slow_down
        self._returns = KnownBack(place.store)
        #: The counts of the unit before at the destination, where that was a plan that found nothing to do.
        self._counted: CountedFolders | None = None
        #: Unit id → the batch that this lane claims after it, of the mailbox that it planned last.
        self._coming: Mapping[str, BatchAhead] = {}
        #: Whether the current unit brought any message to an outcome.
        self.progressed = False

    def forget(self) -> None:
        """Forgets what the unit before counted: the lane leaves its mailbox."""
        self._counted = None
        self._coming = {}

    def run(self, lease: Lease) -> UnitEnd:
        """Works on one unit. Raises what its parts raise, for `worker.decisions.failures` to judge."""
        try:
            return self._worked(lease)
        except SettleLater as later:
            return InDoubt(seconds=later.seconds, counts=later.counts)
        except MailError:
            # Another server may not take what is asked for ahead, or a folder ends each connection: it happens once a plan.
            self._coming = {}
            raise

    def _worked(self, lease: Lease) -> UnitEnd:
        place, sessions = self._place, self._sessions
        unit = lease.unit
        self.progressed = False
        # The first attempt tells whether there is any need.
        sessions.lasting = unit.attempts > 1 and not protocol_of(lease.mailbox.source.endpoint).one_session
        sessions.last_attempt = unit.attempts >= ATTEMPTS
        just_counted, self._counted = self._counted, None

        def wish() -> Wish:
            self._slow_down(lease)
            return strongest(place.lease_keeper.wish(lease), ends=place.stopping())

        if unit.kind is not UnitKind.COPY and unit.attempts > UNIT_ATTEMPTS:
            # The last attempt ended without a word: an attempt that meets an error is parked with that error by
            # `judge`.
            raise WornOut(BEGUN_AND_NEVER_ENDED.says(unit=unit.kind, num=unit.attempts - 1))
        if unit.kind is UnitKind.PLAN:
            began = time.monotonic()
            planned = place.store.folders(unit.mailbox_id)
            known = [folder for folder, _ in planned]
            import_ = self._import(lease)
            options = import_.options
            if options.accounts and place.accounts:
                place.accounts.prepare(lease, options.accounts, sessions)
            if under_way := await_return(lease.mailbox, place.store):
                return under_way
            source, destination = sessions.both(lease.mailbox)
            neighbours = Neighbours(lease, place.store, lambda: options)
            ends = None
            returning = WayBack(lease, place.store, options) if options.returns else None
            # Of a folder that could not be read nothing was planned.
            if not (options.same_mailbox or any(folder.uidvalidity for folder in known)):
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
                unsettled_seconds=self._unsettled_seconds(lease, import_),
                returning=returning,
                wish=wish,
                wide=place.plans_at_work,
                ring=partial(place.ring, UnitKind.COPY, lease.mailbox.import_id, ""),
            )
            pending = {folder.folder_id for folder, tally in planned if tally.pending}
            gone = {folder.folder_id for folder, tally in planned if tally[Outcome.VANISHED]}
            lanes = planning.run(known, pending, gone)
            if not lanes and not pending:  # nobody can copy before the verification
                self._counted = planning.counted(began)
            self._coming = planning.coming(place.copy_rules.widening.least_messages)
        elif unit.kind is UnitKind.LOOK:
            return self._look(lease)
        elif unit.kind is UnitKind.VERIFY:
            options = self._options(lease)
            if options.deletions == DeletionsChoice.FOLLOW and not place.may_remove(lease.mailbox.import_id, options):
                _log.warning("deletions_not_followed", reason="not_sealed")
                options = replace(options, deletions=DeletionsChoice.TELL)
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
            see_to_brought(lease, place.store, lambda: sessions.destination(lease.mailbox))
            place.store.split(lease, halves(unit, remaining, lease.intents, ATTEMPTS - 1))
            return Split()
        elif (reason := self._given_up(lease)) and not lease.intents:
            see_to_brought(lease, place.store, lambda: sessions.destination(lease.mailbox))
            return Finished(settled=(given_up(lease, lease.remaining, reason),))
        elif len(parts := self._shares(lease)) > 1:
            place.store.split(lease, divided(unit, parts, (), unit.attempts - 1))
            return Split()
        else:
            source, destination = sessions.both(lease.mailbox)
            neighbours = Neighbours(lease, place.store, lambda: self._options(lease), self._returns.of)
            labels = EXTENSION in source.capabilities and self._options(lease).gmail_labels == LabelMode.FOLDERS
            rules, tell, sleep = place.copy_rules, self._tell, place.sleep
            ring = partial(place.ring, UnitKind.COPY, lease.mailbox.import_id, "")
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
                lambda nothing, coded: self._believed(lease, nothing, coded=coded),
                ring,
                reason,
                # Where something failed, it must be known which folder was to blame.
                self._coming.get(unit.unit_id) if unit.attempts == 1 else None,
            )
            try:
                return copying.run()
            except Divided as batch:
                shares = divided(unit, batch.parts, (), unit.attempts - 1)
                place.store.split(lease, [*shares, *divided(unit, [batch.blamed], (), ATTEMPTS)])
                for _ in range(batch.lanes):
                    ring()
                return Split()
            finally:
                self.progressed = copying.progressed
        return Finished()

    def _given_up(self, lease: Lease) -> str:
        """Returns why the one message that is left of a batch is not sent any more; "" where it is."""
        if lease.unit.attempts <= _patience(lease) + 1 or len(lease.remaining) != 1:
            return ""
        last = lease.mailbox.failure
        why = ALL_ATTEMPTS_FAILED.says()
        if last is None:
            return why
        cause = SERVER_SAID.says(what=last.sentence, said=last.detail) if last.detail else last.sentence
        return AND_THE_LAST.says(what=why, cause=cause)

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

    def _unsettled_seconds(self, lease: Lease, import_: Import) -> float:
        """Returns how long mail that a run before this import had on the line may still arrive.

        The workers of a store that was lost go on until they notice, and leave no record.
        """
        return max(0.0, import_.created_at + self._place.copy_rules.settle_seconds - lease.claimed_at)

    def _import(self, lease: Lease) -> Import:
        import_ = self._place.store.import_(lease.mailbox.import_id)
        if import_ is None:
            raise StoreError(IMPORT_NOT_IN_STORE.says())
        return import_

    def _options(self, lease: Lease) -> Options:
        return self._import(lease).options

    def _shares(self, lease: Lease) -> list[UidSet]:
        """Returns the shares into which a batch is divided before it is copied, in a folder with several writers."""
        if lease.writers < 2 or lease.intents or lease.unit.attempts > 1:
            return []
        return self._place.copy_rules.widening.shares(lease.remaining, lease.folder_pending, lease.writers)

    def _believed(self, lease: Lease, nothing: NothingTaken, *, coded: bool) -> bool:
        """Tells whether a destination that refuses messages in the same words is believed to mean the messages.

        It is when several attempts in a row came to the same, and nothing of the mailbox got on meanwhile; or when it never
        took any of this mailbox, and no code blames the server (`coded`).
        """
        store, mailbox = self._place.store, lease.mailbox
        took = any(tally[Outcome.COPIED] for _, tally in store.folders(mailbox.mailbox_id))
        folder = lease.folder.display if lease.folder else ""
        return same_in_a_row(mailbox, store.failures(mailbox.mailbox_id), nothing, folder) >= LOOKS or not (
            took or coded
        )


def _patience(lease: Lease) -> int:
    """Returns the number of attempts after which a batch is halved.

    Where somebody else was found to write, they are those that park the mailbox: no message is to blame.
    """
    last = lease.mailbox.failure
    return UNIT_ATTEMPTS if last is not None and last.code == FOREIGN_WRITER else ATTEMPTS
