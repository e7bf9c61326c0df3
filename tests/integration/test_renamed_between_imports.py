"""Tests a folder that its user renames between the plans of two imports of the same mailboxes, which know of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.model import Options, import_id
from shared.model.errors import LeaseLost
from shared.model.lifecycle import Control
from shared.store.memory.memory_store import MemoryStore
from tests.conftest import DovecotPair
from tests.integration.in_process_import import PASSWORD, InProcessImport, plain
from tests.integration.test_delta import BODY, COUNTS, WITHOUT_CONDSTORE, Both
from tests.integration.test_folders_followed import CyrusPair
from tests.mail import Mail, populate
from tests.servers.cyrus import Cyrus, available
from tests.servers.dovecot import Dovecot
from tests.servers.wire import Wire
from worker.copying.batch_folders import BatchFolders
from worker.planning import plan
from worker.planning.neighbour_folders import FoundBeside, NeighbourFolders

TOTAL = sum(COUNTS.values())


class Later(InProcessImport):
    """An import of another name, in the same store."""

    def __init__(self, first: InProcessImport, name: str, options: Options | None = None) -> None:
        super().__init__(first.source, first.destination, logins=first.logins, options=options)
        self._first, self.store = first, first.store
        self.import_id = import_id(name, *self._ends)

    def later(self, seconds: float = 40.0) -> None:
        """Lets time pass in the store of both."""
        self._first.later(seconds)
        self.time = self._first.time


@pytest.fixture(params=["CONDSTORE", "compared", "Cyrus"])
def both(request: pytest.FixtureRequest, dovecot: Callable[..., Dovecot]) -> Iterator[Both]:
    """Yields servers after a first import: Dovecot with CONDSTORE and without, and Cyrus, which has MAILBOXID."""
    if request.param == "Cyrus":
        if not available():
            pytest.skip("Cyrus was not unpacked: tests/install-servers")
        with Cyrus(munge8bit=False) as source, Cyrus(munge8bit=False) as destination:
            CyrusPair(source, destination)
            yield Both(source, destination, "anna", PASSWORD)  # type: ignore[arg-type]
        return
    pair: DovecotPair = request.getfixturevalue("dovecot_pair")
    there, login = pair.source, pair.account()
    if request.param == "compared":
        there = dovecot(extra=f"imap_capability = {WITHOUT_CONDSTORE}")
        there.add_user(login, pair.password)
    yield Both(there, pair.destination, login, pair.password)


def second(both: Both, name: str = "second", options: Options | None = None) -> Later:
    """Runs an import of another name to its end."""
    both.in_process.later(3600)
    other = Later(both.in_process, name, options)
    other.to_the_end()
    assert other.mailbox().state == "complete", other.mailbox()
    return other


def folders(both: Both, side: str = "destination") -> dict[str, int]:
    """Returns folder → number of messages."""
    return dict(Counter(kept.folder.decode() for kept in both.in_process.held(side).elements()))


def deliver(both: Both, folder: str, number: int) -> None:
    populate(both.source.host, both.source.port, both.login, both.password, {folder: [Mail(plain(number), (), None)]})


def unprotected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a plan know nothing of other imports' folders."""
    monkeypatch.setattr(NeighbourFolders, "find", lambda self, planned, own, there, **_: FoundBeside(own=own))


@pytest.mark.parametrize("protected", [True, False])
def test_renamed_at_the_source(both: Both, monkeypatch: pytest.MonkeyPatch, *, protected: bool) -> None:
    if not protected:
        unprotected(monkeypatch)
    both.at(both.source, b"RENAME Work Job")
    other = second(both)
    if not protected:
        assert folders(both)["Work"] == folders(both)["Job"] == COUNTS["Work"], "the control is dead"
        return
    both.assert_same()
    assert other.outcomes() == {"already_present": TOTAL}
    assert other.told.count(BODY) == 0, "the first import's ledger tells it"
    for _ in range(2):  # what the first import makes of it, and the second of that
        both.again()
        second(both)
        both.assert_same()
        assert both.in_process.outcomes() == {"copied": TOTAL}
        assert both.in_process.told.count(BODY) == 0


@pytest.mark.parametrize("followed", [False, True], ids=["not looked at since", "followed by the first import"])
def test_renamed_at_the_destination(both: Both, *, followed: bool) -> None:
    both.at(both.destination, b"RENAME Work Mine")
    if followed:
        both.again()
    deliver(both, "Work", 901)
    other = second(both)
    assert "Work" not in folders(both)
    assert folders(both)["Mine"] == COUNTS["Work"] + 1
    assert other.outcomes() == {"copied": 1, "already_present": TOTAL}
    both.again()
    assert folders(both)["Mine"] == COUNTS["Work"] + 1
    assert both.in_process.outcomes() == {"copied": TOTAL, "already_present": 1}


