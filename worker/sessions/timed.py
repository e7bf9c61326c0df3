"""The sessions whose commands are timed.

This costs a few microseconds a group of messages (`tests/unit/worker/test_timed.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Final, TypeVar, cast

from shared.mail import Appended, MailDestination, MailSource, Message
from shared.model.events import CommandEnded, Listener
from shared.model.sides import Side
from shared.model.uids import UidSet

_Session = TypeVar("_Session", MailSource, MailDestination)

#: Method of a session → the command it stands for, in the metrics. `fetch`, `send` and `answers` are timed separately.
COMMANDS: Final = {
    "listing": "list",
    "statuses": "status",
    "look": "status",
    "open": "select",
    "existing": "search",
    "search": "search",
    "create": "create",
    "subscribe": "subscribe",
    "store_flags": "store",
    "copy": "copy",
    "remove": "expunge",
    "noop": "noop",
}


def timed(session: _Session, side: Side, tell: Listener, clock: Callable[[], float] = time.perf_counter) -> _Session:
    """Returns the same session with each command timed and reported to `tell`.

    FETCH: until the first message. APPEND: of a group, from the first byte to its answer, whatever else was on its way
    meanwhile.
    """
    return cast(_Session, _Timed(session, side, tell, clock))


class _Timed:
    def __init__(self, session: Any, side: Side, tell: Listener, clock: Callable[[], float]) -> None:
        self._session, self._side, self._tell, self._clock = session, side, tell, clock
        self._sent: dict[object, float] = {}
        for method, command in COMMANDS.items():
            if call := getattr(session, method, None):
                setattr(self, method, self._timed(call, command))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def _timed(self, call: Callable[..., Any], command: str) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            began = self._clock()
            try:
                return call(*args, **kwargs)
            finally:
                self._tell(CommandEnded(side=self._side, command=command, seconds=self._clock() - began))

        return run

    def fetch(self, uids: UidSet, *, size_bytes: int = 0) -> Iterator[Message]:
        began = self._clock()
        messages: Generator[Message, None, None] = self._session.fetch(uids, size_bytes=size_bytes)
        try:
            first = next(messages, None)
            self._tell(CommandEnded(side=self._side, command="fetch", seconds=self._clock() - began))
            if first is not None:
                yield first
                yield from messages
        finally:
            messages.close()

    def send(self, group: Sequence[Message], flags: Sequence[tuple[str, ...]], token: object) -> None:
        self._sent[token] = self._clock()
        self._session.send(group, flags, token)

    def answers(self, *, outstanding: int = 0) -> Iterator[Appended]:
        for answer in self._session.answers(outstanding=outstanding):
            seconds = self._clock() - self._sent.pop(answer.token, self._clock())
            self._tell(CommandEnded(side=self._side, command="append", seconds=seconds))
            yield answer
