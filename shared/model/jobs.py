"""The wire contract between producer and worker: the payload of a job. Losing or doubling a job changes nothing.

A job carries which unit of which import is probably runnable, and the payload's version. Never a login, an address, a
UID list or a secret: Dramatiq logs arguments and keeps dead letters for days.
"""

from __future__ import annotations

from typing import Final

from shared.model import UnitKind

#: Version of the payload; a worker ignores versions it does not know.
PAYLOAD_VERSION: Final = 1

#: Queue and actor of each kind of unit; the names are the same.
QUEUES: Final = tuple(UnitKind)


def payload(import_id: str, unit_id: str) -> dict[str, str | int]:
    """Returns the payload of a job."""
    return {"v": PAYLOAD_VERSION, "import_id": import_id, "batch_id": unit_id}
