"""How many connections the page holds, and how long each may keep it waiting.

uvicorn closes a connection that is idle after an answer (`timeout_keep_alive`) and limits the head of a request to 16 KiB. It has
no deadline for a head, for a body, or for a client that does not read, and no limit for one address. `PageProtocol` adds these.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from producer.web.places import place
from shared.logs import get_logger

#: Connections of one process, where the limit of open files allows it.
MOST: Final = 1000
#: Connections from one address; a proxy that the settings name may have all of them.
MOST_FROM_ONE: Final = 128
#: Bytes of the head of a request.
HEAD_BYTES: Final = 16 * 1024
#: Seconds until a connection without a request is closed, after an answer.
KEEP_ALIVE_SECONDS: Final = 5
#: Connections that the kernel keeps until they are accepted. asyncio tries to accept as many at once when files run out.
BACKLOG: Final = 128
#: Bytes that a client must send, or read, in each period; a slower line is not waited for.
LEAST_BYTES: Final = 16 * 1024


class Waits(Enum):
    """What a connection waits for."""

    #: The head of a request: all of it must come in one period.
    HEAD = "head"
    #: The body of a request: `LEAST_BYTES` in each period.
    BODY = "body"
    #: The answer, which we make; the client must read it.
    ANSWER = "answer"
    #: The end: the answer was complete before the request was, or the connection closes.
    END = "end"


#: Seconds of one period.
PERIODS: Final = {Waits.HEAD: 15.0, Waits.BODY: 20.0, Waits.ANSWER: 20.0, Waits.END: 5.0}


class Room:
    """The connections of one process. Used by the thread of the event loop alone."""

    def __init__(self, most: int, most_from_one: int, unlimited: Callable[[str], bool] = lambda address: False) -> None:
        """`unlimited`: whether an address may have all connections, as a proxy does."""
        self._most, self._most_from_one, self._unlimited = most, most_from_one, unlimited
        self._places: dict[str, set[PageProtocol]] = {}
        self._number = 0
        #: Who waits for a head, the longest first.
        self._idle: dict[PageProtocol, None] = {}

    def enter(self, one: PageProtocol, address: str) -> bool:
        """Counts a new connection. Where all are taken, the one that has sent no head for the longest time is closed for it; false
        where none is idle."""
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
        """It is closed. Safe to repeat."""
        mine = self._places.get(one.place, set())
        if one in mine:
            mine.remove(one)
            self._number -= 1
            if not mine:
                del self._places[one.place]
        self._idle.pop(one, None)

    def idle(self, one: PageProtocol, *, idle: bool) -> None:
        """Whether it waits for a head, from now on."""
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
    """For this process: half of the files that it may open, the rest is for Redis, mail servers and logs."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if files == resource.RLIM_INFINITY else max(16, min(MOST, files // 2))
    return Room(most, min(most, MOST_FROM_ONE), unlimited)


class PageProtocol(H11Protocol):
    """One connection."""

    def __init__(self, *arguments: Any, room: Room, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._room = room
        #: Where it comes from, as `Room` counts.
        self.place = ""
        self._waits: Waits | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received, self._unread, self._drained = 0, 0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enters, or is closed at once."""
        super().connection_made(cast(asyncio.Transport, transport))
        if self._room.enter(self, self.client[0] if self.client else ""):
            self._look()
        else:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leaves."""
        if self._timer:
            self._timer.cancel()
        self._room.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Part of a request."""
        self._received += len(data)
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """All of an answer is given to the transport."""
        super().on_response_complete()
        self._look()

    def resume_writing(self) -> None:
        """The client has read most of what waited for it."""
        self._drained = True
        super().resume_writing()

    def _look(self) -> None:
        """A period begins whenever it waits for something else; not with each byte, or one byte a second would hold it."""
        waits = self._what()
        if waits is self._waits:
            return
        self._waits = waits
        self._room.idle(self, idle=waits is Waits.HEAD)
        self._begin()

    def _what(self) -> Waits:
        theirs = self.conn.their_state
        if self.cycle is None or self.cycle.response_complete:
            return Waits.HEAD if theirs is h11.IDLE else Waits.END
        return Waits.BODY if theirs is h11.SEND_BODY else Waits.ANSWER

    def _begin(self) -> None:
        self._received, self._unread, self._drained = 0, self.transport.get_write_buffer_size(), False
        if self._timer:
            self._timer.cancel()
        if self._waits:
            self._timer = self.loop.call_later(PERIODS[self._waits], self.period_over)

    def period_over(self) -> None:
        """Closes the connection unless somebody honest is at the other end, however slow the line is."""
        unread = self.transport.get_write_buffer_size()
        if unread:
            read = self._unread - unread
            honest = self._drained or not self._unread or read >= min(LEAST_BYTES, self._unread)
        elif self._waits is Waits.BODY:
            honest = self.flow.read_paused or self._received >= LEAST_BYTES
        else:
            honest = self._waits is Waits.ANSWER
        if honest:
            self._begin()
        else:
            self.transport.abort()
