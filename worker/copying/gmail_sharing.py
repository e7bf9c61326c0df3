"""Gmail: fetches a message that several folders show once, and places it in the others by COPY at the destination.

The store keeps where each message stands by X-GM-MSGID (`WorkStore.share`), for messages that have more labels than
one. Sharing only saves bytes: the ledger, the intents and looking before appending stay as they are without it, and
whatever is not found, or is not the same, is fetched. Two batches at work on the same messages divide them: each brings
what it asked for first, then waits for the rest.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from shared.mail import Appended, MailDestination, MailSource, Sighting
from shared.model import Folder, Lease
from shared.model.errors import FolderRefused, LeaseLost, MessagesRefused, OverQuota, ServerRefused
from shared.model.lifecycle import Wish
from shared.model.uids import Uid, UidSet
from shared.store import WorkStore
from shared.wording.phrases import Phrase
from worker.copying.inflight import InFlight, stop_on
from worker.copying.recovery import just_stored
from worker.decisions.copy_notes import stands_for
from worker.decisions.flag_changes import made_equal
from worker.decisions.permanent_flags import kept_flags
from worker.decisions.sent import sent_as

LEASE_RAN_OUT_BEFORE_COPY: Final = Phrase("lease_ran_out_before_copy", "the lease ran out before the copy")

#: Number of messages in one COPY.
_AT_ONCE: Final = 500
#: Seconds to wait for what another batch brings while none of it comes; after that it is fetched here.
PATIENCE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.25


class GmailSharing:
    """The shared messages of one batch under one lease, with both folders open. Not reused."""

    def __init__(
        self,
        lease: Lease,
        store: WorkStore,
        source: MailSource,
        destination: MailDestination,
        flight: InFlight,
        wish: Callable[[], Wish],
    ) -> None:
        assert lease.folder is not None, "a batch has a folder"
        self._lease, self._store, self._folder = lease, store, lease.folder
        self._source, self._destination, self._flight, self._wish = source, destination, flight, wish
        #: X-GM-MSGID of shared messages by UID: those that this batch brings, and below those that other batches bring.
        self._mine: dict[int, int] = {}
        self._theirs: dict[int, int] = {}
        self._told = len(flight.records)
        #: Whether COPY is used. Not after an attempt that was broken off: a server that shuts the connection at a COPY
        #: would do so forever.
        self._copies = not lease.intents

    def parts(self, uids: UidSet) -> Iterator[UidSet]:
        """Yields, part by part, the UIDs of `uids` that have to be fetched here; the rest was placed meanwhile."""
        permanent = self._flight.status.permanent_flags
        # Where the folder cannot hold every keyword, the report says which are lost; a COPY would not tell.
        if "UIDPLUS" not in self._destination.capabilities or (permanent and "\\*" not in permanent):
            yield uids
            return
        shared: dict[int, int] = {}
        with contextlib.suppress(ServerRefused):
            shared = {int(seen.uid): seen.message for seen in self._source.labels(uids) if seen.labels}
        yield self._placed(shared) | (uids - UidSet.of(shared))
        quiet = time.monotonic()
        while self._theirs:
            self.tell()
            before = len(self._theirs)
            asked, self._theirs = self._theirs, {}
            if freed := self._placed(asked):
                yield freed
            if len(self._theirs) < before:
                quiet = time.monotonic()
            elif time.monotonic() - quiet > PATIENCE_SECONDS:
                self._mine |= self._theirs
                self._theirs, last = {}, UidSet.of(self._theirs)
                yield last
            else:
                stop_on(self._wish())
                time.sleep(_POLL_SECONDS)
        self.tell(ended=True)

    def tell(self, *, ended: bool = False) -> None:
        """Tells the store where copies made since the last call stand.

        With `ended`, it also tells that the rest is not to be waited for.
        """
        standing: dict[int, bytes] = {}
        for record in self._flight.records[self._told :]:
            for uid, copy in record.pairs():
                if (message := self._mine.pop(uid, None)) is not None:
                    standing[message] = bytes.fromhex(self._folder.folder_id) + int(copy).to_bytes(4)
        self._told = len(self._flight.records)
        if ended:
            standing |= dict.fromkeys(self._mine.values(), b"")
        if standing:
            self._store.stand(self._lease.mailbox.mailbox_id, standing)

    def _placed(self, messages: Mapping[int, int]) -> UidSet:
        """Places what can be copied, and returns the UIDs that have to be fetched here.

        What another batch brings is in `_theirs`.
        """
        if not messages:
            return UidSet()
        places: dict[bytes, dict[int, int]] = defaultdict(dict)
        here = list(messages)
        answers = self._store.share(self._lease.mailbox.mailbox_id, self._lease.unit.unit_id, list(messages.values()))
        fetch: set[int] = set()
        for uid, found in zip(here, answers, strict=True):
            if found == b"?":
                self._theirs[uid] = messages[uid]
            elif found and self._copies:
                places[found[:-4]][uid] = int.from_bytes(found[-4:])
            else:
                fetch.add(uid)
        for place, pairs in places.items():
            other = self._store.folder(place.hex())
            placed = self._from(other, pairs) if other and other.folder_id != self._folder.folder_id else set[int]()
            fetch |= pairs.keys() - placed
        self._mine |= {uid: messages[uid] for uid in fetch}
        return UidSet.of(fetch)

    def _from(self, other: Folder, pairs: Mapping[int, int]) -> set[int]:
        """Copies from the destination's folder `other`, and returns the source UIDs that are placed.

        `pairs` has source UID here → UID there.
        """
        placed: set[int] = set()
        ours = {int(s.uid): s for s in self._source.sightings(UidSet.of(pairs))}
        some = [uid for uid in pairs if uid in ours and ours[uid].internaldate is not None]
        # The first group is one message: a server may not keep dates when it copies.
        for group in filter(None, [some[:1], *(some[at : at + _AT_ONCE] for at in range(1, len(some), _AT_ONCE))]):
            done = self._copy(other, {uid: pairs[uid] for uid in group}, ours)
            placed |= done
            if not done:
                break
        self._destination.open(self._folder.destination_name)
        return placed

    def _copy(self, other: Folder, pairs: Mapping[int, int], ours: Mapping[int, Sighting]) -> set[int]:
        if not self._destination.open(other.destination_name).same_uids(other.destination_uidvalidity):
            return set()
        there = {int(s.uid): s for s in self._destination.sightings(UidSet.of(pairs.values()))}
        group = [
            sent_as(s, there[pairs[uid]].internaldate)
            for uid, s in ours.items()
            if uid in pairs and _same(s, there.get(pairs[uid]))
        ]
        if not group:
            return set()
        stop_on(self._wish())
        token = self._flight.intend(group, moved=False)
        if self._wish() is Wish.LOST:
            raise LeaseLost(LEASE_RAN_OUT_BEFORE_COPY.says())
        wanted = UidSet.of(pairs[sent.uid] for sent in group)
        uidvalidity, good = None, dict[int, int]()
        try:
            uidvalidity, told = self._destination.copy(wanted, self._folder.destination_name)
        except (FolderRefused, MessagesRefused, OverQuota, ServerRefused):
            pass  # nothing was copied: the messages are fetched and appended, which tells what is wrong
        else:
            self._destination.open(self._folder.destination_name)
            copies = {int(sent.uid): told[pairs[sent.uid]] for sent in group if pairs[sent.uid] in told}
            if not told:  # the server may have copied them all the same
                low, entered = self._flight.uidnext, self._flight.entered
                found = just_stored(self._store, self._destination, self._folder, low, group, entered)
                uidvalidity, copies = None, {int(uid): copy for uid, copy in found.items()}
            good = self._good(copies, ours, sure=bool(told))
        stored = tuple(at for at, sent in enumerate(group) if sent.uid in good)
        self._flight.enter(
            Appended(
                token=token,
                uids=tuple(Uid(good[group[at].uid]) for at in stored),
                uidvalidity=uidvalidity if stored else None,
                stored=stored,
            )
        )
        return set(good)

    def _good(self, copies: Mapping[int, int], ours: Mapping[int, Sighting], *, sure: bool) -> dict[int, int]:
        """Returns source UID → UID of its copy, for copies that are what they should be.

        The others are removed, when it is `sure` that they are ours because the server said so. Flags are set as this
        folder shows them.
        """
        if not copies:
            return {}
        made = UidSet.of(copies.values())
        seen = {int(s.uid): s for s in self._destination.sightings(made)}
        good = {uid: copy for uid, copy in copies.items() if _same(ours[uid], seen.get(copy))}
        if not sure:
            good = dict(copies)  # verification says what is different about them
        elif len(good) < len(copies):
            self._destination.remove(made - UidSet.of(good.values()))
        have = {int(uid): flags for uid, flags in self._destination.flags(made)}
        permanent = self._flight.status.permanent_flags
        want = {good[int(uid)]: kept_flags(flags, permanent)[0] for uid, flags in self._source.flags(UidSet.of(good))}
        if wrong := made_equal(have, want):
            self._destination.store_flags(wrong)
        return good


def _same(ours: Sighting, theirs: Sighting | None) -> bool:
    return (
        theirs is not None
        and stands_for(theirs.internaldate, ours.internaldate)
        and (ours.size_bytes, ours.fingerprint) == (theirs.size_bytes, theirs.fingerprint)
    )
