"""Measures one big folder at a destination that takes long for each APPEND and has no MULTIAPPEND.

    python -m bench.big_folder [--messages 4000] [--seconds 0.02] [--connections 1,4,8] [--workers 2]

Two Dovecots, the second behind `tests.servers.slow_appends`, with sdbox: sessions that write to one maildir wait for each
other's lock in naps of 0.1 s and more. Workers are processes. Prints for each number of
connections the seconds from the first claim to the last record, the rate, and how many times that of one connection it
is. Each result is compared message by message.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.integration.process_cluster import ProcessCluster, folders_of
from tests.servers.dovecot import Dovecot
from tests.servers.slow_appends import SlowAppends


def main() -> int:
    """Runs the series."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=0.02)
    parser.add_argument("--connections", default="1,4,8")
    parser.add_argument("--workers", type=int, default=2)
    a = parser.parse_args()
    base = 0.0
    with (
        Dovecot() as source,
        Dovecot(mail_format="sdbox") as destination,
        SlowAppends(destination.host, destination.port, a.seconds) as relay,
    ):
        for lanes in map(int, a.connections.split(",")):
            rate = _one(source, destination, relay.port, lanes, a.messages, a.workers)
            base = base or rate / lanes
            print(f"{lanes} connections: {rate:.0f} messages/s, {rate / base:.2f} times that of one", flush=True)
    return 0


def _one(source: Dovecot, destination: Dovecot, port: int, lanes: int, messages: int, workers: int) -> float:
    limits = {
        f"MAILHAUL_{side}_{scope}_CONNECTIONS": str(lanes)
        for side in ("SOURCE", "DESTINATION")
        for scope in ("ACCOUNT", "HOST")
    }
    usual = {
        "MAILHAUL_LEASE_SECONDS": "60",
        "MAILHAUL_RENEW_SECONDS": "15",
        "MAILHAUL_SETTLE_SECONDS": "30",
        "MAILHAUL_GROUP_MESSAGES": "100",
        "MAILHAUL_BATCH_MESSAGES": "2000",
    }
    with ProcessCluster(source, destination, **usual, **limits) as office:
        office.destination_port = port
        office.person(folders_of(lanes, {"INBOX": messages}))
        for _ in range(workers):
            office.start_worker(MAILHAUL_WORKER_THREADS=str(-(-lanes // workers)))
        office.start_coordinator()
        whole = office.submit()
        began = time.monotonic()
        office.await_finished(whole, 900)
        ended = time.monotonic()
        found = office.store.import_(whole.import_id)
        assert found is not None
        office.assert_exactly_once(whole)
        seconds = found.last_record_at - found.first_claim_at
        print(f"  first claim to last record {seconds:.2f} s, the whole {ended - began:.2f} s", flush=True)
        for child in office.children:
            for entry in child.said(event="folder_widened"):
                print(f"  widened to {entry['writers']} writers", flush=True)
        return messages / seconds


if __name__ == "__main__":
    sys.exit(main())
