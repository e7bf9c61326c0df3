"""Measures what the lanes of a process do for each mailbox, between two heartbeats: how many lanes are let in is found by that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from shared.model.events import CommandEnded, Event, GroupSettled, Listener, SignedIn
from shared.model.lanes import MESSAGE_BYTES, Measured
from shared.model.lifecycle import Outcome

#: Results of a sign-in whose server did not take the connection (`worker.sessions.mailbox_sessions`). A refusal in words
#: is judged elsewhere.
_UNREACHABLE = ("unreachable", "Unreachable")


class LaneMeter:
    """The sums of a process. Thread-safe."""

    def __init__(self) -> None:
        self._sums: dict[str, Measured] = {}
        self._lock = threading.Lock()

    def listener(self, mailbox: Callable[[], str], tell: Listener) -> Listener:
        """Returns a listener of one lane, which passes every event on to `tell`; `mailbox` returns the mailbox that it is at."""

        def heard(event: Event) -> None:
            match event:
                case GroupSettled(outcome=Outcome.COPIED):
                    self._add(mailbox(), work=event.size_bytes + MESSAGE_BYTES * event.messages)
                case CommandEnded(command="append"):
                    self._add(mailbox(), answers=1, append_ms=round(event.seconds * 1000))
                case SignedIn() if event.result in _UNREACHABLE:
                    self._add(mailbox(), **{f"{event.side}_refused": 1})
            tell(event)

        return heard

    def take(self) -> Mapping[str, Measured]:
        """Returns the sums by mailbox since the last call."""
        with self._lock:
            sums, self._sums = self._sums, {}
        return sums

    def _add(self, mailbox_id: str, **more: int) -> None:
        with self._lock:
            known = self._sums.get(mailbox_id, Measured())
            self._sums[mailbox_id] = replace(
                known, **{name: getattr(known, name) + number for name, number in more.items()}
            )
