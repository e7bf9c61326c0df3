"""A POP3 maildrop as a source: one folder, numbers that stay (`shared.content.maildrop`), no flags, dates from the header.

The server's content is read once, when it is first asked for: in a POP3 session nothing changes (RFC 1939 §3).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from shared.content.fingerprint import (
    LONG_HEADER_BYTES,
    Canonical,
    beginning,
    delivered,
    fingerprint_of,
    header_of,
    identifying,
    in_ascii,
    message_id_of,
)
from shared.content.maildrop import Head, Identities, Known, ListingIdentities, described, identify, number, positional
from shared.mail import (
    FlagsTold,
    FolderListing,
    FolderStatus,
    KnownStatus,
    Labels,
    ListedFolder,
    Message,
    Sighting,
    Traits,
)
from shared.mail.answers.grammar import clean_text
from shared.mail.answers.header_date import received_at
from shared.mail.imap.flights import raise_first
from shared.mail.one_mailbox import ids_name
from shared.mail.pop3.pop3_conversation import EndlessMessage, Pop3Session
from shared.mail.pop3.pop3_reading import BY_RETR, MessageToRead, ServerReading, WholeMessages, chunks
from shared.mail.pop3.pop3_renewed import RenewedSession
from shared.model.errors import FolderRefused, MailError, ServerRefused, StoreError, Throttled
from shared.model.uids import Uid, UidSet
from shared.nouns import dataclass
from shared.wording.phrases import Phrase

POP3_HAS_NO_FOLDER_BUT_INBOX: Final = Phrase(
    "pop3_has_no_folder_but_inbox", "POP3 has no folder but INBOX, so none that is called {name}"
)
POP3_HAS_NO_LABELS: Final = Phrase("pop3_has_no_labels", "POP3 has no labels")

#: The only folder.
INBOX: Final = b"INBOX"
#: Number of messages, and below of bytes, after which the facts read are stored together: about as much as the ledger
#: lags behind.
_SAID_AT_ONCE: Final = 50
_SAID_BYTES: Final = 512 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drop:
    """The maildrop as this session sees it."""

    #: The identities of the messages; their generation is UIDVALIDITY.
    known: Known
    #: UIDNEXT.
    uidnext: int
    #: UID → message number.
    numbers: dict[int, int]
    #: UID → size in octets, as LIST says.
    sizes: dict[int, int]
    #: Messages that STAT counts and LIST does not show.
    withheld: int


class Pop3Source:
    """The source side over POP3. See `shared.mail.MailSource`."""

    def __init__(
        self,
        session: Pop3Session,
        identities: Identities,
        reading: ServerReading | None = None,
        reopen: Callable[[], Pop3Session] | None = None,
    ) -> None:
        """Takes `reading`: what other sessions found out about the server; and `reopen`, which signs in once more."""
        self.capabilities = session.capabilities
        self.side = session.side
        self._session, self._identities = RenewedSession(session, reopen), identities
        self._whole = WholeMessages(self._session, reading or ServerReading())
        self._seen: _Drop | None = None
        self._ids: tuple[bytes, ...] = ()

    # -- the folder

    def listing(self, *, counting: Sequence[bytes] = ()) -> FolderListing:
        """Returns INBOX and nothing else."""
        inbox = ListedFolder(name=INBOX, separator=None, attributes=frozenset())
        return FolderListing(prefix=b"", separator=None, folders=(inbox,))

    def statuses(
        self, names: Sequence[bytes], *, sized: bool = False, changes: bool = False
    ) -> list[FolderStatus | Exception]:
        """Returns the status of INBOX; other folders are refused."""
        return [self._status() if name == INBOX else self._no_folder(name) for name in names]

    def survey(self, names: Sequence[bytes], opening: Sequence[bytes]) -> list[FolderStatus | Exception]:
        """Returns `statuses`: no folder has to be opened."""
        return self.statuses(names)

    def look(self, names: Sequence[bytes]) -> tuple[list[ListedFolder], list[FolderStatus | Exception]]:
        """Returns INBOX and its status, as the maildrop was at the sign-in."""
        return list(self.listing().folders), self.statuses(names)

    def names_uidvalidity(self, uidvalidity: int) -> bool:
        """Implements `shared.mail.one_mailbox.NamesUids`."""
        return ids_name(self._ids, uidvalidity)

    def foresee(self, name: bytes, uids: UidSet | None = None) -> None:
        """Does nothing: no folder has to be opened."""

    def ask_ahead(self, uids: UidSet) -> None:
        """Does nothing: commands run ahead of what is read anyway."""

    def open(self, name: bytes) -> KnownStatus:
        """Returns the status of INBOX, which is always open."""
        if name != INBOX:
            raise self._no_folder(name)
        return self._status()

    def _no_folder(self, name: bytes) -> FolderRefused:
        return FolderRefused(self.side, POP3_HAS_NO_FOLDER_BUT_INBOX.says(name=clean_text(name)))

    def _status(self) -> KnownStatus:
        drop = self._drop
        return KnownStatus(
            uidvalidity=drop.known.generation,
            uidnext=drop.uidnext,
            messages=len(drop.numbers) + drop.withheld,
            size_bytes=sum(drop.sizes.values()),
        )

    @property
    def _drop(self) -> _Drop:
        if self._seen is None:
            self._seen = self._look()
        return self._seen

    def _look(self) -> _Drop:
        counted = self._session.counted() or 0
        listed, ids = self._session.listing(counted)
        numbers = [one for one, _ in listed]
        self._ids = tuple(ids.values())
        unique = [ids.get(one) for one in numbers]
        if positional(numbers, unique):
            unique = [None] * len(unique)
        certain = None not in unique and len(set(unique)) == len(unique)
        seen: dict[int, Head] = {}
        asked = [MessageToRead(number=one, listed=size) for one, size in listed]

        def heads(places: Sequence[int]) -> dict[int, Head]:
            unseen = [at for at in places if at not in seen]
            for at, s, _ in self._readable([asked[at] for at in unseen], unseen, full=False):
                seen[at] = Head(date=s.internaldate, fingerprint=s.fingerprint)
            return {at: seen[at] for at in places if at in seen}

        def contents(places: Sequence[int]) -> dict[int, bytes]:
            found = self._readable([asked[at] for at in places], places, full=True)
            return {at: content or b"" for at, _, content in found}

        sizes = [size for _, size in listed]
        if isinstance(self._identities, ListingIdentities):
            unique, certain = [b"%d" % one for one in numbers], True
        listing = identify(unique, sizes, heads, contents)
        known, uids = number(self._identities, listing, heads, contents, certain=certain)
        pairs = sorted(zip(uids, listed, strict=True))
        return _Drop(
            known=known,
            uidnext=len(known.numbers()) + 1,
            numbers={uid: one for uid, (one, _) in pairs},
            sizes={uid: size for uid, (_, size) in pairs},
            withheld=max(0, counted - len(listed)),
        )

    def _readable(
        self, wanted: Sequence[MessageToRead], places: Sequence[int], *, full: bool
    ) -> Iterator[tuple[int, Sighting, bytes | None]]:
        with contextlib.suppress(ServerRefused):  # the refusal stands in the report when the message is to be copied
            for at, sight, content in self._sights(wanted, full=full):
                yield places[at], sight, content

    # -- looking

    def sizes(
        self, status: KnownStatus, among: UidSet | None = None, *, told: FlagsTold | None = None
    ) -> Iterator[tuple[Uid, int]]:
        """Yields (UID, octets as LIST says), ascending; POP3 has no flags to tell."""
        for uid, size in self._drop.sizes.items():
            if uid < status.uidnext and (among is None or uid in among):
                yield Uid(uid), size

    def existing(self, among: UidSet | None = None) -> UidSet:
        """Returns every UID, or those `among` these."""
        every = UidSet.of(self._drop.numbers)
        return every if among is None else every & among

    def look_again(self, listed: UidSet) -> tuple[list[tuple[Uid, int]], int]:
        """Returns no message, and the number of messages that STAT counts beside those of LIST.

        A maildrop does not change while it is open, so these are withheld.
        """
        return [], self._drop.withheld

    def flags(self, uids: UidSet, *, changed_since: int | None = None) -> Iterator[tuple[Uid, tuple[str, ...]]]:
        """Yields no flags, since POP3 has none."""
        for uid in uids & self.existing():
            yield uid, ()

    def labels_as_keywords(self) -> None:
        """Does nothing, since POP3 has no labels."""

    def search(self, keys: Sequence[str]) -> list[UidSet]:
        """Returns nothing, since POP3 cannot search."""
        return [UidSet() for _ in keys]

    def traits(self, uids: UidSet) -> Iterator[Traits]:
        """Yields the date of the header, as it becomes INTERNALDATE; no flags."""
        for seen in self.sightings(uids):
            yield Traits(uid=seen.uid, internaldate=seen.internaldate)

    def labels(self, uids: UidSet) -> Iterator[Labels]:
        """Raises `ServerRefused`, since POP3 has no labels."""
        raise ServerRefused(self.side, POP3_HAS_NO_LABELS.says())

    def _wanted(self, uids: UidSet) -> tuple[list[Uid], list[MessageToRead]]:
        """Returns those of `uids` that exist, and how to read them."""
        there = list(uids & self.existing())
        return there, [MessageToRead(number=self._drop.numbers[uid], listed=self._drop.sizes[uid]) for uid in there]

    def vanished(self, name: bytes, uidvalidity: int, since: int) -> None:
        """Returns None: it cannot tell."""

    def caution(self) -> str:
        """Returns the warning that the server marks what is read, where it does not show whole messages by TOP.

        Reads the smallest message by TOP to find out.
        """
        there = [MessageToRead(number=self._drop.numbers[uid], listed=size) for uid, size in self._drop.sizes.items()]
        if not there or self._whole.shows_whole(min(there, key=lambda one: one.listed)):
            return ""
        return BY_RETR

    def sightings(self, uids: UidSet, *, full: bool = False, text_bytes: int = 0) -> Iterator[Sighting]:
        """Yields sightings by the heads that TOP gives where the server has it, else by whole messages.

        With `full` it also reads whole messages. Without `full`, the size is the one that LIST says.
        """
        there, wanted = self._wanted(uids)
        said = _Said(self._identities, self._drop.known)
        try:
            for place, sight, content in self._sights(wanted, full=full, text_bytes=text_bytes):
                uid = there[place]
                said.of(uid, Head(date=sight.internaldate, fingerprint=sight.fingerprint), content)
                size = sight.size_bytes if full else self._drop.sizes[uid]
                yield replace(sight, uid=uid, size_bytes=size)
        finally:
            said.keep()

    def _sights(
        self, wanted: Sequence[MessageToRead], *, full: bool, text_bytes: int = 0
    ) -> Iterator[tuple[int, Sighting, bytes | None]]:
        """Yields (place in `wanted`, sighting of the message, digest of its content); the UID is not filled in.

        The digest is the same whatever lines a server of mbox files adds between two sessions; None where not all of
        the message was looked at.
        """
        refused: dict[int, MailError] = {}
        if not full and "TOP" in self.capabilities:
            heads, listed = [b"TOP %d 0" % one.number for one in wanted], [one.listed for one in wanted]
            found = self._session.messages(heads, refused, listed)
        else:
            found = self._whole.read(wanted, refused)
        for place, body in found:
            canonical = Canonical() if full else None
            start, size = b"", 0
            for chunk in chunks(body):
                if len(start) < LONG_HEADER_BYTES and len(header_of(start, LONG_HEADER_BYTES)) == len(start):
                    start += bytes(chunk)  # the header may go on
                size += len(chunk)
                if canonical and not text_bytes:
                    canonical.update(chunk)
            if canonical and text_bytes:  # read whole all the same: POP3 knows lines only
                canonical.update(beginning(start, text_bytes))
            head = header_of(start, LONG_HEADER_BYTES)
            fields = identifying(head)
            yield (
                place,
                Sighting(
                    uid=Uid(0),
                    size_bytes=size,
                    internaldate=received_at(head)[0],
                    fingerprint=fingerprint_of(fields),
                    message_id=clean_text(message_id_of(fields)),
                    digest=canonical.digest() if canonical else None,
                    alike=canonical.alike() if canonical else (),
                    in_ascii=in_ascii(fields),
                    certain=full and (not text_bytes or size == len(beginning(start, text_bytes)) or delivered(head)),
                    nuls=canonical.nuls if canonical else 0,
                    checksum=canonical.checksum if canonical else 0,
                ),
                canonical.unmarked() if canonical and not text_bytes else None,
            )
        raise_first(list(refused.values()))

    def fetch(self, uids: UidSet, *, size_bytes: int = 0) -> Iterator[Message]:
        """Implements `MailSource.fetch`. A large message is written to a file first, since its length must be known."""
        there, wanted = self._wanted(uids)
        refused: dict[int, MailError] = {}
        said = _Said(self._identities, self._drop.known)
        try:
            for place, body in self._whole.read(wanted, refused):
                if isinstance(body, bytes):
                    start, size = body, len(body)
                else:
                    start = body.read(LONG_HEADER_BYTES)
                    size = body.seek(0, 2)
                    body.seek(0)
                head = header_of(start, LONG_HEADER_BYTES)
                when, zone = received_at(head)
                fingerprint = fingerprint_of(identifying(head))
                listed = wanted[place].listed
                canonical = Canonical()
                for chunk in chunks(body):
                    canonical.update(chunk)
                if not isinstance(body, bytes):
                    body.seek(0)
                said.of(there[place], Head(date=when, fingerprint=fingerprint), canonical.unmarked(), size)
                yield Message(
                    uid=there[place],
                    flags=(),
                    internaldate=when,
                    zone_minutes=zone,
                    size_bytes=size,
                    fingerprint=fingerprint,
                    body=body if isinstance(body, bytes) else None,
                    # Many count line ends as one byte each, and list too little of every message.
                    announced_bytes=listed if size < listed else -1,
                    stream=None if isinstance(body, bytes) else chunks(body),
                )
        except EndlessMessage as endless:
            endless.uids = UidSet.of(there[place] for place, one in enumerate(wanted) if one.number == endless.number)
            raise
        finally:
            said.keep()
        for place, error in refused.items():
            error.uids = UidSet.of([there[place]])
        raise_first(list(refused.values()))

    # -- the end

    def slowed(self) -> Throttled | None:
        """Returns None: POP3 says so with -ERR or not at all."""
        return None

    def noop(self) -> None:
        """Makes a round trip."""
        self._session.noop()

    def close(self) -> None:
        """Sends QUIT. Never raises."""
        self._session.close()

    def abort(self) -> None:
        """Shuts the socket at once, from any thread. Never raises."""
        self._session.abort()


class _Said:
    """The facts read of messages, on their way to where they are kept; what is kept already is not stored again."""

    def __init__(self, identities: Identities, known: Known) -> None:
        self._identities, self._known = identities, known
        self._new: dict[int, bytes] = {}
        self._bytes = 0

    def of(self, uid: int, head: Head, content: bytes | None, size_bytes: int = 0) -> None:
        """Adds one message. `content` as for `described`."""
        self._bytes += size_bytes
        entry, kept = described(head, content), self._known.said_of(uid)
        if entry != kept and (content is not None or not kept):
            self._new[uid] = entry
        if len(self._new) >= _SAID_AT_ONCE or self._bytes >= _SAID_BYTES:
            self.keep()

    def keep(self) -> None:
        """Stores the facts now.

        With the store away nothing is lost by not keeping them, and the work under way has its own trouble.
        """
        if self._new:
            with contextlib.suppress(StoreError):
                self._identities.say(self._known.generation, self._new)
            self._new, self._bytes = {}, 0
