"""Chooses the internal dates that copies get: the message's own, or the nearest one that the destination keeps.

Nearly every date is `shared.content.dates.usual` and is sent as it is. For any other date the worker tries what the server
does: the message goes alone, and the date of its copy is read. Where the server refused the date or stored another one,
that copy is removed, and the message is sent again with a substitute date. What is learned is kept for the server's
other messages. Without UIDPLUS no single message can be removed, so nothing is tried there.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from shared.content.dates import clamp, stand_ins, usual
from shared.mail import Appended, MailDestination, Message
from shared.model.errors import DateNotKept, ServerRefused
from shared.model.sides import Side
from shared.model.uids import UidSet
from shared.wording.phrases import Phrase
from worker.decisions.sent import Sent

STORES_ANOTHER_INTERNAL_DATE: Final = Phrase(
    "stores_another_internal_date", "stores another internal date than was sent"
)


class Dating:
    """The dates of one batch's messages. Not reused."""

    def __init__(self, destination: MailDestination) -> None:
        self._destination, self._dates = destination, destination.dates
        self._tries = "UIDPLUS" in destination.capabilities
        #: Dates that are being tried, each with a group of one message, by token.
        self._trials: dict[str, int] = {}
        #: Dates with which a message was not taken, by its UID at the source.
        self._refused: dict[int, list[int]] = defaultdict(list)

    def date(self, message: Message) -> int | None:
        """Returns the date with which the message is to be sent now."""
        own = message.internaldate
        if own is None or usual(own):
            return own
        refused = self._refused.get(message.uid, ())
        for date in stand_ins(own):
            if date not in refused and (self._dates.kept(date) or (self._tries and not self._dates.lost(date))):
                return date
        return clamp(own)

    def tries(self, date: int | None) -> bool:
        """Tells whether it is unknown how the server stores this date, so that the message has to go alone."""
        return date is not None and not self._dates.kept(date)

    def begins(self, token: str, date: int) -> None:
        """Notes that a message goes alone because its date is tried."""
        self._trials[token] = date

    def broke(self) -> None:
        """Notes that the connection to the destination was lost."""
        for date in self._trials.values():
            self._dates.broke(date)

    def looked_at(self, answer: Appended, stored: Sequence[tuple[Sent, int]], uidnext: int) -> Appended:
        """Returns the answer, or a refusal in its place where the copy was removed for its date.

        Such a copy got another date than was sent. `stored` holds the messages that the answer says were stored, with
        their UIDs. A UID below `uidnext` is not ours. No other group is unanswered while a date is tried.
        """
        for sent, _ in stored if self._refused else ():
            for refused in self._refused.pop(sent.uid, ()):
                self._dates.loses(refused)
        date = self._trials.pop(str(answer.token), None)
        if date is None or not stored:
            return answer
        (sent, uid), *_ = stored
        one = UidSet.of([uid])
        # Dovecot tells the date of the file once, and after that the date in its cache: the second answer counts.
        for _ in range(2):
            seen = {int(s.uid): s for s in self._destination.sightings(one)}.get(uid)
        if seen is None or uid < uidnext or seen.fingerprint != sent.fingerprint:
            return answer
        if seen.internaldate == date:
            self._dates.keeps(date)
            return answer
        self._dates.loses(date)
        removed = False
        with contextlib.suppress(ServerRefused):
            removed = self._destination.remove(one)
        if not removed:
            return answer
        error = DateNotKept(Side.DESTINATION, STORES_ANOTHER_INTERNAL_DATE.says())
        return replace(answer, stored=(), uids=None, uidvalidity=None, refused={0: error})

    def another(self, sent: Sent) -> bool:
        """Tells whether a message that was refused alone may be taken with a substitute date."""
        if sent.internaldate is None or usual(sent.internaldate):
            return False
        self._refused[sent.uid].append(sent.internaldate)
        return True

    def anew(self, sent: Sent) -> None:
        """Forgets the refused dates of a message that is sent in another form: its own date may be taken after all."""
        self._refused.pop(sent.uid, None)
