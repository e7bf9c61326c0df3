"""Tests what a worker measures for the search for the number of lanes."""

from __future__ import annotations

from shared.model.events import CommandEnded, Event, GroupSettled, SessionEnded, SignedIn
from shared.model.lanes import MESSAGE_BYTES, Measured
from worker.lane_meter import LaneMeter


def test_it_sums_by_mailbox_and_passes_every_event_on() -> None:
    meter, heard, at = LaneMeter(), list[Event](), ["a"]
    tell = meter.listener(lambda: at[0], heard.append)
    events: list[Event] = [
        GroupSettled(outcome="copied", messages=3, size_bytes=100),
        GroupSettled(outcome="already_present", messages=9, size_bytes=0),
        CommandEnded(side="destination", command="append", seconds=0.25),
        CommandEnded(side="source", command="fetch", seconds=9),
        SignedIn(side="source", result="ok", seconds=1),
        SignedIn(side="source", result="unreachable", seconds=1),
        SessionEnded(side="source"),
    ]
    for event in events:
        tell(event)
    at[0] = "b"
    tell(SignedIn(side="destination", result="Unreachable", seconds=1))
    assert heard[:-1] == events
    assert meter.take() == {
        "a": Measured(work=100 + 3 * MESSAGE_BYTES, answers=1, append_ms=250, source_refused=1),
        "b": Measured(destination_refused=1),
    }
    assert meter.take() == {}
