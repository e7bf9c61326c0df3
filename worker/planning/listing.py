"""The listing of one source folder, compared with the number of messages that the server counts in it.

Completeness is an identity: the server shows as many messages as it counts, or the difference stands in the folder's
tally as withheld.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable, Iterator
from itertools import chain

from shared.mail import KnownStatus, MailSource
from shared.model.errors import ServerRefused
from shared.model.uids import Uid, UidSet
from shared.nouns import dataclass
from worker.decisions.flag_changes import FlagsSeen

#: Number of comparisons of EXAMINE and STATUS before the server is believed to count messages that it does not show.
LOOKS = 3
#: The same where the numbers are others at each look: people are at work, and a message may come before STATUS and go after it.
LOOKS_AT_WORK = 15


class Listing:
    """The messages of the open folder. Not reused."""

    def __init__(self, source: MailSource, opened: KnownStatus, wanted: Callable[[Uid], bool]) -> None:
        """Takes `opened`, the status when the folder was opened, with UIDNEXT as the end of what is to be listed.

        `wanted` tells which UIDs are of interest.
        """
        self._source, self._opened, self._wanted = source, opened, wanted
        #: The flags of the wanted messages, where the listing tells them.
        self.flags = FlagsSeen()
        # Lowest and highest UID of each range in turn: 16 octets a range, where a folder may have a hundred thousand of
        # them.
        self._bounds = array("Q")
        self._listed = 0
        self._looked = False
        self._late: list[tuple[Uid, int]] = []
        self._withheld = 0

    @property
    def shown(self) -> UidSet:
        """The UIDs that were listed so far, wanted or not."""
        return UidSet.bounded(self._bounds)

    @property
    def highest(self) -> int:
        """The highest UID that was listed so far; 0 for none."""
        return self._bounds[-1] if self._bounds else 0

    def stream(self) -> Iterator[tuple[Uid, int]]:
        """Yields (UID, size) of the wanted messages, ascending, as they come."""
        with contextlib.suppress(ServerRefused):  # what the server keeps back is counted by `late`
            for uid, size in self._source.sizes(self._opened, told=self._told):
                self._note(uid)
                if self._wanted(uid):
                    yield uid, size

    def late(self) -> list[tuple[Uid, int]]:
        """Returns the wanted messages that `stream` did not give; call it once `stream` came to its end.

        The server is asked again only where it listed fewer messages than it counts. The size is 0 where the server
        does not tell.
        """
        if not self._looked and self._listed < self._opened.messages:
            self._looked = True
            found, self._withheld = self._source.look_again(self.shown)
            known = self.shown | UidSet.of(uid for uid, _ in found)
            self._bounds = array("Q", chain.from_iterable(known.ranges))
            self._listed = len(known)
            self._late = [(uid, size) for uid, size in found if self._wanted(uid)]
        given, self._late = self._late, []
        return given

    def missing(self, untold: int) -> int:
        """Returns how many messages the server counts and does not show by any means; call it after `late`.

        `untold` of them are in STATUS alone.
        """
        return max(self._withheld, self._opened.messages - self._listed if untold else 0)

    def sized(self) -> list[tuple[Uid, int]]:
        """Returns (UID, size) of all wanted messages whose size is known, ascending; `late` gives the others."""
        every = [*self.stream(), *self.late()]
        self._late = [(uid, size) for uid, size in every if not size]
        return sorted((uid, size) for uid, size in every if size)

    def _told(self, uid: Uid, flags: tuple[str, ...]) -> None:
        if self._wanted(uid):
            self.flags.add(uid, flags)

    def _note(self, uid: Uid) -> None:
        self._listed += 1
        if self._bounds and self._bounds[-1] == uid - 1:
            self._bounds[-1] = uid
        else:
            self._bounds.extend((uid, uid))


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortfall:
    """The difference between what a folder counts and what it shows."""

    #: Messages that the source counts and does not show.
    withheld: int = 0
    #: UIDs that may belong to the withheld messages: a later pass takes them up when they are shown.
    hidden: UidSet = UidSet()


def shortfall(withheld: int, shown: UidSet, low: int, uidnext: int, before: UidSet, *, fresh: bool) -> Shortfall:
    """Returns what is withheld, when UIDs from `low` on and those that were hidden `before` have no outcome.

    In a later pass no more can be withheld than there are such UIDs that are not shown: the others have their outcome,
    whether they are shown or not. Where fewer UIDs are left than messages are withheld, as in a POP3 maildrop or under a
    UIDNEXT that is too low, UIDs above stand for the rest; mail that comes may take them.
    """
    hidden = (UidSet.span(low, uidnext - 1) | before) - shown
    if not fresh:
        withheld = min(withheld, len(hidden) + sum(uid >= low for uid in before & shown))
    if withheld <= 0:
        return Shortfall()
    if (more := withheld - len(hidden)) > 0:
        first = max(uidnext, hidden.high + 1 if hidden else 0)
        hidden |= UidSet.span(first, first + more - 1)
    return Shortfall(withheld=withheld, hidden=hidden)


def stated_more(source: MailSource, name: bytes, opened: KnownStatus, stated: int) -> tuple[KnownStatus, int]:
    """Opens the folder again where STATUS stated more messages than it was opened with.

    Returns its status, and how many more messages STATUS states after all. Mail that arrives between the two questions
    is in the later EXAMINE; mail that is removed was in the earlier one. Mail that does both makes the numbers change
    from look to look: then the worker looks more often.
    """
    looks: list[tuple[int, int]] = []
    while stated > opened.messages:
        if len(looks) == LOOKS_AT_WORK or (len(looks) >= LOOKS and len(set(looks[-LOOKS:])) == 1):
            return opened, stated - opened.messages
        told = source.statuses([name])[0]
        before, opened = opened, source.open(name)
        said = 0 if isinstance(told, Exception) else told.messages or 0
        stated = 0 if said <= before.messages else said
        looks.append((said, opened.messages))
    return opened, 0
