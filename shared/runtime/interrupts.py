"""Ctrl-C at any moment of a command: before its verb begins and after it has ended too, when nobody would handle an exception.

One handler stands from the first line to the last, since an exception between two handlers would be a traceback. Within a verb it
raises `KeyboardInterrupt` once; at any other moment, and the second time, it ends the process at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Final, NoReturn

#: The exit code of a command that Ctrl-C ended: as a shell shows a program that SIGINT ended.
INTERRUPTED: Final = 130
#: The line that is said then.
SAID: Final = "interrupted\n"


class _Handler:
    """The handler of SIGINT, and whether it raises now."""

    def __init__(self) -> None:
        self.raises = False
        self._process = os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.raises:
            self.raises = False
            raise KeyboardInterrupt
        self._end()

    def _end(self) -> NoReturn:
        if os.getpid() == self._process:  # not a child that was forked just now
            with contextlib.suppress(OSError):
                os.write(2, SAID.encode())
        os._exit(INTERRUPTED)


_handler = _Handler()


def end_when_interrupted() -> None:
    """Sets the handler for the rest of the process, and lets a Ctrl-C in that came before: whoever started it may hold it back."""
    global _handler
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a shell asks for in the background
        _handler = _Handler()
        signal.signal(signal.SIGINT, _handler)
    let_in()


def hold_back() -> None:
    """Lets SIGINT wait until the program lets it in that is started now in the place of this one: it loads modules first."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def let_in() -> None:
    """Lets SIGINT in."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def interrupts_raised() -> Iterator[None]:
    """Lets SIGINT raise `KeyboardInterrupt`, once, within the `with` block; who enters it handles that."""
    _handler.raises = True
    try:
        yield
    finally:
        _handler.raises = False
