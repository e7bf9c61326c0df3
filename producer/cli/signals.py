"""Ctrl-C, SIGTERM and a closed terminal as an event. Only the first signal has an effect."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Lets these signals set the event within the `with` block. They interrupt nothing by themselves."""
    interrupted = threading.Event()
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {number: signal.signal(number, lambda *_: interrupted.set()) for number in numbers}
    try:
        yield interrupted
    finally:
        for number, action in before.items():
            signal.signal(number, action)
