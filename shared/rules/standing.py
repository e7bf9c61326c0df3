"""Decides how often a mailbox of a standing import is looked at again after its pass. Pure: the moment is a parameter.

A look asks the source for its folders' numbers (`worker.decisions.looking`) and copies nothing; a pass follows where they differ.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import Final

from shared.nouns import dataclass

#: The bounds of the time between two looks, unless others are given, seconds.
LEAST_SECONDS: Final = 120.0
MOST_SECONDS: Final = 6 * 3600.0
#: The limits of what an operator may ask for: the lowest and the highest bound, seconds.
LOWEST_SECONDS: Final = 10.0
HIGHEST_SECONDS: Final = 7 * 86_400.0
#: The scope of a hold, "looks:HOST", that keeps looks alone from a source host which did not answer one.
LOOK_HOLD: Final = "looks"
#: A mailbox that was quiet for so long is looked at again after this part of that time.
_PART: Final = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """The bounds within which the mailboxes of an import, or of one of its waves, are looked at again."""

    #: The shortest time between two looks at a mailbox, seconds.
    least_seconds: float = LEAST_SECONDS
    #: The longest, seconds.
    most_seconds: float = MOST_SECONDS
    #: When its people are switched over, seconds since the epoch; 0 where nobody said so.
    switch_at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class StandingTally:
    """The looks at an import in numbers."""

    #: Mailboxes that are looked at again, those included whose look is due.
    mailboxes: int = 0
    #: Mailboxes whose look is due and did not end yet.
    due: int = 0
    #: Since when the oldest of them is due, seconds since the epoch; 0 where none is.
    due_since: float = 0.0
    #: When the next mailbox is due, seconds since the epoch; 0 where none waits.
    next_at: float = 0.0
    #: Looks that ended so far.
    looks: int = 0
    #: Those of them after which a pass followed, since something was new.
    found: int = 0


def digest(name: bytes, attributes: Collection[str]) -> bytes:
    """Returns 4 bytes that stand for a line of LIST: its name, and whether there is a folder of it."""
    there = not {"noselect", "nonexistent"} & set(attributes)
    return blake2b(name, digest_size=4, person=b"folder" if there else b"none").digest()


def next_look(now: float, mail_at: float, standing: Standing) -> float:
    """Returns the seconds from `now` until the next look at a mailbox.

    `mail_at` is when it last had new mail, seconds since the epoch. The longer it is quiet, and the farther away the
    switch (before or after `now`), the rarer it is looked at, within the bounds. Times are taken in whole
    milliseconds, as the store does.
    """
    quiet = round(now * 1000) - round(mail_at * 1000)
    if standing.switch_at:
        quiet = min(quiet, abs(round(standing.switch_at * 1000) - round(now * 1000)))
    least, most = round(standing.least_seconds * 1000), round(standing.most_seconds * 1000)
    return max(least, min(most, quiet // _PART)) / 1000
