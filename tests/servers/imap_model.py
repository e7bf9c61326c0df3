"""The scripted server's mail: accounts, folders, messages. A message may lie about itself, and says here how.

Everything is raw bytes as on the wire: names, flags, dates. Nothing is checked, so that a test can hold what no real
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
    """How the answer to a FETCH of a message goes wrong."""

    #: Listed by SEARCH and FLAGS, but FETCH of it brings nothing and an OK.
    MISSING = enum.auto()
    #: `BODY[] NIL`, and `[EXPUNGEISSUED]` in the OK: what Dovecot says of a message another session removed.
    BODY_NIL = enum.auto()
    #: The answer has everything but the body.
    BODY_ABSENT = enum.auto()
    #: The body as a quoted string (only for bodies without line ends).
    BODY_QUOTED = enum.auto()
    #: The body as a literal8, `~{n}`.
    BODY_LITERAL8 = enum.auto()
    #: Announces more bytes than it sends, then closes.
    BODY_CUT = enum.auto()
    #: Announces 4 GiB, sends a little, then hangs until the server is stopped.
    HUGE_LITERAL = enum.auto()
    #: An answer line that never ends: sends it until the client closes or the server is stopped.
    ENDLESS_LINE = enum.auto()
    #: No UID in the answer.
    WITHOUT_UID = enum.auto()
    #: Another UID than the one asked for.
    WRONG_UID = enum.auto()
    #: The whole answer twice.
    TWICE = enum.auto()
    #: Before the answer, an unsolicited FETCH without UID, flags of nobody in particular.
    UNSOLICITED = enum.auto()
    #: No RFC822.SIZE in the answer.
    SIZE_ABSENT = enum.auto()
    #: FETCH of it is refused: NO [SERVERBUG], the other messages of the command have been sent.
    REFUSED = enum.auto()


@dataclass
class Message:
    """One message."""

    uid: int
    body: bytes
    flags: tuple[bytes, ...] = ()
    #: As it stands between the quotes; None is NIL.
    internaldate: bytes | None = USUAL_DATE
    #: What RFC822.SIZE says; None is the truth.
    size: int | None = None
    #: Flags that are sent as literals, whatever they hold.
    literal_flags: tuple[bytes, ...] = ()
    quirks: frozenset[Quirk] = frozenset()
    #: Further FETCH items and their values as sent, e.g. X-GM-MSGID.
    extra: dict[bytes, bytes] = field(default_factory=dict)


@dataclass
class Folder:
    """One folder; `generated` stands for messages that are made when they are looked at."""

    name: bytes
    uidvalidity: int = 1_000
    attributes: tuple[bytes, ...] = ()
    #: None: `\\*` and the system flags.
    permanentflags: tuple[bytes, ...] | None = None
    #: False: it is listed, but SELECT, EXAMINE and STATUS are refused.
    selectable: bool = True
    subscribed: bool = False
    #: SELECT says nothing of UIDVALIDITY.
    without_uidvalidity: bool = False
    #: What UIDNEXT says; None is the truth.
    announced_uidnext: int | None = None
    #: What STATUS says of APPENDLIMIT (RFC 7889), in bytes; None: NIL.
    append_limit_bytes: int | None = None
    uids: list[int] = field(default_factory=list)
    generated: Callable[[int], Message] | None = None
    _messages: dict[int, Message] = field(default_factory=dict)
    _uidnext: int = 1
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def uidnext(self) -> int:
        """The UID the next message gets."""
        return self._uidnext

    @property
    def flags_kept(self) -> tuple[bytes, ...]:
        """PERMANENTFLAGS."""
        return (*SYSTEM_FLAGS, b"\\*") if self.permanentflags is None else self.permanentflags

    def add(
        self, body: bytes, flags: Sequence[bytes] = (), internaldate: bytes | None = USUAL_DATE, **lies: object
    ) -> Message:
        """Put a message there; `lies` are further fields of `Message`, `uid` among them."""
        with self.lock:
            uid = lies.pop("uid", self._uidnext)
            message = Message(uid=uid, body=body, flags=tuple(flags), internaldate=internaldate, **lies)  # type: ignore[arg-type]
            self._messages[message.uid] = message
            self.uids.insert(bisect_left(self.uids, message.uid), message.uid)
            self._uidnext = max(self._uidnext, message.uid + 1)
            return message

    def generate(self, count: int, make: Callable[[int], Message] | None = None) -> None:
        """Hold `count` messages more, made when asked for: for folders of hundreds of thousands."""
        with self.lock:
            self.uids.extend(range(self._uidnext, self._uidnext + count))
            self._uidnext += count
            self.generated = make or _small

    def get(self, uid: int) -> Message | None:
        """The message of this UID."""
        with self.lock:
            if uid in self._messages:
                return self._messages[uid]
            if self.generated is None or uid not in self:
                return None
            return self.generated(uid)

    def change(self, uid: int, flags: Sequence[bytes]) -> Message | None:
        """Set a message's flags."""
        with self.lock:
            message = self.get(uid)
            if message is not None:
                message.flags = tuple(flags)
                self._messages[uid] = message
            return message

    def remove(self, uid: int) -> None:
        """Expunge a message."""
        with self.lock:
            if uid in self:
                self.uids.remove(uid)
                self._messages.pop(uid, None)

    def renumber(self) -> None:
        """Another UIDVALIDITY, other UIDs: what a restore from backup does."""
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
        """All of them, by UID."""
        with self.lock:
            return [message for uid in self.uids if (message := self.get(uid)) is not None]

    def __contains__(self, uid: int) -> bool:
        place = bisect_left(self.uids, uid)
        return place < len(self.uids) and self.uids[place] == uid


def _small(uid: int) -> Message:
    return Message(uid=uid, body=b"Message-ID: <%d@generated.example>\r\nSubject: %d\r\n\r\n" % (uid, uid))


@dataclass
class Account:
    """One login's folders."""

    login: str
    password: str
    separator: bytes = b"/"
    prefix: bytes = b""
    #: What stands behind `* NAMESPACE `, as sent; None: a personal namespace of this prefix and separator.
    namespace: bytes | None = None
    folders: dict[bytes, Folder] = field(default_factory=dict)
    _made: int = 0

    def __post_init__(self) -> None:
        self.folder(b"INBOX")

    def folder(self, name: bytes | str, **fields: object) -> Folder:
        """The folder of this raw name; it is made, with these fields, when there is none."""
        raw = self.key(name.encode() if isinstance(name, str) else name)
        if raw not in self.folders:
            # One that is made again gets another UIDVALIDITY (RFC 9051 §2.3.1.1).
            validity = 1_000 + self._made
            self._made += 1
            self.folders[raw] = Folder(**({"name": raw, "uidvalidity": validity} | fields))  # type: ignore[arg-type]
        return self.folders[raw]

    def key(self, raw: bytes) -> bytes:
        """INBOX is one folder however it is written."""
        return b"INBOX" if raw.upper() == b"INBOX" else raw
