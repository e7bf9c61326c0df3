"""Measures a whole migration with synthetic servers and a real Redis: planning, copying, memory, coordinator."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

from bench.scale.page import Section, number
from bench.scale.rig import Rig, cpu_seconds, memory_bytes

#: Size of the migration to which the figures are extrapolated.
WHOLE_MAILBOXES, WHOLE_MESSAGES = 5_000, 20_000_000
#: Seconds for which the coordinator is watched while no worker copies.
QUIET_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """The cost of a stretch of time."""

    #: Wall time in seconds.
    seconds: float
    #: CPU seconds of the lanes' process, of Redis and of the coordinator.
    lanes: float
    redis: float
    coordinator: float


class _Meter:
    def __init__(self, rig: Rig, coordinator: int) -> None:
        self._pids = (os.getpid(), rig.redis_pid, coordinator)
        self._before = [cpu_seconds(pid) for pid in self._pids]
        self._began = time.monotonic()

    def read(self) -> Cost:
        """Returns the cost since this meter was made."""
        spent = [cpu_seconds(pid) - before for pid, before in zip(self._pids, self._before, strict=True)]
        return Cost(seconds=time.monotonic() - self._began, lanes=spent[0], redis=spent[1], coordinator=spent[2])


def run(mailboxes: int, messages: int, seconds: float) -> Section:
    """Copies `messages` in all, with four folders in each mailbox.

    Copying stops after `seconds`, with every mailbox in progress until then.
    """
    each = max(4, messages // mailboxes)
    names = (b"INBOX", b"Sent", b"Archive", b"Work")
    counts = {name: each // 4 + (each % 4 if name == b"INBOX" else 0) for name in names}
    with Rig(counts) as rig:
        empty = rig.redis_bytes()
        began = time.monotonic()
        request = rig.submit("migration", mailboxes)
        submitted = time.monotonic() - began
        after_submit = rig.redis_bytes()
        coordinator = rig.coordinate()
        meter = _Meter(rig, coordinator)
        rig.work(lambda: rig.planned() >= mailboxes, seconds=max(seconds, 600.0), slice_seconds=0.0)
        planning = meter.read()
        planned, early = rig.planned(), rig.copied(request)
        after_plan = rig.redis_bytes()
        meter = _Meter(rig, coordinator)
        threading.Event().wait(QUIET_SECONDS)
        quiet = meter.read()
        meter = _Meter(rig, coordinator)
        # Each lane goes from mailbox to mailbox, so that as many as possible are in progress.
        rig.work(lambda: rig.copied(request) >= each * mailboxes, seconds=seconds, slice_seconds=0.0)
        copying = meter.read()
        copied = rig.copied(request)
        after_copy = rig.redis_bytes()
        lost = twice = 0
        settled = rig.store.import_tally(request.import_id)[0]
        if settled.pending == 0:
            for n in range(1, mailboxes + 1):
                one = rig.dialer.lost_and_twice(f"migration{n}@simulated.example")
                lost, twice = lost + one[0], twice + one[1]
        bad = {what: n for what, n in rig.ended.items() if what[1] not in ("finished", "control")}
        coordinator_memory = memory_bytes(coordinator)
    fresh = copied - early
    a_message = (after_copy - after_plan) / fresh if fresh else 0.0
    at_plan = (after_plan - empty) / mailboxes
    whole = WHOLE_MAILBOXES * at_plan + WHOLE_MESSAGES * max(0.0, a_message)
    worst = WHOLE_MAILBOXES * at_plan + 4 * WHOLE_MESSAGES
    rate, a_core = fresh / copying.seconds, fresh / max(copying.lanes, 0.01)
    return Section(
        name="migration",
        title="A migration of thousands of mailboxes, simulated",
        lines=(
            f"{mailboxes:,} mailboxes of {each:,} messages in four folders each, {each * mailboxes:,} messages in all; one",
            f"worker process of {rig.threads} lanes, one coordinator, one Redis with its append-only file. {planned:,} mailboxes",
            "were planned first; then",
            f"copying ran {copying.seconds:.0f} s, lanes going from mailbox to mailbox: {copied:,} messages "
            f"({100 * copied / (each * mailboxes):.0f} %) were copied"
            + (f", lost {lost}, twice {twice}." if settled.pending == 0 else "."),
            *([f"Units that did not end well: {bad}."] if bad else []),
            "",
            "| | measured | CPU seconds: worker, Redis, coordinator |",
            "|---|---|---|",
            f"| submitting (rows, sealed passwords) | {mailboxes / submitted:,.0f} mailboxes/s | |",
            f"| planning | {planned / planning.seconds:,.0f} mailboxes/s, {planned * each / planning.seconds:,.0f} messages/s "
            f"| {planning.lanes:.1f}, {planning.redis:.1f}, {planning.coordinator:.1f} in {planning.seconds:.0f} s |",
            f"| copying | {rate:,.0f} messages/s, {a_core:,.0f} a CPU second of the worker "
            f"| {copying.lanes:.1f}, {copying.redis:.1f}, {copying.coordinator:.1f} in {copying.seconds:.0f} s |",
            f"| coordinator, {mailboxes:,} mailboxes in progress, nobody copies | {_share(quiet)} | |",
            f"| coordinator while copying | {_share(copying)}, {number(coordinator_memory)} at most | |",
            f"| Redis: submitted, planned, then | {number(after_submit - empty)}, {number(after_plan - empty)}, "
            f"{number(after_copy - empty)} | |",
            f"| Redis a mailbox, planned | {at_plan:,.0f} bytes | |",
            f"| Redis more a copied message | {a_message:.1f} bytes | |",
            "",
            f"From that, for {WHOLE_MAILBOXES:,} mailboxes and {WHOLE_MESSAGES:,} messages: Redis {number(whole)}; planning "
            f"{_time(WHOLE_MAILBOXES / (planned / planning.seconds))} and copying "
            f"{_time(WHOLE_MESSAGES / rate) if rate else 'unknown'} of one worker process, were mail servers as fast as memory.",
            "They are not: what a worker does with real servers is measured above and in `bench/RESULTS.md`. UIDs without",
            "gaps, as here, are the best case of the ledger: the worst (a third of the UIDs gone, foreign mail between) takes",
            f"under four bytes a message (`tests/integration/test_store_size.py`), together {number(worst)} at most.",
        ),
        facts={
            "coordinator_share_quiet": round(quiet.coordinator / quiet.seconds, 4),
            "coordinator_share_copying": round(copying.coordinator / copying.seconds, 4),
            "coordinator_bytes": coordinator_memory,
        },
    )


def _share(cost: Cost) -> str:
    return f"{100 * cost.coordinator / cost.seconds:.1f} % of a core"


def _time(seconds: float) -> str:
    return f"{seconds / 60:,.0f} min" if seconds >= 120 else f"{seconds:,.0f} s"
