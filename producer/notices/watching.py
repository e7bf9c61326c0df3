"""Looks at imports and tells what people want to know: states, causes that need a person, stillness, digests.

A look may be repeated, and another process may go on with it: the store knows what was told. Since when nothing moves is
known here alone, and counts anew after a restart.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from producer import telling
from producer.coordinator.tally import Progress
from producer.forecast.outlook import fifths_later
from producer.forecast.simulation import Rest, no_rest
from producer.notices.awaited import awaited
from producer.notices.sending import spoken
from producer.operations import forecasting
from producer.operations.finding import progress_of
from producer.operations.outages import waits_of
from producer.operations.trouble import trouble
from shared.model import Import, Mailbox, Wait, WaitKind, Wave
from shared.model.errors import MailhaulError
from shared.model.lifecycle import SETTLED, Control, ImportState, MailboxState
from shared.model.search import Search
from shared.runtime.logs import get_logger
from shared.store import Store
from shared.store.records.targets import Target
from shared.wording.phrases import LINES, changed, several

_log = get_logger("mailhaul.notices")
#: The time after its end for which an import is looked at, seconds.
ENDED_SECONDS: Final = 86_400.0
#: The most mailboxes of one cause whose failures are read, and that are named to who asked for logins.
_READ, _NAMED = 200, 20
#: Seconds between two forecasts of one import.
FORECAST_SECONDS: Final = 120.0
_AT_WORK: Final = (MailboxState.PLANNING, MailboxState.COPYING, MailboxState.VERIFYING)
#: A forecast rests so many times as long as it took, however often it is due.
_RESTS: Final = 50


@dataclass
class NoticeWatch:
    """The repeated look at all imports. Not thread-safe."""

    #: The store.
    store: Store
    #: Seconds without progress after which people are told.
    still_seconds: float
    #: The settings' limits, by scope, and the threads of a worker; for forecasts.
    default: Mapping[str, int] = field(default_factory=dict)
    threads: int = 16
    #: Called after each piece of a forecast.
    rest: Rest = no_rest
    #: Import → when its end was forecast last.
    _foreseen: dict[str, float] = field(init=False, default_factory=dict)
    #: Import → what it had done when it was last seen to move, and when that was.
    _moved: dict[str, tuple[object, float]] = field(init=False, default_factory=dict)

    def look(self, now: float) -> None:
        """Looks at every import that runs, or ended within a day. Raises `StoreError`."""
        for import_ in self.store.imports():
            if import_.state is ImportState.RUNNING or import_.finished_at > now - ENDED_SECONDS:
                with _alone(import_id=import_.import_id):
                    self._look(import_, now)

    def digests(self, targets: Iterable[Target], now: float) -> None:
        """Tells each target its digest once its hour has come, once a day of its zone."""
        for target in targets:
            with _alone(target=target.target_id):
                self._digest(target, now)

    def _digest(self, target: Target, now: float) -> None:
        local = datetime.fromtimestamp(now, ZoneInfo(target.zone))
        due = target.digest_minutes
        if due is None or local.hour * 60 + local.minute < due or _came_after(target, local, due):
            return
        rows = [_row(self.store, import_) for import_ in self.store.imports() if _shown(import_, target, now)]
        told = {"rows": json.dumps(rows, ensure_ascii=False)}
        telling.one_target_told(self.store, "digest", target.target_id, now, f"{local:%Y-%m-%d}", told)

    def _look(self, import_: Import, now: float) -> None:
        store = self.store
        if import_.state is ImportState.RUNNING and import_.first_claim_at:
            values = _numbers(store, import_)
            telling.state_reached(
                store, import_, "", "running", import_.first_claim_at, step=f"pass {import_.passes}", values=values
            )
        for wave in store.waves(import_.import_id):
            self._look_at_wave(import_, wave, now)
        self._look_at_people(import_, now)
        self._look_ahead(import_, now)
        if import_.state is ImportState.FINISHED:
            store.keep_end(import_.import_id, import_.passes, "", import_.finished_at)
            word = progress_of(store, import_).word
            stands = any(store.standings(import_.import_id).values())
            telling.import_ended(store, import_, word, stands=stands, values=_numbers(store, import_))
            self._moved.pop(import_.import_id, None)
        elif import_.state is ImportState.RUNNING:
            self._look_whether_it_moves(import_, now)

    def _look_at_wave(self, import_: Import, wave: Wave, now: float) -> None:
        states = {state: number for state, number in wave.mailboxes.items() if number}
        if not wave.name or not states:
            return
        step = f"pass {import_.passes}"
        if any(state in _AT_WORK for state in states):
            word = "running"
        elif all(state in SETTLED for state in states):
            word = "complete" if set(states) == {MailboxState.COMPLETE} else "incomplete"
            word = "cancelled" if set(states) == {MailboxState.CANCELLED} else word
            step += f", {sorted(states.items())}"
            self.store.keep_end(import_.import_id, import_.passes, wave.name, now)
        else:
            return
        telling.state_reached(self.store, import_, wave.name, word, now, step=step, values=_of_states(states))

    def _look_at_people(self, import_: Import, now: float) -> None:
        for code, number in self.store.failure_codes(import_.import_id).items():
            wanted = Search(state=MailboxState.PARKED, code=code, count=_READ)
            total, rows = self.store.find_mailboxes(import_.import_id, wanted) if number else (0, [])
            failures = [mailbox.failure for mailbox, _ in rows if mailbox.failure]
            if not failures:
                continue
            group = trouble(self.store, import_, rows[:1], folders=False)[0]
            values: dict[str, str | float] = {
                "mailboxes": total,
                "sentence": _struck(group.sentence, rows[0][0]),
                "advice": _struck(group.advice, rows[0][0]),
            }
            ids = [mailbox.mailbox_id for mailbox, _ in rows[:_NAMED]]
            newest = max(failure.at for failure in failures)
            telling.people_awaited(self.store, import_, "", code, now, newest, ids, values)

    def _look_ahead(self, import_: Import, now: float) -> None:
        """Keeps the first forecast of a pass, once half of the mailboxes are counted, and tells when a later one slipped."""
        running = import_.state is ImportState.RUNNING and import_.control is Control.RUN
        if not running or now - self._foreseen.get(import_.import_id, float("-inf")) < FORECAST_SECONDS:
            return
        kept = self.store.forecasts(import_.import_id)
        first = next((one for one in kept if one.passes == import_.passes), None)
        began = time.thread_time()
        found = forecasting.look_ahead(self.store, import_, self.default, self.threads, now, self.rest)
        pause = _RESTS * (time.thread_time() - began)
        if found is None or (first is None and found.assumed * 2 > found.kept.mailboxes):
            # It reads every mailbox: where there are many, the next one waits.
            self._foreseen[import_.import_id] = now - FORECAST_SECONDS + min(FORECAST_SECONDS, pause)
            return
        self._foreseen[import_.import_id] = now + max(0.0, pause - FORECAST_SECONDS)
        if first is None:
            self.store.keep_forecast(import_.import_id, found.kept)
        elif fifths := fifths_later(first, found.kept.ends_at):
            values: dict[str, str | float] = {
                "then": first.ends_at,
                "now": found.kept.ends_at,
                "made_at": first.made_at,
                "fifths": fifths,
                "binds": several(found.kept.binds, LINES),
            }
            if telling.forecast_slipped(self.store, import_, now, fifths, first.made_at, values):
                self.store.keep_forecast(import_.import_id, found.kept)

    def _look_whether_it_moves(self, import_: Import, now: float) -> None:
        counts, states = self.store.import_tally(import_.import_id)
        seen = (
            dict(counts.outcomes),
            counts.done_bytes,
            counts.compared,
            counts.messages,
            dict(states),
            import_.passes,
        )
        before, since = self._moved.get(import_.import_id, (None, now))
        waits: Sequence[Wait] = waits_of(self.store, import_)
        stopped = import_.control is not Control.RUN or any(wait.what is WaitKind.WINDOW for wait in waits)
        if seen != before or stopped:
            self._moved[import_.import_id] = (seen, now)
        elif now - since >= self.still_seconds:
            cause = several(map(awaited, waits[:3]), LINES)
            telling.stands_still(self.store, import_, now, since, {"cause": cause})


@contextmanager
def _alone(**about: str) -> Iterator[None]:
    """Logs a fault of one import or target, which holds up no other. Raises `MailhaulError`: that concerns all of them."""
    try:
        yield
    except MailhaulError:
        raise
    except Exception as error:
        _log.exception("notices_not_told", error=spoken(error), **about)


def _came_after(target: Target, local: datetime, due: int) -> bool:
    """Tells whether the target was set up after today's hour: its first digest comes tomorrow."""
    made = datetime.fromtimestamp(target.made_at, local.tzinfo)
    return made.date() == local.date() and made.hour * 60 + made.minute >= due


