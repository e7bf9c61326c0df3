"""Says which limit binds, and for whom: by simulating once more without each of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from producer.forecast.loads import SCOPES, ForecastLimits, Load
from producer.forecast.simulation import Forecast, Rest, no_rest, simulated
from shared.model.rates import DAY_SECONDS, RATES
from shared.model.sides import Scope
from shared.nouns import dataclass
from shared.wording.phrases import Phrase
from shared.wording.spoken import spoken_duration, spoken_size

HOURS_IN_WHICH_IT_MAY_WORK: Final = Phrase("hours_in_which_it_may_work", "the hours in which it may work")
WAVES_BIND: Final = Phrase("waves_bind", "the waves' starts, orders and weights")
LIMITS_ON_CONNECTIONS: Final = Phrase("limits_on_connections", "the limits on connections")
NUMBER_OF_WORKERS_AND_THEIR_THREADS: Final = Phrase(
    "number_of_workers_and_their_threads", "the number of workers and their threads"
)
FROM_EACH_ACCOUNT_AT_SOURCE: Final = Phrase("from_each_account_at_source", "from each account at the source")
FROM_SOURCE: Final = Phrase("from_source", "from the source")
INTO_EACH_ACCOUNT_AT_DESTINATION: Final = Phrase(
    "into_each_account_at_destination", "into each account at the destination"
)
INTO_DESTINATION: Final = Phrase("into_destination", "into the destination")
A_SECOND_INSTEAD: Final = Phrase(
    "a_second_instead", "{size} a second {where_what}: {long_size} instead of {short_size}"
)
MAILBOXES_NEED_DAYS: Final = Phrase(
    "mailboxes_need_days",
    "{num} of {all} mailboxes need more than {days} days at {size} a day {where_what}: the longest {longest}",
)
INSTEAD_OF: Final = Phrase("instead_of", "{what}: {long_size} instead of {short_size}")
A_DAY_INSTEAD: Final = Phrase("a_day_instead", "{size} a day {where_what}: {long_size} instead of {short_size}")
MAILBOXES_NEED_A_DAY: Final = Phrase(
    "mailboxes_need_a_day",
    "{num} of {all} mailboxes need more than a day at {size} a day {where_what}: the longest {longest}",
)

#: A limit binds when the end comes earlier without it by this part of the whole, and by a minute.
_WORTH, _WORTH_SECONDS = 0.1, 60.0
#: Limit that can bind beside the rates → its name.
_OTHERS: Final = {
    "hours": HOURS_IN_WHICH_IT_MAY_WORK.says(),
    "waves": WAVES_BIND.says(),
    "connections": LIMITS_ON_CONNECTIONS.says(),
    "lanes": NUMBER_OF_WORKERS_AND_THEIR_THREADS.says(),
}
_SIDES: Final[Mapping[str, str]] = {
    Scope.SOURCE_ACCOUNT: FROM_EACH_ACCOUNT_AT_SOURCE.says(),
    Scope.SOURCE_HOST: FROM_SOURCE.says(),
    Scope.DESTINATION_ACCOUNT: INTO_EACH_ACCOUNT_AT_DESTINATION.says(),
    Scope.DESTINATION_HOST: INTO_DESTINATION.says(),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """A limit that makes the whole take longer."""

    #: A rate's name ("source_account.bytes_per_day"), "hours", "waves", "connections" or "lanes".
    what: str
    #: The limit, where it is one number; else 0.
    most: int
    #: Seconds that the whole takes, and would take without it.
    seconds: float
    without_seconds: float
    #: Mailboxes in all, those that it makes later than the whole would be over without it, and what the latest takes.
    mailboxes: int
    late: int
    latest_seconds: float


def bindings(
    loads: Sequence[Load], limits: ForecastLimits, now: float, found: Forecast, rest: Rest = no_rest
) -> list[Binding]:
    """Returns the limits that bind, the one that costs most first. A pause is no limit."""
    there = {name.partition(":")[0] for some in (limits.given, limits.usual, limits.default) for name in some}
    rates = [f"{scope}.{rate}" for scope in SCOPES for rate in RATES if f"{scope}.{rate}" in there]
    hours = limits.hours.parts or any(line.hours.parts for line in limits.lines.values())
    others = [name for name in _OTHERS if name != "hours" or hours]
    known = [_without(loads, limits, now, found, name, rest) for name in [*rates, *others]]
    bound = [one for one in known if _costs(one)]
    return sorted(bound, key=lambda one: one.without_seconds)


def _without(
    loads: Sequence[Load], limits: ForecastLimits, now: float, found: Forecast, what: str, rest: Rest
) -> Binding:
    usual = simulated(loads, limits.without(what), now, rest).known
    late = [end for end in found.ends.values() if math.isfinite(end) and end > usual]
    most = max((_most(limits, what, load) for load in loads), default=0) if "." in what else 0
    return Binding(
        what=what,
        most=most,
        seconds=found.known,
        without_seconds=usual,
        mailboxes=len(found.ends),
        late=len(late),
        latest_seconds=max(late, default=0.0),
    )


def _most(limits: ForecastLimits, what: str, load: Load) -> int:
    scope, _, rate = what.partition(".")
    return limits.rate(scope, rate, load.keys[SCOPES.index(scope)])


def _costs(one: Binding) -> bool:
    saved = one.seconds - one.without_seconds
    return saved > 0 and saved >= max(_WORTH * one.seconds, min(_WORTH_SECONDS, one.seconds / 2))


def said(one: Binding) -> str:
    """Words a binding: "26 of 5,000 mailboxes need more than 3 days at 450 MB a day …: the longest 44"."""
    scope, _, rate = one.what.partition(".")
    if one.what.endswith("_account.bytes_per_day"):
        days, longest = (
            max(1, math.ceil(seconds / DAY_SECONDS)) for seconds in (one.without_seconds, one.latest_seconds)
        )
        size, where = spoken_size(one.most), _SIDES[scope]
        if days == 1:
            return MAILBOXES_NEED_A_DAY.says(
                num=f"{one.late:,}", all=f"{one.mailboxes:,}", size=size, where_what=where, longest=f"{longest:,}"
            )
        return MAILBOXES_NEED_DAYS.says(
            num=f"{one.late:,}",
            all=f"{one.mailboxes:,}",
            days=f"{days:,}",
            size=size,
            where_what=where,
            longest=f"{longest:,}",
        )
    now, without = spoken_duration(one.seconds), spoken_duration(one.without_seconds)
    if not rate:
        return INSTEAD_OF.says(what=_OTHERS[one.what], long_size=now, short_size=without)
    amount = f"{one.most:,} messages" if rate.startswith("messages") else spoken_size(one.most)
    if rate.endswith("day"):
        return A_DAY_INSTEAD.says(size=amount, where_what=_SIDES[scope], long_size=now, short_size=without)
    return A_SECOND_INSTEAD.says(size=amount, where_what=_SIDES[scope], long_size=now, short_size=without)
