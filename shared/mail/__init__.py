"""The ports to mail servers: what mailhaul needs of a source and of a destination, and what it may rely on.

A session is one signed-in connection, used by one thread at a time. Every method may raise the `MailError`s of
`shared.errors`; after any of them except `FolderRefused`, `MessagesRefused`, `OverQuota` and `ServerRefused`
the session is dead and must be aborted. Folder names are the server's own bytes, never decoded and encoded
again. Nothing here ever writes to a source: folders are opened with EXAMINE, bodies read with BODY.PEEK.

Adapters: `imap_source` and `imap_destination` over a `session` (real servers), and `memory` (the same in memory,
faults on demand). One contract suite, `tests/contract/test_mail_*.py`, runs over both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from shared.errors import Throttled
from shared.mail.kept_dates import KeptDates
from shared.messages import (
    Appended,
    FolderListing,
    FolderStatus,
    KnownStatus,
    Labels,
    ListedFolder,
    Message,
    Namespace,
    Owner,
    Quota,
    Sighting,
    Traits,
)
from shared.uids import Uid, UidSet

__all__ = [
    "Appended",
    "FolderListing",
    "FolderStatus",
    "KeptDates",
    "KnownStatus",
    "Labels",
    "ListedFolder",
    "MailDestination",
    "MailSession",
    "MailSource",
    "Message",
    "Namespace",
    "Owner",
    "Quota",
    "Sighting",
    "Traits",
]


class MailSession(Protocol):
    """What both sides can do."""

    @property
    def capabilities(self) -> frozenset[str]:
        """Capabilities after login, upper case, without what the server turned out not to do."""

    def listing(self) -> FolderListing:
        """Lists the account's folders, subscriptions included."""

    def statuses(self, names: Sequence[bytes]) -> list[FolderStatus | Exception]:
        """STATUS of each folder, in order, in as few round trips as the server allows; a refused one is an error. What the
        server leaves out is None (`shared.mail.numbers`)."""

    def sightings(self, uids: UidSet, *, full: bool = False, text_bytes: int = 0) -> Iterator[Sighting]:
        """Of the folder now open: size, date and fingerprint of the messages that (still) exist among `uids`. With `full`
        the digests too: of all their bytes, or only of the header and so many bytes of the text, where `text_bytes` is given."""

    def sizes(self, status: KnownStatus, among: UidSet | None = None) -> Iterator[tuple[Uid, int]]:
        """Of the folder now open: (UID, RFC822.SIZE) of every message below `status.uidnext`, ascending; or only of those
        `among` these UIDs.

        Copes with a million messages: asked for in windows of UIDs, read as a stream."""

    def existing(self, among: UidSet | None = None) -> UidSet:
        """Of the folder now open: every UID, or which of these there are, by SEARCH."""

    def look_again(self, listed: UidSet) -> tuple[list[tuple[Uid, int]], int]:
        """Of the folder now open, for when `sizes` listed fewer messages than there were at its opening: (UID, size) of what stands
        there beside `listed`, the size 0 where the server does not tell; and how many messages it counts and shows by no
        means. Mail that comes or goes meanwhile is not taken for such."""

    def flags(self, uids: UidSet, *, changed_since: int | None = None) -> Iterator[tuple[Uid, tuple[str, ...]]]:
        """Of the folder now open: (UID, flags), of all or (CONDSTORE) of those changed since a mod-sequence."""

    def slowed(self) -> Throttled | None:
        """What the server asked for beside an OK since this was last called: to be asked less (Gmail's [THROTTLED])."""

    def noop(self) -> None:
        """A round trip; raises `ConnectionLost` when the other end is gone."""

    def close(self) -> None:
        """LOGOUT without waiting long. Never raises."""

    def abort(self) -> None:
        """Shuts the socket at once, from any thread. Never raises."""


