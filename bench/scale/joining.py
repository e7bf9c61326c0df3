"""Measures how soon a new worker gets work, and what a worker costs that ends, by SIGTERM and by SIGKILL."""

from __future__ import annotations

import threading
import time

from bench.scale.page import Section
from bench.scale.sample_servers import SampleServers, compared
from shared.store.redis import keys
from tests.integration.process_cluster import Child, ProcessCluster

_JOINING = 3
#: One-way delay in milliseconds; long, so that workers can join and leave while the import runs.
ONE_WAY_MS = 100.0


def run(mailboxes: int, messages: int) -> Section:
    """Adds and ends workers during an import of `mailboxes` mailboxes of `messages` messages."""
    waits = []
    with SampleServers(mailboxes, messages) as town, town.office(one_way_ms=ONE_WAY_MS) as office:
        office.start_coordinator()
        first = office.start_worker()
        whole = office.submit("joining")
        office.until_done(whole, 1)
        workers = [first]
        for _ in range(_JOINING):
            worker, seconds = _join(office)
            workers.append(worker)
            waits.append(seconds)
        before = office.done(whole)
        workers[0].terminate()
        asked = time.monotonic()
        code = workers[0].exit_code()
        drained = time.monotonic() - asked
        workers[1].kill()
        at_the_kill = office.done(whole)
        middle = not office.finished(whole)
        office.await_finished(whole, 600)
        lost, twice = compared(office)
        total = town.messages
    return Section(
        name="joining",
        title="Coming and going",
        lines=(
            f"{mailboxes} mailboxes of {messages} messages, servers {2 * ONE_WAY_MS:.0f} ms away, one worker at first.",
            f"{_JOINING} more joined one after the other; then one was told to stop (at {before:,} of {total:,} messages) and one",
            f"was killed (at {at_the_kill:,}, {'in the middle' if middle else 'when all was done'}).",
            "",
            "| | |",
            "|---|---|",
            f"| from `worker_started` to the first claim | {', '.join(f'{wait * 1000:.0f} ms' for wait in waits)} |",
            f"| SIGTERM: exit code, time | {code}, {drained:.2f} s |",
            f"| messages lost, twice | {lost}, {twice} |",
        ),
        facts={"first_claim_seconds": max(waits), "lost": lost, "twice": twice},
    )


def _join(office: ProcessCluster) -> tuple[Child, float]:
    """Starts a worker. Returns it, and the seconds from its start of work to its first claim."""
    with office.redis.client(1) as client:
        worker = office.start_worker()
        office.until(lambda: bool(worker.said(event="worker_started")), "the worker")
        ready, pause = time.monotonic(), threading.Event()
        name = worker.said(event="worker_started")[0]["worker"].encode() + b"/"
        # A unit may end between two looks, but the holder's entry stays in the store.
        while not any(holder.startswith(name) for holder in client.hkeys(keys.HOLDERS)):
            if time.monotonic() - ready > 60:
                raise TimeoutError("the new worker claimed nothing within a minute")
            pause.wait(0.002)
        return worker, time.monotonic() - ready
