"""Sessions with the mail server in memory: both sides of the port, without a wire."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from shared.content.fingerprint import (
    MODULUS,
    Canonical,
    beginning,
    delivered,
    fingerprint_of,
    header_fingerprint,
    header_of,
    identifying,
    in_ascii,
    mark,
    message_id_of,
)
from shared.mail import (
    Appended,
    FlagChange,
    FlagsTold,
    FolderListing,
    FolderStatus,
    KeptDates,
    KeptFlags,
    KnownStatus,
    Labels,
    ListedFolder,
    Message,
    Quota,
    Sighting,
    Traits,
)
from shared.mail.answers.grammar import flag_list
from shared.mail.answers.limits import too_large
from shared.model.errors import (
    ConnectionLost,
    FolderRefused,
    MailError,
    MessagesRefused,
    OverQuota,
    ServerRefused,
    Throttled,
)
from shared.model.sides import Side
from shared.model.uids import Uid, UidSet
from shared.testing.memory_folders import At, DeliveredLate, MemoryFolder, Stored, matches
from shared.testing.memory_server import MemoryMail

#: Bodies larger than this come as a stream.
WHOLE_BYTES: Final = 512 * 1024
_CHUNK_BYTES: Final = 64 * 1024

# the session lives on after these errors
_SURVIVED = (FolderRefused, MessagesRefused, OverQuota, ServerRefused)


class _MemorySession:
    def __init__(self, server: MemoryMail, side: Side, login: str) -> None:
        self.side = side
        self.capabilities = server.capabilities
        self._server = server
        self._login = login
        self._folders = server.folders(login)
        self._opened: MemoryFolder | None = None
        self._dead = False
        self._steps = 0

    def slowed(self) -> Throttled | None:
        return None

    def _step(self, operation: str, folder: bytes = b"", uids: Iterable[int] = ()) -> None:
        if self._dead:
            raise ConnectionLost(self.side, "the session is dead")
        self._steps += 1
        try:
            self._server.strike(operation, At(self._login, folder, tuple(uids)))
        except _SURVIVED:
            raise
        except BaseException:
            self._dead = True
            raise

    def _here(self) -> MemoryFolder:
        if self._opened is None:
            raise FolderRefused(self.side, "no folder is open")
        return self._opened

    def _open(self, name: bytes) -> KnownStatus:
        self._step("open", name)
        self._opened = None
        with self._server.lock:
            folder = self._folders.get(name)
            if folder is None or not folder.attributes.isdisjoint({"noselect", "nonexistent"}):
                raise FolderRefused(self.side, f"cannot open {name.decode('utf-8', 'replace')}", "no such folder")
            self._opened = folder
            return self._trim(folder.status(selected=True))

    def _trim(self, status: KnownStatus, *, changes: bool = True) -> KnownStatus:
        if not changes or "CONDSTORE" not in self.capabilities:
            status = replace(status, highestmodseq=None)
        return status if "STATUS=SIZE" in self.capabilities else replace(status, size_bytes=None)

    def listing(self, *, counting: Sequence[bytes] = ()) -> FolderListing:
        self._step("listing")
        with self._server.lock:
            return FolderListing(
                prefix=self._server.prefix,
                separator=self._server.separator,
                folders=tuple(
                    ListedFolder(
                        name=folder.name,
                        separator=self._server.separator,
                        attributes=folder.attributes,
                        subscribed=folder.subscribed,
                    )
                    for folder in self._folders.values()
                ),
            )

    def look(self, names: Sequence[bytes]) -> tuple[list[ListedFolder], list[FolderStatus | Exception]]:
        return list(self.listing().folders), self.statuses(names)

    def statuses(
        self, names: Sequence[bytes], *, sized: bool = False, changes: bool = False
    ) -> list[FolderStatus | Exception]:
        self._step("statuses")
        with self._server.lock:
            return [
                self._trim(self._folders[name].status(), changes=changes or self.side == Side.SOURCE)
                if name in self._folders
                else FolderRefused(self.side, f"refused {name.decode('utf-8', 'replace')}", "no such folder")
                for name in names
            ]

    def _those(self, uids: UidSet) -> list[Stored]:
        with self._server.lock:
            return [stored for uid, stored in self._shown(self._here()).items() if uid in uids]

    def sightings(self, uids: UidSet, *, full: bool = False, text_bytes: int = 0) -> Iterator[Sighting]:
        self._step("sightings", self._here().name)
        for stored in self._those(uids):
            header = header_of(stored.body)
            fields = identifying(header)
            canonical = Canonical()
            read = beginning(stored.body, text_bytes) if text_bytes else stored.body
            canonical.update(read)
            yield Sighting(
                uid=Uid(stored.uid),
                size_bytes=len(stored.body),
                internaldate=stored.internaldate,
                fingerprint=fingerprint_of(fields),
                message_id=message_id_of(fields),
                digest=canonical.digest() if full else None,
                alike=canonical.alike() if full else (),
                in_ascii=in_ascii(fields),
                certain=full and (len(read) == len(stored.body) or delivered(header)),
                nuls=stored.body.count(b"\0") if full else 0,
                checksum=zlib.crc32(stored.body) if full else 0,
            )

    def sizes(
        self, status: KnownStatus, among: UidSet | None = None, *, told: FlagsTold | None = None
    ) -> Iterator[tuple[Uid, int]]:
        self._step("sizes", self._here().name)
        for stored in self._those(UidSet.span(1, status.uidnext - 1) if among is None else among):
            if told:
                told(Uid(stored.uid), stored.flags)
            yield Uid(stored.uid), len(stored.body)

    def existing(self, among: UidSet | None = None) -> UidSet:
        self._step("existing", self._here().name)
        with self._server.lock:
            every = UidSet.of(self._shown(self._here()))
        return every if among is None else every & among

    def look_again(self, listed: UidSet) -> tuple[list[tuple[Uid, int]], int]:
        self._step("look_again", self._here().name)
        with self._server.lock:
            shown = self._shown(self._here())
            found = [(Uid(uid), len(stored.body)) for uid, stored in shown.items() if uid not in listed]
            return found, len(self._here().messages) - len(shown)

    def _shown(self, folder: MemoryFolder) -> dict[int, Stored]:
        """Returns the messages that the server shows: those it holds without those it withholds."""
        return {uid: stored for uid, stored in folder.messages.items() if uid not in folder.withheld}

    def flags(self, uids: UidSet, *, changed_since: int | None = None) -> Iterator[tuple[Uid, tuple[str, ...]]]:
        self._step("flags", self._here().name)
        since = changed_since if changed_since is not None and "CONDSTORE" in self.capabilities else -1
        for stored in self._those(uids):
            if stored.modseq > since:
                yield Uid(stored.uid), stored.flags

    def noop(self) -> None:
        self._step("noop")

    def close(self) -> None:
        self._dead = True

    def abort(self) -> None:
        self._dead = True


class MemorySource(_MemorySession):
    """A source session in memory. See `shared.mail.MailSource`."""

    def survey(self, names: Sequence[bytes], opening: Sequence[bytes]) -> list[FolderStatus | Exception]:
        return self.statuses(names)

    def foresee(self, name: bytes, uids: UidSet | None = None) -> None:
        pass  # nothing takes time here

    def ask_ahead(self, uids: UidSet) -> None:
        pass

    def vanished(self, name: bytes, uidvalidity: int, since: int) -> None:
        return None

    def caution(self) -> str:
        return ""

    def open(self, name: bytes) -> KnownStatus:
        return self._open(name)

    def labels_as_keywords(self) -> None:
        pass  # there are none

    def search(self, keys: Sequence[str]) -> list[UidSet]:
        self._step("search", self._here().name)
        with self._server.lock:
            return [UidSet.of(uid for uid, s in self._here().messages.items() if matches(s, key)) for key in keys]

    def traits(self, uids: UidSet) -> Iterator[Traits]:
        self._step("traits", self._here().name)
        for stored in self._those(uids):
            flags = frozenset(flag.lower() for flag in stored.flags)
            yield Traits(uid=Uid(stored.uid), internaldate=stored.internaldate, flags=flags)

    def labels(self, uids: UidSet) -> Iterator[Labels]:
        raise ServerRefused(self.side, "has no labels")

    def fetch(self, uids: UidSet, *, size_bytes: int = 0) -> Iterator[Message]:
        folder = self._here().name
        self._step("fetch", folder)
        for stored in self._those(uids):
            self._step("message", folder, (stored.uid,))
            large = len(stored.body) > WHOLE_BYTES
            yield Message(
                uid=Uid(stored.uid),
                flags=stored.flags,
                internaldate=stored.internaldate,
                zone_minutes=stored.zone_minutes,
                size_bytes=len(stored.body),
                fingerprint=header_fingerprint(header_of(stored.body)),
                body=None if large else stored.body,
                stream=self._stream(folder, stored) if large else None,
            )

    def _stream(self, folder: bytes, stored: Stored) -> Iterator[bytes]:
        for at in range(0, len(stored.body), _CHUNK_BYTES):
            self._step("chunk", folder, (stored.uid,))
            yield stored.body[at : at + _CHUNK_BYTES]


class MemoryDestination(_MemorySession):
    """A destination session in memory. See `shared.mail.MailDestination`. `send` stores; `answers` only tells."""

    @property
    def dates(self) -> KeptDates:
        return self._server.dates

    @property
    def kept_flags(self) -> KeptFlags:
        return self._server.kept_flags

    def __init__(self, server: MemoryMail, side: Side, login: str) -> None:
        super().__init__(server, side, login)
        self._answers: deque[tuple[Appended, At]] = deque()
        #: The folder that was announced, and what it told then.
        self._announced: tuple[bytes, KnownStatus] | None = None

    @property
    def commands(self) -> int:
        return self._steps

    def open(self, name: bytes, *, announced: bool = False) -> KnownStatus:
        told, self._announced = self._announced, None
        status = self._open(name)
        if announced and told is not None and told[0] == name:
            status = told[1]
        return replace(status, append_limit_bytes=self._server.append_limit_bytes)

    def create(self, names: Sequence[bytes]) -> list[Exception | None]:
        self._step("create")
        for name in names:
            self._server.folder(self._login, name)
        return [None] * len(names)

    def subscribe(self, names: Sequence[bytes]) -> None:
        self._step("subscribe")
        with self._server.lock:
            for name in names:
                if name in self._folders:
                    self._folders[name].subscribed = True

    def unsubscribe(self, names: Sequence[bytes]) -> None:
        self._step("unsubscribe")
        with self._server.lock:
            for name in names:
                if name in self._folders:
                    self._folders[name].subscribed = False

    def rename(self, name: bytes, new: bytes) -> Exception | None:
        self._step("rename", name)
        below = name + (self._server.separator or "\0").encode()
        with self._server.lock:
            if name not in self._folders or new in self._folders:
                return FolderRefused(self.side, f"would not rename {name.decode('utf-8', 'replace')}", "no such folder")
            for old in [one for one in self._folders if one == name or one.startswith(below)]:
                folder = self._folders.pop(old)
                folder.name = new + old[len(name) :]
                self._folders[folder.name] = folder
        return None

    def marks(
        self, uids: UidSet, *, then: bytes | None = None, anew: bool = False, told: FlagsTold | None = None
    ) -> tuple[int, int]:
        if told:
            for stored in self._those(uids):
                told(Uid(stored.uid), stored.flags)
        seen = list(self.sightings(uids))
        total = sum(mark(s.uid, s.size_bytes, s.internaldate, s.fingerprint) for s in seen)
        with self._server.lock:
            if then is not None and then in self._folders:
                self._announced = then, self._trim(self._folders[then].status(selected=True))
        return len(seen), total % MODULUS

    def send(self, group: Sequence[Message], flags: Sequence[tuple[str, ...]], token: object) -> None:
        folder = self._here()
        arriving: list[Stored] = []
        for message, wanted in zip(group, flags, strict=True):
            flag_list(wanted)
            try:
                body = message.body if message.body is not None else b"".join(message.stream or ())
            except BaseException:
                self._dead = True  # an incomplete literal: the server drops it
                raise
            arriving.append(
                Stored(
                    uid=message.uid,
                    body=body,
                    flags=wanted,
                    internaldate=message.internaldate,
                    zone_minutes=message.zone_minutes,
                )
            )
        uids: dict[int, Uid | None] = {}
        refused: dict[int, Exception] = {}
        if "MULTIAPPEND" in self.capabilities:
            self._arrive(folder, arriving, range(len(arriving)), uids, refused)
        else:
            for position, stored in enumerate(arriving):
                self._arrive(folder, [stored], [position], uids, refused)
        kept = tuple(uid for _, uid in sorted(uids.items()) if uid is not None)
        told = bool(kept) and len(kept) == len(uids) and "UIDPLUS" in self.capabilities
        appended = Appended(
            token=token,
            uids=kept if told else None,
            uidvalidity=folder.uidvalidity if told else None,
            refused=refused,
            stored=tuple(sorted(uids)),
        )
        self._answers.append((appended, At(self._login, folder.name, tuple(stored.uid for stored in arriving))))

    def _arrive(
        self,
        folder: MemoryFolder,
        arriving: list[Stored],
        positions: Sequence[int],
        uids: dict[int, Uid | None],
        refused: dict[int, Exception],
    ) -> None:
        try:
            self._step("append", folder.name, (stored.uid for stored in arriving))
        except DeliveredLate:
            self._server.hold(folder, arriving)
            raise
        except _SURVIVED as error:
            refused.update(dict.fromkeys(positions, error))
            return
        with self._server.lock:
            for stored in arriving:
                refusal = self._refusal(stored)
                if refusal is not None:
                    refused.update(dict.fromkeys(positions, refusal))
                    return
            for position, stored in zip(positions, arriving, strict=True):
                uids[position] = self._server.keep(folder, stored)

    def _refusal(self, stored: Stored) -> MailError | None:
        most = self._server.append_limit_bytes
        if most is not None and len(stored.body) > most:
            return MessagesRefused(self.side, too_large(most))
        if not stored.body:
            return MessagesRefused(self.side, "refused", "Can't save a zero byte message")
        return self._server.refuse(stored) if self._server.refuse else None

    def answers(self, *, outstanding: int = 0) -> Iterator[Appended]:
        while len(self._answers) > outstanding:
            appended, at = self._answers[0]
            self._step("appended", at.folder, at.uids)
            self._answers.popleft()
            yield appended

    def store_flags(self, changes: Iterable[FlagChange]) -> None:
        folder = self._here()
        self._step("store_flags", folder.name)
        with self._server.lock:
            for change in changes:
                flag_list((*change.add, *change.remove))
                for stored in self._those(change.uids):
                    folder.highestmodseq += 1
                    flags = {flag.lower(): flag for flag in (*stored.flags, *change.add)}
                    left = tuple(flags[key] for key in flags if key not in map(str.lower, change.remove))
                    folder.messages[stored.uid] = replace(stored, flags=left, modseq=folder.highestmodseq)

    def copy(self, uids: UidSet, into: bytes) -> tuple[int, dict[int, int]]:
        self._step("copy", into, uids)
        with self._server.lock:
            folder = self._folders.get(into)
            if folder is None:
                raise FolderRefused(self.side, "would not copy messages", "no such folder")
            made = {int(stored.uid): self._server.keep(folder, stored) for stored in self._those(uids)}
        told = "UIDPLUS" in self.capabilities
        return folder.uidvalidity, {uid: int(copy) for uid, copy in made.items() if told and copy is not None}

    @property
    def moves(self) -> bool:
        return {"MOVE", "UIDPLUS"} <= self.capabilities

    def move(self, uids: UidSet, into: bytes) -> dict[int, int]:
        here = self._here()
        self._step("move", into, uids)
        with self._server.lock:
            folder = self._folders.get(into)
            if folder is None:
                raise FolderRefused(self.side, "would not move messages", "no such folder")
            made = {int(stored.uid): self._server.keep(folder, stored) for stored in self._those(uids)}
            for uid in made:
                del here.messages[Uid(uid)]
        return {uid: int(copy) for uid, copy in made.items() if copy is not None}

    def quota(self) -> Quota | None:
        self._step("quota")
        return self._server.quota

    def remove(self, uids: UidSet) -> bool:
        folder = self._here()
        if "UIDPLUS" not in self.capabilities:
            return False
        self._step("remove", folder.name, uids)
        with self._server.lock:
            for stored in self._those(uids):
                folder.highestmodseq += 1
                del folder.messages[stored.uid]
        return True
