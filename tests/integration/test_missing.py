"""Tests copies that the destination lost: its UIDNEXT went back.

They are missing until the operator accepts that, or copies them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from producer.coordinator import tally as tallying
from producer.operations import verbs
from shared.model import Import
from shared.model.uids import UidSet
from tests.integration.in_process_import import InProcessImport, Wires, plain

GONE = {1, 5, 6, 7}


@pytest.fixture
def stage(stage: InProcessImport, wires: Wires) -> InProcessImport:
    """Returns a stage on which twelve messages were copied and the server lost four of them."""
    assert exit_code(stage) == 0
    lose(stage, wires, GONE)
    return stage


def lose(stage: InProcessImport, wires: Wires, uids: Iterable[int], *, submit: bool = True) -> None:
    """Has the destination lose these copies, as a restored backup does, and runs the pass that notices.

    UIDNEXT goes back; mail that arrives afterwards raises it again.
    """
    pairs, inbox = stage.pairs(), wires.new.folder(b"INBOX")
    for uid in uids:
        inbox.remove(pairs[uid])
    inbox.announced_uidnext = inbox.uidnext - 1
    stage.to_the_end(submit=submit)
    inbox.announced_uidnext = None


def request_of(stage: InProcessImport) -> Import:
    found = stage.store.import_(stage.import_id)
    assert found is not None
    return found


def exit_code(stage: InProcessImport) -> int:
    return tallying.exit_code(tallying.progress(request_of(stage), *stage.store.import_tally(stage.import_id)))


def accept(stage: InProcessImport) -> int:
    """Does what `mailhaul verify --accept-missing` does. Returns how many messages were accepted."""
    need_none(stage)
    return verbs.verify(stage.store, lambda *_: None, request_of(stage), 14, full=False, accept_missing=True)[1]


def copy_again(stage: InProcessImport) -> int:
    """Does what `mailhaul retry --copy-missing` does. Returns how many messages were queued."""
    need_none(stage)
    return verbs.retry(stage.store, lambda *_: None, request_of(stage), copy_missing=True)[1]


def need_none(stage: InProcessImport) -> None:
    """Stores dummy passwords: the stage signs in by itself, but they must exist."""
    stage.store.seal(stage.import_id, {(stage.mailbox_id, side): b"sealed" for side in ("source", "destination")})


def told(stage: InProcessImport) -> list[str]:
    """Returns what `mailhaul errors` reports of missing messages."""
    groups = verbs.errors(stage.store, request_of(stage))
    return [one.detail for group in groups if group.code == "missing" for one in group.sufferers]


def test_it_is_told_with_each_uid_until_somebody_acts(stage: InProcessImport) -> None:
    for _ in range(2):
        stage.to_the_end()
        assert exit_code(stage) == 3
        assert stage.tally().missing == 4
        assert told(stage) == ["UIDs 1, 5:7 of the source are no longer in the destination folder"]
        assert stage.outcomes() == {"copied": 12}


def test_accepted_it_is_missed_no_more(stage: InProcessImport, wires: Wires) -> None:
    stage.to_the_end()
    assert accept(stage) == 4
    stage.to_the_end(submit=False)
    assert exit_code(stage) == 0
    assert told(stage) == []
    assert stage.noted("accepted").keys() == GONE
    for mode in ("default", "anew", "full"):
        wires.fill(1, first=100 + len(wires.old.folder(b"INBOX").messages))
        stage.options = replace(stage.options, verify=mode)
        stage.to_the_end()
        assert (exit_code(stage), stage.tally().missing) == (0, 0), mode
    assert len(wires.bodies()) == 8 + 3, "nothing comes back, and new mail comes"
    assert accept(stage) == 0


def test_a_pass_over_what_was_accepted_reads_nothing_again(stage: InProcessImport, wires: Wires) -> None:
    stage.to_the_end()
    accept(stage)
    stage.to_the_end(submit=False)
    stage.options = replace(stage.options, verify="default")
    stage.to_the_end()
    before = len(wires.destination.commands)
    stage.to_the_end()
    assert not [c for c in wires.destination.commands[before:] if c.name == b"UID FETCH"]


def test_what_is_lost_after_that_is_told(stage: InProcessImport, wires: Wires) -> None:
    stage.to_the_end()
    accept(stage)
    lose(stage, wires, [9], submit=False)  # before the pass that the acceptance begins
    assert exit_code(stage) == 3
    assert told(stage) == ["UID 9 of the source is no longer in the destination folder"]


def test_without_the_acceptance_later_passes_stay_incomplete(
    stage: InProcessImport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: without the acceptance the exit code stays 3."""
    monkeypatch.setattr(type(stage.store), "accept_missing", lambda *_: 4)
    stage.to_the_end()
    accept(stage)
    stage.to_the_end(submit=False)
    stage.to_the_end()
    assert exit_code(stage) == 3


