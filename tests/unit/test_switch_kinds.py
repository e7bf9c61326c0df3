"""Tests that a switch is one file that registers itself: here one that is no part of mailhaul."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from shared.model.errors import UsageError
from shared.model.sides import Side
from shared.runtime.config import load_settings
from shared.runtime.secret import Secret
from shared.switching import Switch, SwitchedMailbox, Turned, TurnOutcome
from shared.switching import kinds as registry
from shared.switching.configured import open_switch, switches
from shared.switching.kinds import SwitchKind, SwitchPlace, SwitchUrl, kinds, register

ANNA = SwitchedMailbox(
    address="anna@example.org",
    old_login="anna",
    new_login="anna",
    old_host="old.example.org",
    new_host="new.example.org",
)
SETTINGS = load_settings(switches="board=blackboard:/srv/board?chalk=white")


@dataclass
class Blackboard:
    """A switch that writes what it is told onto a board."""

    written: list[tuple[str, Side]] = field(default_factory=list)
    shown = "the blackboard"
    per_domain = False

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        return Turned(words="it would be written")

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        self.written.append((mailbox.address, to))
        return Turned(words="written")

    def close(self) -> None: ...


@pytest.fixture
def board() -> Iterator[Blackboard]:
    kinds()  # those of the tree register themselves first, and the answer is kept
    found = Blackboard()

    def opened(url: SwitchUrl, secret: Secret) -> Switch:
        assert (url.place, url.options["chalk"]) == ("/srv/board", "white")
        return found

    kinds.cache_clear()
    register(
        SwitchKind(
            name="blackboard",
            place=SwitchPlace.PATH,
            example="blackboard:/path",
            options=frozenset({"chalk"}),
            secretive=False,
            open=opened,
        )
    )
    yield found
    del registry._KINDS["blackboard"]
    kinds.cache_clear()


def test_a_switch_from_outside_the_tree_is_configured_opened_and_turns(board: Blackboard) -> None:
    assert switches(SETTINGS)["board"].kind == "blackboard"
    switch = open_switch(SETTINGS, "board")
    assert switch.rehearse(ANNA, Side.DESTINATION) == Turned(words="it would be written")
    assert board.written == []
    switch.turn(ANNA, Side.DESTINATION)
    assert board.written == [("anna@example.org", Side.DESTINATION)]


def test_its_options_are_checked_as_it_says(board: Blackboard) -> None:
    with pytest.raises(UsageError, match="shade"):
        switches(load_settings(switches="board=blackboard:/srv/board?shade=red"))


def test_without_it_the_kind_is_unknown() -> None:
    """The control: the kind was no part of the tree."""
    with pytest.raises(UsageError, match="no such kind of switch"):
        switches(SETTINGS)
