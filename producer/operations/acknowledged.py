"""Has an operation return only when the disk of the state store has what it changed.

Whoever is told that an import was accepted, changed or ended does not look again: after a power cut it must be so. A failover is
another matter: no replica is asked. Workers do not wait for the disk, since what they lose is found again at the destination.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

from producer.operations.resources import HeldResources
from shared.runtime import unsure_acts
from shared.runtime.logs import get_logger

_Held = TypeVar("_Held", bound=HeldResources)
_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")
_log = get_logger("mailhaul.producer")
#: Whether somebody waits for the disk when all is done that is done now.
_awaited: Final = ContextVar("awaited", default=False)


@contextmanager
def together(operations: HeldResources) -> Iterator[None]:
    """Waits for the disk once after several operations; at most some seconds, and says so where the server does not tell."""
    if _awaited.get():
        yield
        return
    token = _awaited.set(True)
    try:
        yield
    finally:
        _awaited.reset(token)
    if not operations.store.wait_for_disk():
        _log.warning("perhaps_not_on_disk")
        unsure_acts.tell()


def on_disk(
    operation: Callable[Concatenate[_Held, _Given], _Found],
) -> Callable[Concatenate[_Held, _Given], _Found]:
    """Waits for the disk after the operation."""

    @wraps(operation)
    def waiting(self: _Held, /, *given: _Given.args, **named: _Given.kwargs) -> _Found:
        with together(self):
            return operation(self, *given, **named)

    return waiting
