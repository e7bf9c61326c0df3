"""Measures how long a claim takes as the backlog grows: real plans in a real Redis, one claim after the other."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from bench.scale.page import Section
from bench.scale.rig import Rig
from shared.model import Lease
from shared.model.errors import StoreError
from shared.model.lifecycle import Disposition

#: Number of folders of a mailbox. Each is one batch, so that all of them may be claimed.
FOLDERS = 20
#: Number of leases held at a time; the limits of a host allow 32.
HELD = 16


def run(levels: tuple[int, ...], claims: int) -> Section:
    """Measures the latency at each of these numbers of pending batches."""
    rows = []
    worst = 0.0
    with Rig({b"INBOX": 10} | {b"Folder %d" % n: 10 for n in range(1, FOLDERS)}) as rig:
        rig.coordinate()
        mailboxes = 0
        for level in levels:
            more = level // FOLDERS - mailboxes
            mailboxes += more
            rig.submit(f"backlog{level}", more)
            rig.work(lambda: rig.planned() >= mailboxes, seconds=900, slice_seconds=0.0)  # noqa: B023
            pending = rig.store.overview().ready_units
            given, server = _sample(rig, claims, _claims)
            refused, _ = _sample(rig, claims, _refusals)
            worst = given[int(0.99 * len(given))]
            rows.append(
                f"| {pending:,} | {_ms(given, 0.5)} | {_ms(given, 0.99)} | {1000 * server:.2f} "
                f"| {_ms(refused, 0.5)} | {_ms(refused, 0.99)} |"
            )
    return Section(
        name="claims",
        title="Claims as the backlog grows",
        lines=(
            f"{claims:,} claims at each size, one after the other, {HELD} leases held meanwhile; a coordinator runs beside.",
            "A batch here is a folder of its own, so every one may be claimed. Round trips over a Unix socket, in milliseconds;",
            "*in Redis* is what Redis itself spends on a call of these and of those that give the leases back. *No*: the host's",
            "connections are all taken, and the answer is no.",
            "",
            "| batches that wait | claim p50 | p99 | in Redis, mean | no, p50 | p99 |",
            "|---|---|---|---|---|---|",
            *rows,
        ),
        facts={"claim_p99_seconds": round(worst, 6)},
    )


def _ms(sample: list[float], share: float) -> str:
    return f"{1000 * sample[min(len(sample) - 1, int(share * len(sample)))]:.2f}"


def _sample(rig: Rig, count: int, kind: Callable[[Rig, int], list[float]]) -> tuple[list[float], float]:
    """Returns the latencies, ascending, and the mean seconds that Redis reports for a script."""
    with rig.redis.client() as client:
        client.config_resetstat()
        found = sorted(kind(rig, count))
        said = client.info("commandstats").get("cmdstat_evalsha", {})
    return found, float(said.get("usec_per_call", 0)) / 1e6


def _claims(rig: Rig, count: int) -> list[float]:
    held: deque[tuple[str, Lease]] = deque()
    found = []
    for n in range(count):
        holder = f"sample.{n}"
        began = time.perf_counter()
        lease = rig.store.claim(holder)
        found.append(time.perf_counter() - began)
        if lease is None:
            raise StoreError("nothing to claim, although batches wait")
        held.append((holder, lease))
        if len(held) > HELD:
            _give_back(rig, *held.popleft())
    for one in held:
        _give_back(rig, *one)
    return found


def _refusals(rig: Rig, count: int) -> list[float]:
    held: list[tuple[str, Lease]] = []
    while lease := rig.store.claim(f"full.{len(held)}"):
        held.append((f"full.{len(held)}", lease))
    found = []
    for _ in range(count):
        began = time.perf_counter()
        rig.store.claim("late")
        found.append(time.perf_counter() - began)
    for one in held:
        _give_back(rig, *one)
    return found


def _give_back(rig: Rig, holder: str, lease: Lease) -> None:
    rig.store.release(lease, how=Disposition.WAIT)
    rig.store.leave(holder, lease.mailbox.mailbox_id)
