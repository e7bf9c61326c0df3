"""Tests copies that the destination lost: its UIDNEXT went back.

They are missing until the operator accepts that, or copies them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from producer.coordinator import tally as tallying
from producer.operations.finding import errors_of
from shared.model import Import
from shared.model.uids import UidSet
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.resources import GivenResources

GONE = {1, 5, 6, 7}


@pytest.fixture
def in_process(in_process: InProcessImport, wires: Wires) -> InProcessImport:
    """Returns a stage on which twelve messages were copied and the server lost four of them."""
    assert exit_code(in_process) == 0
    lose(in_process, wires, GONE)
    return in_process


def lose(in_process: InProcessImport, wires: Wires, uids: Iterable[int], *, submit: bool = True) -> None:
    """Has the destination lose these copies, as a restored backup does, and runs the pass that notices.

    UIDNEXT goes back; mail that arrives afterwards raises it again.
    """
    pairs, inbox = in_process.pairs(), wires.new.folder(b"INBOX")
    for uid in uids:
        inbox.remove(pairs[uid])
    inbox.announced_uidnext = inbox.uidnext - 1
    in_process.to_the_end(submit=submit)
    inbox.announced_uidnext = None


def request_of(in_process: InProcessImport) -> Import:
    found = in_process.store.import_(in_process.import_id)
    assert found is not None
    return found


def exit_code(in_process: InProcessImport) -> int:
    return tallying.exit_code(
        tallying.progress(request_of(in_process), *in_process.store.import_tally(in_process.import_id))
    )


def accept(in_process: InProcessImport) -> int:
    """Does what `mailhaul verify --accept-missing` does. Returns how many messages were accepted."""
    need_none(in_process)
    return GivenResources(store=in_process.store).operations.verify(
        request_of(in_process), full=False, accept_missing=True
    )[1]


def copy_again(in_process: InProcessImport) -> int:
    """Does what `mailhaul retry --copy-missing` does. Returns how many messages were queued."""
    need_none(in_process)
    return GivenResources(store=in_process.store).operations.retry(request_of(in_process), copy_missing=True)[1]


def need_none(in_process: InProcessImport) -> None:
    """Stores dummy passwords: the stage signs in by itself, but they must exist."""
    in_process.store.seal(
        in_process.import_id, {(in_process.mailbox_id, side): b"sealed" for side in ("source", "destination")}
    )


def told(in_process: InProcessImport) -> list[str]:
    """Returns what `mailhaul errors` reports of missing messages."""
    groups = errors_of(in_process.store, request_of(in_process))
    return [one.detail for group in groups if group.code == "missing" for one in group.sufferers]


def test_it_is_told_with_each_uid_until_somebody_acts(in_process: InProcessImport) -> None:
    for _ in range(2):
        in_process.to_the_end()
        assert exit_code(in_process) == 3
        assert in_process.tally().missing == 4
        assert told(in_process) == ["UIDs 1, 5:7 of the source are no longer in the destination folder"]
        assert in_process.outcomes() == {"copied": 12}


def test_accepted_it_is_missed_no_more(in_process: InProcessImport, wires: Wires) -> None:
    in_process.to_the_end()
    assert accept(in_process) == 4
    in_process.to_the_end(submit=False)
    assert exit_code(in_process) == 0
    assert told(in_process) == []
    assert in_process.noted("accepted").keys() == GONE
    for mode in ("default", "anew", "full"):
        wires.fill(1, first=100 + len(wires.old.folder(b"INBOX").messages))
        in_process.options = replace(in_process.options, verify=mode)
        in_process.to_the_end()
        assert (exit_code(in_process), in_process.tally().missing) == (0, 0), mode
    assert len(wires.bodies()) == 8 + 3, "nothing comes back, and new mail comes"
    assert accept(in_process) == 0


def test_a_pass_over_what_was_accepted_reads_nothing_again(in_process: InProcessImport, wires: Wires) -> None:
    in_process.to_the_end()
    accept(in_process)
    in_process.to_the_end(submit=False)
    in_process.options = replace(in_process.options, verify="default")
    in_process.to_the_end()
    before = len(wires.destination.commands)
    in_process.to_the_end()
    assert not [c for c in wires.destination.commands[before:] if c.name == b"UID FETCH"]


def test_what_is_lost_after_that_is_told(in_process: InProcessImport, wires: Wires) -> None:
    in_process.to_the_end()
    accept(in_process)
    lose(in_process, wires, [9], submit=False)  # before the pass that the acceptance begins
    assert exit_code(in_process) == 3
    assert told(in_process) == ["UID 9 of the source is no longer in the destination folder"]


def test_without_the_acceptance_later_passes_stay_incomplete(
    in_process: InProcessImport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: without the acceptance the exit code stays 3."""
    monkeypatch.setattr(type(in_process.store), "accept_missing", lambda *_: 4)
    in_process.to_the_end()
    accept(in_process)
    in_process.to_the_end(submit=False)
    in_process.to_the_end()
    assert exit_code(in_process) == 3


