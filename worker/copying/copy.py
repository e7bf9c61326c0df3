"""Copies a batch: the central loop of the product.

The life of a group: the source streams it in (FETCH commands run ahead of what is read), an intent is written, and the
group is appended without waiting for the answer to the one before. When an answer comes, the ledger gets its record.
Bodies are never kept: what is refused is read again in halves, until the one message that the destination does not take
stands alone and gets its outcome with the server's words.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from shared.content.watching import WatchedChunks, seen_in
from shared.mail import KnownStatus, MailDestination, MailSource, Message, Sighting
from shared.mail.answers.limits import may_be_too_large
from shared.model import Folder, Intent, Lease, LedgerEntry, Note
from shared.model.errors import (
    AnswerUnreadable,
    ConnectionLost,
    FolderChanged,
    FolderRefused,
    FolderVanished,
    LeaseLost,
    LedgerConflict,
    MailError,
    MessageEndsConnection,
    MessagesRefused,
    NothingRead,
    NothingTaken,
    ProtocolViolation,
    ServerRefused,
    StoreError,
)
from shared.model.events import Listener
from shared.model.lifecycle import Outcome, Wish
from shared.model.sides import Side
from shared.model.uids import NO_UIDS, Uid, UidSet, records_of
from shared.nouns import dataclass
from shared.store import WorkStore
from shared.wording.often_said import FOLDER_RECREATED
from shared.wording.phrases import Phrase, text_of
from worker.copying.append_answers import AppendAnswers
from worker.copying.arrivals import Arrivals
from worker.copying.batch_folders import BatchFolders
from worker.copying.copy_search import CopySearch
from worker.copying.dating import Dating
from worker.copying.forgotten_flags import ForgottenFlags
from worker.copying.gmail_sharing import GmailSharing
from worker.copying.inflight import InFlight, stop_on
from worker.copying.neighbours import Neighbours
from worker.copying.outcomes import MessageOutcomes
from worker.copying.oversize import set_aside
from worker.copying.rate_wait import wait_out
from worker.copying.read_back import read_back
from worker.copying.recovery import just_stored
from worker.copying.writers import FolderWriters
from worker.decisions.alike import Alike
from worker.decisions.batch_ahead import AHEAD_BYTES, BatchAhead
from worker.decisions.closing import Divided, Finished, SettleLater
from worker.decisions.copy_notes import watched
from worker.decisions.failures import ATTEMPTS, MOST_REMADE
from worker.decisions.ledger_entries import given_up, without_copy
from worker.decisions.permanent_flags import doubtful_flags, kept_flags
from worker.decisions.sent import Sent, is_resized, remembered
from worker.decisions.shares import Widening

LISTED_WITHOUT_BODY: Final = Phrase("listed_without_body", "the source lists the message but gives no body")
LEASE_RAN_OUT_BEFORE: Final = Phrase("lease_ran_out_before", "the lease ran out before the append")
BYTES_ANNOUNCED_NONE_GIVEN: Final = Phrase(
    "bytes_announced_none_given", "the source says that the message has {n} bytes, and gives none"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyRules:
    """Limits on the size of groups and on the number of unanswered ones."""

    #: Largest number of messages in a group.
    group_messages: int = 100
    #: Largest number of bytes in a group; a larger message is a group of its own.
    group_bytes: int = 1 << 20
    #: Largest number of groups that are sent and not yet answered.
    outstanding: int = 6
    #: Seconds for which a group whose connection died stays in doubt.
    settle_seconds: float = 30.0
    #: When a folder gets more writers than one.
    widening: Widening = Widening()


class BatchCopy:
    """Copies one batch under one lease, between two signed-in sessions. Not reused."""

    def __init__(
        self,
        lease: Lease,
        store: WorkStore,
        source: MailSource,
        destination: MailDestination,
        rules: CopyRules,
        wish: Callable[[], Wish],
        tell: Listener,
        neighbours: Neighbours,
        labels: bool = False,
        sleep: Callable[[float], object] = time.sleep,
        believed: Callable[[NothingTaken, bool], bool] = lambda nothing, coded: False,
        ring: Callable[[], object] = lambda: None,
        give_up: str = "",
        coming: BatchAhead | None = None,
    ) -> None:
        """Takes `wish`, which says without a round trip what the operator wants, or that the lease is lost.

        `wish` is asked before every append. With `labels`, several
        folders may show one message (`worker.copying.gmail_sharing`). `sleep` waits for the seconds that the rates demand. `ring`
        calls one lane more. `give_up` is the reason for which nothing is sent any more: what is not there already fails.
        `coming` is the batch that is claimed next, as far as that is known.
        """
        self._coming = coming
        self._give_up = give_up
        self._lease, self._store, self._source, self._destination = lease, store, source, destination
        self._rules, self._wish, self._tell, self._labels, self._sleep = rules, wish, tell, labels, sleep
        self._alike = Alike(believed)
        self._dating = Dating(destination)
        self._forgotten_flags = ForgottenFlags(lease, store, destination)
        self._neighbours = neighbours
        self._writers = FolderWriters(lease, store, rules.widening, ring=ring)
        self._arrivals = Arrivals(lease, store, source, destination, neighbours, self._writers)
        self._outstanding = rules.outstanding if "UIDPLUS" in destination.capabilities else 0
        self._seen: set[int] = set()
        #: Messages of which the source gave a body of no bytes.
        self._empty: set[int] = set()
        self._folders = BatchFolders(lease, store, source, destination, self._writers, labels=labels)
        self._copies = CopySearch(
            lease=lease,
            store=store,
            source=source,
            destination=destination,
            neighbours=neighbours,
            writers=self._writers,
            arrivals=self._arrivals,
            forgotten_flags=self._forgotten_flags,
            folders=self._folders,
            tell=tell,
            settle_seconds=rules.settle_seconds,
            labels=labels,
        )
        #: The folder as opened at the source, and at the destination.
        self._opened: KnownStatus | None = None
        self._status: KnownStatus | None = None
        self._flight: InFlight | None = None
        self._shared: GmailSharing | None = None
        #: The sum of the sizes that the source gave for all messages of the batch; 0 where it gave none.
        self._announced = 0
        #: Messages that came in another size than was announced, with their place among these.
        self._resized: dict[int, int] = {}

    @property
    def progressed(self) -> bool:
        """Tells whether this attempt brought any message to an outcome."""
        return self._flight is not None and self._flight.progressed

    def run(self) -> Finished:
        """Copies what the batch has not done yet; only closing it is left then.

        Raises what the ports raise, `ControlRequested` and `SettleLater`; what was answered until then is in the
        ledger.
        """
        folder = self._lease.folder
        assert folder is not None, "a batch has a folder"
        wait_out(self._lease.due, lambda: self._store.progress(self._lease).due, self._wish, self._tell, self._sleep)
        try:
            there, here = self._folders.open()
        except FolderVanished as error:
            if self._lease.intents and self._lease.unit.attempts >= ATTEMPTS:
                self._copies.withdraw(error)
            raise
        self._opened = there
        self._begin(here)
        try:
            done = self._copies.done(here, self._flying)
            remaining = set_aside(self._source, there, self._flying, self._lease.unit.uids - done)
            if self._give_up and remaining:
                self._flying.add(given_up(self._lease, remaining, self._give_up))
                remaining = NO_UIDS
            self._announced = (
                self._lease.unit.size_bytes if self._folders.as_planned() else self._sizes(there, remaining)
            )
            left = remaining
            try:
                for part in self._parts(folder, remaining):
                    self._bring(part)
                    left -= part
            except ConnectionLost as error:
                self._set_first_apart(left, error)
                raise
        except BaseException as error:
            self._salvage(error)
            if isinstance(error, NothingTaken):
                self._insist_on(folder)
            raise
        flight = self._flying
        pairs = records_of(pair for record in flight.records for pair in record.pairs())
        checked = False
        try:
            # A server that breaks the connection over this must not keep a batch open of which all is brought.
            if self._lease.remaining or self._lease.unit.attempts <= ATTEMPTS:
                if self._lease.unit.attempts > 1:  # the read-back may be what broke the attempt before
                    self._see_to_flags()
                checked = bool(pairs) and self._read_back(UidSet.of(uid for r in pairs for uid in r.destination))
        except BaseException as error:
            self._salvage(error)
            raise
        merged = LedgerEntry(name=self._lease.unit.unit_id, records=tuple(pairs), digest=0, checked=checked)
        return Finished(settled=tuple(flight.take()), records=(merged,) if pairs else ())

    def _insist_on(self, folder: Folder) -> None:
        """Raises `FolderChanged` where the destination folder is not the one that was opened: the server is not to blame then.

        A server may refuse what is appended to such a folder without saying why (Dovecot: [SERVERBUG]).
        """
        assert self._status is not None
        if folder.remade >= MOST_REMADE:
            return
        said = FOLDER_RECREATED.says(folder=folder.display)
        try:
            here = self._destination.open(folder.destination_name)
        except FolderRefused as gone:
            raise FolderChanged(Side.DESTINATION, said) from gone
        if not here.same_uids(self._status.uidvalidity or 0):
            raise FolderChanged(Side.DESTINATION, said)

    def _parts(self, folder: Folder, remaining: UidSet) -> Iterable[UidSet]:
        if self._shared:
            return self._shared.parts(remaining)

        def alone() -> bool:
            # More lanes would not bring more where a rate is set, and other folders' lanes tell nobody what they write.
            return self._flying.due is not None or self._neighbours.merges(folder)

        return self._writers.parts(remaining, self._destination, alone)

    def _see_to_flags(self) -> None:
        assert self._status is not None
        self._forgotten_flags.see_to(self._status, self._flying.records)

    def _read_back(self, uids: UidSet) -> bool:
        """Tells whether the destination shows exactly what was sent, while the folder is open anyway."""
        assert self._status is not None
        then = self._coming.folder.destination_name if self._coming else None
        return read_back(self._destination, self._status, uids, self._flying, self._forgotten_flags, then=then)

    @property
    def _flying(self) -> InFlight:
        assert self._flight is not None, "opened first"
        return self._flight

    @property
    def _outcomes(self) -> MessageOutcomes:
        assert self._opened is not None, "opened first"
        return MessageOutcomes(self._source, self._flying, self._opened)

    def _begin(self, here: KnownStatus) -> None:
        """Makes what the groups of the batch need, now that its folders are open."""
        self._status = here
        self._flight = InFlight(self._lease, self._store, here, self._tell, self._find_uids)
        if self._labels:
            self._shared = GmailSharing(
                self._lease, self._store, self._source, self._destination, self._flight, self._wish
            )

    @property
    def _answers(self) -> AppendAnswers:
        return AppendAnswers(
            lease=self._lease,
            store=self._store,
            destination=self._destination,
            flight=self._flying,
            dating=self._dating,
            writers=self._writers,
            arrivals=self._arrivals,
            alike=self._alike,
            shared=self._shared,
        )

    def _sizes(self, there: KnownStatus, uids: UidSet) -> int:
        sizes: dict[int, int] = {}
        with contextlib.suppress(ServerRefused):
            sizes.update((int(uid), size) for uid, size in self._source.sizes(there, uids))
        return sum(sizes.values()) if all(sizes.get(uid) for uid in uids) else 0

    def _bring(self, uids: UidSet) -> None:
        """Brings each of these messages to an outcome."""
        if uids:
            try:
                self._copy(uids)
            except ServerRefused as error:
                # The batch is tried once more later; then one by one, so that only the faulty messages fail.
                proved = self._lease.unit.attempts > 1 or isinstance(error, MessageEndsConnection)
                if error.side != Side.SOURCE or not proved:
                    raise
            self._copy_refused()
            self._account_for(uids)

    def _copy(self, uids: UidSet, *, most: int = 0, keywords: bool = True) -> None:
        """Reads `uids` and appends them in groups of at most `most` messages."""
        whole = not most
        most = most or min(self._writers.group_messages or self._rules.group_messages, self._rules.group_messages)
        group: list[Message] = []
        size = 0
        broken: list[MailError] = []
        for message in self._fetched(uids, broken):
            if self._flying.due:  # at the first message after a group: no more is read from the source
                self._answers.read(0)
                wait_out(self._flying.due, self._flying.ask, self._wish, self._tell, self._sleep)
            if not message.size_bytes and message.uid not in self._empty:
                self._empty.add(message.uid)  # it is looked at once more before it is believed (`_copy_alone`)
                continue
            self._seen.add(message.uid)
            full = len(group) >= most or size + message.size_bytes > self._rules.group_bytes
            tried = self._dating.tries(self._dating.date(message))
            alone = message.stream is not None or tried
            if group and (full or alone):
                self._send(group, keywords)
                group, size = [], 0
            group.append(message)
            size += message.size_bytes
            if alone:
                # A stream is read to its end here: the source cannot go on before that.
                self._send(group, keywords, tried=tried)
                group, size = [], 0
        if group:
            self._send(group, keywords)
        if whole and not (broken or self._flying.due or self._flying.refused):
            self._ask_ahead()
        self._answers.read(0)
        if broken:
            raise broken[0]

    def _ask_ahead(self) -> None:
        """Lets the source send what comes next, while the destination answers."""
        if self._writers.has_rest:  # whatever comes next is of this folder
            if rest := self._writers.coming():
                self._source.ask_ahead(rest)
            return
        coming = self._coming
        if coming is None or self._labels or self._empty or self._wish() is not Wish.RUN:
            return
        # All that is asked for has to be read, should another batch come.
        known = 0 < coming.unit.size_bytes <= AHEAD_BYTES
        if known and not may_be_too_large(self._destination.capabilities, coming.unit.size_bytes):
            self._source.foresee(coming.folder.source_name, coming.unit.uids)

    def _set_first_apart(self, left: UidSet, error: ConnectionLost) -> None:
        """Raises `Divided` where the source ended the connection before any message came, not for the first time.

        Servers do so over a message that they cannot read. It is the first one, unless the server kept back what came before
        it: so the rest is halved.
        """
        first, rest = left.take(1)
        if isinstance(error, NothingRead):
            return  # others would be blamed as well, one by one
        if error.side == Side.SOURCE and rest and not self._seen and self._lease.unit.attempts > 1:
            raise Divided(rest.take((len(rest) + 1) // 2), blamed=first) from error

    def _fetched(self, uids: UidSet, broken: list[MailError]) -> Iterator[Message]:
        """Yields the messages that the source gives for `uids`.

        An error at the end goes into `broken`, since all messages that came are copied first: a source that ends each
        connection after a few messages gives them all in the end.
        """
        try:
            yield from self._source.fetch(uids, size_bytes=self._announced)
        except MailError as error:
            if error.side != Side.SOURCE:
                raise
            if isinstance(error, ProtocolViolation | ConnectionLost) and error.uids and self._lease.unit.attempts > 1:
                # The messages that broke the connection a second time fail by name; the next attempt brings the others.
                notes = [Note(uid=uid, what=Outcome.FAILED, reason=error.what) for uid in error.uids]
                self._flying.add(without_copy(Outcome.FAILED, error.uids, notes))
            broken.append(error)

    def _send(self, group: list[Message], keywords: bool, tried: bool = False) -> None:
        """Writes the intent for `group` and appends it.

        `tried`: the group is one message, sent alone because it is not known how the destination stores its date.
        """
        assert self._status is not None
        flags, sent = [], []
        for at, message in enumerate(group):
            kept, lost = kept_flags(message.flags, self._status.permanent_flags)
            doubtful = doubtful_flags(kept, self._status.permanent_flags)
            if not keywords:
                lost = (*lost, *doubtful)
                kept, doubtful = tuple(flag for flag in kept if flag not in doubtful), ()
            flags.append(kept)
            seen = seen_in(message.body) if message.body is not None else ""
            date = self._dating.date(message)
            if is_resized(message):
                self._resized.setdefault(message.uid, len(self._resized) + 1)
            resized = self._resized.get(message.uid, 0)
            sent.append(remembered(message, date, lost, bool(doubtful), seen, resized))
            self._forgotten_flags.sent(message.uid, kept, sent[-1].notes)
            if date != message.internaldate:
                group[at] = replace(message, internaldate=date)
        self._flying.stop_when_full()
        # Before the intent: an intent that is never sent would have to wait for its settle time.
        stop_on(self._wish())
        token = self._flying.intend(sent)
        if tried:
            self._dating.begins(token, sent[0].internaldate or 0)
        if self._wish() is Wish.LOST:  # the store was slow to answer: somebody else may have the batch by now
            raise LeaseLost(LEASE_RAN_OUT_BEFORE.says())
        passing = None
        if group[0].stream is not None:
            passing = WatchedChunks(group[0].stream)
            group = [replace(group[0], stream=iter(passing))]
        self._destination.send(group, flags, token)
        if passing and passing.seen:
            self._flying.note_sent(token, watched(group[0].uid, passing.seen))
        # Into an empty folder that cannot be left nothing follows what may be refused (`AppendSession._step_out`).
        first = "UNSELECT" not in self._destination.capabilities and not (self._status.messages or self._flying.taken)
        self._answers.read(0 if tried or first else self._outstanding)

    def _copy_refused(self) -> None:
        """Halves what was refused until single messages are left.

        It tries those once more without keywords and flags that are not permanent there, where the refusal may be about
        them. A message refused alone waits for the next answer. Where all are refused in the same words, the messages are
        not to blame (`worker.decisions.alike`).
        """
        alike, taken = self._alike, self._flying.taken
        while self._flying.refused:
            group, error = self._flying.refused.pop()
            if not isinstance(error, MessagesRefused | ServerRefused):
                raise self._folders.refused(error)
            if self._flying.taken > taken:
                self._outcomes.refuse(alike.taken())
                taken = self._flying.taken
            uids = UidSet.of(sent.uid for sent in group)
            if len(group) > 1:
                for half in uids.take((len(group) + 1) // 2):
                    if half:
                        self._copy(half, most=len(half))
            elif error.again:
                self._copy(uids, most=1)
            elif self._dating.another(group[0]):
                self._copy(uids, most=1, keywords=group[0].keywords)
            elif group[0].keywords and not getattr(error, "of_the_server", False):
                self._dating.anew(group[0])
                self._copy(uids, most=1, keywords=False)
            else:
                alike.note(group[0], error)
        if self._flying.taken > taken:
            self._outcomes.refuse(alike.taken())
        self._outcomes.refuse(alike.ended())

    def _account_for(self, uids: UidSet) -> None:
        """Gives every UID an outcome.

        A message that did not come is looked for a second time before it is called vanished.
        """
        self._outcomes.tell_unseen()
        silent = UidSet.of(uid for uid in uids if uid not in self._seen)
        for uid, seen in self._outcomes.still_listed(silent):
            self._copy_alone(uid, seen)

    def _copy_alone(self, uid: Uid, seen: Sighting | None) -> None:
        """Copies a message that is listed but did not come with the others."""
        one = UidSet.of([uid])
        reason: str = LISTED_WITHOUT_BODY.says()
        try:
            if uid in self._empty and seen is not None and seen.size_bytes:
                reason = BYTES_ANNOUNCED_NONE_GIVEN.says(n=f"{seen.size_bytes:,}")
            else:
                self._copy(one, most=1)
                self._copy_refused()
        except ServerRefused as error:
            if error.side != Side.SOURCE:
                raise
            odd = isinstance(error, AnswerUnreadable)
            reason = text_of(error) if odd else error.detail or error.what
        if uid not in self._seen:
            self._outcomes.fail(uid, seen, reason)

    def _find_uids(self, intent: Intent, stored: Sequence[Sent], entered: UidSet) -> dict[int, int]:
        assert self._lease.folder is not None
        self._writers.untold = True
        if self._writers.shared:
            # Only its place would tell which copy is ours: the bytes are to decide, and one lane alone from here on.
            self._writers.narrow()
            raise SettleLater(0, counts=True)
        low, folder = intent.destination_uidnext, self._lease.folder
        return just_stored(self._store, self._destination, folder, low, stored, entered)

    def _salvage(self, error: BaseException) -> None:
        """Enters what the destination still answers, so that as little as possible is left in doubt.

        The error that broke the batch off is what counts; whatever fails here only leaves intents behind, which is
        safe.
        """
        if self._flight is None or isinstance(error, LeaseLost | StoreError):
            return
        dead = isinstance(error, ConnectionLost | ProtocolViolation) and error.side == Side.DESTINATION
        if dead:
            self._dating.broke()
        else:
            with contextlib.suppress(MailError, SettleLater):
                self._answers.read(0)
        with contextlib.suppress(LeaseLost, StoreError, LedgerConflict):
            self._flight.flush()
            # What was brought may be another batch's from here on: the rest is shared out, halved or given up.
            if isinstance(error, Divided) or (isinstance(error, MailError) and error.side == Side.SOURCE):
                with contextlib.suppress(MailError):
                    self._see_to_flags()
