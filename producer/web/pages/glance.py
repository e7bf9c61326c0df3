"""Cached views of imports, and samples of their throughput.

A view is computed at most once a second for all viewers. So they see the same, and a hundred viewers cost no more than
one. Samples are taken whether somebody looks or not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from producer.coordinator.tally import Progress
from producer.cutover import acts
from producer.cutover.acts import CutoverView
from producer.operations.ended import note_end
from producer.operations.finding import MANY, errors_of
from producer.operations.trouble import ErrorGroup, trouble_at_a_glance
from producer.show.lanes import lane_sentence
from producer.translations.said import ACTS
from producer.waves import waves_of
from producer.web.api.rehearsals import RehearsalKind, running
from producer.web.pages.plot import MOST, Plot, plot, thinned
from producer.web.web_context import WebContext
from shared.model import Import, Wait, Wave
from shared.model.errors import MailhaulError
from shared.model.lifecycle import ImportState
from shared.nouns import dataclass
from shared.rules.standing import Standing, StandingTally
from shared.wording.phrases import Sentence

#: Mailboxes of each kind of trouble that are named, in an import of many.
_NAMED: Final = 5
#: Seconds for which a view is cached.
_FRESH_SECONDS: Final = 0.9
#: Seconds between two samples.
_SAMPLE_SECONDS: Final = 2.0
_KEPT: Final = 200
#: Events after which another check may find something else.
_CHANGES: Final = tuple(ACTS[act] for act in ("credentials", "edit"))
#: Seconds after the end of an import in which its last sample is taken.
_ENDED_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportView:
    """The view of one import at one moment."""

    #: The import.
    import_: Import
    #: Its progress.
    progress: Progress
    #: The errors, in groups.
    groups: list[ErrorGroup]
    #: The waits that are shown.
    waits: tuple[Wait, ...]
    #: Sentences on the number of connections that are let in, where that is searched for.
    lanes: tuple[Sentence, ...]
    #: The waves.
    waves: list[Wave]
    #: The cutovers.
    cutovers: list[CutoverView]
    #: The bounds of looks, by wave.
    standing: dict[str, Standing | None]
    #: The sums of the looks.
    looks: StandingTally
    #: Events of the audit log, newest first.
    events: list[dict[str, Any]]
    #: The check or rehearsal whose result is still true: id, kind, when it began, and in how many mailboxes it found trouble;
    #: None if there is none.
    checked: Mapping[str, Any] | None
    #: The check or rehearsal that is under way; None if there is none.
    running: Mapping[str, Any] | None
    #: The picture of its throughput; None if there is none yet.
    plot: Plot | None


def still_true(
    rehearsals: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """Returns the newest check of all mailboxes that is done, else the newest other one; None if what they saw has changed. Pure.

    `rehearsals`: newest first.
    """
    changed = max((event["at"] for event in events if event["what"] in _CHANGES), default=0.0)
    done = [row for row in rehearsals if "broken" in row and row["at"] > changed]
    whole = [row for row in done if row["kind"] == RehearsalKind.CHECK and not row.get("wave")]
    return next(iter(whole or done), None)


class Glances:
    """The cached views of this process. Thread-safe."""

    def __init__(self, known: WebContext) -> None:
        self._known = known
        self._lock = threading.Lock()
        self._one: dict[str, tuple[float, ImportView]] = {}
        self._locks: dict[str, threading.Lock] = {}

    def of(self, import_id: str) -> ImportView:
        """Returns a view that is at most a second old. Raises `Refused` (404)."""
        with self._lock:
            lock = self._locks.setdefault(import_id, threading.Lock())
            if len(self._one) > _KEPT:
                self._one.clear()
        with lock:
            at, found = self._one.get(import_id, (0.0, None))
            if found is None or time.monotonic() - at > _FRESH_SECONDS:
                found = self._look(import_id)
                self._one[import_id] = (time.monotonic(), found)
            return found

    def forget(self, import_id: str) -> None:
        """Drops the cached view after an act, so that the next one is computed anew."""
        with self._lock:
            self._one.pop(import_id, None)

    def _look(self, import_id: str) -> ImportView:
        known, store = self._known, self._known.store
        import_, progress = known.import_(import_id), known.progress(import_id)
        few = progress.mailboxes_total <= MANY
        if few:
            groups = errors_of(store, import_, everyone=None if progress.finished else store.mailboxes(import_id))
        else:
            groups = trouble_at_a_glance(store, import_, _NAMED)
        events = list(reversed(known.page_state.events(import_id)))
        rehearsed = known.records.rehearsals_of(import_id)
        return ImportView(
            import_=import_,
            progress=progress,
            groups=groups,
            waits=progress.waits[:5],
            lanes=tuple(map(lane_sentence, progress.lanes)),
            waves=waves_of(store, import_),
            cutovers=acts.look_at_all(known.operations.cutovers, import_, time.time()),
            standing=store.standings(import_id),
            looks=store.standing_tally(import_id),
            events=events[:50],
            checked=still_true(rehearsed, events),
            running=running(known, rehearsed),
            plot=plot(known.page_state.samples(import_id)),
        )


class Sampler:
    """Samples the progress of each running import, in a thread of its own."""

    def __init__(self, known: WebContext, seconds: float = _SAMPLE_SECONDS) -> None:
        self._known, self._seconds = known, seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="samples", daemon=True)
        self._ended: dict[str, float] = {}

    def start(self) -> None:
        """Starts the thread, which runs until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread, and waits up to 5 seconds for it."""
        self._over.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                for import_ in self._known.store.imports():
                    self._look(import_)
            except MailhaulError:
                continue  # the store does not answer now

    def _look(self, import_: Import) -> None:
        if import_.state is ImportState.RUNNING:
            self.sample(import_)
        elif import_.state is ImportState.FINISHED:
            ended = import_.finished_at > time.time() - _ENDED_SECONDS
            new = self._ended.get(import_.import_id) != import_.finished_at
            if ended and new:
                self.sample(import_)
            if ended or new:  # also what ended while no page ran
                note_end(self._known.store, self._known.records, self._known.page_state, import_)
            self._ended[import_.import_id] = import_.finished_at

    def sample(self, import_: Import) -> None:
        """Takes one sample.

        While the import runs, nothing is taken if another process has just taken one. The last sample, after
        its end, is taken by every process.
        """
        page_state = self._known.page_state
        kept = page_state.samples(import_.import_id)
        step = _SAMPLE_SECONDS if len(kept) < 2 else max(_SAMPLE_SECONDS, (kept[-1][0] - kept[0][0]) / MOST)
        if import_.state is ImportState.RUNNING and not page_state.sampling(import_.import_id, step * 0.9):
            return
        counts = self._known.store.import_tally(import_.import_id)[0]
        if not kept and import_.first_claim_at:
            kept = [[import_.first_claim_at, 0, 0]]
        now = [import_.finished_at or time.time(), sum(counts.outcomes.values()), counts.done_bytes]
        if len(kept) > 1 and kept[-2][1] == kept[-1][1] == now[1]:
            kept[-1] = now  # nothing was copied: the last point moves to now
        else:
            kept.append(now)
        page_state.keep_samples(import_.import_id, thinned(kept))
