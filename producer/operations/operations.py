"""The operations that change something, together, on one store, vault, job queue and settings.

The command line, the page and the API call only these, and read by `producer.operations.finding` and its neighbours. No
operation prints, waits or starts a process. Requests to servers are in `producer.intake.scan`.
"""

from __future__ import annotations

from producer.operations.control import ControlOperations
from producer.operations.editing import EditOperations
from producer.operations.passes import PassOperations
from producer.operations.standing import StandingOperations


class Operations(EditOperations, ControlOperations, PassOperations, StandingOperations):
    """Every operation that changes an import, and those that open its passwords."""
