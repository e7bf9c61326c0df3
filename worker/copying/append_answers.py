"""Reads the answers to APPENDs, and tells our copies from what others write into the folder at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shared.mail import Appended, MailDestination
from shared.model import Lease
from shared.model.uids import Uid
from shared.store import WorkStore
from worker.copying.arrivals import Arrivals, foreign_writer
from worker.copying.dating import Dating
from worker.copying.gmail_sharing import GmailSharing
from worker.copying.inflight import InFlight
from worker.copying.writers import FolderWriters
from worker.decisions.alike import Alike


@dataclass(frozen=True, kw_only=True)
class AppendAnswers:
    """The answers to the groups of one batch."""

    #: The lease, which is the right to write.
    lease: Lease
    #: The state store.
    store: WorkStore
    #: The session that the groups went to.
    destination: MailDestination
    #: The groups that are sent and not yet entered.
    flight: InFlight
    #: The way in which the destination stores dates.
    dating: Dating
    #: The writers of the folder.
    writers: FolderWriters
    #: The messages that arrive beside ours.
    arrivals: Arrivals
    #: Whether a refusal is about the message or the server.
    alike: Alike
    #: The messages that several folders show; None where each folder has its own.
    shared: GmailSharing | None

    def read(self, outstanding: int) -> None:
        """Reads answers until at most so many groups are unanswered, and enters what each means for the ledger."""
        answers = self._answers(outstanding)
        for answer in answers:
            self._weigh(answer)
            self.writers.answered(len(answer.stored), followed=self.flight.unanswered > 1, waited=answer.waited)
            stored = [] if self.shared or self.writers.fill_gaps else self.flight.stored(answer)
            if stored and self.arrivals.unlike(self.flight.uidnext, stored):
                rest = [*answers, *self._answers(0)]
                for other in rest:
                    self._weigh(other)
                self._disentangle([answer, *rest])
                return
            self.flight.enter(answer)
            if self.shared:
                self.shared.tell()

    def _answers(self, outstanding: int) -> Iterator[Appended]:
        for answer in self.destination.answers(outstanding=outstanding):
            stored = self.flight.stored(answer)
            looked_at = self.dating.looked_at(answer, stored, self.flight.uidnext)
            if looked_at is not answer:  # the copy was removed again, but its UID was ours all the same
                self.flight.uidnext = max(self.flight.uidnext, *(uid + 1 for _, uid in stored))
            yield looked_at

    def _weigh(self, answer: Appended) -> None:
        """Notes what an answer shows: a message taken after a refused one means that the refused message is to blame."""
        if answer.stored:
            self.alike.passed_over(error for _, error in self.flight.refused)
            self.alike.passed_over(error for at, error in answer.refused.items() if at < max(answer.stored))

    def _disentangle(self, answers: Sequence[Appended]) -> None:
        """Enters the answers that came while somebody else wrote too.

        Of two copies of one message, the later is removed.
        """
        stored = [pair for answer in answers for pair in self.flight.stored(answer)]
        second = self.arrivals.between(
            self.flight.uidnext, stored, lambda: self.store.note_mixed(self.lease, self.lease.unit.folder_id)
        )
        for answer in answers:
            uids = None if answer.uids is None else tuple(Uid(second.get(uid, uid)) for uid in answer.uids)
            self.flight.enter(replace(answer, uids=uids))
        if stored:
            self.flight.uidnext = max(self.flight.uidnext, max(uid for _, uid in stored) + 1)
        # A copy that was once in doubt may have arrived late, and is nobody else's.
        foreign = sum(uid in second and sent.uid not in self.arrivals.doubts for sent, uid in stored)
        if foreign and not self.lease.restarted:
            raise foreign_writer(foreign)
