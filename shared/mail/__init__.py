"""The ports to mail servers: what mailhaul needs of a source and of a destination, and what it may rely on.

A session is one signed-in connection, used by one thread at a time. Every method may raise the `MailError`s of
`shared.model.errors`; after any of them except `FolderRefused`, `MessagesRefused`, `OverQuota` and `ServerRefused` the
session is dead and must be aborted. Folder names are the server's own bytes, never decoded and encoded again. Nothing
here ever writes to a source: folders are opened with EXAMINE, bodies read with BODY.PEEK.

Adapters: `imap_source` and `imap_destination` over a `session` (real servers), and `memory` (the same in memory, faults
on demand). One contract suite, `tests/contract/test_mail_*.py`, runs over both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from shared.mail.answers.kept_dates import KeptDates
from shared.mail.answers.kept_flags import KeptFlags
from shared.model.errors import Throttled
from shared.model.messages import (
    Appended,
    FlagChange,
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
from shared.model.uids import Uid, UidSet

__all__ = [
    "Appended",
    "FlagChange",
    "FlagsTold",
    "FolderListing",
    "FolderStatus",
    "KeptDates",
    "KeptFlags",
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


#: A function that receives the flags of a message beside its size.
FlagsTold = Callable[[Uid, tuple[str, ...]], None]


class MailSession(Protocol):
    """The operations that sessions of both sides have."""

    @property
    def capabilities(self) -> frozenset[str]:
        """The capabilities after login, in upper case, without those that the server turned out not to do."""

    def listing(self, *, counting: Sequence[bytes] = ()) -> FolderListing:
        """Lists the account's folders, subscriptions included.

        `counting` announces that `statuses` of these will be called next, so that the server can be asked already.
        """

    def statuses(
        self, names: Sequence[bytes], *, sized: bool = False, changes: bool = False
    ) -> list[FolderStatus | Exception]:
        """Returns the STATUS of each folder, in order, in as few round trips as the server allows.

        With `sized` it asks for the sum of sizes too, which the server may have to add up; with `changes` a destination
        asks for the mod-sequence too, as a source always does. A refusal is returned as an error. A number that the
        server leaves out is None (`shared.mail.answers.numbers`).
        """

    def sightings(self, uids: UidSet, *, full: bool = False, text_bytes: int = 0) -> Iterator[Sighting]:
        """Yields size, date and fingerprint of the messages among `uids` that (still) exist in the folder now open.

        With `full` the digests too: of all their bytes, or, where `text_bytes` is given, of the header and so many
        bytes of the text.
        """

    def sizes(
        self, status: KnownStatus, among: UidSet | None = None, *, told: FlagsTold | None = None
    ) -> Iterator[tuple[Uid, int]]:
        """Yields (UID, RFC822.SIZE) of every message of the folder now open below `status.uidnext`, ascending.

        With `among`, it yields only those among these UIDs. `told` receives the flags of each message, in the server's
        order, where the same answers hold them. It receives none where the source has no flags, or tells labels as
        keywords.

        Copes with a million messages: asks in windows of UIDs and reads the answers as a stream.
        """

    def existing(self, among: UidSet | None = None) -> UidSet:
        """Returns the UIDs of the folder now open, or those of `among` that exist, by SEARCH."""

    def look_again(self, listed: UidSet) -> tuple[list[tuple[Uid, int]], int]:
        """Looks for the messages that `sizes` did not list, when it listed fewer than the folder held at its opening.

        Returns (UID, size) of the messages beside `listed`, the size 0 where the server does not tell; and the number
        of messages that the server counts and does not show in any way. Mail that arrives or is removed meanwhile does
        not count as such.
        """

    def flags(self, uids: UidSet, *, changed_since: int | None = None) -> Iterator[tuple[Uid, tuple[str, ...]]]:
        """Yields (UID, flags) of all messages of the folder now open.

        Given a mod-sequence (CONDSTORE), it yields only those of the messages changed since.
        """

    def slowed(self) -> Throttled | None:
        """Returns the server's request to slow down, or None without one.

        The server sent it beside an OK since the last call (Gmail's [THROTTLED]).
        """

    def noop(self) -> None:
        """Makes a round trip, and forgets what was announced; raises `ConnectionLost` when the other end is gone."""

    def close(self) -> None:
        """Sends LOGOUT without waiting long. Never raises."""

    def abort(self) -> None:
        """Shuts the socket at once, from any thread. Never raises."""


class MailSource(MailSession, Protocol):
    """The side that is only read."""

    def survey(self, names: Sequence[bytes], opening: Sequence[bytes]) -> list[FolderStatus | Exception]:
        """Returns `statuses(names)`, and announces with them that folders are opened and listed next, as `foresee` does."""

    def foresee(self, name: bytes, uids: UidSet | None = None) -> None:
        """Announces that `open(name)` will be called after what was announced before.

        Then `fetch(uids)` will be called, or `sizes` when `uids` is None, so that the server can be asked already. The
        announcement need not come true.
        """

    def ask_ahead(self, uids: UidSet) -> None:
        """Announces that `fetch` will be called for messages of the folder now open that begin with these.

        They are few: should the announcement not come true, they are read and dropped.
        """

    def caution(self) -> str:
        """Returns what the operator should know before anything is read; "" for nothing.

        For a dry run: it may look at a message.
        """

    def open(self, name: bytes) -> KnownStatus:
        """Opens the folder with EXAMINE."""

    def vanished(self, name: bytes, uidvalidity: int, since: int) -> tuple[KnownStatus, UidSet] | None:
        """Opens the folder, and returns its status and the UIDs that went since this mod-sequence (QRESYNC, RFC 7162).

        There may be more UIDs among them that are in no message. None where the server cannot tell: without QRESYNC,
        without a mod-sequence, or under another UIDVALIDITY.
        """

    def labels_as_keywords(self) -> None:
        """Makes `fetch` and `flags` tell Gmail's labels as keywords too from now on (`shared.folders.gmail.keywords`)."""

    def look(self, names: Sequence[bytes]) -> tuple[list[ListedFolder], list[FolderStatus | Exception]]:
        """Returns the folders that LIST shows, and the STATUS of `names` as `statuses` does, in one flight."""

    def search(self, keys: Sequence[str]) -> list[UidSet]:
        """Returns the UIDs of each SEARCH key in the folder now open, as far as the server tells.

        Some servers tell only the first thousand; a key that a server refuses to search for brings nothing.
        """

    def traits(self, uids: UidSet) -> Iterator[Traits]:
        """Yields date and flags of the messages among `uids` that (still) exist in the folder now open."""

    def labels(self, uids: UidSet) -> Iterator[Labels]:
        """Yields what Gmail says of the messages among `uids` in the folder now open; needs a server with X-GM-EXT-1."""

    def fetch(self, uids: UidSet, *, size_bytes: int = 0) -> Iterator[Message]:
        """Yields the messages among `uids` that (still) exist, as they arrive.

        They need not arrive in order: servers run the FETCH commands that are in flight side by side. A UID that brings
        nothing is simply not yielded. What is left unread of a `stream` is thrown away. Leaving before the end shuts
        the connection.

        `size_bytes` is the sum of the sizes that the source stated; 0 where it stated none. A message that is far
        larger breaks the connection off (`shared.mail.answers.bounds`).

        A NO is raised at the very end, after all that did come, with the UIDs that did not as its `uids`. So is an
        answer that makes no sense (`AnswerUnreadable`).
        """


class MailDestination(MailSession, Protocol):
    """The side that is written to."""

    @property
    def dates(self) -> KeptDates:
        """The dates outside of the usual that this server is known to keep or to change."""

    @property
    def kept_flags(self) -> KeptFlags:
        """The system flags that this server is known to keep or to forget when a message is appended."""

    @property
    def commands(self) -> int:
        """A number that stays the same for as long as nothing is sent over this session."""

    def open(self, name: bytes, *, announced: bool = False) -> KnownStatus:
        """Opens the folder with SELECT; `permanent_flags` and `append_limit_bytes` are the folder's.

        What is told is of now, except with `announced`: then it may be as old as the announcement of the folder (`marks`).
        """

    def create(self, names: Sequence[bytes]) -> list[Exception | None]:
        """Creates the folders in one flight; one that exists already is fine. Returns an error or None for each."""

    def subscribe(self, names: Sequence[bytes]) -> None:
        """Subscribes the folders, at the latest before the next command is done; refusals are ignored."""

    def unsubscribe(self, names: Sequence[bytes]) -> None:
        """Unsubscribes the folders, at the latest before the next command is done; refusals are ignored."""

    def rename(self, name: bytes, new: bytes) -> Exception | None:
        """Renames a folder and all below it (RFC 9051 §6.3.6). Returns the server's refusal, or None.

        INBOX is open afterwards, or no folder.
        """

    def send(self, group: Sequence[Message], flags: Sequence[tuple[str, ...]], token: object) -> None:
        """Appends the group to the folder now open; does not wait for the answer.

        `flags[i]` are the flags that message i gets. The group is one MULTIAPPEND where the server offers it, else
        pipelined APPENDs. A message with a `stream` must be a group of its own; when its source fails half-way, this
        session is dead too (the server drops the incomplete literal). A message whose date is not among the kept
        `dates` must also be a group of its own: a server that does not understand the date answers as to a message that
        it refuses.
        """

    def answers(self, *, outstanding: int = 0) -> Iterator[Appended]:
        """Reads answers until at most `outstanding` groups are unanswered.

        Groups are answered in the order sent; the nth of `uids` belongs to the nth of `stored`.
        """

    def marks(
        self, uids: UidSet, *, then: bytes | None = None, anew: bool = False, told: FlagsTold | None = None
    ) -> tuple[int, int]:
        """Returns how many of these messages the folder now open shows, and the sum of their marks.

        `told` receives the flags of each, as far as the server shows them. With `anew` the folder is opened once more before:
        a server may show from memory what it failed to store. Raises `FolderChanged` where it is another one by now.
        `then` announces that this folder is opened next: nothing may be sent to the folder now open any more.
        A mark is `shared.content.fingerprint.mark` of UID, size, date and fingerprint; the sum is below its `MODULUS`.
        """

    def copy(self, uids: UidSet, into: bytes) -> tuple[int, dict[int, int]]:
        """Copies these messages of the folder now open into another folder by UID COPY (RFC 9051 §6.4.7).

        Returns that folder's UIDVALIDITY, and UID → UID of its copy, as COPYUID tells; nothing for messages that are
        gone, or where the server does not tell. All or nothing: when it is refused, nothing was copied.
        """

    def move(self, uids: UidSet, into: bytes) -> dict[int, int]:
        """Moves these messages of the folder now open into another folder by UID MOVE (RFC 6851).

        Returns UID → UID there, as COPYUID tells. A message that it does not name may have been moved all the same, or
        is gone. Raises `ServerRefused` where the server refuses; `moves` tells whether it can at all.
        """

    @property
    def moves(self) -> bool:
        """Tells whether the server can `move` messages, and says which UIDs they get."""

    def store_flags(self, changes: Iterable[FlagChange]) -> None:
        """Sets and clears flags by UID STORE +FLAGS.SILENT and -FLAGS.SILENT, pipelined."""

    def quota(self) -> Quota | None:
        """Returns how much the account may hold; None where the server does not say.

        Only while no group is unanswered.
        """

    def remove(self, uids: UidSet) -> bool:
        """Removes exactly these messages by \\Deleted and UID EXPUNGE.

        Returns False when the server cannot expunge by UID (RFC 4315).
        """
