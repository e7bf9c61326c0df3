"""Recognises copies: reads what may be the same on both sides, and compares it by its bytes.

The cost is bounded: only messages for which there is a reason on both sides (`worker.decisions.likeness`) are read. Of a
delivered message that agrees in everything else, only header and beginning are read. A message whose body the server
does not give is never recognised as a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.mail import MailDestination, MailSession, MailSource, Sighting
from shared.model.errors import MessageEndsConnection, ServerRefused
from shared.model.uids import NO_UIDS, UidSet
from shared.nouns import dataclass
from shared.runtime.logs import get_logger
from worker.decisions.likeness import TEXT_BYTES, Reasons, likely, matched
from worker.decisions.twin_flags import by_flags, twins

_log = get_logger("mailhaul.worker")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """A source message and its copy."""

    #: The message at the source, with its digests, and its size as read.
    original: Sighting
    #: The message at the destination.
    copy: Sighting

    @property
    def exact(self) -> bool:
        """Tells whether no difference is known between the two, as far as they were read."""
        one, other = self.original, self.copy
        return (one.digest, one.size_bytes, one.nuls) == (other.digest, other.size_bytes, other.nuls)


class Recognition:
    """Recognises copies between two signed-in sessions, each with its folder open."""

    def __init__(self, source: MailSource, destination: MailDestination) -> None:
        self._source, self._destination = source, destination
        #: Source UIDs of messages that end the connection: nobody can tell whether they have a copy.
        self.unread = NO_UIDS

    def among(self, uids: UidSet, ours: Sequence[Sighting]) -> dict[int, Recognised]:
        """Returns those source messages of `uids` that have a copy among `ours`, by UID; one copy to one message."""
        if not uids or not ours:
            return {}
        reasons = Reasons(ours)
        theirs: list[Sighting] = []
        try:
            theirs.extend(seen for seen in self._source.sightings(uids) if reasons.meet(seen))
        except MessageEndsConnection as error:
            self.unread |= error.uids
        expected = likely(theirs, ours)
        found = {
            uid: pair
            for uid, pair in self._compare(expected, expected.values(), text_bytes=TEXT_BYTES).items()
            if expected[uid] == pair.copy.uid and pair.original.certain and pair.copy.certain
        }
        taken = {pair.copy.uid for pair in found.values()}
        theirs = [seen for seen in theirs if seen.uid not in found]
        reasons = Reasons(theirs)
        copies = [seen.uid for seen in ours if seen.uid not in taken and reasons.meet(seen)]
        return found | self._compare([seen.uid for seen in theirs], copies)

    def _compare(self, sources: Iterable[int], copies: Iterable[int], text_bytes: int = 0) -> dict[int, Recognised]:
        """Returns the pairs with equal bytes among `sources` and `copies`."""
        uids, others = UidSet.of(sources), UidSet.of(copies)
        if not uids or not others:
            return {}
        _log.info("comparing_bytes", messages=len(uids), with_messages=len(others), text_bytes=text_bytes)
        theirs, ours = self._read(self._source, uids, text_bytes), self._read(self._destination, others, text_bytes)
        pairs = self._by_flags(theirs, ours, matched(theirs.values(), ours.values()))
        return {uid: Recognised(original=theirs[uid], copy=ours[to]) for uid, to in pairs.items()}

    def _by_flags(
        self, theirs: dict[int, Sighting], ours: dict[int, Sighting], pairs: dict[int, int]
    ) -> dict[int, int]:
        """Returns the pairs, of messages that are the same in bytes and date those with the same flags.

        Else each copy would get the flags of the other message too (`worker.copying.flag_completion`).
        """
        sources, copies = twins(theirs.values(), ours.values(), pairs)
        if not sources:
            return pairs
        try:
            there = {int(uid): flags for uid, flags in self._source.flags(sources)}
            here = {int(uid): flags for uid, flags in self._destination.flags(copies)}
        except ServerRefused:
            return pairs
        return by_flags(theirs, ours, pairs, (there, here)) if len(there) == len(sources) else pairs

    def _read(self, session: MailSession, uids: UidSet, text_bytes: int) -> dict[int, Sighting]:
        found: dict[int, Sighting] = {}
        try:
            for seen in session.sightings(uids, full=True, text_bytes=text_bytes):
                found[seen.uid] = seen
        except MessageEndsConnection as error:
            self.unread |= error.uids
        except ServerRefused:
            pass
        return found
