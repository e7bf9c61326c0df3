"""The port's methods for folders that several lanes copy into (docs/decisions/7-several-writers.md)."""

from __future__ import annotations

from typing import Protocol

from shared.model import Lease, Writing


class WriterStore(Protocol):
    """The methods about the writers of a folder: the batches of it that may be at work at once."""

    def widen(self, lease: Lease, writers: int) -> int:
        """Lets so many batches of the lease's folder be at work at once, and makes those that wait ready.

        With 0 the folder has one writer until it is drained, whoever widens it. A folder that is drained has one writer
        again. Returns how many it has now: 1 where it is to have one.
        """

    def writing(self, lease: Lease) -> Writing:
        """Returns what the ledger of the lease's folder has taken, and the open intents of its other batches.

        All at one moment: whoever looks at a folder opens it first, and asks then.
        """
