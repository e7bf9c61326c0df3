"""The scripted server's mail: accounts, folders, messages. A message's fields define how its answers are wrong.

All values are raw bytes as on the wire: names, flags, dates. Nothing is checked, so that a test can store what no real
server would.
"""

from __future__ import annotations

import enum
import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

USUAL_DATE = b"17-Jul-1996 02:44:25 -0700"
SYSTEM_FLAGS = (b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Seen", b"\\Draft")


class Quirk(enum.Enum):
    """A fault in the answer to a FETCH of a message."""

    #: SEARCH and FLAGS list the message, but FETCH of it brings nothing and an OK.
    MISSING = enum.auto()
    #: `BODY[] NIL`, and `[EXPUNGEISSUED]` in the OK: Dovecot's answer for a message that another session removed.
    BODY_NIL = enum.auto()
    #: The answer has everything but the body.
    BODY_ABSENT = enum.auto()
    #: The body is a quoted string (only for bodies without line ends).
    BODY_QUOTED = enum.auto()
    #: The body is a literal8, `~{n}`.
    BODY_LITERAL8 = enum.auto()
    #: The server announces more bytes than it sends, then closes.
    BODY_CUT = enum.auto()
    #: The server announces 4 GiB, sends a little, then hangs until it is stopped.
    HUGE_LITERAL = enum.auto()
    #: An answer line never ends: the server sends until the client closes or the server is stopped.
    ENDLESS_LINE = enum.auto()
    #: The answer has no UID.
    WITHOUT_UID = enum.auto()
    #: The answer has another UID than the one requested.
    WRONG_UID = enum.auto()
    #: The whole answer comes twice.
    TWICE = enum.auto()
    #: Before the answer comes an unsolicited FETCH with flags and without UID.
    UNSOLICITED = enum.auto()
    #: The answer has no RFC822.SIZE.
    SIZE_ABSENT = enum.auto()
    #: FETCH of the message is refused with NO [SERVERBUG]; the command's other messages have been sent.
    REFUSED = enum.auto()


@dataclass
class Message:
    """A message in a folder."""

    uid: int
    body: bytes
    flags: tuple[bytes, ...] = ()
    #: Date as it stands between the quotes; None for NIL.
    internaldate: bytes | None = USUAL_DATE
    #: Announced RFC822.SIZE; None for the true size.
    size: int | None = None
    #: Flags that are sent as literals, whatever they hold.
    literal_flags: tuple[bytes, ...] = ()
    quirks: frozenset[Quirk] = frozenset()
    #: Further FETCH items and their values as sent, e.g. X-GM-MSGID.
    extra: dict[bytes, bytes] = field(default_factory=dict)


@dataclass
class Folder:
    """A folder; `generated` makes messages when they are read."""

    name: bytes
    uidvalidity: int = 1_000
    attributes: tuple[bytes, ...] = ()
    #: Announced PERMANENTFLAGS; None for `\\*` and the system flags.
    permanentflags: tuple[bytes, ...] | None = None
    #: Whether SELECT, EXAMINE and STATUS are allowed; LIST shows the folder either way.
    selectable: bool = True
    subscribed: bool = False
    #: Whether SELECT does not report UIDVALIDITY.
    without_uidvalidity: bool = False
    #: MAILBOXID that SELECT reports (RFC 8474); b"" for none.
    object_id: bytes = b""
    #: Announced UIDNEXT; None for the true one.
    announced_uidnext: int | None = None
    #: Value of APPENDLIMIT in STATUS (RFC 7889), in bytes; None for NIL.
    append_limit_bytes: int | None = None
    uids: list[int] = field(default_factory=list)
    generated: Callable[[int], Message] | None = None
    _messages: dict[int, Message] = field(default_factory=dict)
    _uidnext: int = 1
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def uidnext(self) -> int:
        """The UID of the next message."""
        return self._uidnext

    @property
    def flags_kept(self) -> tuple[bytes, ...]:
        """The PERMANENTFLAGS."""
        return (*SYSTEM_FLAGS, b"\\*") if self.permanentflags is None else self.permanentflags

    def add(
        self, body: bytes, flags: Sequence[bytes] = (), internaldate: bytes | None = USUAL_DATE, **lies: object
    ) -> Message:
        """Adds a message; `lies` are further fields of `Message`, including `uid`."""
        with self.lock:
            uid = lies.pop("uid", self._uidnext)
            message = Message(uid=uid, body=body, flags=tuple(flags), internaldate=internaldate, **lies)  # type: ignore[arg-type]
            self._messages[message.uid] = message
            self.uids.insert(bisect_left(self.uids, message.uid), message.uid)
            self._uidnext = max(self._uidnext, message.uid + 1)
            return message

    def generate(self, count: int, make: Callable[[int], Message] | None = None) -> None:
        """Adds `count` messages that are made when they are read, for folders of hundreds of thousands."""
        with self.lock:
            self.uids.extend(range(self._uidnext, self._uidnext + count))
            self._uidnext += count
            self.generated = make or _small

    def get(self, uid: int) -> Message | None:
        """Returns the message with this UID."""
        with self.lock:
            if uid in self._messages:
                return self._messages[uid]
            if self.generated is None or uid not in self:
                return None
            return self.generated(uid)

    def change(self, uid: int, flags: Sequence[bytes]) -> Message | None:
        """Sets a message's flags."""
        with self.lock:
            message = self.get(uid)
            if message is not None:
                message.flags = tuple(flags)
                self._messages[uid] = message
            return message

    def remove(self, uid: int) -> None:
        """Expunges a message."""
        with self.lock:
            if uid in self:
                self.uids.remove(uid)
                self._messages.pop(uid, None)

    def renumber(self) -> None:
        """Changes UIDVALIDITY and all UIDs, as a restore from backup does."""
        with self.lock:
            messages = [message for uid in self.uids if (message := self.get(uid)) is not None]
            self.uidvalidity += 1
            self.uids, self._messages = [], {}
            for message in messages:
                message.uid = self._uidnext
                self._messages[message.uid] = message
                self.uids.append(message.uid)
                self._uidnext += 1

    @property
    def messages(self) -> list[Message]:
        """The messages, by UID."""
        with self.lock:
            return [message for uid in self.uids if (message := self.get(uid)) is not None]

    def __contains__(self, uid: int) -> bool:
        place = bisect_left(self.uids, uid)
        return place < len(self.uids) and self.uids[place] == uid


def _small(uid: int) -> Message:
    return Message(uid=uid, body=b"Message-ID: <%d@generated.example>\r\nSubject: %d\r\n\r\n" % (uid, uid))


@dataclass
class Account:
    """The folders of one login."""

    login: str
    password: str
    separator: bytes = b"/"
    prefix: bytes = b""
    #: Text behind `* NAMESPACE `, as sent; None for a personal namespace of this prefix and separator.
    namespace: bytes | None = None
    #: What the server makes of a name, wherever it is used.
    spelled: Callable[[bytes], bytes] = bytes
    #: Whether CREATE of a folder that is there is answered OK.
    created_again: bool = False
    folders: dict[bytes, Folder] = field(default_factory=dict)
    _made: int = 0

    def __post_init__(self) -> None:
        self.folder(b"INBOX")

    def folder(self, name: bytes | str, **fields: object) -> Folder:
        """Returns the folder of this raw name; makes it, with these fields, if there is none."""
        raw = self.key(name.encode() if isinstance(name, str) else name)
        if raw not in self.folders:
            # A folder that is made again gets another UIDVALIDITY (RFC 9051 §2.3.1.1).
            validity = 1_000 + self._made
            self._made += 1
            self.folders[raw] = Folder(**({"name": raw, "uidvalidity": validity} | fields))  # type: ignore[arg-type]
        return self.folders[raw]

    def key(self, raw: bytes) -> bytes:
        """Returns the key of a folder: INBOX is one folder in any spelling, others are as the server spells them."""
        return b"INBOX" if raw.upper() == b"INBOX" else self.spelled(raw)
