"""Judges a run by the maildirs of both servers: without IMAP and without the product's code."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.chaos.oracle import Kept, Snapshot, Verdict, compare, messages, read_maildir
from bench.cutover.post import Delivery
from tests.servers.dovecot import Dovecot

#: When Dovecot wrote a message of a maildir: seconds and microseconds.
_WRITTEN: Final = re.compile(r"(\d+)\.M(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyTimes:
    """The times from a delivery at the source to its copy, seconds."""

    #: How many there were.
    count: int
    #: Half of them took no longer.
    median: float
    #: Nineteen of twenty took no longer.
    nearly_all: float
    #: The longest.
    longest: float


def at_destination(server: Dovecot, before: Mapping[str, Snapshot], came: Sequence[Delivery]) -> Verdict:
    """Compares everybody's mailbox at the new server with what was there to be moved, and what came at either side."""
    wanted: Snapshot = Counter()
    for login, snapshot in before.items():
        wanted.update(_of(login, snapshot))
    for one in came:
        wanted[_own(one)] += 1
    return compare(wanted, _found(server, list(before)))


def at_source(
    server: Dovecot, before: Mapping[str, Snapshot], came: Sequence[Delivery], rolled_back: Sequence[str]
) -> Verdict:
    """Compares the old server's mailboxes with what came there: nothing may be gone, changed or added.

    What came to the new server may stand at the old one too, once, for those whose cutover was rolled back.
    """
    wanted: Snapshot = Counter()
    for login, snapshot in before.items():
        wanted.update(_of(login, snapshot))
    back = set(rolled_back)
    may: Snapshot = Counter()
    for one in came:
        if one.side == "old":
            wanted[_own(one)] += 1
        elif one.login in back:
            may[_own(one)] += 1
    found = _found(server, list(before))
    return Verdict(wanted - found, found - wanted - may)


def brought_back(server: Dovecot, came: Sequence[Delivery], people: Sequence[str]) -> tuple[int, int]:
    """Returns how many of the messages that came to these people at the new server stand at the old one, and how many came."""
    wanted = Counter(_own(one) for one in came if one.side == "new" and one.login in set(people))
    found = _found(server, people)
    return (wanted & found).total(), wanted.total()


def copy_times(server: Dovecot, came: Sequence[Delivery], without: Sequence[tuple[str, float, float]]) -> CopyTimes:
    """Measures the time from delivery at the source to its copy.

    `without` leaves out what came to a person between two moments: (login, from, to), seconds since the epoch.
    """
    spans = [(login, first, last) for login, first, last in without]
    wanted: dict[tuple[str, str], float] = {
        (one.login, one.kept.sha256): one.at
        for one in came
        if one.side == "old" and not any(login == one.login and a <= one.at <= b for login, a, b in spans)
    }
    took = []
    for login in {login for login, _ in wanted}:
        for path, kept in messages(server.mail_folder(login)):
            written = _WRITTEN.match(path.name)
            at = wanted.get((login, kept.sha256))
            if at is not None and written:
                took.append(int(written[1]) + int(written[2]) / 1e6 - at)
    if not took:
        return CopyTimes(count=0, median=0.0, nearly_all=0.0, longest=0.0)
    took.sort()
    return CopyTimes(
        count=len(took), median=statistics.median(took), nearly_all=took[int(len(took) * 0.95)], longest=took[-1]
    )


def _found(server: Dovecot, people: Sequence[str]) -> Snapshot:
    found: Snapshot = Counter()
    for login in people:
        found.update(_of(login, read_maildir(server.mail_folder(login))))
    return found


def _of(login: str, snapshot: Snapshot) -> Snapshot:
    return Counter({kept._replace(folder=f"{login}/{kept.folder}"): count for kept, count in snapshot.items()})


def _own(one: Delivery) -> Kept:
    return one.kept._replace(folder=f"{one.login}/{one.kept.folder}")
