"""Measures throughput by the number of worker processes, with the servers near and far."""

from __future__ import annotations

from bench.scale.page import Section
from bench.scale.sample_servers import LANES, SampleServers, measure, started

#: One-way delay in milliseconds; a round trip takes twice that.
FAR_MS = 25.0
WORKERS = (1, 2, 4)


def run(mailboxes: int, messages: int) -> Section:
    """Copies `mailboxes` mailboxes of `messages` messages, again for each row."""
    rows = []
    lost = twice = 0
    with SampleServers(mailboxes, messages) as town:
        for where, one_way_ms in (("near", 0.0), ("50 ms away", FAR_MS)):
            first = 0.0
            for workers in WORKERS:
                with town.office(one_way_ms=one_way_ms) as office:
                    office.start_coordinator()
                    for _ in range(workers):
                        office.start_worker()
                    started(office)
                    found, _ = measure(office)
                first = first or found.rate
                lost, twice = lost + found.lost, twice + found.twice
                rows.append(
                    f"| {where} | {workers} | {found.seconds:.1f} | {found.rate:,.0f} | {found.rate / first:.1f} "
                    f"| {found.workers:.1f} | {found.lost} | {found.twice} |"
                )
        total = town.messages
    return Section(
        name="workers",
        title="Workers",
        lines=(
            f"{mailboxes} mailboxes of {messages} messages in four folders, {total:,} in all, Dovecot to Dovecot;",
            f"{LANES} lanes a worker.",
            "From the first claim of a batch to the last record; *CPU* is that of the workers, planning and verification and their",
            "start included. Each result was read back and compared message by message.",
            "",
            "| servers | workers | seconds | messages/s | times one worker | CPU s | lost | twice |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
        ),
        facts={"lost": lost, "twice": twice},
    )
