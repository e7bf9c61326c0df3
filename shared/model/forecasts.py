"""The nouns of a forecast that is kept, to be compared with what happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from shared.nouns import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptForecast:
    """A forecast of an import, as it was made at one moment."""

    #: When it was made, seconds since the epoch.
    made_at: float
    #: The pass of the import.
    passes: int
    #: When everything is done, seconds since the epoch; 0 where a pause leaves that open.
    ends_at: float
    #: The earliest and the latest end that are likely.
    low_at: float
    high_at: float
    #: Mailboxes that it counts, and the bytes that were left of them.
    mailboxes: int
    size_bytes: float
    #: Wave → when it is done, seconds since the epoch; 0 where that is open. "" stands for what has none.
    waves: Mapping[str, float] = field(default_factory=dict)
    #: The limit that binds, in words.
    binds: tuple[str, ...] = ()
