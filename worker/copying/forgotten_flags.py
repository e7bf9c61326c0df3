"""Sets the flags that the destination forgot when messages were appended with them (Exchange forgets \\Flagged).

A server that kept a flag once is believed from then on. That is seen where a batch is read back; where it is not, one FETCH asks
for the flags. Where it forgets a flag, each batch sets it by STORE before it is closed, divided, halved or given up; one whose
worker died before that is claimed again. Copies that others brought are left as they are: people may have cleared their flags.

What a copy lacks all the same is told and not set: a disk that had no room for the name of a keyword has none for it now, and
later nobody could tell what the server forgot from what people did.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from shared.mail import FlagChange, KnownStatus, MailDestination, MailSource
from shared.mail.answers.kept_flags import LOOKED_AT
from shared.model import Lease, Note, Settled
from shared.model.errors import ConnectionLost, FolderRefused, ProtocolViolation, ServerRefused
from shared.model.uids import Record, Uid, UidSet
from shared.runtime.logs import get_logger
from shared.store import WorkStore
from shared.wording.phrases import several
from worker.copying.flag_completion import complete_flags
from worker.copying.kept_keywords import keywords_sent, lost_since
from worker.decisions.unlike_flags import LOST, keywords_of, nameless, told, unlike

_log = get_logger("mailhaul.worker")

#: The flags of no message.
NOTHING_SHOWN: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType({})
#: Most copies that are looked at for a flag of which it is unknown whether the server keeps it.
SAMPLE: Final = 20


def see_to_brought(lease: Lease, store: WorkStore, connect: Callable[[], MailDestination]) -> None:
    """Sees to the flags of what earlier attempts at a batch brought, before the rest of it is halved or given up.

    `connect` signs in at the destination; raises what it raises. A destination that breaks off afterwards holds nothing back.
    """
    folder, records = lease.folder, lease.records
    if folder is None or not records:
        return
    destination = connect()
    try:
        status = destination.open(folder.destination_name)
        if status.same_uids(folder.destination_uidvalidity):
            ForgottenFlags(lease, store, destination).see_to(status, records)
    except (ConnectionLost, ProtocolViolation, FolderRefused) as error:
        _log.warning("flags_not_completed", messages=sum(len(one.source) for one in records), reason=str(error))


class ForgottenFlags:
    """The system flags of one batch's copies. Not reused."""

    def __init__(self, lease: Lease, store: WorkStore, destination: MailDestination) -> None:
        self._lease, self._store, self._destination = lease, store, destination
        self._memory = destination.kept_flags
        #: Flags of this batch's messages that the server is not known to keep, in small letters.
        self._open: frozenset[str] = frozenset()
        #: The flags of what this attempt sent, by source UID: nobody can have cleared a flag of these yet.
        self._sent: dict[int, tuple[str, ...]] = {}
        #: Each of these once: nearly every message has the flags of another.
        self._kinds: set[tuple[str, ...]] = set()
        #: The texts of notes on keywords that the folder cannot hold, by source UID.
        self._noted: dict[int, str] = {}
        #: Source UIDs of copies that somebody else made.
        self._others: set[int] = set()

    def sent(self, uid: int, flags: tuple[str, ...], notes: Iterable[Note] = ()) -> None:
        """Notes that a message goes with these flags, and what is told of it."""
        if flags not in self._kinds:
            self._kinds.add(flags)
            self._open |= self._memory.open(flags)
        self._sent[uid] = flags
        for note in notes:
            if note.what == LOST:
                self._noted[uid] = note.reason

    def found(self, settled: Settled) -> None:
        """Notes copies that somebody else made."""
        self._others.update(uid for record in settled.records for uid in record.source)

    def complete(self, source: MailSource, status: KnownStatus, uids: UidSet, records: Iterable[Record]) -> None:
        """Sets the keywords that copies lack whose answer was lost; `uids` are those of the source. Both folders are open.

        A server that was killed may have stored a message and no name of its keywords (Dovecot).
        """
        to = {int(s): int(d) for record in records for s, d in record.pairs() if s in uids}
        try:
            shown = {
                to[int(uid)]: [flag for flag in flags if not flag.startswith("\\")]
                for uid, flags in source.flags(uids)
                if uid in to
            }
            complete_flags(self._destination, status.permanent_flags, shown)
        except (ServerRefused, FolderRefused) as error:
            _log.warning("flags_not_completed", messages=len(to), reason=str(error))

    @property
    def _keywords(self) -> set[str]:
        return {flag.lower() for flags in self._kinds for flag in keywords_of(flags)}

    def unsure(self, status: KnownStatus) -> bool:
        """Tells whether the folder has to be opened anew before the flags that it shows are believed.

        Dovecot shows a keyword from memory although it could not write its name to the file of the folder's keywords. A name that
        was listed when the folder was opened stands there, unless some letter in the file has no name.
        """
        listed = {flag.lower() for flag in status.permanent_flags}
        return bool(keywords := self._keywords) and (not keywords <= listed or bool(nameless(listed)))

    def amiss(
        self, status: KnownStatus, records: Iterable[Record], shown: Mapping[int, tuple[str, ...]]
    ) -> tuple[Note, ...]:
        """Returns the notes on copies that have other flags than they were sent with; `shown` are theirs, by their UIDs."""
        keywords, found = self._keywords, list[tuple[Uid, str]]()
        reasons: dict[tuple[tuple[str, ...], tuple[str, ...]], str] = {}
        before: dict[int, int] = {}
        for uid, to in (pair for record in records for pair in record.pairs()):
            flags, there = self._sent.get(uid), shown.get(to)
            if there is None or there == flags or uid in self._others:
                continue
            if flags is None:
                before[uid] = to
                continue
            if (reason := reasons.get((flags, there))) is None:
                reason = reasons[flags, there] = unlike(flags, there, keywords)
            if reason:
                found.append((uid, several([self._noted.get(uid, ""), reason])))
        if before:
            folder_id = self._lease.unit.folder_id
            sent = keywords_sent(self._store, folder_id, status.permanent_flags, UidSet.of(before))
            found += lost_since(self._store, folder_id, sent, before, shown)
        return told(found)

    def see_to(
        self,
        status: KnownStatus,
        records: Iterable[Record],
        shown: Mapping[int, tuple[str, ...]] = NOTHING_SHOWN,
    ) -> bool:
        """Looks whether the batch's copies have their flags, and sets what the server forgot. The folder is open.

        `shown` are flags that were read since they were sent, by the UIDs of the copies. Returns whether any were set. A server
        that refuses this holds nothing back.
        """
        to = {int(s): int(d) for record in records for s, d in record.pairs() if s not in self._others}
        # An earlier holder of the batch may have died before it saw to the flags of what it sent.
        if to.keys() - self._sent.keys():
            self._open |= LOOKED_AT - self._memory.kept
        if not self._open - self._memory.kept:
            return False
        copies = self._copies(to)
        settable = {flag.lower() for flag in status.permanent_flags}
        try:
            forgotten = self._forgotten(copies, shown)
            changes = [
                FlagChange(uids=UidSet.of(sorted(copies[flag].values())), add=(flag,))
                for flag in forgotten
                if not settable or flag in settable
            ]
            self._destination.store_flags(changes)
        except (ServerRefused, FolderRefused) as error:
            _log.warning("flags_not_completed", messages=sum(map(len, copies.values())), reason=str(error))
            return False
        return bool(changes)

    def _copies(self, to: Mapping[int, int]) -> dict[str, dict[int, int]]:
        """Returns flag → source UID → destination UID of our copies that were sent with it."""
        found: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for text, uids in self._store.flags(self._lease.unit.folder_id).items():
            for flag in {one.lower() for one in text.split()} & self._open:
                found[flag] |= {int(uid): to[uid] for uid in uids if uid in to}
        return {flag: uids for flag, uids in found.items() if uids}

    def _forgotten(self, copies: Mapping[str, Mapping[int, int]], shown: Mapping[int, tuple[str, ...]]) -> list[str]:
        """Returns the flags that the server forgets. What `shown` leaves open is looked at by one FETCH."""
        samples = {flag: self._sample(copies[flag]) for flag in sorted(copies) if flag not in self._memory.forgotten}
        unknown = {uid for sample in samples.values() for uid in sample if uid not in shown}
        if unknown:
            shown = {**shown, **dict(self._destination.flags(UidSet.of(sorted(unknown))))}
        there = {
            uid: {one.lower() for one in shown[uid]} for sample in samples.values() for uid in sample if uid in shown
        }
        return [flag for flag in sorted(copies) if self._forgets(flag, copies[flag], samples.get(flag, ()), there)]

    def _sample(self, copies: Mapping[int, int]) -> list[int]:
        ours = [there for uid, there in copies.items() if uid in self._sent]
        return sorted(ours or copies.values())[-SAMPLE:]

    def _forgets(
        self, flag: str, copies: Mapping[int, int], sample: Iterable[int], there: Mapping[int, set[str]]
    ) -> bool:
        if flag in self._memory.forgotten:
            return True
        shown = [there[uid] for uid in sample if uid in there]
        if any(flag in flags for flags in shown):
            self._memory.keeps(flag)
            return False
        # Of what an earlier attempt sent, a reader may have cleared the flag: that teaches nothing about the server.
        if shown and any(uid in self._sent for uid in copies):
            self._memory.forgets(flag)
        return bool(shown)
