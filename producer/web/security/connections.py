"""Limits on how many connections the page holds, and on how long each may keep it waiting.

uvicorn closes a connection that is idle after an answer (`timeout_keep_alive`) and limits the head of a request to 16
KiB. It has no deadline for a head, for a body, or for a client that does not read, and no limit for one address.
`PageProtocol` adds these.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from producer.web.security.places import place
from shared.runtime.logs import get_logger

#: Maximum number of connections of one process, if the limit of open files allows as many.
MOST: Final = 1000
#: Maximum number of connections from one address. A proxy that the settings name is not limited by it.
MOST_FROM_ONE: Final = 128
#: Bytes of the head of a request.
HEAD_BYTES: Final = 16 * 1024
#: Seconds until a connection without a request is closed, after an answer.
KEEP_ALIVE_SECONDS: Final = 5
#: Connections that the kernel queues until they are accepted. When the process runs out of file descriptors, asyncio
#: tries to accept this many at once.
BACKLOG: Final = 128
#: Bytes that a client must send or read in each period. A slower client is disconnected.
LEAST_BYTES: Final = 16 * 1024


class AwaitedEvent(Enum):
    """The event that a connection waits for."""

    #: The head of a request: all of it must come in one period.
    HEAD = "head"
    #: The body of a request: `LEAST_BYTES` in each period.
    BODY = "body"
    #: The answer of the application. Once there is one, the client must read it.
    ANSWER = "answer"
    #: The end: the answer was complete before the request was, or the connection closes.
    END = "end"


#: Seconds of one period.
PERIODS: Final = {AwaitedEvent.HEAD: 15.0, AwaitedEvent.BODY: 20.0, AwaitedEvent.ANSWER: 20.0, AwaitedEvent.END: 5.0}


class Room:
    """The connections of one process. Only the thread of the event loop uses it."""

    def __init__(self, most: int, most_from_one: int, unlimited: Callable[[str], bool] = lambda address: False) -> None:
        """Takes the limits. `unlimited` tells whether an address, such as a proxy's, may have all connections."""
        self._most, self._most_from_one, self._unlimited = most, most_from_one, unlimited
        self._places: dict[str, set[PageProtocol]] = {}
        self._number = 0
        #: Connections that wait for a head, the longest waiting first.
        self._idle: dict[PageProtocol, None] = {}

    def enter(self, one: PageProtocol, address: str) -> bool:
        """Counts a new connection. Returns False if it has to be refused.

        At a limit, the connection that has waited longest for the head of a request is closed instead. If none
        is idle, the new one is refused.
        """
        where = place(address)
        mine = self._places.setdefault(where, set())
        if len(mine) >= self._most_from_one and not self._unlimited(address) and not self._make_way(mine):
            return self._refused(where)
        if self._number >= self._most and not self._make_way(None):
            return self._refused(where)
        one.place = where
        self._places.setdefault(where, mine).add(one)
        self._number += 1
        return True

    def leave(self, one: PageProtocol) -> None:
        """Takes a closed connection out of the count. Idempotent."""
        mine = self._places.get(one.place, set())
        if one in mine:
            mine.remove(one)
            self._number -= 1
            if not mine:
                del self._places[one.place]
        self._idle.pop(one, None)

    def idle(self, one: PageProtocol, *, idle: bool) -> None:
        """Notes whether a connection waits for the head of a request from now on."""
        self._idle.pop(one, None)
        if idle and one in self._places.get(one.place, ()):
            self._idle[one] = None

    def _make_way(self, among: set[PageProtocol] | None) -> bool:
        for one in self._idle:
            if among is None or one in among:
                self.leave(one)
                one.transport.abort()
                return True
        return False

    def _refused(self, where: str) -> bool:
        if not self._places.get(where):
            self._places.pop(where, None)
        get_logger("mailhaul.web").warning("connection_refused")
        return False


def room_of(unlimited: Callable[[str], bool]) -> Room:
    """Returns the limits for this process: half of the files that it may open.

    The rest is for Redis, mail servers and logs.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if files == resource.RLIM_INFINITY else max(16, min(MOST, files // 2))
    return Room(most, min(most, MOST_FROM_ONE), unlimited)


class PageProtocol(H11Protocol):
    """A connection, with a deadline for each thing that it waits for."""

    def __init__(self, *arguments: Any, room: Room, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._room = room
        #: The address or network under which `Room` counts this connection.
        self.place = ""
        self._waits: AwaitedEvent | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received, self._unread, self._drained = 0, 0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Registers the new connection, or closes it at once if there is no room."""
        super().connection_made(cast(asyncio.Transport, transport))
        if self._room.enter(self, self.client[0] if self.client else ""):
            self._look()
        else:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the timer and takes the connection out of the count."""
        if self._timer:
            self._timer.cancel()
        self._room.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts the bytes that came and begins a new period if the connection now waits for something else."""
        self._received += len(data)
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Begins a new period once the whole answer was handed to the transport."""
        super().on_response_complete()
        self._look()

    def resume_writing(self) -> None:
        """Notes that the client has read most of the buffered answer."""
        self._drained = True
        super().resume_writing()

    def _look(self) -> None:
        """Begins a new period whenever the connection waits for something else.

        A period does not restart with each byte, or a client that sends one byte a second would hold the
        connection.
        """
        waits = self._what()
        if waits is self._waits:
            return
        self._waits = waits
        self._room.idle(self, idle=waits is AwaitedEvent.HEAD)
        self._begin()

    def _what(self) -> AwaitedEvent:
        theirs = self.conn.their_state
        if self.cycle is None or self.cycle.response_complete:
            return AwaitedEvent.HEAD if theirs is h11.IDLE else AwaitedEvent.END
        return AwaitedEvent.BODY if theirs is h11.SEND_BODY else AwaitedEvent.ANSWER

    def _begin(self) -> None:
        self._received, self._unread, self._drained = 0, self.transport.get_write_buffer_size(), False
        if self._timer:
            self._timer.cancel()
        if self._waits:
            self._timer = self.loop.call_later(PERIODS[self._waits], self.period_over)

    def period_over(self) -> None:
        """Closes the connection, unless the client has sent or read enough in the period."""
        unread = self.transport.get_write_buffer_size()
        if unread:
            read = self._unread - unread
            honest = self._drained or not self._unread or read >= min(LEAST_BYTES, self._unread)
        elif self._waits is AwaitedEvent.BODY:
            honest = self.flow.read_paused or self._received >= LEAST_BYTES
        else:
            honest = self._waits is AwaitedEvent.ANSWER
        if honest:
            self._begin()
        else:
            self.transport.abort()
