"""Decides how many lanes are worth it for one folder, and how large a lane's share of it is. Pure.

The rule is by time: what is left of the folder at the pace that was measured. A lane more costs two sign-ins. So a
folder of a fast destination, or a small one, has one writer.
"""

from __future__ import annotations

from shared.model.uids import UidSet
from shared.nouns import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Widening:
    """The limits by which a folder gets more writers than one."""

    #: The most writers of a folder; 1: never more. Accounts and hosts have limits of their own.
    most: int = 16
    #: A pace of fewer seconds a message is fast: one writer is enough.
    slow_seconds: float = 0.005
    #: The seconds of work that must be left for each writer.
    lane_seconds: float = 5.0
    #: Messages that a folder must have left before its pace is measured within a batch.
    least_messages: int = 1000
    #: Messages after which it is, and how many of them are a group: the first answer only begins the time.
    probe_messages: int = 30
    probe_group: int = 6
    #: Messages of a group where several lanes share a folder: so slow is its destination that a usual one takes seconds.
    slow_group: int = 25
    #: The smallest share of a lane, messages.
    share_messages: int = 25

    def writers(self, pending: int, seconds_each: float) -> int:
        """Returns how many writers so much work is worth; at least one."""
        if seconds_each < self.slow_seconds:
            return 1
        return max(
            1, min(self.most, int(pending * seconds_each / self.lane_seconds) if self.lane_seconds else self.most)
        )

    def probe(self, remaining: int, pending: int, *, fresh: bool) -> int:
        """Returns after how many of a batch's `remaining` messages the pace is measured; 0: at its end.

        Within a batch only where waiting for its end would cost much: it is the folder's first (`fresh`), or most of
        what is `pending`.
        """
        late = fresh or pending < 4 * remaining
        return self.probe_messages if late and pending >= self.least_messages and remaining > self.probe_messages else 0

    def shares(self, remaining: UidSet, pending: int, writers: int) -> list[UidSet]:
        """Divides a batch into shares that keep all writers busy to the end of the folder; one for a small batch.

        A share is half of what the shares before it leave for each writer, and the last one is halved: so they shrink as the
        folder comes to its end, and all writers end together.
        """
        share = max(self.share_messages, pending // (2 * max(1, writers)))
        if writers < 2 or len(remaining) < 2 * share:
            return [remaining]
        shares = []
        while len(remaining) >= 2 * share:
            part, remaining = remaining.take(share)
            shares.append(part)
            pending -= share
            share = max(self.share_messages, pending // (2 * writers))
        return [*shares, *remaining.take((len(remaining) + 1) // 2)]
