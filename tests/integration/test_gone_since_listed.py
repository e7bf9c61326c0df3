"""Tests folders that go, or may not be opened, after a later pass has listed them and before it plans them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shared.folders.mapping import MappedFolder
from tests.integration.in_process_import import PASSWORD, InProcessImport, Wires
from tests.mail import make_mailbox, populate
from tests.servers.dovecot import Dovecot, available
from tests.servers.faults import reply
from tests.servers.wire import Wire
from worker.decisions.whereabouts import SideView
from worker.planning.folder_counts import FolderCounts
from worker.planning.folder_turns import FolderTurns
from worker.planning.opened_source import OpenedSource
from worker.planning.plans_at_work import PlansAtWork

#: The protections of each side, and what stands for them in a control.
GUARDS = {
    "source": (OpenedSource, "lists", lambda *_: True),
    "destination": (FolderCounts, "_still_listed", lambda _, *there: SideView(listing=there[0], numbers=there[1])),
}


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot() as source, Dovecot() as destination:
        yield source, destination


@pytest.mark.skipif(not available(), reason="needs Dovecot")
@pytest.mark.parametrize("protected", [True, False])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_what_is_renamed_while_a_plan_waits_for_its_turn_comes_once(
    pair: tuple[Dovecot, Dovecot], monkeypatch: pytest.MonkeyPatch, side: str, *, protected: bool
) -> None:
    login = f"{side}-{protected}@example.org"
    for server in pair:
        server.add_user(login, PASSWORD)
    source = pair[0]
    populate(source.host, source.port, login, PASSWORD, make_mailbox(7, {"INBOX": 5, "Work": 20}, size=300))
    in_process = InProcessImport(*pair, logins=(login,), password=PASSWORD)
    in_process.to_the_end()
    assert in_process.held("destination") == in_process.held("source")
    populate(source.host, source.port, login, PASSWORD, make_mailbox(8, {"Work": 3}, size=300))
    there, given = source if side == "source" else pair[1], list[bytes]()

    @contextmanager
    def turn(*_: object) -> Iterator[bool]:
        if not given:
            given.append(b"RENAME Work Job")
            with Wire(there.host, there.port, login, PASSWORD) as wire:
                wire.command(given[0])
        yield True

    monkeypatch.setattr(PlansAtWork, "turn", turn)
    if not protected:
        monkeypatch.setattr(*GUARDS[side])
    in_process.to_the_end()
    assert given
    assert in_process.mailbox().state == "complete"
    here = in_process.held("destination")
    if protected:
        assert {kept.folder for kept in here} == {b"INBOX", b"Job"}
    assert here.total() == (28 if protected else 25 if side == "source" else 48)


@pytest.mark.parametrize("protected", [True, False])
def test_a_source_folder_that_may_be_counted_and_not_opened_costs_no_other(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    def as_before(self: FolderTurns, one: MappedFolder, error: Any, order: int) -> None:
        raise error

    if not protected:
        monkeypatch.setattr(FolderTurns, "_leave", as_before)
    for name in (b"INBOX", b"A", b"Z"):
        wires.fill(4, name)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    for name in (b"INBOX", b"A", b"Z"):
        wires.fill(2, name, first=5)
    wires.source.faults.add(
        reply(lambda command: command.text.startswith((b"EXAMINE A", b'EXAMINE "A"')), b"NO it is broken", times=None)
    )
    in_process.later(100)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 16 if protected else 12}
    assert in_process.mailbox().state == ("complete" if protected else "parked")
    if protected:
        assert in_process.folders()["A"].unreadable
        assert not in_process.folders()["Z"].unreadable
