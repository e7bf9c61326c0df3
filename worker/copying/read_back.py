"""Reads a batch back before it is closed: whether the destination shows what was sent, with the flags that it was sent with."""

from __future__ import annotations

from shared.mail import KnownStatus, MailDestination
from shared.model import Settled
from shared.model.uids import UidSet
from worker.copying.forgotten_flags import ForgottenFlags
from worker.copying.inflight import InFlight


def read_back(
    destination: MailDestination,
    status: KnownStatus,
    uids: UidSet,
    flight: InFlight,
    flags: ForgottenFlags,
    *,
    then: bytes | None,
) -> bool:
    """Tells whether the destination shows exactly what was sent: UIDs, sizes, dates and fingerprints. The folder is open.

    Where they differ, `worker.verifying.verify` compares message by message. Flags that the server forgot are set, and all is read
    once more. Other flags than were sent are told at once. `then` is the folder that is opened next.
    """
    shown: dict[int, tuple[str, ...]] = {}

    def as_sent() -> bool:
        marks = destination.marks(uids, then=then, anew=flags.unsure(status), told=shown.__setitem__)
        return marks == (len(uids), flight.digest)

    same = as_sent()
    if flags.see_to(status, flight.records, shown):
        shown.clear()
        same = as_sent()
    if notes := flags.amiss(status, flight.records, shown):
        flight.add(Settled(notes=notes))
    return same
