"""Tells whoever asked for an act where the disk of the state store may not have it (`producer.operations.acknowledged`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from shared.wording.phrases import Phrase

PERHAPS_NOT_ON_DISK: Final = Phrase(
    "perhaps_not_on_disk",
    "done, but this Redis did not tell that its disk has it: after a power cut of its machine, look whether it is there",
)

_tell: Final = ContextVar[Callable[[], object]]("tell", default=lambda: None)


@contextmanager
def told_to(listener: Callable[[], object]) -> Iterator[None]:
    """Calls `listener` for each act within the `with` block that is not sure to be on the disk, in the act's thread."""
    token = _tell.set(listener)
    try:
        yield
    finally:
        _tell.reset(token)


def tell() -> None:
    """Tells that an act was done and may not be on the disk."""
    _tell.get()()
