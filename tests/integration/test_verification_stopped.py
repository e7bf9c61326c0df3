"""Tests a verification at a server that stalls: it stops as soon as something else is wanted of its lane."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from shared.model import Lease
from shared.model.lifecycle import Control, MailboxState, Wish
from tests.integration import in_process_import
from tests.integration.in_process_import import InProcessImport, Wires
from tests.servers.faults import stall
from tests.servers.imap_syntax import Command
from worker.copying.copy import BatchCopy
from worker.lease_keeper import GIVES_WAY_SECONDS, LeaseKeeper


class Stalled:
    """An import whose verification waits for the destination, in a lane of its own."""

    def __init__(self, wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(BatchCopy, "_read_back", lambda *_: False)
        keepers: list[LeaseKeeper] = []

        def kept(*those: object, **named: object) -> LeaseKeeper:
            keepers.append(LeaseKeeper(*those, **named))  # type: ignore[arg-type]
            return keepers[-1]

        monkeypatch.setattr(in_process_import, "LeaseKeeper", kept)
        wires.fill(9)
        self.in_process = InProcessImport(wires.source, wires.destination)
        self.fault = wires.destination.faults.add(stall(self.verifies, times=None))
        self.in_process.submit()
        self.lane = threading.Thread(target=self.in_process.work, daemon=True)
        self.lane.start()
        self.fault.await_reached()
        self.keeper = keepers[-1]

    def verifies(self, command: Command) -> bool:
        """Tells whether this command is of the verification, and asks for messages."""
        return command.name == b"UID FETCH" and self.in_process.mailbox().state is MailboxState.VERIFYING

    def control(self, control: Control) -> None:
        """Does what an operator does, and lets two rounds pass."""
        self.in_process.store.control(self.in_process.import_id, None, control)
        self.keeper.turn()
        self.keeper.turn()

    def gives_way(self) -> None:
        """Tells the lane that another import has less than its share, for as long as a message may take."""

        def words(worker: str, leases: Sequence[Lease], **_: object) -> list[Wish]:
            return [Wish.YIELD for _ in leases]

        self.in_process.stopping = lambda: True  # after this unit: nobody else wants the lane here
        self.keeper.store.attend = words  # type: ignore[method-assign, assignment]
        self.keeper.turn()
        self.in_process.time += GIVES_WAY_SECONDS
        self.keeper.turn()
        del self.keeper.store.attend

    def ends(self) -> None:
        """Ends the process."""
        self.in_process.stopping = lambda: True
        self.keeper.hurry()


ACTS: dict[str, Callable[[Stalled], None]] = {
    "pause": lambda stalled: stalled.control(Control.PAUSE),
    "cancel": lambda stalled: stalled.control(Control.CANCEL),
    "give way": Stalled.gives_way,
    "end of the process": Stalled.ends,
}


@pytest.mark.parametrize("act", ACTS)
def test_it_stops(wires: Wires, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    stalled = Stalled(wires, monkeypatch)
    in_process = stalled.in_process
    ACTS[act](stalled)
    stalled.lane.join(60)
    assert not stalled.lane.is_alive()
    assert in_process.failures() == [], "nobody is to blame"
    wires.destination.faults.clear()
    if act == "cancel":
        assert in_process.mailbox().state is MailboxState.CANCELLED
        return
    in_process.stopping = lambda: False
    in_process.store.control(in_process.import_id, None, Control.RUN)
    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"copied": 9}
    assert in_process.tally().missing == 0


def test_it_waits_where_nothing_is_wanted(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is the control of the tests above: the same rounds, in which nobody wants anything."""
    stalled = Stalled(wires, monkeypatch)
    stalled.control(Control.RUN)
    assert stalled.lane.is_alive()
    stalled.fault.release()
    stalled.lane.join(60)
    assert stalled.in_process.finished