class MailSource(MailSession, Protocol):
    """The side that is only read."""

    def foresee(self, name: bytes, uids: UidSet | None = None) -> None:
        """Says that after what was foreseen before `open(name)` will be called, and then `fetch(uids)`, or `sizes` when
        `uids` is None, so that the server can be asked already. It need not come true."""

    def caution(self) -> str:
        """What a person should know before anything is read; "" for nothing. For a rehearsal: it may look at a message."""

    def open(self, name: bytes) -> KnownStatus:
        """EXAMINE."""

    def labels_as_keywords(self) -> None:
        """From now on, `fetch` and `flags` tell Gmail's labels as keywords too (`shared.gmail.keywords`)."""

    def search(self, keys: Sequence[str]) -> list[UidSet]:
        """Of the folder now open: the UIDs of each SEARCH key, as far as the server tells: some tell only the first
        thousand, and what a server refuses to search for brings nothing."""

    def traits(self, uids: UidSet) -> Iterator[Traits]:
        """Of the folder now open: date and flags of the messages that (still) exist among `uids`."""

    def labels(self, uids: UidSet) -> Iterator[Labels]:
        """Of the folder now open, at a server with X-GM-EXT-1: what Gmail says of the messages among `uids`."""

    def fetch(self, uids: UidSet, *, size_bytes: int = 0) -> Iterator[Message]:
        """The messages that (still) exist among `uids`, as they arrive, which need not be in order: servers run the
        FETCH commands that are in flight side by side. A UID that brings nothing is simply not yielded. What is
        left unread of a `stream` is thrown away. Leaving before the end shuts the connection.

        `size_bytes` is what the source said of their size, all together; 0 where it did not. What is far larger breaks the
        connection off (`shared.mail.bounds`).

        A NO is raised at the very end, after all that did come, with the UIDs that did not as its `uids`; so is an answer that
        makes no sense (`AnswerUnreadable`)."""


class MailDestination(MailSession, Protocol):
    """The side that is written to."""

    @property
    def dates(self) -> KeptDates:
        """What this server is known to make of dates outside of the usual."""

    def open(self, name: bytes) -> KnownStatus:
        """SELECT; `permanent_flags` and `append_limit_bytes` are the folder's."""

    def create(self, names: Sequence[bytes]) -> list[Exception | None]:
        """CREATE each; one that exists already is fine. In one flight."""

    def subscribe(self, names: Sequence[bytes]) -> None:
        """SUBSCRIBE each; refusals are ignored."""

    def send(self, group: Sequence[Message], flags: Sequence[tuple[str, ...]], token: object) -> None:
        """Appends the group to the folder now open; does not wait for the answer. `flags[i]` are what message i
        shall have. The group is one MULTIAPPEND where the server offers it, else pipelined APPENDs. A message
        with a `stream` must be a group of its own; when its source fails half-way, this session is dead too
        (the server drops the incomplete literal). So must a message whose date is not among `dates` that are kept: a server
        that does not understand it answers as to a message that it refuses."""

    def answers(self, *, outstanding: int = 0) -> Iterator[Appended]:
        """Reads answers until at most `outstanding` groups are unanswered. Groups are answered in the order sent;
        the nth of `uids` belongs to the nth of `stored`."""

    def copy(self, uids: UidSet, into: bytes) -> tuple[int, dict[int, int]]:
        """UID COPY of these, of the folder now open, into another (RFC 9051 §6.4.7): that one's UIDVALIDITY, and UID → UID of
        its copy, as COPYUID tells; nothing of what is no longer there, or where the server does not tell. All or nothing:
        when it is refused, nothing was copied."""

    def store_flags(self, changes: Iterable[tuple[UidSet, tuple[str, ...]]]) -> None:
        """UID STORE FLAGS.SILENT for each, pipelined."""

    def quota(self) -> Quota | None:
        """How much the account may hold; None where the server does not say. Only while no group is unanswered."""

    def remove(self, uids: UidSet) -> bool:
        """\\Deleted and UID EXPUNGE of exactly these; False when the server cannot expunge by UID (RFC 4315)."""
