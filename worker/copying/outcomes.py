"""Gives an outcome to the messages of a batch that get no copy: refused, failed or vanished ones, each by name."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.mail import KnownStatus, MailSource, Sighting
from shared.model import Note
from shared.model.errors import MailError, ServerRefused
from shared.model.lifecycle import Outcome
from shared.model.uids import Uid, UidSet
from shared.wording.often_said import NO_LONGER_AT_SOURCE
from shared.wording.phrases import Phrase
from worker.copying.inflight import InFlight
from worker.decisions.ledger_entries import without_copy
from worker.decisions.sent import Sent

DESTINATION_SAID_OK_BUT_SHOWS_NOTHING: Final = Phrase(
    "destination_said_ok_but_shows_nothing", "the destination said OK but does not show the message"
)
SOURCE_DOES_NOT_SHOW_MESSAGE: Final = Phrase(
    "source_does_not_show_message", "the source shows {shown_num} of {num} messages, and not this one"
)


@dataclass(frozen=True, slots=True)
class MessageOutcomes:
    """The outcomes of one batch's messages that get no copy."""

    #: The session with the source, in the batch's folder.
    source: MailSource
    #: The groups of the batch; they take the outcomes to the ledger.
    flight: InFlight
    #: The status with which the source opened the folder.
    opened: KnownStatus

    def refuse(self, refused: Sequence[tuple[Sent, MailError]]) -> None:
        """Enters messages that the destination refused for themselves, with its words."""
        for sent, error in refused:
            self._give(Outcome.REFUSED, [sent], error.detail or error.what)

    def tell_unseen(self) -> None:
        """Enters the messages that the destination took and does not show."""
        if self.flight.unseen:
            unseen, self.flight.unseen = self.flight.unseen, []
            self._give(Outcome.FAILED, unseen, DESTINATION_SAID_OK_BUT_SHOWS_NOTHING.says())

    def _give(self, outcome: Outcome, group: Sequence[Sent], reason: str) -> None:
        uids = UidSet.of(sent.uid for sent in group)
        message_ids = {s.uid: s.message_id for s in self.source.sightings(uids)}
        notes = [
            Note(
                uid=sent.uid,
                what=outcome,
                reason=reason,
                message_id=message_ids.get(sent.uid, ""),
                internaldate=sent.internaldate,
                size_bytes=sent.size_bytes,
            )
            for sent in group
        ]
        self.flight.add(without_copy(outcome, uids, notes, sum(sent.size_bytes for sent in group)))

    def still_listed(self, silent: UidSet) -> list[tuple[Uid, Sighting | None]]:
        """Looks a second time at messages that the source did not give, and enters those that are gone.

        Returns the others, with what the source shows of them.
        """
        if not silent:
            return []
        there: dict[int, Sighting] = {}
        with contextlib.suppress(ServerRefused):
            for sighting in self.source.sightings(silent):
                there[sighting.uid] = sighting
        gone = silent - UidSet.of(there)
        if gone:
            gone -= UidSet.of(self.listed_by_size(gone))
        if gone:
            gone, why = self._gone(gone)
            outcome = Outcome.FAILED if why else Outcome.VANISHED
            notes = [Note(uid=uid, what=outcome, reason=why or NO_LONGER_AT_SOURCE.says()) for uid in gone]
            self.flight.add(without_copy(outcome, gone, notes))
        return [(uid, there.get(uid)) for uid in silent - gone]

    def listed_by_size(self, silent: UidSet) -> set[int]:
        """Returns those messages of which the source tells the size: it may show neither header nor text of them.

        SEARCH need not be asked then, which some servers do not survive with such a message in the folder (go-imap).
        """
        found: set[int] = set()
        with contextlib.suppress(ServerRefused):
            for uid, _ in self.source.sizes(self.opened, silent):
                found.add(uid)
        return found

    def _gone(self, silent: UidSet) -> tuple[UidSet, str]:
        """Returns those messages of `silent` that the source no longer lists, and why they cannot be called vanished.

        The reason is "" when they can: the source shows as many messages as it counts.
        """
        every = self.source.existing()
        beside, withheld = self.source.look_again(every)
        every |= UidSet.of(uid for uid, _ in beside)
        count = len(every) + withheld
        return (
            silent - every,
            SOURCE_DOES_NOT_SHOW_MESSAGE.says(shown_num=f"{len(every):,}", num=f"{count:,}") if withheld else "",
        )

    def fail(self, uid: Uid, seen: Sighting | None, reason: str) -> None:
        """Enters a message that the source lists and does not give."""
        note = Note(
            uid=uid,
            what=Outcome.FAILED,
            reason=reason,
            message_id=seen.message_id if seen else "",
            internaldate=seen.internaldate if seen else None,
            size_bytes=seen.size_bytes if seen else -1,
        )
        size = seen.size_bytes if seen else 0
        self.flight.add(without_copy(Outcome.FAILED, UidSet.of([uid]), [note], size))
