"""The port's methods for how many lanes accounts and hosts let in (`shared.rules.lane_search`)."""

from __future__ import annotations

from typing import Protocol

from shared.model.lanes import LanePlace, LaneSearch


class LaneStore(Protocol):
    """The methods about the search for the number of lanes."""

    def lane_places(self) -> list[LanePlace]:
        """Returns the places of which lanes told something in the last minute, and those at which something was found.

        Those heard of last come first, no more than a thousand. An account with one lane is no such place. What was found
        is forgotten an hour after the last word from there.
        """

    def steer(self, name: str, version: int, search: LaneSearch) -> bool:
        """Lets `claim` go by `search` at a place, if what was found there is still of this version (0: nothing).

        `claim` goes by it as long as the limits that are set allow just as much as `search.most`. Returns whether it was
        entered.
        """
