"""Opens a mailbox's two sessions, and keeps them while a lane stays with the mailbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar, cast

from shared.mail import MailDestination, MailSession, MailSource
from shared.model import Mailbox
from shared.model.errors import ConnectionLost, MailError, Throttled, Unreachable
from shared.model.events import Listener, SessionEnded, SignedIn
from shared.model.sides import Side
from worker.sessions.outlasting import OutlastingSource
from worker.sessions.timed import timed

_Session = TypeVar("_Session", MailSource, MailDestination)
#: A second thread beside each lane, created when it is first needed: a new one for every wait would cost more than it
#: saves.
_beside = threading.local()
_A = TypeVar("_A")
_B = TypeVar("_B")


def together(first: Callable[[], _A], second: Callable[[], _B]) -> tuple[_A, _B]:
    """Runs both at the same time, so that two servers cost one wait.

    An error of the first is raised before one of the second.
    """
    if not hasattr(_beside, "pool"):
        _beside.pool = ThreadPoolExecutor(1)
    other = _beside.pool.submit(second)
    try:
        mine = first()
    finally:
        failure = other.exception()
    if failure:
        raise failure
    return mine, other.result()


class Dialer(Protocol):
    """The port through which sessions are opened.

    The real one signs in over the network, the one in tests opens memory.
    """

    def source(self, mailbox: Mailbox) -> MailSource:
        """Returns a signed-in session with the mailbox's source account."""

    def destination(self, mailbox: Mailbox) -> MailDestination:
        """Returns a signed-in session with the mailbox's destination account."""


class MailboxSessions:
    """The sessions of one mailbox, at most one a side. Used by one lane; the lease keeper may read `live`."""

    def __init__(self, dialer: Dialer, tell: Listener) -> None:
        self._dialer, self._tell = dialer, tell
        self._source: MailSource | None = None
        self._destination: MailDestination | None = None
        #: Sessions that are open, for the lease keeper to shut.
        self.live: list[MailSession] = []
        #: Whether the source outlasts messages over which its server ends the connection (`OutlastingSource`).
        self.lasting = False
        #: Whether a source that gives no message of a folder is asked for these no more.
        self.last_attempt = False

    def both(self, mailbox: Mailbox) -> tuple[MailSource, MailDestination]:
        """Returns both sessions, dialled at the same time when neither is open.

        A refused login at the source is raised before one at the destination.
        """
        if self._source and self._destination:
            return self._source, self._destination
        return together(lambda: self.source(mailbox), lambda: self.destination(mailbox))

    def source(self, mailbox: Mailbox) -> MailSource:
        """Returns the session with the source, and opens it if needed."""
        if self._source is None:
            session = self._dial(Side.SOURCE, self._dialer.source, mailbox)
            lasting = OutlastingSource(
                session, lambda: self._source_again(mailbox), lambda: self.lasting, lambda: self.last_attempt
            )
            self._source = cast(MailSource, lasting)
            self.live.append(self._source)
        return self._source

    def _source_again(self, mailbox: Mailbox) -> MailSource:
        self._tell(SessionEnded(side=Side.SOURCE))
        return self._dial(Side.SOURCE, self._dialer.source, mailbox)

    def destination(self, mailbox: Mailbox) -> MailDestination:
        """Returns the session with the destination, and opens it if needed."""
        if self._destination is None:
            self._destination = self._dial(Side.DESTINATION, self._dialer.destination, mailbox)
            self.live.append(self._destination)
        return self._destination

    def _dial(self, side: Side, dial: Callable[[Mailbox], _Session], mailbox: Mailbox) -> _Session:
        began = time.monotonic()
        result = "ok"
        try:
            return timed(dial(mailbox), side, self._tell)
        except ConnectionLost as error:
            result = "unreachable"
            raise Unreachable(side, error.what, error.detail) from error
        except MailError as error:
            result = type(error).__name__
            raise
        finally:
            self._tell(SignedIn(side=side, result=result, seconds=time.monotonic() - began))

    def slowed(self) -> list[Throttled]:
        """Returns the requests to slow down that servers sent beside an OK since the last call."""
        return [found for session in list(self.live) if (found := session.slowed())]

    def close(self) -> None:
        """Ends both sessions with a proper sign-out."""
        for session in self.live:
            session.close()
        self._forget()

    def abort(self) -> None:
        """Shuts both sessions at once: their state is unknown."""
        for session in self.live:
            session.abort()
        self._forget()

    def _forget(self) -> None:
        for side, session in ((Side.SOURCE, self._source), (Side.DESTINATION, self._destination)):
            if session is not None:
                self._tell(SessionEnded(side=side))
        self._source = self._destination = None
        self.live.clear()