def test_copied_again_each_message_is_there_once(in_process: InProcessImport, wires: Wires) -> None:
    in_process.to_the_end()
    assert copy_again(in_process) == 4
    in_process.to_the_end(submit=False)
    assert wires.bodies() == wires.sent()
    assert in_process.outcomes() == {"copied": 12}
    assert len(in_process.pairs()) == 12
    assert exit_code(in_process) == 0
    in_process.to_the_end()
    assert (exit_code(in_process), in_process.noted("missing")) == (0, {})
    assert copy_again(in_process) == 0


def test_what_was_already_there_is_copied_again_too(wires: Wires) -> None:
    wires.fill(10)
    for number in range(1, 6):
        wires.new.folder(b"INBOX").add(plain(number), internaldate=b"%2d-Feb-2021 10:20:30 +0100" % (number % 28 + 1))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"already_present": 5, "copied": 5}
    lose(in_process, wires, (2, 8))
    assert copy_again(in_process) == 2
    in_process.to_the_end(submit=False)
    assert wires.bodies() == wires.sent()
    assert in_process.outcomes() == {"already_present": 4, "copied": 6}
    assert exit_code(in_process) == 0


def test_what_is_gone_at_the_source_too_has_vanished(in_process: InProcessImport, wires: Wires) -> None:
    in_process.to_the_end()
    wires.old.folder(b"INBOX").remove(6)
    copy_again(in_process)
    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"copied": 11, "vanished": 1}
    assert exit_code(in_process) == 0


def test_a_retry_leaves_what_is_missing_alone(in_process: InProcessImport) -> None:
    in_process.to_the_end()
    need_none(in_process)
    assert GivenResources(store=in_process.store).operations.retry(request_of(in_process)) == (0, 0)
    assert in_process.tally().missing == 4


def test_second_copies_are_found_beside_what_was_accepted(in_process: InProcessImport, wires: Wires) -> None:
    """Adds as many second copies as messages were removed: they are found all the same."""
    in_process.to_the_end()
    accept(in_process)
    in_process.to_the_end(submit=False)
    inbox = wires.new.folder(b"INBOX")
    for uid in (2, 3):
        there = inbox.get(in_process.pairs()[uid])
        assert there is not None
        inbox.add(there.body, there.flags, there.internaldate)
    in_process.options = replace(in_process.options, verify="default")
    in_process.to_the_end()
    assert in_process.noted("doubled").keys() == {2, 3}


def test_many_are_named_by_their_first_ranges(wires: Wires) -> None:
    wires.fill(130)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    lose(in_process, wires, range(1, 131, 2))
    (said,) = told(in_process)
    assert said.startswith("UIDs 1, 3, 5,")
    assert said.endswith("97, 99, … of the source are no longer in the destination folder")
    assert UidSet.of(in_process.noted("missing")) == UidSet.of(range(1, 131, 2))
