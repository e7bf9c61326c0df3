"""Decides which messages a request wants: by age, size and flags.

Pure; the servers are asked in `shared.mail.imap.choosing`.

A message that is not wanted has a reason, in words for a person. A message that cannot be judged is wanted: its owner
can remove a message too many, but nobody can bring back one that is missing.

Age is that of INTERNALDATE, to the second. SEARCH knows only days, in the zone of the server or of the date itself (RFC
9051 §6.4.4: "disregarding time and timezone"). So it can only tell whether a message a day or more away from the moment
is before or after it; the other messages are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import reduce
from operator import or_
from typing import Final

from shared.model import Options
from shared.model.messages import Traits
from shared.model.uids import UidSet
from shared.nouns import dataclass
from shared.wording.often_said import NO_LONGER_AT_SOURCE
from shared.wording.phrases import Phrase, several

BEFORE: Final = Phrase("before", "before {day}")
COUNTED: Final = Phrase("counted", "{num} {why}")

NOT_LARGER_THAN_BYTES: Final = Phrase("not_larger_than_bytes", "not larger than {num} bytes")
NOT_SMALLER_THAN_BYTES: Final = Phrase("not_smaller_than_bytes", "not smaller than {num} bytes")
NOT_BEFORE: Final = Phrase("not_before", "not before {day}")
READ_ALREADY: Final = Phrase("read_already", "read already")
MARKED_AS_DELETED: Final = Phrase("marked_as_deleted", "marked as deleted")
NOT_FLAGGED: Final = Phrase("not_flagged", "not flagged")

_DAY: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
#: The most that clocks on earth are east and west of UTC, seconds.
_EAST: Final = 14 * 3600
_WEST: Final = 12 * 3600
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

#: The reason for a message that was left out and is no longer there: nothing more is to be asked of it.
GONE: Final = NO_LONGER_AT_SOURCE.says()
#: The reason for a message that was moved at the source after its user had taken the copy away from where it was put.
TAKEN_AWAY: Final = Phrase("taken_away", "moved or removed by its user at the destination").says()
#: The reasons for a message that a copy back leaves at the new server: it was there before the switch, mailhaul made it, or
#: its bytes stand at the old one.
BEFORE_SWITCH: Final = Phrase("before_switch", "there before the switch").says()
OURS: Final = Phrase("copied_from_source", "copied from the source").says()
FROM_SOURCE: Final = Phrase("stands_at_source", "stands at the source").says()
#: Reasons that hold whatever a request wants.
LASTING: Final = frozenset({GONE, TAKEN_AWAY, BEFORE_SWITCH, OURS, FROM_SOURCE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Criterion:
    """A condition that every message has to meet."""

    #: The reason for leaving out a message that does not meet it.
    reason: str
    #: SEARCH key of messages that certainly meet it.
    inside: str
    #: SEARCH key of messages that certainly do not meet it.
    outside: str
    #: Whether a message meets it.
    met: Callable[[Traits], bool]
    #: Whether a message that does not meet it now never will: dates are permanent, flags are not.
    lasting: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The conditions on messages of a request."""

    #: The conditions that have to be searched or looked at.
    criteria: tuple[Criterion, ...] = ()
    #: Only messages of more bytes; None for any.
    larger: int | None = None
    #: Only messages of fewer bytes; None for any.
    smaller: int | None = None

    @classmethod
    def of(cls, options: Options) -> Selection:
        """Returns the selection that a request asks for."""
        found: list[Criterion] = []
        if options.since is not None:
            found.append(_since(options.since))
        if options.before is not None:
            found.append(_before(options.before))
        if options.unseen:
            found.append(_without_flag(READ_ALREADY.says(), "\\seen", "UNSEEN", "SEEN"))
        if options.flagged:
            found.append(
                Criterion(
                    reason=NOT_FLAGGED.says(),
                    inside="FLAGGED",
                    outside="UNFLAGGED",
                    met=lambda t: "\\flagged" in t.flags,
                )
            )
        if options.not_deleted:
            found.append(_without_flag(MARKED_AS_DELETED.says(), "\\deleted", "UNDELETED", "DELETED"))
        return cls(criteria=tuple(found), larger=options.larger, smaller=options.smaller)

    @property
    def everything(self) -> bool:
        """Tells whether every message is wanted."""
        return not self.criteria and self.larger is None and self.smaller is None

    def by_size(self, size_bytes: int) -> str:
        """Returns why a message of this RFC822.SIZE is left out; "" when it is not. A size of 0 decides nothing."""
        if size_bytes and self.larger is not None and size_bytes <= self.larger:
            return _not_larger(self.larger)
        if size_bytes and self.smaller is not None and size_bytes >= self.smaller:
            return _not_smaller(self.smaller)
        return ""

    def by_traits(self, traits: Traits) -> str:
        """Returns why this message is left out; "" when it is not."""
        return next((one.reason for one in self.criteria if not one.met(traits)), "")

    def stands(self, reason: str) -> bool:
        """Tells whether a message that an earlier pass left out for this reason is still left out.

        It does not ask the server.
        """
        sizes = [_not_larger(self.larger)] if self.larger is not None else []
        sizes += [_not_smaller(self.smaller)] if self.smaller is not None else []
        return reason in LASTING or reason in (*sizes, *(one.reason for one in self.criteria if one.lasting))


