"""The ports to mail servers: what mailhaul needs of a source and of a destination, and what it may rely on.

A session is one signed-in connection, used by one thread at a time. Every method may raise the `MailError`s of
`shared.errors`; after any of them except `FolderRefused`, `MessagesRefused`, `OverQuota` and `ServerRefused` the session
is dead and must be aborted. Folder names are the server's own bytes, never decoded and encoded again. Nothing here
ever writes to a source: folders are opened with EXAMINE, bodies read with BODY.PEEK.

Adapters: `shared.mail.imap` (real servers) and `shared.mail.memory` (the same in memory, faults on demand). One contract
suite, `tests/contract/`, runs over both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.uids import Uid, UidSet


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedFolder:
    """One line of LIST (RFC 9051 §7.3.1)."""

    #: The name as the server wrote it.
    name: bytes
    #: Hierarchy separator, one character; None where the server has a flat name space.
    separator: str | None
    #: Attributes in lower case without the backslash: "noselect", "sent", "hasnochildren", …
    attributes: frozenset[str]
    #: Whether the user is subscribed to it.
    subscribed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderListing:
    """Everything that one account shows."""

    #: Personal namespace prefix (RFC 2342), e.g. b"INBOX."; b"" where there is none.
    prefix: bytes
    #: Separator of the personal namespace.
    separator: str | None
    #: All folders of the personal namespace.
    folders: tuple[ListedFolder, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderStatus:
    """What STATUS, EXAMINE or SELECT say of a folder."""

    #: UIDVALIDITY, or 0 where the server has no stable UIDs.
    uidvalidity: int
    #: The next UID is at least this.
    uidnext: int
    #: Number of messages.
    messages: int
    #: HIGHESTMODSEQ (RFC 7162); None without CONDSTORE.
    highestmodseq: int | None = None
    #: Sum of message sizes in bytes (STATUS=SIZE, RFC 8438); None where not offered.
    size_bytes: int | None = None
    #: Flags that may be stored for good, as the server spells them; only of a selected folder.
    permanent_flags: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message on its way: flags and date as read, the body as bytes or, when large, as a stream.

    A streamed body must be read to its end (or the session aborted) before the iterator goes on.
    """

    #: UID at the source.
    uid: Uid
    #: Flags and keywords as the source spelled them, every one a valid atom, without \\Recent.
    flags: tuple[str, ...]
    #: INTERNALDATE in whole seconds since the epoch (UTC); None where the server's is unusable.
    internaldate: int | None
    #: Zone offset of INTERNALDATE in minutes east of UTC.
    zone_minutes: int
    #: Size of the body in bytes, by the literal that carries it.
    size_bytes: int
    #: `shared.fingerprint.header_fingerprint` of its header, 8 bytes.
    fingerprint: bytes
    #: The whole body, when it is small.
    body: bytes | None
    #: The body in chunks, when it is large.
    stream: Iterator[bytes] | None = None
    #: What was odd about it ("flag not an atom, dropped: …"); already cleaned for display.
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """A message as seen without its body: enough to recognise a copy by (see `shared.fingerprint`)."""

    #: UID where it was seen.
    uid: Uid
    #: RFC822.SIZE in bytes.
    size_bytes: int
    #: INTERNALDATE in whole seconds since the epoch; None where unusable.
    internaldate: int | None
    #: Digest of the identifying header fields (`shared.fingerprint.header_fingerprint`), 8 bytes.
    fingerprint: bytes
    #: Message-ID as it stands, for reports; "" where there is none.
    message_id: str = ""
    #: SHA-256 of the canonical bytes; only when asked for with `full`.
    digest: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Appended:
    """What became of one group sent with `MailDestination.send`."""

    #: What the caller passed as `token`.
    token: object
    #: Destination UIDs of all messages, in the order they were sent; None without UIDPLUS.
    uids: tuple[Uid, ...] | None = None
    #: UIDVALIDITY that APPENDUID named; None without UIDPLUS.
    uidvalidity: int | None = None
    #: Positions in the group that were refused, with the error. With MULTIAPPEND all or none.
    refused: dict[int, Exception] = field(default_factory=dict)
    #: Positions that were stored.
    stored: tuple[int, ...] = ()


class MailSession(Protocol):
    """What both sides can do."""

    #: Capabilities after login, upper case.
    capabilities: frozenset[str]

    def listing(self) -> FolderListing:
        """Lists the account's folders, subscriptions included."""

    def statuses(self, names: Sequence[bytes]) -> list[FolderStatus | Exception]:
        """STATUS of each folder, in order, in as few round trips as the server allows; a refused one is an error."""

    def sightings(self, uids: UidSet, *, full: bool = False) -> Iterator[Sighting]:
        """Of the folder now open: size, date and fingerprint of the messages that (still) exist among `uids`."""

    def sizes(self, status: FolderStatus) -> Iterator[tuple[Uid, int]]:
        """Of the folder now open: (UID, RFC822.SIZE) of every message below `status.uidnext`, ascending.

        Copes with a million messages: asked for in windows of UIDs, read as a stream."""

    def flags(self, uids: UidSet, *, changed_since: int | None = None) -> Iterator[tuple[Uid, tuple[str, ...]]]:
        """Of the folder now open: (UID, flags), of all or (CONDSTORE) of those changed since a mod-sequence."""

    def noop(self) -> None:
        """A round trip; raises `ConnectionLost` when the other end is gone."""

    def close(self) -> None:
        """LOGOUT without waiting long. Never raises."""

    def abort(self) -> None:
        """Shuts the socket at once, from any thread. Never raises."""


class MailSource(MailSession, Protocol):
    """The side that is only read."""

    def open(self, name: bytes) -> FolderStatus:
        """EXAMINE."""

    def fetch(self, uids: UidSet) -> Iterator[Message]:
        """The messages that (still) exist among `uids`, as they arrive; the next FETCH commands are under way before
        the answers of this one are read. A UID that brings nothing is simply not yielded. Stopping early is allowed only
        with `abort` or by reading to the end."""


class MailDestination(MailSession, Protocol):
    """The side that is written to."""

    def open(self, name: bytes) -> FolderStatus:
        """SELECT; `permanent_flags` are the folder's."""

    def create(self, names: Sequence[bytes]) -> list[Exception | None]:
        """CREATE each; one that exists already is fine. In one flight."""

    def subscribe(self, names: Sequence[bytes]) -> None:
        """SUBSCRIBE each; refusals are ignored."""

    def send(self, group: Sequence[Message], flags: Sequence[tuple[str, ...]], token: object) -> None:
        """Appends the group to the folder now open; does not wait for the answer. `flags[i]` are what message i shall
        have. The group is one MULTIAPPEND where the server offers it, else pipelined APPENDs. A message with a `stream` must be a group of its own; when its source
        fails half-way, this session is dead too (the server drops the incomplete literal)."""

    def answers(self, *, outstanding: int = 0) -> Iterator[Appended]:
        """Reads answers until at most `outstanding` groups are unanswered. Groups are answered in the order sent."""

    def store_flags(self, changes: Iterable[tuple[UidSet, tuple[str, ...]]]) -> None:
        """UID STORE FLAGS.SILENT for each, pipelined."""

    def remove(self, uids: UidSet) -> bool:
        """\\Deleted and UID EXPUNGE of exactly these; False when the server cannot expunge by UID (RFC 4315)."""