def _shown(import_: Import, target: Target, now: float) -> bool:
    """Tells whether a digest has the import."""
    going = import_.state is ImportState.RUNNING or import_.finished_at > now - ENDED_SECONDS
    return going and (not target.imports or import_.import_id in target.imports)


def _struck(text: str, mailbox: Mailbox) -> str:
    """Strikes a mailbox's logins out of a sentence about it: not each has an "@" by which the wording knows it."""
    logins = sorted(filter(None, (mailbox.source.login, mailbox.destination.login)), key=len, reverse=True)
    named = re.compile(rf"(?<![\w.@-])({'|'.join(map(re.escape, logins))})(?![\w@-])")
    return changed(text, lambda one: named.sub("…", one)) if logins else text


def _row(store: Store, import_: Import) -> dict[str, Any]:
    progress = progress_of(store, import_)
    return {"name": import_.name, "word": progress.word, **_told(progress)}


def _numbers(store: Store, import_: Import) -> dict[str, str | float]:
    return _told(progress_of(store, import_))


def _told(progress: Progress) -> dict[str, str | float]:
    counts = progress.tally
    return {**_of_states(progress.mailboxes), "messages": counts.messages, "size_bytes": counts.size_bytes}


def _of_states(states: Mapping[MailboxState, int]) -> dict[str, str | float]:
    return {
        "mailboxes": sum(states.values()),
        "complete": states.get(MailboxState.COMPLETE, 0),
        "parked": states.get(MailboxState.PARKED, 0),
    }