def test_renamed_at_both_sides(both: Both) -> None:
    both.at(both.destination, b"RENAME Work Mine")
    both.at(both.source, b"RENAME Work Job")
    other = second(both)
    assert folders(both)["Mine"] == COUNTS["Work"]
    assert not {"Work", "Job"} & folders(both).keys()
    assert other.outcomes() == {"already_present": TOTAL}


def test_renamed_twice_between_three_imports(both: Both) -> None:
    both.at(both.source, b"RENAME Work Job")
    second(both)
    both.at(both.source, b"RENAME Job Task")
    deliver(both, "Task", 901)
    third = second(both, "third")
    both.assert_same()
    assert third.outcomes() == {"copied": 1, "already_present": TOTAL}
    for again in (lambda: second(both), both.again, lambda: second(both, "third")):
        again()
        both.assert_same()


def test_a_new_folder_under_the_old_name(both: Both) -> None:
    both.at(both.source, b"RENAME Work Job", b"CREATE Work")
    deliver(both, "Work", 901)
    deliver(both, "Job", 902)
    other = second(both)
    both.assert_same()
    assert other.outcomes() == {"copied": 2, "already_present": TOTAL}
    both.again()
    both.assert_same()
    assert both.in_process.outcomes() == {"copied": TOTAL, "already_present": 2}


def test_renamed_below_a_new_folder_and_what_is_below_it(both: Both) -> None:
    both.at(both.source, b"RENAME Work Old/Job")
    second(both)
    both.assert_same()
    both.again()
    both.assert_same()


def test_killed_after_the_renaming(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    both.at(both.source, b"RENAME Work Job")
    plan_folders, died = MemoryStore.plan_folders, list[bool]()

    def dies(self: MemoryStore, *given: Any, **named: Any) -> None:
        if not died:
            died.append(True)
            raise LeaseLost("the process was killed")
        plan_folders(self, *given, **named)

    monkeypatch.setattr(MemoryStore, "plan_folders", dies)
    other = second(both)
    assert died
    both.assert_same()
    assert other.outcomes() == {"already_present": TOTAL}


def test_renamed_while_the_second_import_copies(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(both, "Work", 901)
    opened, given = BatchFolders.open, list[bool]()

    def meanwhile(self: BatchFolders) -> Any:
        if not given:
            given.append(True)
            both.at(both.source, b"RENAME Work Job")
        return opened(self)

    monkeypatch.setattr(BatchFolders, "open", meanwhile)
    other = second(both)
    assert given
    both.assert_same()
    assert other.outcomes() == {"copied": 1, "already_present": TOTAL}
    both.again()
    both.assert_same()


def test_renamed_after_the_first_import_was_left_half_done(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    source, destination = dovecot_pair.source, dovecot_pair.destination
    mail = {"Work": [Mail(plain(number), (), None) for number in range(60)]}
    populate(source.host, source.port, login, dovecot_pair.password, mail)
    first = InProcessImport(source, destination, logins=(login,), batch_messages=20)
    first.submit()
    first.stopping = lambda: bool(first.tally().outcomes)
    first.work()
    assert 0 < first.outcomes()["copied"] < 60
    first.store.control(first.import_id, None, Control.CANCEL)
    first.later()
    with Wire(source.host, source.port, login, dovecot_pair.password) as wire:
        wire.command(b"RENAME Work Job")
    other = Later(first, "second")
    other.to_the_end()
    assert other.held("destination") == other.held("source")
    first.stopping = lambda: False
    first.store.control(first.import_id, None, Control.RUN)
    first.to_the_end()
    assert first.held("destination") == first.held("source")
    assert sum(first.outcomes().values()) == 60
    assert "failed" not in first.outcomes()


def test_each_has_its_copy_where_the_operator_chose_two_places(both: Both) -> None:
    both.at(both.source, b"RENAME Work Job")
    second(both, options=replace(both.in_process.options, folder_map=(("Work", "Elsewhere"),)))
    assert folders(both)["Work"] == folders(both)["Job"] == COUNTS["Work"]


def test_a_map_of_both_imports_is_one_place(both: Both) -> None:
    mapped = replace(both.in_process.options, folder_map=(("Work", "Elsewhere"),))
    second(both, "second", mapped)
    assert folders(both)["Elsewhere"] == COUNTS["Work"]
    both.at(both.source, b"RENAME Work Job")
    second(both, "third", mapped)
    assert folders(both)["Elsewhere"] == COUNTS["Work"]
    assert "Job" not in folders(both)


def test_what_is_copied_under_each_name_by_choice_stays_so(both: Both) -> None:
    both.at(both.source, b"RENAME Work Job")
    second(both, options=replace(both.in_process.options, moves="copy"))
    assert folders(both)["Work"] == folders(both)["Job"] == COUNTS["Work"]


def test_nothing_more_is_asked_where_nothing_was_renamed(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    second(both)
    asked = list[object]()
    monkeypatch.setattr(plan.FolderSearch, "_all_numbers", lambda self, view: asked.append(view) or view)
    second(both)
    assert not asked
