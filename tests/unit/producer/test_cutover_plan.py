"""Tests that the rehearsal of a cutover asks a switch no longer than a request may last."""

from __future__ import annotations

from producer.cutover.measured import DomainFacts
from producer.cutover.planning import CutoverPlan, plan
from shared.model.cutover import CutoverOptions
from shared.model.sides import Side
from shared.store.memory.memory_store import MemoryStore
from shared.switching import SwitchedMailbox, Turned
from tests.contract.store_kit import start


class _Willing:
    """A switch that says yes, and remembers who was asked for."""

    shown, per_domain = "willing", False

    def __init__(self) -> None:
        self.asked: list[str] = []

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> Turned:
        self.asked.append(mailbox.address)
        return Turned(words="yes")

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> Turned:
        raise AssertionError("a rehearsal turns nobody")

    def close(self) -> None:
        pass


def _planned(switch: _Willing, most_seconds: float) -> CutoverPlan:
    store = MemoryStore()
    request, _ = start(store, 3)
    return plan(
        store,
        request,
        "",
        CutoverOptions(switch="office"),
        open_switch=lambda _: switch,
        ask=lambda domain, at: DomainFacts(domain=domain, at=at),
        at=1e9,
        most_seconds=most_seconds,
    )


def test_whom_the_time_did_not_reach_counts_as_not_asked() -> None:
    switch = _Willing()
    guard = _planned(switch, 0.0).view.guards["switch"]
    assert switch.asked == []
    assert (guard.met, guard.number) == (False, 3)
    assert {said for _, said in guard.who} == {"not asked yet"}


def test_without_the_bound_everybody_is_asked_for() -> None:
    switch = _Willing()
    assert _planned(switch, float("inf")).view.guards["switch"].met
    assert len(switch.asked) == 3
