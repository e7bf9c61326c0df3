"""Tests imports to destinations that change or refuse internal dates, interrupted before and after every effect.

Nothing is lost, nothing is there twice, and no date is changed without a note.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from shared.content.dates import LATEST
from shared.content.fingerprint import canonical_digest
from shared.mail import KeptDates
from shared.model.errors import MailError, MessagesRefused
from shared.testing.memory_folders import Stored
from shared.testing.memory_mail import USUAL
from tests.crash.interruption import LOGIN, Effects, MemoryImport, numbered
from worker.copying import adopt
from worker.copying.copy import CopyRules
from worker.decisions import sent

_WRAP = 2**32
#: The dates of the messages: usual ones, and ones beyond the clocks of some servers.
DATES = (1_700_000_000, -31_536_000, 1_700_000_001, 4_417_977_600, -31_536_000, 4_070_908_800, 1_700_000_002)
#: The notes that tell of a date.
TELLING = {"date_clamped", "date_unusable", "normalised"}


def _wraps(stored: Stored) -> Stored:
    """Stores dates as a clock of 32 bits does."""
    return replace(stored, internaldate=(stored.internaldate or 0) % _WRAP)


def _cuts_usual(stored: Stored) -> Stored:
    """Stores another date than was sent, for usual dates too, as Dovecot does with dates after today."""
    return replace(stored, internaldate=min(stored.internaldate or 0, 1_700_000_001))


def _refuses(stored: Stored) -> MailError | None:
    """Refuses dates outside of a signed clock of 32 bits."""
    within = 0 <= (stored.internaldate or 0) <= LATEST
    return None if within else MessagesRefused("destination", "refused", "date out of range")


DESTINATIONS: dict[str, dict[str, Any]] = {
    "wraps": {"alter": _wraps},
    "wraps, without UIDPLUS": {"alter": _wraps, "capabilities": USUAL - {"UIDPLUS"}},
    "refuses": {"refuse": _refuses},
    "refuses, single appends": {"refuse": _refuses, "capabilities": USUAL - {"MULTIAPPEND"}},
    "changes usual dates": {"alter": _cuts_usual},
}


class Worker:
    """Works on a stage; each run is a new process, which has to find out anew what dates the server keeps."""

    def __init__(self, kind: str) -> None:
        self.in_process = MemoryImport(**DESTINATIONS[kind])
        inbox = self.in_process.old.folder(LOGIN, b"INBOX")
        for number, date in enumerate(DATES):
            inbox.add(numbered(number), internaldate=date)
        for date in (DATES[1], DATES[0]):
            inbox.add(b"Subject: twin\r\n\r\nsame\r\n", internaldate=date)
        self.in_process.submit()

    def work(self, effects: Effects) -> bool:
        """Works until nothing may run. Returns False if it was interrupted."""
        self.in_process.new.dates = KeptDates()
        return self.in_process.work(effects, rules=CopyRules(group_messages=3, outstanding=2, settle_seconds=30))

    def interrupted(self, *steps: int) -> MemoryImport:
        """Interrupts one worker at each of `steps`, and lets others finish the import."""
        for step in steps:
            self.work(Effects(step))
            self.in_process.later()
        self.in_process.new.dates = KeptDates()
        self.in_process.to_the_end()
        return self.in_process


def _length(kind: str) -> int:
    effects = Effects()
    assert Worker(kind).work(effects)
    return effects.steps


def _bodies(in_process: MemoryImport, new: bool) -> Counter[bytes]:
    server = in_process.new if new else in_process.old
    return Counter(canonical_digest(m.body) for m in server.folder(LOGIN, b"INBOX").messages.values())


def _dates(in_process: MemoryImport) -> list[tuple[int, bool, bool]]:
    """Returns for each source UID whether its copy has another date, and whether a note tells of a date."""
    ((folder, _),) = in_process.store.folders(in_process.mailbox_id)
    told = {note.uid for note in in_process.store.notes(folder.folder_id) if note.what in TELLING}
    there, here = (server.folder(LOGIN, b"INBOX").messages for server in (in_process.old, in_process.new))
    entries = in_process.store.ledger(folder.folder_id)
    pairs = [pair for entry in entries for record in entry.records for pair in record.pairs()]
    assert len(pairs) == len(there)
    return [(uid, there[uid].internaldate != here[to].internaldate, uid in told) for uid, to in pairs]


def _wrong(kind: str, *steps: int) -> list[str]:
    in_process = Worker(kind).interrupted(*steps)
    old, new = _bodies(in_process, new=False), _bodies(in_process, new=True)
    said = [f"{kind} {steps}: lost {sum((old - new).values())}, twice {sum((new - old).values())}"] * (old != new)
    dates = _dates(in_process)
    if untold := [uid for uid, changed, told in dates if changed and not told]:
        said.append(f"{kind} {steps}: dates changed untold: {untold}")
    if false := [uid for uid, changed, told in dates if told and not changed]:
        said.append(f"{kind} {steps}: told of dates that did not change: {false}")
    return said


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_interrupted_at_every_effect_every_message_is_there_once_and_every_changed_date_is_told(kind: str) -> None:
    assert [said for step in range(_length(kind)) for said in _wrong(kind, step)] == []


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_interrupted_twice_the_same_holds(kind: str) -> None:
    length, chosen = _length(kind), random.Random(kind)
    steps = [(chosen.randrange(length), chosen.randrange(length)) for _ in range(40)]
    assert [said for pair in steps for said in _wrong(kind, *pair)] == []


def test_without_the_notes_the_suite_turns_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: copying and looking again say nothing of a date."""
    for module in (sent, adopt):
        monkeypatch.setattr(module, "date_note", lambda *_: None)
    steps = range(0, _length("refuses"), 9)
    assert any("dates changed untold" in said for step in steps for said in _wrong("refuses", step))
