"""Tests that a worker that is told to stop gives back the unit that it gets at that moment."""

from __future__ import annotations

from shared.model import UnitKind
from tests.crash.interruption import LOGIN, MemoryImport


def test_the_unit_that_was_on_its_way_goes_back_at_once_and_costs_no_attempt() -> None:
    in_process = MemoryImport()
    for n in range(20):
        in_process.old.folder(LOGIN, b"INBOX").add(b"Subject: %d\r\n\r\nx\r\n" % n)
    in_process.submit()
    told = False

    def stopping() -> bool:
        """Tells the worker to stop once the answer to planning has brought the first batch."""
        nonlocal told
        rows = in_process.store._rows
        told = told or any(rows.units[one].unit.kind is UnitKind.COPY for one in rows.leases)
        return told

    assert in_process.work(stopping=stopping)
    assert told
    assert in_process.tally().pending == 20
    assert in_process.store.overview().leased_units == 0
    (waiting,) = in_process.store.ready_units(10)
    assert waiting.attempts == 0
    in_process.to_the_end()
    assert in_process.content(in_process.new) == in_process.content(in_process.old)


def test_the_connections_of_the_next_mailbox_are_given_back_too() -> None:
    """Stops while the next mailbox's unit is claimed together with connections.

    No other worker would take the mailbox while they counted as used.
    """
    in_process = MemoryImport()
    in_process.old.folder(LOGIN, b"INBOX").add(b"Subject: x\r\n\r\nx\r\n")
    in_process.submit()
    other = in_process.submit_another("second@example.org")
    told = False

    def stopping() -> bool:
        """Tells the worker to stop once the first mailbox is done and the second one's plan is leased."""
        nonlocal told
        rows = in_process.store._rows
        told = told or any(rows.units[one].unit.mailbox_id == other for one in rows.leases)
        return told

    assert in_process.work(stopping=stopping)
    assert told
    assert in_process.store.overview().leased_units == 0
    assert not any(lanes for lanes in in_process.store._permits.values()), "no connection is open, and none counts"
