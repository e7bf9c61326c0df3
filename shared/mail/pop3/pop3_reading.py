"""Reads whole messages over POP3: by TOP, which marks nothing as read, or by RETR, which most servers take for reading.

RFC 1939 §7 promises of `TOP n k` the header and the first k lines of the body, and not that a server takes a large k.
So TOP's answer is believed only when it is proved to be the whole message: it is as long as LIST says, or RETR showed
the same.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from functools import partial
from typing import IO, Final, Literal

from shared.content.fingerprint import LONG_HEADER_BYTES
from shared.mail.pop3.pop3_renewed import RenewedSession
from shared.model.errors import ConnectionLost, MailError, ProtocolViolation, ServerRefused
from shared.model.sides import Side
from shared.nouns import dataclass
from shared.wording.phrases import Phrase

TOP_MAY_NOT_SHOW_ALL: Final = Phrase(
    "top_may_not_show_all", "TOP is not seen to show all of the message, and RETR is not to be used"
)

#: The command that reads whole messages: the one that suits the server, or only this one.
Pop3Read = Literal["auto", "top", "retr"]
#: Numbers of lines to ask for; the next where a server refuses one before it ever showed a message: some count in 32
#: bits, some in fewer.
LINE_COUNTS: Final = (2_147_483_647, 999_999_999, 9_999_999)
#: Number of connections broken at the first use of TOP after which TOP is given up.
_MOST_LOST: Final = 2
#: POP3 ends every message with CRLF (RFC 1939 §3), whether LIST counts it or not.
_LINE_END: Final = 2
_PIECE: Final = 64 * 1024

BY_RETR: Final = Phrase("by_retr", "messages are read by RETR: this server marks what is read over POP3 as read").says()


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageToRead:
    """A message that is to be read whole."""

    #: The number of the message in this session.
    number: int
    #: The size in bytes, as LIST says.
    listed: int


@dataclass
class ServerReading:
    """The knowledge of one server's TOP. Shared by the sessions of a process."""

    #: The operator's choice.
    chosen: Pop3Read = "auto"
    #: Position in `LINE_COUNTS` of the number that is asked for; behind its end TOP is given up.
    _count: int = 0
    #: Whether TOP ever gave a message with this count.
    works: bool = False
    #: Bytes and lines of the largest message that TOP is proved to show whole.
    _bytes: int = 0
    _lines: int = 0
    #: Whether text that begins with a blank line is proved to be the message's own where TOP gives more than LIST says.
    _blank: bool = False
    _lost: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def by_top(self) -> bool:
        """Tells whether TOP is used."""
        return self.chosen != "retr" and self._count < len(LINE_COUNTS)

    def command(self, number: int) -> bytes:
        """Returns the command that reads this message whole."""
        return b"TOP %d %d" % (number, LINE_COUNTS[self._count]) if self.by_top else b"RETR %d" % number

    def shows_whole(
        self, size: int, listed: int, count_lines: Callable[[], int], blank: Callable[[], bool] = lambda: False
    ) -> bool:
        """Tells whether a message of which TOP gave `size` bytes is whole.

        It is as long as LIST says, or, in bytes and lines, no longer than another message that is proved to be whole: a
        server that truncates, truncates the longest. Lines are counted only in doubt.

        `blank` tells whether the text begins with a blank line. GNU Mailutils puts one there, which must not be taken
        for the line end that POP3 adds at the end.
        """
        with self._lock:
            if size > listed and not self._blank and blank():
                return False
            if listed <= size <= listed + _LINE_END:
                if size > self._bytes:
                    self._bytes, self._lines = size, max(self._lines, count_lines())
                return True
            return size <= self._bytes and count_lines() <= self._lines

    def prove(self, size: int, lines: int, *, blank: bool = False) -> None:
        """Notes that RETR gave the same as TOP had given; `blank` as in `shows_whole`."""
        with self._lock:
            self._blank |= blank
            self._bytes, self._lines = max(size, self._bytes), max(lines, self._lines)

    def refused(self) -> None:
        """Notes that TOP with this count was refused before it ever worked."""
        with self._lock:
            self._count += 1

    def lost(self) -> None:
        """Notes that the connection broke at the first use of TOP."""
        with self._lock:
            self._lost += 1
            if self._lost >= _MOST_LOST:
                self._count = len(LINE_COUNTS)

    def give_up(self) -> None:
        """Notes that TOP does not show whole messages here."""
        with self._lock:
            self._count = len(LINE_COUNTS)


class Readings:
    """The `ServerReading` of each server, for as long as the process lives."""

    def __init__(self, chosen: Pop3Read = "auto") -> None:
        self._chosen: Pop3Read = chosen
        self._known: dict[tuple[str, int], ServerReading] = {}
        self._lock = threading.Lock()

    def of(self, host: str, port: int) -> ServerReading:
        """Returns what is known of this server."""
        with self._lock:
            return self._known.setdefault((host.lower(), port), ServerReading(chosen=self._chosen))


