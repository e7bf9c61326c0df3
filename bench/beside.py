"""Measures an honest import beside a hostile one on the same worker (`make beside`): what is left of its pace.

Each hostile source keeps its bounds as long as it can, with more mailboxes than the worker has lanes, and holds every lane when
the honest import is opened. Prints a table; the exit code is 1 if the honest import waited longer than `FIRST_SECONDS` for its
first message, or kept less than `SHARE` of the pace that it has alone from then on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from producer.intake.manifest_row import Row
from producer.intake.preparing import prepare_import
from shared.model import Endpoint, Import, Options, Tls
from shared.runtime.secret import Secret
from tests.integration.process_cluster import ProcessCluster, folders_of
from tests.servers.dovecot import Dovecot
from tests.servers.hostile_server import Hostile
from tests.servers.process import await_ready

#: The part of its pace alone that an honest import has to keep beside one hostile one.
SHARE: Final = 0.4
#: Most seconds that it may wait for a lane: a plan of a hostile source gives way between two folders, or is shut after a while.
FIRST_SECONDS: Final = 45.0
#: Mailboxes of the hostile import: more than the worker has lanes.
MANY: Final = 24

HOSTILE: Final = ("drip", "giant", "quotes", "endless", "folders")


@contextmanager
def site(threads: int) -> Iterator[ProcessCluster]:
    """Runs two Dovecots, a Redis, one worker with so many lanes, and a coordinator."""
    with (
        Dovecot() as source,
        Dovecot() as destination,
        ProcessCluster(
            source, destination, MAILHAUL_WORKER_THREADS=str(threads), MAILHAUL_LEASE_SECONDS="30"
        ) as office,
    ):
        office.start_worker()
        office.start_coordinator()
        yield office


def attacked(office: ProcessCluster, server: Hostile, mailboxes: int = MANY) -> Import:
    """Opens an import from a hostile server, and returns when that is at its work."""
    logins = [f"{server.how}{n}@example.net" for n in range(mailboxes)]
    for login in logins:
        office.destination.add_user(login, "pw-canary")
    rows = [
        Row(line=n, login=login, password=Secret("pw"), new_login=login, new_password=Secret("pw-canary"))
        for n, login in enumerate(logins, start=1)
    ]
    source, destination = (
        Endpoint(host="127.0.0.1", port=port, tls=Tls.NONE) for port in (server.port, office.destination_port)
    )
    import_, prepared = prepare_import(rows, source, destination, Options(), server.how)
    office.operations.submit(import_, prepared, rows)
    await_ready(server.busy.is_set, 180, "the hostile source at its work")
    return import_


@dataclass(frozen=True)
class Pace:
    """The pace of an import."""

    #: Seconds from the command to the first message.
    first_seconds: float
    #: Messages a second from then on.
    messages: float


def pace(office: ProcessCluster, seed: int, mailboxes: int, messages: int) -> Pace:
    """Moves some honest mailboxes."""
    office.people.clear()
    for n in range(mailboxes):
        office.person(folders_of(seed + n, {"INBOX": messages}))
    began = time.monotonic()
    whole = office.submit(f"honest {seed}")
    office.until_done(whole, 1)
    first = time.monotonic()
    office.await_finished(whole, 600)
    taken = time.monotonic() - first
    tally = office.tally(whole)
    assert sum(tally.outcomes.values()) == mailboxes * messages, tally
    return Pace(first - began, mailboxes * messages / taken)


def main() -> int:
    """Runs the command. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--mailboxes", type=int, default=8)
    parser.add_argument("--messages", type=int, default=1_000)
    parser.add_argument("--only", default="", help="with commas: " + ", ".join(HOSTILE))
    a = parser.parse_args()
    well = True
    print(
        "| hostile source | honest alone, messages a second | beside it | kept | first message after |\n|---|--:|--:|--:|--:|"
    )
    for number, how in enumerate([one for one in a.only.split(",") if one] or HOSTILE, start=1):
        with site(a.threads) as office:
            alone = pace(office, 1000 * number, a.mailboxes, a.messages)
            with Hostile(how) as server:
                attacked(office, server)
                beside = pace(office, 1000 * number + 500, a.mailboxes, a.messages)
        kept = beside.messages / alone.messages
        well = well and kept >= SHARE and beside.first_seconds <= FIRST_SECONDS
        figures = f"{alone.messages:,.0f} | {beside.messages:,.0f} | {kept:.0%} | {beside.first_seconds:.0f} s"
        print(f"| {how} | {figures} |", flush=True)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