def test_copied_again_each_message_is_there_once(stage: InProcessImport, wires: Wires) -> None:
    stage.to_the_end()
    assert copy_again(stage) == 4
    stage.to_the_end(submit=False)
    assert wires.bodies() == wires.sent()
    assert stage.outcomes() == {"copied": 12}
    assert len(stage.pairs()) == 12
    assert exit_code(stage) == 0
    stage.to_the_end()
    assert (exit_code(stage), stage.noted("missing")) == (0, {})
    assert copy_again(stage) == 0


def test_what_was_already_there_is_copied_again_too(wires: Wires) -> None:
    wires.fill(10)
    for number in range(1, 6):
        wires.new.folder(b"INBOX").add(plain(number), internaldate=b"%2d-Feb-2021 10:20:30 +0100" % (number % 28 + 1))
    stage = InProcessImport(wires.source, wires.destination)
    stage.to_the_end()
    assert stage.outcomes() == {"already_present": 5, "copied": 5}
    lose(stage, wires, (2, 8))
    assert copy_again(stage) == 2
    stage.to_the_end(submit=False)
    assert wires.bodies() == wires.sent()
    assert stage.outcomes() == {"already_present": 4, "copied": 6}
    assert exit_code(stage) == 0


def test_what_is_gone_at_the_source_too_has_vanished(stage: InProcessImport, wires: Wires) -> None:
    stage.to_the_end()
    wires.old.folder(b"INBOX").remove(6)
    copy_again(stage)
    stage.to_the_end(submit=False)
    assert stage.outcomes() == {"copied": 11, "vanished": 1}
    assert exit_code(stage) == 0


def test_a_retry_leaves_what_is_missing_alone(stage: InProcessImport) -> None:
    stage.to_the_end()
    need_none(stage)
    assert verbs.retry(stage.store, lambda *_: None, request_of(stage)) == (0, 0)
    assert stage.tally().missing == 4


def test_second_copies_are_found_beside_what_was_accepted(stage: InProcessImport, wires: Wires) -> None:
    """Adds as many second copies as messages were removed: they are found all the same."""
    stage.to_the_end()
    accept(stage)
    stage.to_the_end(submit=False)
    inbox = wires.new.folder(b"INBOX")
    for uid in (2, 3):
        there = inbox.get(stage.pairs()[uid])
        assert there is not None
        inbox.add(there.body, there.flags, there.internaldate)
    stage.options = replace(stage.options, verify="default")
    stage.to_the_end()
    assert stage.noted("doubled").keys() == {2, 3}


def test_many_are_named_by_their_first_ranges(wires: Wires) -> None:
    wires.fill(130)
    stage = InProcessImport(wires.source, wires.destination)
    stage.to_the_end()
    lose(stage, wires, range(1, 131, 2))
    (said,) = told(stage)
    assert said.startswith("UIDs 1, 3, 5,")
    assert said.endswith("97, 99, … of the source are no longer in the destination folder")
    assert UidSet.of(stage.noted("missing")) == UidSet.of(range(1, 131, 2))
