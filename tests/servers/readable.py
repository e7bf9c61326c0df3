"""Tells which descriptors have something to read: select() takes none above 1,023, and a test process may have more."""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Protocol, TypeVar


class _HasDescriptor(Protocol):
    def fileno(self) -> int: ...


End = TypeVar("End", bound=int | _HasDescriptor)


def readable(ends: Sequence[End], seconds: float) -> list[End]:
    """Returns those that can be read, or have ended, within `seconds`. Raises ValueError for one that is closed."""
    poll, known = select.poll(), dict[int, End]()
    for end in ends:
        descriptor = end if isinstance(end, int) else end.fileno()
        poll.register(descriptor, select.POLLIN)
        known[descriptor] = end
    return [known[descriptor] for descriptor, _ in poll.poll(seconds * 1000)]
