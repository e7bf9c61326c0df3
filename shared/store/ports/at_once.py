"""The part of the store's port that changes several things in one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from shared.store.ports.looks import LookStore
from shared.store.ports.request_store import RequestStore


class ChangedStore(RequestStore, LookStore, Protocol):
    """The store as a change sees it that happens in one step."""


class AtOnceStore(Protocol):
    """The method with which the producer changes imports wholly or not at all."""

    def at_once(self, import_ids: Sequence[str], write: Callable[[ChangedStore], None]) -> None:
        """Does all that `write` calls on the store that it is given, or nothing of it, in one step.

        `write` reads first, then changes these imports and no others; the numbers that its changes return mean nothing. Raises
        `ChangedMeanwhile` when somebody else changed one of the imports since `write` began to read, and `StoreError`.
        """
