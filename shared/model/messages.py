"""The nouns that mail servers show: folders, messages in transfer, messages as seen. Frozen and pure.

Folder names are the server's own bytes. The ports in `shared.mail` use these nouns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, fields
from enum import StrEnum

from shared.model.uids import Uid, UidSet
from shared.nouns import dataclass


class Owner(StrEnum):
    """The owners of the folders in a namespace (RFC 2342 §3)."""

    #: The account's own.
    PERSONAL = "personal"
    #: Folders of other people, shown because they share them.
    OTHER = "other"
    #: Public and shared folders, which belong to no single account.
    PUBLIC = "public"


#: The part of an oddity's text that tells of a flag or keyword of the source that no destination could be given.
DROPPED = ", dropped: "


@dataclass(frozen=True, kw_only=True, slots=True)
class Namespace:
    """A namespace of a server."""

    #: The beginning of all names in it, raw bytes; b"" for all names.
    prefix: bytes
    #: Hierarchy separator in it, one character; None where it is flat.
    separator: str | None
    #: The owner of its folders.
    owner: Owner


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedFolder:
    """A line of LIST (RFC 9051 §7.3.1)."""

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
    """The folders that an account shows."""

    #: Personal namespace prefix (RFC 2342), e.g. b"INBOX."; b"" where there is none.
    prefix: bytes
    #: Separator of the personal namespace.
    separator: str | None
    #: All folders that LIST shows, those of other people and public ones included.
    folders: tuple[ListedFolder, ...]
    #: Whether names are UTF-8 (IMAP4rev2, once it is enabled: RFC 9051 §5.1), and not modified UTF-7.
    utf8: bool = False
    #: Every namespace that the server names; empty where it names none, so that all folders are the account's own.
    namespaces: tuple[Namespace, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderStatus:
    """The numbers that STATUS gives for a folder. A number that the server did not give is None, never 0 or 1."""

    #: UIDVALIDITY; None where it was not given, so that today's UIDs promise nothing about tomorrow's.
    uidvalidity: int | None = None
    #: The lower bound of the next UID.
    uidnext: int | None = None
    #: Number of messages.
    messages: int | None = None
    #: HIGHESTMODSEQ (RFC 7162); None without CONDSTORE.
    highestmodseq: int | None = None
    #: Sum of message sizes in bytes (STATUS=SIZE, RFC 8438); None where not offered.
    size_bytes: int | None = None
    #: Bytes of the largest message that the folder takes (APPENDLIMIT, RFC 7889); None where nothing is said.
    append_limit_bytes: int | None = None
    #: Flags that may be stored for good, as the server spells them; only of a selected folder.
    permanent_flags: frozenset[str] = frozenset()
    #: A digest of MAILBOXID (RFC 8474), which stays when the folder is renamed; only of a selected folder. "" without it.
    object_id: str = ""

    def same_uids(self, uidvalidity: int) -> bool:
        """Tells whether a UID still means what it meant under `uidvalidity`, where 0 stands for one that was not given."""
        return (self.uidvalidity or 0) == uidvalidity

    def known(self) -> KnownStatus | None:
        """Returns the same status when it holds all that counting and comparing need, else None.

        None means that the folder has to be opened for that.
        """
        if self.uidvalidity is None or self.uidnext is None or self.messages is None:
            return None
        return KnownStatus(**{field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownStatus(FolderStatus):
    """The status from EXAMINE or SELECT, or from a STATUS that left out nothing."""

    #: The lower bound of the next UID.
    uidnext: int
    #: Number of messages.
    messages: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """The storage of one account."""

    #: The room that the account may fill, bytes.
    limit_bytes: int
    #: The room in use, bytes.
    used_bytes: int

    def missing(self, size_bytes: int) -> int:
        """Returns the bytes of room that so much more mail would lack; 0 when it fits."""
        return max(0, self.used_bytes + size_bytes - self.limit_bytes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A message in transfer: flags and date as read, the body as bytes or, when large, as a stream.

    A streamed body must be read to its end (or the session aborted) before the iterator goes on.
    """

    #: UID at the source.
    uid: Uid
    #: Flags and keywords as the source spelled them, every one a valid atom, without \\Recent.
    flags: tuple[str, ...]
    #: INTERNALDATE in whole seconds since the epoch (UTC); None where the server's cannot be used.
    internaldate: int | None
    #: Zone offset of INTERNALDATE in minutes east of UTC.
    zone_minutes: int
    #: Size of the body in bytes, by the literal that carries it.
    size_bytes: int
    #: The header's `shared.content.fingerprint.header_fingerprint`, 8 bytes.
    fingerprint: bytes
    #: The whole body, when it is small.
    body: bytes | None
    #: The body in chunks, when it is large.
    stream: Iterator[bytes] | None = None
    #: The size in bytes that the source announces for the message; -1 where it announces none, or no exact one.
    announced_bytes: int = -1
    #: Why the date is not exactly the source's, in words; "" where it is, or where there is none.
    date_doubt: str = ""
    #: Oddities of the message ("flag not an atom, dropped: …"), already cleaned for display.
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """A message as seen without its body: enough to recognise a copy by (see `shared.content.fingerprint`)."""

    #: UID where it was seen.
    uid: Uid
    #: RFC822.SIZE in bytes; with `full`, the number of bytes that came.
    size_bytes: int
    #: INTERNALDATE in whole seconds since the epoch; None where unusable.
    internaldate: int | None
    #: Digest of the identifying header fields (`shared.content.fingerprint.header_fingerprint`), 8 bytes.
    fingerprint: bytes
    #: Message-ID as it stands, for reports; "" where there is none.
    message_id: str = ""
    #: SHA-256 of the canonical bytes; only when asked for with `full`.
    digest: bytes | None = None
    #: Digests of the variants that servers are known to make of it (`shared.content.fingerprint.Canonical.alike`); only with
    #: `full`.
    alike: tuple[bytes, ...] = ()
    #: The fingerprint without the bytes that servers replace (`shared.content.fingerprint.in_ascii`).
    in_ascii: bytes = b""
    #: With `full`: whether what was read tells the message from an edited version: all of it, or the header of a
    #: delivered message.
    certain: bool = False
    #: NUL bytes, which the digest does not tell from 0x80; only with `full`.
    nuls: int = 0
    #: CRC-32 of the bytes as they came, which tells line ends apart; only with `full`.
    checksum: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """The traits of a message that decide whether it is wanted, beside its size."""

    #: UID at the source.
    uid: Uid
    #: INTERNALDATE in whole seconds since the epoch; None where unusable.
    internaldate: int | None
    #: Flags in lower case.
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """The labels that Gmail gives a message in the folder now open (X-GM-EXT-1)."""

    #: UID at the source.
    uid: Uid
    #: X-GM-MSGID: the same wherever the message is shown.
    message: int
    #: X-GM-LABELS, as folders are named on the wire, or ``\\Inbox`` and the like; without that of the folder itself.
    labels: frozenset[bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class FlagChange:
    """Flags to set and to clear of some messages; whatever other flags they have stays."""

    #: UIDs of the open folder.
    uids: UidSet
    #: Flags to set.
    add: tuple[str, ...] = ()
    #: Flags to clear.
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Appended:
    """The result for a group sent with `MailDestination.send`."""

    #: The `token` that the caller passed.
    token: object
    #: Destination UIDs of the stored messages: the nth belongs to `stored[n]`; None without UIDPLUS.
    uids: tuple[Uid, ...] | None = None
    #: UIDVALIDITY that APPENDUID named; None without UIDPLUS.
    uidvalidity: int | None = None
    #: Positions in the group that were refused, with the error. With MULTIAPPEND all or none.
    refused: dict[int, Exception] = field(default_factory=dict)
    #: Positions that were stored.
    stored: tuple[int, ...] = ()
    #: Whether a literal waited to be let through that would go at once another time, so that this took a round trip more.
    waited: bool = False