class WholeMessages:
    """Reads whole messages over one session."""

    def __init__(self, session: RenewedSession, reading: ServerReading) -> None:
        self._session, self._reading = session, reading

    @property
    def _by_top(self) -> bool:
        return self._reading.by_top and ("TOP" in self._session.capabilities or self._reading.chosen == "top")

    def read(
        self, wanted: Sequence[MessageToRead], refused: dict[int, MailError]
    ) -> Iterator[tuple[int, bytes | IO[bytes]]]:
        """Yields (place in `wanted`, message), as `RenewedSession.messages`, but in any order.

        Messages that no command brought are put into `refused`.
        """
        left = list(range(len(wanted)))
        while left and self._by_top:
            # One alone, until the server is known to take the command: many refused commands look like an attack.
            now, later = (left, []) if self._reading.works else (left[:1], left[1:])
            doubtful: list[_Shown] = []
            no: dict[int, MailError] = {}
            yield from self._top(wanted, now, doubtful, no)
            left = later
            if no and not self._reading.works:
                self._reading.refused()
                left = sorted([*no, *later])
                continue
            if self._reading.chosen == "top":
                refused |= no | {shown.place: _cut(self._session.side) for shown in doubtful}
                continue
            if no:
                yield from self._retr(wanted, sorted(no), refused)
            if doubtful:
                largest = max(doubtful, key=lambda shown: (shown.size, shown.lines))
                for place, body in self._retr(wanted, [largest.place], refused):
                    self._compare(largest, body)
                    yield place, body
                # Now the shorter messages are proved, or TOP is given up.
                left = sorted([*later, *(shown.place for shown in doubtful if shown is not largest)])
        yield from self._retr(wanted, left, refused)

    def shows_whole(self, one: MessageToRead) -> bool:
        """Reads one message by TOP only, and tells whether all of it came. For a dry run."""
        while self._by_top:
            no: dict[int, MailError] = {}
            whole = (
                sum(1 for _ in self._top([one], [0], [], no)) == 1
            )  # read to its end: left early, it shuts the connection
            if not no or self._reading.works:
                return whole
            self._reading.refused()
        return False

    def _top(
        self, wanted: Sequence[MessageToRead], places: Sequence[int], doubtful: list[_Shown], no: dict[int, MailError]
    ) -> Iterator[tuple[int, bytes | IO[bytes]]]:
        asked = [wanted[place] for place in places]
        refused: dict[int, MailError] = {}
        reading = self._reading
        try:
            for at, body in self._session.messages(
                [reading.command(one.number) for one in asked],
                refused,
                [one.listed for one in asked],
                lasting=reading.works,
            ):
                reading.works = True
                size = len(body) if isinstance(body, bytes) else _size(body)
                count, blank = partial(_lines, body), partial(_begins_blank, body)
                if reading.shows_whole(size, asked[at].listed, count, blank):
                    yield places[at], body
                else:
                    shown = _Shown(
                        place=places[at], size=size, lines=count(), digest=_digest(body), blank=_begins_blank(body)
                    )
                    doubtful.append(shown)
        except (ConnectionLost, ProtocolViolation):
            if not reading.works:
                reading.lost()
            raise
        no |= {places[at]: error for at, error in refused.items()}

    def _retr(
        self, wanted: Sequence[MessageToRead], places: Sequence[int], refused: dict[int, MailError]
    ) -> Iterator[tuple[int, bytes | IO[bytes]]]:
        no: dict[int, MailError] = {}
        commands = [b"RETR %d" % wanted[place].number for place in places]
        for at, body in self._session.messages(commands, no, [wanted[place].listed for place in places]):
            yield places[at], body
        refused |= {places[at]: error for at, error in no.items()}

    def _compare(self, shown: _Shown, body: bytes | IO[bytes]) -> None:
        if _digest(body) == shown.digest:
            self._reading.prove(shown.size, shown.lines, blank=shown.blank)
        else:
            self._reading.give_up()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """The facts about a message that TOP gave, where that may not be all of it."""

    #: The place in `wanted`.
    place: int
    #: Bytes.
    size: int
    #: Lines.
    lines: int
    #: SHA-256.
    digest: bytes
    #: Whether the text begins with a blank line.
    blank: bool


def _cut(side: Side) -> MailError:
    return ServerRefused(side, TOP_MAY_NOT_SHOW_ALL.says())


def chunks(body: bytes | IO[bytes]) -> Iterator[bytes]:
    """Yields the message in pieces."""
    if isinstance(body, bytes):
        yield body
        return
    while chunk := body.read(_PIECE):
        yield chunk


def _size(body: IO[bytes]) -> int:
    size = body.seek(0, 2)
    body.seek(0)
    return size


def _lines(body: bytes | IO[bytes]) -> int:
    count = sum(chunk.count(b"\n") for chunk in chunks(body))
    _rewind(body)
    return count


def _begins_blank(body: bytes | IO[bytes]) -> bool:
    start = body if isinstance(body, bytes) else body.read(LONG_HEADER_BYTES)
    _rewind(body)
    end = start.find(b"\r\n\r\n")
    return start.startswith(b"\r\n", end + 4) if end >= 0 else False


def _digest(body: bytes | IO[bytes]) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks(body):
        digest.update(chunk)
    _rewind(body)
    return digest.digest()


def _rewind(body: bytes | IO[bytes]) -> None:
    if not isinstance(body, bytes):
        body.seek(0)


__all__ = [
    "BY_RETR",
    "LINE_COUNTS",
    "MessageToRead",
    "Pop3Read",
    "Readings",
    "ServerReading",
    "WholeMessages",
    "chunks",
]
