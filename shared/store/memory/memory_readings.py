"""The model's readings of imports and mailboxes, which change nothing: the reading half of `shared.store.RequestStore`."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

from shared.model import (
    Failure,
    Folder,
    Import,
    Mailbox,
    Note,
    SwitchMarks,
    Tally,
)
from shared.model.folders import COUNTERS
from shared.model.lifecycle import MailboxState, Outcome
from shared.model.search import Search, small, troubles_of
from shared.store.memory.memory_rows import Rows
from shared.store.memory.memory_tables import ImportRow

_P = ParamSpec("_P")
_R = TypeVar("_R")


def atomic(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Makes a method run wholly or not at all: one at a time, under the lock.

    A method checks everything that it may refuse before it writes anything.
    """

    @functools.wraps(method)
    def locked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        store: Any = args[0]
        with store._lock:
            return method(*args, **kwargs)

    return locked


def tally(counts: Iterable[Counter[str]]) -> Tally:
    """Returns the sum of these counts."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    named: dict[str, Any] = {name: total[name] for name in COUNTERS}
    return Tally(outcomes={o: n for o in Outcome if (n := total[o])}, **named)


class MemoryReadings:
    """The tables' imports and mailboxes, as they are read."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._lock = threading.RLock()
        self._rows = Rows(clock)
        self._limits: dict[str, int] = {}
        self._usual: dict[str, int] = {}

    def ping(self) -> None:
        """Does nothing: memory always answers."""

    @staticmethod
    def _in_order(whole: ImportRow) -> list[str]:
        return sorted(whole.rows, key=lambda m: (whole.rows[m], m))

    @atomic
    def imports(self) -> list[Import]:
        found = [whole.import_ for whole in self._rows.imports.values()]
        return sorted(found, key=lambda import_: (import_.created_at, import_.import_id), reverse=True)

    @atomic
    def import_(self, import_id: str) -> Import | None:
        whole = self._rows.imports.get(import_id)
        return whole.import_ if whole else None

    def _tally(self, mailboxes: Iterable[str]) -> Tally:
        rows, ids = self._rows, list(mailboxes)
        compared = sum(rows.mailboxes[m].mailbox.compared for m in ids)
        return replace(tally(rows.folders[f].counts for m in ids for f in rows.mailboxes[m].folders), compared=compared)

    @atomic
    def import_tally(self, import_id: str) -> tuple[Tally, dict[MailboxState, int]]:
        whole = self._rows.imports.get(import_id)
        if whole is None:
            return Tally(), {}
        states = Counter(self._rows.mailboxes[m].mailbox.state for m in whole.rows)
        ever = {outcome: whole.ever[outcome] for outcome in Outcome if whole.ever[outcome]}
        counts = replace(self._tally(whole.rows), ever=ever, ever_bytes=whole.ever["done_bytes"])
        return counts, {state: states[state] for state in MailboxState if states[state]}

    @atomic
    def mailboxes(self, import_id: str, start: int = 0, count: int = -1) -> list[tuple[Mailbox, Tally]]:
        whole = self._rows.imports.get(import_id)
        ids = self._in_order(whole)[start:] if whole else []
        return [(self._mailbox(m), self._tally([m])) for m in (ids if count < 0 else ids[:count])]

    @atomic
    def failure_codes(self, import_id: str) -> dict[str, int]:
        failures = (mailbox.failure for mailbox, _ in self.mailboxes(import_id))
        return dict(Counter(failure.code for failure in failures if failure))

    @atomic
    def find_mailboxes(self, import_id: str, wanted: Search) -> tuple[int, list[tuple[Mailbox, Tally]]]:
        text = small(wanted.text)
        found = [
            (mailbox, counts)
            for mailbox, counts in self.mailboxes(import_id)
            if wanted.state in (None, mailbox.state)
            and wanted.wave in ("", mailbox.wave)
            and (wanted.code in ("", mailbox.failure and mailbox.failure.code) or wanted.code in troubles_of(counts))
            and (not text or any(text in small(login) for login in (mailbox.source.login, mailbox.destination.login)))
        ]
        values: Mapping[str, Callable[[Mailbox, Tally], Any]] = {
            "row": lambda mailbox, _: mailbox.row,
            "login": lambda mailbox, _: (small(mailbox.source.login), small(mailbox.destination.login)),
            "destination_login": lambda mailbox, _: (small(mailbox.destination.login), small(mailbox.source.login)),
            "state": lambda mailbox, _: mailbox.state.value,
            "messages": lambda _, counts: counts.messages,
            "bytes": lambda _, counts: counts.size_bytes,
            "done_bytes": lambda _, counts: counts.done_bytes,
            "failed": lambda _, counts: counts[Outcome.FAILED],
            "refused": lambda _, counts: counts[Outcome.REFUSED],
        }
        found.sort(key=lambda pair: values[wanted.order](*pair), reverse=wanted.descending)
        return len(found), found[wanted.start : wanted.start + wanted.count]

    def _mailbox(self, mailbox_id: str) -> Mailbox:
        mailbox = self._rows.mailboxes[mailbox_id].mailbox
        import_ = self._rows.imports[mailbox.import_id].import_
        own = mailbox.source.endpoint
        return replace(
            mailbox,
            source=replace(mailbox.source, endpoint=import_.source if own.url == import_.source.url else own),
            destination=replace(mailbox.destination, endpoint=import_.destination),
        )

    @atomic
    def mailbox(self, mailbox_id: str) -> Mailbox | None:
        return self._mailbox(mailbox_id) if mailbox_id in self._rows.mailboxes else None

    def mailbox_state(self, mailbox_id: str) -> MailboxState | None:
        found = self.mailbox(mailbox_id)
        return found.state if found else None

    @atomic
    def folders(self, mailbox_id: str) -> list[tuple[Folder, Tally]]:
        m = self._rows.mailboxes.get(mailbox_id)
        found = [self._rows.folders[f] for f in m.folders] if m else []
        found.sort(key=lambda f: (f.order, f.folder.folder_id))
        return [(f.shown(), tally([f.counts])) for f in found]

    @atomic
    def notes(self, folder_id: str) -> list[Note]:
        folder = self._rows.folders.get(folder_id)
        return [folder.notes[key] for key in sorted(folder.notes)] if folder else []

    @atomic
    def failures(self, mailbox_id: str) -> list[Failure]:
        m = self._rows.mailboxes.get(mailbox_id)
        return list(m.failures) if m else []

    @atomic
    def switch_marks(self, mailbox_id: str) -> SwitchMarks | None:
        row = self._rows.mailboxes.get(mailbox_id)
        return row.marks if row else None

    @atomic
    def in_doubt(self, mailbox_id: str) -> bool:
        row = self._rows.mailboxes.get(mailbox_id)
        return row is not None and any(self._rows.units[unit].intents for unit in row.open)
