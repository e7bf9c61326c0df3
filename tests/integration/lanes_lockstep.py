"""The part of the lockstep test that measures at accounts and hosts, and changes how many lanes they let in."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from shared.model.lanes import LaneSearch, Measured, Reason

#: How far above the limits of the lives a search may go.
MOST_LANES = {"source_account": 3, "destination_account": 3, "source_host": 4, "destination_host": 4}


def attend(life: Any, data: st.DataObject, lost: bool) -> None:
    """Lets a worker tell what it measured, under every lease and some that are not its own any more; then steers a place."""
    pairs = [*life.leases.values(), *life.zombies[-2:]]
    extend = data.draw(st.booleans())
    life.count += 1
    who = data.draw(st.lists(st.sampled_from([one.mailbox_id for one in life.people] + ["gone"]), max_size=3))
    numbers = st.integers(0, 5)
    measured = {
        one: Measured(work=data.draw(numbers), answers=1, append_ms=7, destination_refused=data.draw(numbers))
        for one in who
    }
    kept = {"extend": extend, "beat": life.count, "measured": measured}
    for _ in range(1 + lost):
        real = life.real.attend("w", [real for real, _ in pairs], **kept)
        if not lost:
            assert real == life.model.attend("w", [model for _, model in pairs], **kept)
    if lost:
        assert real == life.model.attend("w", [model for _, model in pairs], **kept)
    places = life.both("lane_places")
    if places and data.draw(st.booleans()):
        place = data.draw(st.sampled_from(places))
        version = place.search.version if place.search else 0
        limit = data.draw(st.integers(1, 4))
        search = LaneSearch(limit=limit, kept=2, reason=Reason.TRYING, most=place.most, rate=1 / 3, version=version + 1)
        life.both("steer", place.name, version + data.draw(st.sampled_from([0, 0, 1])), search, lost=lost)
