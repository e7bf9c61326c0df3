"""The folders of the mail server in memory, and the places where a fault may strike them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Final, NamedTuple

from shared.mail import KnownStatus
from shared.mail.answers.internaldate import parse_internaldate
from shared.model.errors import ConnectionLost
from shared.model.uids import Uid
from shared.nouns import dataclass

_SYSTEM: Final = frozenset({"\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted"})


class At(NamedTuple):
    """A place where a fault may strike."""

    #: The login of the account.
    login: str
    #: The folder concerned, b"" where there is none.
    folder: bytes
    #: The UIDs concerned: source UIDs for "message", "append" and "appended", what was asked for otherwise.
    uids: tuple[int, ...] = ()


#: Called before each operation with its name and place; raises to make it fail. The names: "listing",
#: "statuses", "open", "sizes", "flags", "sightings", "search", "traits", "fetch", "message" (each one fetched), "chunk" (each piece
#: of a stream), "create", "subscribe", "append" (before a group is stored, or without MULTIAPPEND before each
#: message), "appended" (stored, OK not yet given: raising ConnectionLost here is the lost OK), "store_flags",
#: "remove", "noop".
Fault = Callable[[str, At], None]


class DeliveredLate(ConnectionLost):
    """Raised from "append": the connection dies, and the group is stored only by `MemoryServer.deliver_late`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A message as a server holds it."""

    #: Its UID.
    uid: int
    #: The bytes.
    body: bytes
    #: Flags and keywords.
    flags: tuple[str, ...] = ()
    #: Seconds since the epoch; None: the server shows none that can be read.
    internaldate: int | None = 0
    #: Minutes east of UTC.
    zone_minutes: int = 0
    #: Mod-sequence of the last change.
    modseq: int = 1


@dataclass(kw_only=True, slots=True)
class MemoryFolder:
    """A folder of the server in memory."""

    #: The name as the server writes it.
    name: bytes
    #: UIDVALIDITY.
    uidvalidity: int = 1
    #: UIDNEXT.
    uidnext: int = 1
    #: HIGHESTMODSEQ.
    highestmodseq: int = 1
    #: The messages by UID, ascending.
    messages: dict[int, Stored] = field(default_factory=dict)
    #: UIDs that the server counts and does not show.
    withheld: set[int] = field(default_factory=set)
    #: LIST attributes, lower case, no backslash.
    attributes: frozenset[str] = frozenset()
    #: Whether subscribed.
    subscribed: bool = False
    #: PERMANENTFLAGS; without "\\*" keywords not among them are dropped in silence, as many servers do.
    permanent_flags: frozenset[str] = _SYSTEM | {"\\*"}

    def add(
        self, body: bytes, *, flags: tuple[str, ...] = (), internaldate: int | None = 0, zone_minutes: int = 0
    ) -> Uid:
        """Stores a message as its owner or another client would, and returns its UID."""
        uid = self.uidnext
        self.uidnext += 1
        self.highestmodseq += 1
        self.messages[uid] = Stored(
            uid=uid,
            body=body,
            flags=flags,
            internaldate=internaldate,
            zone_minutes=zone_minutes,
            modseq=self.highestmodseq,
        )
        return Uid(uid)

    def status(self, *, selected: bool = False) -> KnownStatus:
        """Returns what STATUS or SELECT say of the folder."""
        return KnownStatus(
            uidvalidity=self.uidvalidity,
            uidnext=self.uidnext,
            messages=len(self.messages),
            highestmodseq=self.highestmodseq,
            size_bytes=sum(len(stored.body) for stored in self.messages.values()),
            permanent_flags=self.permanent_flags if selected else frozenset(),
        )


def matches(stored: Stored, key: str) -> bool:
    """Tells whether a SEARCH key holds for the message: flags, SINCE and BEFORE.

    Days are those of the date's own zone (RFC 9051 §6.4.4).
    """
    word, _, argument = key.partition(" ")
    if word in ("SINCE", "BEFORE"):
        moment, _ = parse_internaldate(b"%b 00:00:00 +0000" % argument.encode().rjust(11))
        if moment is None or stored.internaldate is None:
            return False
        return (stored.internaldate + 60 * stored.zone_minutes < moment) == (word == "BEFORE")
    flags = {flag.lower() for flag in stored.flags}
    return (f"\\{word.removeprefix('UN').lower()}" in flags) == (not word.startswith("UN"))
