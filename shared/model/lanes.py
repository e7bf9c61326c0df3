"""The nouns of the search for how many lanes an account or a host lets in: what was measured there, and what was found.

A place is a scope of connection limits with its key, as in "destination_host:imap.example.org" (`shared.store.SCOPES`).
`shared.rules.lane_search` decides; the store keeps what all workers together measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from shared.nouns import dataclass

#: The cost of a message beside its bytes, bytes: so that windows of small and of large messages can be compared.
MESSAGE_BYTES: Final = 32 * 1024


class Reason(StrEnum):
    """The reason why a place lets in as many lanes as it does."""

    #: Nothing was tried yet.
    BEGUN = "begun"
    #: Another number is being tried just now.
    TRYING = "trying"
    #: The last step up brought more.
    MORE_HELPS = "more_helps"
    #: A step up brought nothing.
    NO_HELP = "no_help"
    #: Fewer lanes brought as much.
    FEWER_DO = "fewer_do"
    #: Everything came slower, and APPEND was answered later.
    SLOWER = "slower"
    #: The server refused one connection more.
    REFUSED = "refused"
    #: The server asked for less.
    ASKED = "asked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The sums of what the lanes of one worker did for one mailbox since it last told."""

    #: Bytes, and `MESSAGE_BYTES` for each message.
    work: int = 0
    #: Groups whose APPEND was answered.
    answers: int = 0
    #: The time that these answers took together, milliseconds.
    append_ms: int = 0
    #: Connections that could not be opened, at the source and at the destination.
    source_refused: int = 0
    destination_refused: int = 0


#: Nothing, by mailbox.
NOTHING_MEASURED: Final[Mapping[str, Measured]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneSearch:
    """The search for the number of lanes at one place."""

    #: The number of lanes that are let in now.
    limit: int
    #: The number that is known to be good; another one than `limit` while that is tried.
    kept: int
    #: Why.
    reason: Reason = Reason.BEGUN
    #: The most that may be tried: what an operator, a preset or a default allows; 0 where whoever wrote it did not know.
    most: int = 0
    #: Work a second that `kept` lanes bring; 0 where nobody measured it.
    rate: float = 0.0
    #: Seconds of APPEND for so much work, at `kept` lanes; 0 where nobody measured it.
    latency: float = 0.0
    #: A number that was refused and is not tried before `again_at`; 0 for none.
    ceiling: int = 0
    #: When `limit` changed last, and when something else may be tried, seconds since the epoch by the store's clock.
    changed_at: float = 0.0
    again_at: float = 0.0
    #: The time for which it rests the next time that nothing helps, seconds.
    patience: float = 0.0
    #: Changes with everything that is written here.
    version: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class LanePlace:
    """A place at which lanes are or were a minute ago, with what was measured there since the store heard of it."""

    #: "scope:key".
    name: str
    #: Lanes there now.
    lanes: int
    #: The number of lanes that it lets in where nothing was found, and the most that may be tried.
    start: int
    most: int
    #: Sums of `Measured`.
    work: int = 0
    answers: int = 0
    append_ms: int = 0
    refused: int = 0
    #: The search for the number of lanes; None where there was none.
    search: LaneSearch | None = None
    #: When lanes told last what they did, by which these sums grew: seconds since the epoch by the store's clock; 0: never.
    told_at: float = 0.0
    #: The moment of these numbers, seconds since the epoch by the store's clock.
    at: float = 0.0
