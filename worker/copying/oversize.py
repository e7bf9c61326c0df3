"""Refuses messages larger than the destination's stated limit, before a byte of them is fetched."""

from __future__ import annotations

from shared.mail import KnownStatus, MailSource
from shared.mail.answers.limits import too_large
from shared.model import Note
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from worker.copying.inflight import InFlight
from worker.decisions.ledger_entries import without_copy


def set_aside(source: MailSource, opened: KnownStatus, flight: InFlight, uids: UidSet) -> UidSet:
    """Gives an outcome to messages of `uids` that are too large, and returns the others.

    A message is too large by the size that the source states. `opened` is the source folder now open.
    """
    most = flight.status.append_limit_bytes
    if most is None or 0 < flight.lease.unit.size_bytes <= most:
        return uids
    sizes = {int(uid): size for uid, size in source.sizes(opened, uids) if size > most}
    if not sizes:
        return uids
    large = UidSet.of(sizes)
    seen = {int(sighting.uid): sighting for sighting in source.sightings(large)}
    notes = [
        Note(
            uid=uid,
            what=Outcome.REFUSED,
            reason=too_large(most),
            message_id=seen[uid].message_id if uid in seen else "",
            internaldate=seen[uid].internaldate if uid in seen else None,
            size_bytes=size,
        )
        for uid, size in sizes.items()
    ]
    flight.add(without_copy(Outcome.REFUSED, large, notes, sum(sizes.values())))
    return uids - large
