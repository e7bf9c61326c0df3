"""The mail servers in memory that make messages when asked for them, so that twenty million messages need no room.

They are the servers and sessions of `shared.testing.memory_mail` with other folders. A message follows from its folder and its
number. The destination keeps only the numbers of the messages it receives, as runs, and refuses bytes that do not match
the number: so what it shows later is what it received.
"""

from __future__ import annotations

import bisect
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

from shared.mail import KnownStatus, MailDestination, MailSource
from shared.model import Mailbox
from shared.model.uids import Uid
from shared.testing.memory_folders import MemoryFolder, Stored
from shared.testing.memory_mail import MemoryServer

_BODY = (
    b"Message-ID: <%010d.%08x@simulated.example>\r\nDate: Mon, 02 Jan 2023 10:00:00 +0000\r\n"
    b"From: somebody@simulated.example\r\nSubject: message %d\r\n\r\nNothing but a number.\r\n"
)
_NUMBER = slice(13, 23)


def body_of(seed: int, number: int) -> bytes:
    """Returns the message with this number, of the folder with this seed."""
    return _BODY % (number, seed, number)


class _Numbers:
    """A mapping from UID to number, kept as runs: UIDs have no gaps, and the numbers seldom have any."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.numbers: list[int] = []
        self.count = 0

    def add(self, number: int) -> int:
        uid = self.count + 1
        if not self.starts or self.numbers[-1] + uid - self.starts[-1] != number:
            self.starts.append(uid)
            self.numbers.append(number)
        self.count = uid
        return uid

    def at(self, uid: int) -> int:
        run = bisect.bisect_right(self.starts, uid) - 1
        return self.numbers[run] + uid - self.starts[run]

    def runs(self) -> Iterator[tuple[int, int]]:
        """Yields (first number, how many)."""
        for place, start in enumerate(self.starts):
            end = self.starts[place + 1] if place + 1 < len(self.starts) else self.count + 1
            yield self.numbers[place], end - start


class _Messages(Mapping[int, Stored]):
    """The messages of a folder, made when they are read."""

    def __init__(self, seed: int, numbers: _Numbers) -> None:
        self._seed, self.numbers = seed, numbers

    def __getitem__(self, uid: int) -> Stored:
        if not 1 <= uid <= self.numbers.count:
            raise KeyError(uid)
        return Stored(uid=uid, body=body_of(self._seed, self.numbers.at(uid)), internaldate=1_672_653_600)

    def __iter__(self) -> Iterator[int]:
        return iter(range(1, self.numbers.count + 1))

    def __len__(self) -> int:
        return self.numbers.count


class SyntheticFolder(MemoryFolder):
    """A folder of `count` messages, or one that `add` fills."""

    __slots__ = ("_numbers", "_seed")

    def __init__(self, login: str, name: bytes, count: int = 0) -> None:
        self._seed, self._numbers = zlib.crc32(login.encode() + b"\0" + name), _Numbers()
        if count:
            self._numbers.starts, self._numbers.numbers, self._numbers.count = [1], [1], count
        messages = cast(dict[int, Stored], _Messages(self._seed, self._numbers))
        super().__init__(name=name, uidnext=count + 1, messages=messages)

    def add(self, body: bytes, **rest: Any) -> Uid:
        """Keeps the number of the message. Raises AssertionError for bytes that the source does not hold."""
        number = int(body[_NUMBER])
        if body != body_of(self._seed, number):
            raise AssertionError(f"not what the source holds: {body[:60]!r}")
        self.uidnext += 1
        self.highestmodseq += 1
        return Uid(self._numbers.add(number))

    def status(self, *, selected: bool = False) -> KnownStatus:
        """Returns the status without reading the messages."""
        return KnownStatus(
            uidvalidity=self.uidvalidity,
            uidnext=self.uidnext,
            messages=self._numbers.count,
            highestmodseq=self.highestmodseq,
            size_bytes=self._numbers.count * len(body_of(self._seed, 1)),
            permanent_flags=self.permanent_flags if selected else frozenset(),
        )

    def lost_and_twice(self, count: int) -> tuple[int, int]:
        """Returns how many of a source's `count` messages are missing here, and how many are here more than once."""
        runs = sorted(self._numbers.runs())
        reached = twice = 0
        seen = 0
        for first, many in runs:
            twice += max(0, min(reached, first + many - 1) - first + 1)
            seen += max(0, first + many - 1 - max(reached, first - 1))
            reached = max(reached, first + many - 1)
        return count - seen, twice


class SyntheticServer(MemoryServer):
    """A server on which every login exists.

    With `folders` (messages by name) it is a source, without them an empty destination.
    """

    def __init__(self, folders: Mapping[bytes, int] | None = None) -> None:
        super().__init__()
        self._made = dict(folders or {b"INBOX": 0})

    def folders(self, login: str) -> dict[bytes, MemoryFolder]:
        """Returns the folders of this account; makes the account if it is new."""
        with self.lock:
            if login not in self._accounts:
                self._accounts[login] = {n: SyntheticFolder(login, n, count) for n, count in self._made.items()}
            return self._accounts[login]

    def folder(self, login: str, name: bytes) -> MemoryFolder:
        """Returns the folder; makes it if it is new."""
        with self.lock:
            folders = self.folders(login)
            if name not in folders:
                folders[name] = SyntheticFolder(login, name)
            return folders[name]


class SyntheticDialer:
    """An implementation of `worker.sessions.mailbox_sessions.Dialer` without a network.

    All accounts of the source have the same folders.
    """

    def __init__(self, folders: Mapping[bytes, int]) -> None:
        self.counts = dict(folders)
        self._source, self.kept = SyntheticServer(folders), SyntheticServer()

    def source(self, mailbox: Mailbox) -> MailSource:
        """Returns a session that is signed in to the source."""
        return self._source.source(mailbox.source.login)

    def destination(self, mailbox: Mailbox) -> MailDestination:
        """Returns a session that is signed in to the destination."""
        return self.kept.destination(mailbox.destination.login)

    def lost_and_twice(self, login: str) -> tuple[int, int]:
        """Returns how many messages of this account the destination lacks, and how many it holds more than once."""
        lost = twice = 0
        for name, count in self.counts.items():
            here = self.kept.folder(login, name)
            assert isinstance(here, SyntheticFolder)
            missing, doubled = here.lost_and_twice(count)
            lost, twice = lost + missing, twice + doubled
        return lost, twice
