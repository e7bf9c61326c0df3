"""Delivers mail where the switch says that people are, and for a while to the wrong side too."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, Self

from bench.chaos.oracle import Kept, delivered
from tests.servers.dovecot import Dovecot
from tests.servers.wire import Wire

Side = Literal["old", "new"]

#: The host that the switch names for the new server.
NEW_HOST: Final = "127.0.0.2"
#: Part of the mail that goes to the other side while a sender may still hold the old answer.
_LATE_PART: Final = 0.4


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A message that came."""

    #: Who got it.
    login: str
    #: The server that took it.
    side: Side
    #: Whether it went to the side where the person no longer was.
    late: bool
    #: When the server had taken it, seconds since the epoch.
    at: float
    #: The message as the server's maildir keeps it.
    kept: Kept


@dataclass
class Post:
    """Delivers `rate` messages a second to people drawn at random; a context manager."""

    #: The table of the switch.
    switch: Path
    #: Side → its server.
    servers: Mapping[Side, Dovecot]
    #: Login → password.
    people: Mapping[str, str]
    #: Messages a second.
    rate: float
    #: For how long after a turn a sender may still deliver at the other side, seconds.
    late_seconds: float
    #: What chooses.
    chance: random.Random
    #: Everything that came, oldest first.
    came: list[Delivery] = field(default_factory=list)
    #: Login → (its side, since when); only of those that were ever turned.
    _turned: dict[str, tuple[Side, float]] = field(default_factory=dict)
    _failed: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the deliveries; the one that is under way is finished. Raises what went wrong with one of them."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)
            self._thread = None
        if self._failed:
            raise self._failed[0]

    def at_new(self) -> set[str]:
        """Returns the logins that the switch sends to the new server."""
        rows = (line.partition(":") for line in self.switch.read_text("utf-8").splitlines())
        return {login for login, _, rest in rows if f"host={NEW_HOST}" in rest}

    def came_to(self, people: Sequence[str], side: Side) -> int:
        """Counts what came to these people at this side."""
        wanted = set(people)
        return sum(one.login in wanted and one.side == side for one in tuple(self.came))

    def _run(self) -> None:
        logins, began = sorted(self.people), time.monotonic()
        try:
            while not self._stop.wait(max(0.0, began + len(self.came) / self.rate - time.monotonic())):
                self._deliver(self.chance.choice(self._wanted() or logins))
        except BaseException as error:
            self._failed.append(error)

    def _wanted(self) -> list[str]:
        """Returns now and then those who were turned lately: otherwise hardly any mail would come late to a large wave."""
        if self.chance.random() > _LATE_PART:
            return []
        now = time.time()
        return [login for login, (_, since) in self._turned.items() if now - since < self.late_seconds]

    def _deliver(self, login: str) -> None:
        side = self._side(login)
        since = self._turned.get(login, ("old", 0.0))[1]
        late = time.time() - since < self.late_seconds and self.chance.random() < _LATE_PART
        if late:
            side = "old" if side == "new" else "new"
        number, when = len(self.came), datetime.fromtimestamp(int(time.time()), UTC)
        body = (
            f"From: a@elsewhere.example\r\nTo: {login}\r\nSubject: {number}\r\nMessage-ID: <{number}@post.example>\r\n\r\n"
            f"Message {number} for {login}, at the {side} server.\r\n{'x' * self.chance.randrange(2_000)}\r\n"
        ).encode()
        server = self.servers[side]
        with Wire(server.host, server.port, login, self.people[login]) as wire:
            date = when.strftime("%d-%b-%Y %H:%M:%S +0000").encode()
            wire.command(b'APPEND INBOX () "%b" {%d+}\r\n%b' % (date, len(body), body))
        kept = delivered("INBOX", body, (), when)
        self.came.append(Delivery(login=login, side=side, late=late, at=time.time(), kept=kept))

    def _side(self, login: str) -> Side:
        """Returns the side that the switch names now, and remembers when each person was seen to be turned."""
        new, now = self.at_new(), time.time()
        for one in self.people:
            side: Side = "new" if one in new else "old"
            if self._turned.get(one, ("old", 0.0))[0] != side:
                self._turned[one] = (side, now)
        return "new" if login in new else "old"
