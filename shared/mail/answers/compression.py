"""Decides whether DEFLATE (RFC 4978) pays for one server: one connection tries it, and the others go by what that brought.

ConnectionCompression costs both ends time, the server most. It pays where the link is what everybody waits for, and nothing that a
connection sees from one end tells a slow link from a slow server. So it is measured: the bytes of mail for each second
that a connection waited for the other end or spent on compressing, before and after.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: The extension, as servers announce it.
COMPRESS: Final = "COMPRESS=DEFLATE"

#: Bytes that a connection moves before its pace is judged.
LEAST_BYTES: Final = 2 * 1024 * 1024
#: Bytes that a connection moves before it is compressed where that pays: a short one is not worth the round trip.
WORTH_BYTES: Final = 256 * 1024
#: Bytes for each second of waiting above which the link is no reason to compress.
FAST: Final = 8 * 1024 * 1024
#: The factor by which compressing must be faster to stay.
GAIN: Final = 1.3
#: Seconds until it is tried again where it did not pay: links are slow at some hours only.
AGAIN_SECONDS: Final = 3600.0
#: Seconds after which a trial that came to no end is given up.
TRIAL_SECONDS: Final = 300.0
#: Trials without a verdict after which it counts as not paying: some servers say OK, and then hang or drop the connection.
MOST_TRIALS: Final = 2


@dataclass(slots=True)
class Pace:
    """The bytes that one connection has moved, and how long that took; both only grow."""

    #: Bytes before compressing, or after expanding; those of both directions.
    moved: int = 0
    #: Seconds in which the connection waited for the other end, or compressed and expanded.
    seconds: float = 0.0

    def since(self, earlier: Pace) -> Pace:
        """Returns what came after `earlier`."""
        return Pace(self.moved - earlier.moved, self.seconds - earlier.seconds)

    @property
    def rate(self) -> float:
        """Returns bytes a second."""
        return self.moved / max(self.seconds, 1e-6)


#: Called with the verdict, and with the bytes a second before and after.
Tried = Callable[[bool, float, float], object]


class ServerCompression:
    """The verdict on one server, for all connections of a process. Thread-safe."""

    def __init__(self, tried: Tried | None = None) -> None:
        self._told = tried
        self._lock = threading.Lock()
        #: True and False once it was tried; None before.
        self._pays: bool | None = None
        #: When it may be tried again, or when the present trial is given up; on the clock of `now`.
        self._until = 0.0
        #: The connection that tries, and its bytes a second before.
        self._trial: weakref.ref[object] | None = None
        self._plain_rate = 0.0
        #: Trials that came to no verdict, one after another.
        self._lost = 0

    @property
    def pays(self) -> bool | None:
        """Tells whether compressing was seen to pay; None while nothing is known."""
        return self._pays

    def due(self, connection: object, pace: Pace, now: float) -> bool:
        """Tells whether this connection, which is not compressed, shall be. It may then be the one that tries it.

        `pace` is that of the connection since it began to carry mail.
        """
        if self._pays:
            return True
        if pace.moved < LEAST_BYTES or pace.rate >= FAST:
            return False
        with self._lock:
            trying = self._trial() if self._trial else None
            if trying is connection:
                return True
            if self._trial is not None and (trying is None or now >= self._until) and self._lose(now):
                return False
            if now < self._until and (trying is not None or self._pays is False):
                return False
            self._trial, self._until, self._plain_rate = weakref.ref(connection), now + TRIAL_SECONDS, pace.rate
            return True

    def _lose(self, now: float) -> bool:
        """Counts a trial that came to no verdict. Tells whether it was one too many."""
        self._trial, self._lost = None, self._lost + 1
        if self._lost < MOST_TRIALS:
            return False
        self._pays, self._until, self._lost = False, now + AGAIN_SECONDS, 0
        return True

    def tell(self, connection: object, pace: Pace, now: float) -> None:
        """Judges the trial by the pace of its connection since it is compressed."""
        if self._trial is None or pace.moved < LEAST_BYTES:
            return
        with self._lock:
            if self._trial is None or self._trial() is not connection:
                return
            self._pays = pace.rate >= GAIN * self._plain_rate
            self._trial, self._until, self._lost = None, now + AGAIN_SECONDS, 0
        if self._told:
            self._told(self._pays, self._plain_rate, pace.rate)

    def give_up(self, now: float) -> None:
        """Ends a trial that came to nothing: the server refused, or the connection was lost."""
        with self._lock:
            self._pays, self._trial, self._until = False, None, now + AGAIN_SECONDS