def _since(moment: int) -> Criterion:
    return Criterion(
        reason=BEFORE.says(day=_spoken(moment)),
        inside=f"SINCE {search_day(-(-(moment + _EAST) // _DAY))}",
        outside=f"BEFORE {search_day((moment - _WEST) // _DAY)}",
        met=lambda t: t.internaldate is None or t.internaldate >= moment,
        lasting=True,
    )


def _before(moment: int) -> Criterion:
    return Criterion(
        reason=NOT_BEFORE.says(day=_spoken(moment)),
        inside=f"BEFORE {search_day((moment - _WEST) // _DAY)}",
        outside=f"SINCE {search_day(-(-(moment + _EAST) // _DAY))}",
        met=lambda t: t.internaldate is None or t.internaldate < moment,
        lasting=True,
    )


def _without_flag(reason: str, flag: str, inside: str, outside: str) -> Criterion:
    return Criterion(reason=reason, inside=inside, outside=outside, met=lambda t: flag not in t.flags)


def _not_larger(size_bytes: int) -> str:
    return NOT_LARGER_THAN_BYTES.says(num=f"{size_bytes:,}")


def _not_smaller(size_bytes: int) -> str:
    return NOT_SMALLER_THAN_BYTES.says(num=f"{size_bytes:,}")


def search_day(days: int) -> str:
    """Writes a day, given in days since the epoch, as SEARCH wants it, e.g. 1-Feb-2024."""
    day = date.fromordinal(max(1, days + _EPOCH))
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year:04d}"


def _spoken(moment: int) -> str:
    """Writes a moment as 2024-02-01, or with the time where it is not midnight, UTC."""
    when = datetime.fromtimestamp(moment, UTC)
    return f"{when:%Y-%m-%d}" if moment % _DAY == 0 else f"{when:%Y-%m-%d %H:%M:%S} UTC"


# -- what is known of a folder's messages, put together


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The result of two searches for each criterion."""

    #: The messages that certainly do not meet a criterion, by reason.
    out: Mapping[str, UidSet]
    #: Messages that a criterion's two searches found neither of, or both.
    doubtful: UidSet


def judge(selection: Selection, uids: UidSet, found: Sequence[tuple[UidSet, UidSet]]) -> Judged:
    """Judges `uids` by the searches: `found` holds for each criterion the results of its `inside` and its `outside`."""
    out: dict[str, UidSet] = {}
    left, doubtful = uids, UidSet()
    for criterion, (inside, outside) in zip(selection.criteria, found, strict=True):
        surely_out = (left & outside) - inside
        doubtful |= left - surely_out - (inside - outside)
        if surely_out:
            out[criterion.reason] = surely_out
            left -= surely_out
    return Judged(out=out, doubtful=doubtful & left)


def spread(uids: UidSet, count: int) -> UidSet:
    """Returns at most `count` of the UIDs, evenly spread, the first and the last among them."""
    if len(uids) <= count:
        return uids
    chosen: list[int] = []
    left, step = uids, (len(uids) - 1) / (count - 1)
    taken = 0
    for n in range(count):
        at = round(n * step)
        _, left = left.take(at - taken)
        chosen.append(left.low)
        taken = at
    return UidSet.of(chosen)


def merged(*parts: Mapping[str, UidSet]) -> dict[str, UidSet]:
    """Joins the sets that have the same reason."""
    whole: dict[str, UidSet] = {}
    for part in parts:
        for reason, uids in part.items():
            if uids:
                whole[reason] = whole.get(reason, UidSet()) | uids
    return whole


def without(sets: Mapping[str, UidSet], uids: UidSet) -> dict[str, UidSet]:
    """Returns the sets less these UIDs; empty ones are dropped."""
    return {reason: rest for reason, one in sets.items() if (rest := one - uids)}


def union(sets: Iterable[UidSet]) -> UidSet:
    """Returns the union of all sets."""
    return reduce(or_, sets, UidSet())


def summary(skipped: Mapping[str, UidSet]) -> str:
    """Words the reasons for a person, the most frequent first: "900,000 before 2024-01-01; 12 read already"."""
    counts = sorted(
        ((len(uids), reason) for reason, uids in skipped.items() if uids), key=lambda one: (-one[0], one[1])
    )
    return several(COUNTED.says(num=f"{number:,}", why=reason) for number, reason in counts)
