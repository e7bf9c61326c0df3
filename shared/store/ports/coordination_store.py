"""The part of the store's port for the coordinator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.model import (
    Overview,
    Unit,
)


class CoordinationStore(Protocol):
    """The methods that the coordinator calls."""

    def lead(self, holder: str, ttl_seconds: float, post: str = "leader") -> int:
        """Takes or renews the leadership, or the post of the one that sends notices ("sender").

        Returns its term, or 0 while another holder has it.
        """

    def reap(self, grace_seconds: float) -> list[str]:
        """Takes back units whose lease expired, and returns them.

        It makes delayed units ready that are due. It queues parked mailboxes again whose time has come, and so lets a
        finished import go on. A mailbox that an operator paused, or whose passwords are gone, stays parked.
        """

    def processes(self) -> list[str]:
        """Returns the workers and the leading coordinator, as far as they sent a heartbeat or hold something."""

    def bury(self, processes: Sequence[str]) -> list[str]:
        """Voids at once the leases, connections and leadership of processes that are known to be dead.

        Returns the units that went back; their intents stay with them. If such a process lives after all, nothing is
        lost: the store refuses its term.
        """

    def overview(self) -> Overview:
        """Returns the shared state in numbers."""

    def workers(self) -> int:
        """Returns how many worker processes sent a heartbeat lately.

        It is the number that `overview` has, without its other reads.
        """

    def refusing(self) -> str:
        """Says why the store takes no writes just now although it answers; "" when it takes them.

        The reason may be that its disk is full, that it is out of memory, or that it is a replica.
        """

    def ready_mailboxes(self) -> dict[str, float]:
        """Returns the mailboxes that could be served now, with their place in the queue.

        The place changes when a mailbox is given work.
        """

    def ready_units(self, count: int) -> list[Unit]:
        """Returns at most `count` units that a lane could claim now, so that jobs can be enqueued for them."""
