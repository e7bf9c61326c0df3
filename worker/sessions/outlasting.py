"""A source session that outlasts the messages over which its server ends the connection.

Dovecot does so over a message that it cannot read: where its size, its header or its bytes are asked for. The connection is
opened anew then, and the message is asked for alone, behind one that came before: a server that gives that one and ends the
connection over the other serves the folder, and not this message. It is refused, as by a NO, and the others are asked for as
before. A server that gives nothing of the folder is left to the next attempt; the last one refuses all that it was asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, Final, TypeVar, cast

from shared.mail import FlagsTold, KnownStatus, MailSource, Message, Sighting
from shared.model.errors import ConnectionLost, FolderRefused, MessageEndsConnection, NothingRead, ServerRefused
from shared.model.sides import Side
from shared.model.uids import NO_UIDS, Uid, UidSet
from shared.wording.often_said import ENDS_CONNECTION_AT_MESSAGE

#: Most times that a session is opened anew while no message comes, so that no account is signed in to without end. A message
#: takes two, and one in a row of them takes one.
MOST_REOPENED: Final = 256
#: Finds messages that cost little to be asked for.
_SMALL: Final = "SMALLER 65536"

_One = TypeVar("_One", Message, Sighting)
#: Asks a session for these messages.
_Ask = Callable[[MailSource, UidSet], Iterator[_One]]


class OutlastingSource:
    """A signed-in session, used by one thread; `abort` may be called from others. See `shared.mail.MailSource`."""

    def __init__(
        self,
        session: MailSource,
        reopen: Callable[[], MailSource],
        lasting: Callable[[], bool],
        last: Callable[[], bool] = lambda: False,
    ) -> None:
        """Takes `reopen`, which signs in once more; `lasting` tells whether that is wanted now, or the error is raised.

        `last` tells whether messages of a folder that gives none are refused.
        """
        self._session, self._reopen, self._lasting, self._last = session, reopen, lasting, last
        self._left = MOST_REOPENED
        self._aborted = threading.Event()
        #: Name and UIDVALIDITY of the open folder.
        self._folder: tuple[bytes, int | None] = b"", None
        #: The messages of the open folder that end the connection, and the server's words at the last one.
        self._ending, self._said = NO_UIDS, ""
        #: The smallest message of the open folder that came, as size and UID, by what was asked for.
        self._good: dict[str, tuple[int, Uid]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def open(self, name: bytes) -> KnownStatus:
        """Does what `MailSource.open` does."""
        status = self._session.open(name)
        self._note_open(name, status)
        return status

    def vanished(self, name: bytes, uidvalidity: int, since: int) -> tuple[KnownStatus, UidSet] | None:
        """Does what `MailSource.vanished` does."""
        told = self._session.vanished(name, uidvalidity, since)
        if told is not None:
            self._note_open(name, told[0])
        return told

    def _note_open(self, name: bytes, status: KnownStatus) -> None:
        if self._folder != (name, status.uidvalidity):
            self._folder = name, status.uidvalidity
            self._ending, self._good = NO_UIDS, {}

    def fetch(self, uids: UidSet, *, size_bytes: int = 0) -> Iterator[Message]:
        """Does what `MailSource.fetch` does, and refuses the messages that end the connection."""
        return self._each("bytes", uids, lambda session, part: session.fetch(part, size_bytes=size_bytes))

    def sightings(self, uids: UidSet, *, full: bool = False, text_bytes: int = 0) -> Iterator[Sighting]:
        """Does what `MailSource.sightings` does, and refuses the messages that end the connection.

        Where too many do, it refuses the rest as well: their folder is planned, and whoever copies them tells them apart.
        """

        def ask(session: MailSource, part: UidSet) -> Iterator[Sighting]:
            return session.sightings(part, full=full, text_bytes=text_bytes)

        return self._each("bytes" if full else "header", uids, ask, bounded=True)

    def sizes(
        self, status: KnownStatus, among: UidSet | None = None, *, told: FlagsTold | None = None
    ) -> Iterator[tuple[Uid, int]]:
        """Does what `MailSource.sizes` does. A message at which the connection ends has the size 0: it is not told.

        Where nothing came before it, the server may have kept back what did: then this is that of more and more messages.
        """
        last, left, untold = 0, among, 1
        while left is None or left:
            before = last
            try:
                for uid, size in self._session.sizes(status, left, told=told):
                    last = int(uid)
                    self._left = min(MOST_REOPENED, self._left + 2)
                    yield uid, size
                return
            except ConnectionLost as lost:
                self._renew(lost)
            untold = 1 if last > before else 2 * untold
            there = self._session.existing(among) & UidSet.span(last + 1, status.uidnext - 1)
            without, left = there.take(untold)
            yield from ((uid, 0) for uid in without)
            last = max(last, without.high) if without else last

    def _each(self, what: str, uids: UidSet, ask: _Ask[_One], *, bounded: bool = False) -> Iterator[_One]:
        """Yields what `ask` brings of these messages. Raises at the end what was refused of them.

        `bounded`: with no connection left to be opened, the rest is refused.
        """
        #: The sets that are to be asked for, the next one last; with what was raised over a message that is suspected.
        todo: list[tuple[UidSet, ConnectionLost | None]] = [(uids - self._ending, None)]
        refused: list[ServerRefused] = []
        kept_back = in_a_row = False
        done = untold = NO_UIDS
        try:
            while todo:
                part, suspected = todo.pop()
                if not part:
                    continue
                if suspected is not None and not self._gives(what, ask, part):
                    if not self._last():
                        raise NothingRead(suspected.side, suspected.what, suspected.detail) from suspected
                    self._ending |= uids - done
                    self._said = suspected.detail or suspected.what
                    break
                came: set[int] = set()
                try:
                    for one in self._asked(what, part, ask):
                        came.add(one.uid)
                        self._left = min(MOST_REOPENED, self._left + 2)
                        yield one
                    kept_back = kept_back or (suspected is not None and not in_a_row)
                    in_a_row = False
                except ServerRefused as error:
                    refused.append(error)
                except ConnectionLost as lost:
                    done |= UidSet.of(came)
                    self._renew(lost)
                    rest = part - done
                    if suspected is not None:
                        self._ending |= rest
                        self._said = lost.detail or lost.what
                        # Where one is, the next one often is too: asked for alone, it takes no connection but its own.
                        first, others = todo.pop()[0].take(1) if todo else (NO_UIDS, NO_UIDS)
                        todo += [(others, None), (first, lost)]
                        in_a_row = True
                    elif kept_back and len(rest) > 1 and not came:
                        todo += [(half, None) for half in reversed(rest.take(len(rest) // 2))]
                    elif rest:
                        first, others = rest.take(1)
                        todo += [(others, None), (first, lost)]
                        in_a_row = False
                else:
                    done |= UidSet.of(came)
        except ConnectionLost as lost:
            if not bounded or self._left or not self._lasting():
                lost.uids = self._ending & uids
                raise
            self._left = 1
            self._renew(lost)
            self._said = self._said or lost.detail or lost.what
            untold = uids - done
        if refused or (untold := untold | (self._ending & uids)):
            raise self._joined(refused, untold)

    def _asked(self, what: str, uids: UidSet, ask: _Ask[_One]) -> Iterator[_One]:
        with closing(cast("Generator[_One]", ask(self._session, uids))) as found:
            for one in found:
                this = one.size_bytes, one.uid
                self._good[what] = min(this, self._good.get(what, this))
                yield one

    def _gives(self, what: str, ask: _Ask[_One], suspected: UidSet) -> bool:
        """Tells whether the source gives a message that came before, or else one of a few other small ones."""
        if what in self._good:
            if list(self._asked(what, UidSet.of([self._good[what][1]]), ask)):
                return True
            del self._good[what]  # it was removed meanwhile
        try:
            small = UidSet.joined([part for found in self._session.search([_SMALL]) for part in found.ranges])
        except ConnectionLost as lost:  # it cannot tell their sizes either
            self._renew(lost)
            small = self._session.existing()
        others = list(small - self._ending - suspected)
        for uid in {others[at] for at in (-1, 0, len(others) // 2)} if others else ():
            try:
                if list(self._asked(what, UidSet.of([uid]), ask)):
                    return True
            except ConnectionLost as lost:
                self._renew(lost)
        return False

    def _joined(self, refused: list[ServerRefused], ended: UidSet) -> ServerRefused:
        """Returns the first of these refusals with the UIDs of all; `ended` are those that end the connection."""
        error = MessageEndsConnection(Side.SOURCE, ENDS_CONNECTION_AT_MESSAGE.says(), self._said)
        first = refused[0] if refused else error
        first.uids = ended | UidSet.joined([part for one in refused for part in one.uids.ranges])
        return first

    def _renew(self, lost: ConnectionLost) -> None:
        """Opens the connection and the folder anew. Raises `lost` where that is not to be done, or the folder is another."""
        if not self._lasting() or not self._left or self._aborted.is_set():
            raise lost
        self._left -= 1
        self._session.abort()
        self._session = self._reopen()
        name, uidvalidity = self._folder
        if self._aborted.is_set():
            self._session.abort()
        try:
            same = self._session.open(name).uidvalidity == uidvalidity
        except FolderRefused:
            same = False  # its user renamed or removed it meanwhile: who opens it next says so
        if not same:
            raise lost

    def abort(self) -> None:
        """Shuts the socket at once, from any thread. Never raises."""
        self._aborted.set()
        self._session.abort()
