"""Cuts one source folder into batches.

It lists the folder, leaves out what the request does not want, and adopts what is there already.

A folder of which everything is wanted is streamed. Where something is chosen, UIDs and sizes are held (12 bytes a
message).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import chain
from types import MappingProxyType

from shared.folders.gmail import LabelView
from shared.mail import KnownStatus, MailDestination, MailSource
from shared.mail.imap.choosing import kept_elsewhere, left_out
from shared.model import Folder, FolderPlan, Options, Settled, Unit
from shared.model.events import Listener, MessagesWithheld
from shared.model.uids import NO_UIDS, Uid, UidSet
from shared.nouns import dataclass
from shared.rules.age_bands import band_keys, in_bands
from shared.rules.batching import Worth, cut_batches
from shared.rules.selection import GONE, TAKEN_AWAY, Selection, merged, summary, union, without
from shared.store import WorkStore
from worker.copying.adopt import Adoption
from worker.copying.neighbours import Neighbours
from worker.copying.recovery import known_destinations
from worker.copying.returning import WayBack
from worker.decisions.closing import SettleLater
from worker.following.deletions import deleted
from worker.planning.listing import Listing, Shortfall, shortfall

#: Number of messages in a batch where the newest go first; within a batch, servers send the oldest first.
NEWEST_AT_ONCE = 200


#: Number of the newest messages at the destination that are examined to see whether another run was just at work there.
NEWEST_LOOKED_AT = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRules:
    """Limits by which folders are cut into batches."""

    #: Largest number of messages in a batch.
    batch_messages: int = 2000
    #: Largest number of bytes in a batch.
    batch_bytes: int = 128 << 20
    #: The amount of work that is worth one more lane.
    worth: Worth = Worth()


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """The messages that an earlier pass left out of a folder."""

    #: All of them, by reason.
    known: dict[str, UidSet] = field(default_factory=dict)
    #: The messages that may be wanted now, since the reason for leaving them out no longer holds.
    again: UidSet = UidSet()


@dataclass(slots=True)
class _Listed:
    """The messages that were listed and may need an outcome."""

    #: UIDs that have no outcome yet or are to be judged again, ascending.
    uids: array[int] = field(default_factory=lambda: array("Q"))
    #: Their sizes.
    sizes: array[int] = field(default_factory=lambda: array("Q"))

    def pairs(self) -> Iterator[tuple[Uid, int]]:
        return ((Uid(uid), size) for uid, size in zip(self.uids, self.sizes, strict=True))

    def size_of(self, uids: UidSet) -> int:
        return sum(size for uid, size in self.pairs() if uid in uids) if uids else 0


class BatchPlanner:
    """Cuts folders into batches, between two signed-in sessions with the source folder open."""

    def __init__(
        self,
        store: WorkStore,
        source: MailSource,
        destination: MailDestination,
        options: Options,
        rules: PlanRules,
        tell: Listener,
        neighbours: Neighbours,
        unsettled_seconds: float = 0.0,
        *,
        now: float,
    ) -> None:
        """Takes `unsettled_seconds`, how long mail of an earlier run may still arrive at the destination.

        The earlier run had that mail on the line, and its records are lost. `now` is when the plan was claimed, seconds
        since the epoch, by which the ages of messages are told.
        """
        self._now = now
        self._tell, self._unsettled_seconds = tell, unsettled_seconds
        self._store, self._source, self._destination, self._rules = store, source, destination, rules
        self._neighbours = neighbours
        self._newest_first = options.newest_first
        self._selection = Selection.of(options)
        #: The reading of Gmail's labels; None elsewhere.
        self.view: LabelView | None = None
        #: The choice of messages that a copy back takes; None elsewhere.
        self.returning: WayBack | None = None
        #: The messages that the last folder that was cut held already, recognised by their bytes.
        self.recognised: tuple[Settled, ...] = ()

    def chooses(self, name: bytes) -> bool:
        """Tells whether anything of this source folder may be left out."""
        return (
            self.returning is not None
            or not self._selection.everything
            or (self.view is not None and self.view.decides(name))
        )

    def skipped(self, before: Folder | None) -> Skipped:
        """Returns what earlier passes left out of the folder, as far as it concerns this pass."""
        if before is None or not before.skipped:
            return Skipped()
        known = self._store.skipped(before.folder_id)
        return Skipped(
            known=known, again=union(uids for reason, uids in known.items() if not self._selection.stands(reason))
        )

    def cut(
        self,
        plan: FolderPlan,
        opened: KnownStatus,
        low: int,
        here: KnownStatus | None,
        skipped: Skipped,
        *,
        before: Folder | None = None,
        untold: int = 0,
        placed: Sequence[Settled] = (),
        taken_away: UidSet = NO_UIDS,
        back: Mapping[int, int] = MappingProxyType({}),
    ) -> FolderPlan:
        """Returns the plan with the batches of the folder.

        They have, from UID `low` on, what is wanted after all, and what was hidden so far. `here` is a destination
        folder that was never planned before: what it holds already is adopted first. `before` is a folder whose ledger
        stays valid, as it was planned last. `untold` is how many more messages STATUS states than the folder was opened
        with. `placed` are the entries of messages whose copies were moved into the folder, and of `taken_away`
        the user took the copies away before (`worker.following.moves`). `back` are the sizes of messages that were called
        vanished, by UID: those that are listed are taken up.
        """
        folder, again = plan.folder, skipped.again
        hidden = before.hidden if before is not None else NO_UIDS
        listing = Listing(
            self._source,
            replace(opened, uidnext=folder.uidnext, messages=opened.messages + untold),
            lambda uid: uid >= low or uid in again or uid in hidden or uid in back,
        )
        moved = UidSet.joined([part for one in placed for r in one.records for part in r.source.ranges])

        def unplaced(listed: Iterable[tuple[Uid, int]]) -> Iterable[tuple[Uid, int]]:
            return (pair for pair in listed if pair[0] not in moved) if moved else listed

        sizes = unplaced(listing.stream())
        record = skipped.known
        revived = new = UidSet()
        kept = _Listed()
        if self.chooses(folder.source_name) or again or taken_away:
            for uid, size in unplaced(listing.sized()):
                kept.uids.append(uid)
                kept.sizes.append(size)
            out = self._left_out(folder, kept)
            out = merged(without(out, taken_away), {TAKEN_AWAY: taken_away & UidSet.ascending(kept.uids)})
            dropped = union(out.values())
            there = UidSet.ascending(kept.uids)
            record = merged(without(record, again), out, {GONE: again - there})
            revived, new = (again & there) - dropped, dropped - again
            sizes = ((uid, size) for uid, size in kept.pairs() if uid not in dropped)
        adopted, self.recognised = tuple(placed), ()
        beside = self._neighbours.beside(folder)
        if beside.ledgers:
            whole = list(sizes)
            found, taken = beside.inherited(dict(whole))
            adopted += found
            sizes = [(uid, size) for uid, size in whole if uid not in taken]
        if (here is not None and here.messages) or revived:
            whole = sorted([*sizes, *unplaced(listing.late())])
            candidates = whole if here is not None else [(uid, size) for uid, size in whole if uid in revived]
            known = beside.taken
            known |= UidSet.joined([part for one in placed for r in one.records for part in r.destination.ranges])
            if here is None:
                known |= known_destinations(self._store, folder.folder_id)
            adoption = Adoption(self._source, self._destination)
            if candidates and here is not None and self._unsettled_seconds > 0:
                _, ours = adoption.adopt(folder, candidates, known, low=max(1, here.uidnext - NEWEST_LOOKED_AT))
                if ours:
                    raise SettleLater(self._unsettled_seconds)
            if candidates:
                found, taken = adoption.adopt(folder, candidates, known)
                adopted += found
                self.recognised = found
                whole = [(uid, size) for uid, size in whole if uid not in taken] if taken else whole
            sizes = whole
            folder = replace(folder, unmatched=folder.unmatched | adoption.unread)
        if self._newest_first:
            batches = self._newest(folder, [*sizes, *unplaced(listing.late())])
        else:
            # Streamed: a folder of a million messages is held by batch, not by message.
            batches = self._batches(folder, sizes)
            # The source gives no size for some: they are fetched all the same, and stand in the report if they do not come.
            batches += self._batches(folder, unplaced(listing.late()))
        uidnext = max(folder.uidnext, listing.highest + 1)
        short = Shortfall()
        gone = NO_UIDS
        withheld = listing.missing(untold)
        if before is not None:
            gone = deleted(self._store, before, listing.shown, whole=not withheld)
        if withheld:
            short = shortfall(withheld, listing.shown, low, uidnext, hidden, fresh=here is not None)
        if short.withheld:
            self._tell(MessagesWithheld(messages=short.withheld))
        shown_again = listing.shown & UidSet.of(Uid(uid) for uid in back)
        seen = listing.flags.by_flags()
        new_bytes, revived_bytes = kept.size_of(new), kept.size_of(revived)
        planned = sum(len(b.uids) for b in batches) + sum(len(r.source) for s in adopted for r in s.records)
        planned_bytes = sum(b.size_bytes for b in batches) + sum(s.size_bytes for s in adopted)
        return replace(
            plan,
            folder=replace(
                folder,
                uidnext=uidnext,
                skipped=summary(record),
                hidden=short.hidden,
                deleted=gone,
                source_messages=len(listing.shown) + short.withheld if short.withheld else folder.source_messages,
            ),
            batches=batches,
            adopted=adopted,
            messages=planned + len(new) - len(revived),
            size_bytes=planned_bytes + new_bytes - revived_bytes - sum(back[uid] for uid in shown_again),
            shown_again=shown_again,
            skipped=record if record != skipped.known else None,
            skipped_bytes=new_bytes - revived_bytes,
            withheld=short.withheld,
            flags=seen or None,
        )

    def _left_out(self, folder: Folder, kept: _Listed) -> dict[str, UidSet]:
        out = left_out(self._source, self._selection, kept.pairs())
        if self.returning is not None:
            rest = UidSet.ascending(kept.uids) - union(out.values())
            out = merged(out, self.returning.left_out(self._source, self._destination, folder, rest))
        if self.view is None:
            return out
        rest = UidSet.ascending(kept.uids) - union(out.values())
        return merged(out, kept_elsewhere(self._source, self.view, folder.source_name, rest))

    def _newest(self, folder: Folder, sizes: list[tuple[Uid, int]]) -> tuple[Unit, ...]:
        """Returns the batches by age band, and in each band the newest messages first."""
        if not sizes:
            return ()
        most = min(self._rules.batch_messages, NEWEST_AT_ONCE)
        younger = self._source.search(band_keys(self._now))
        cut = (self._batches(folder, of, most, band)[::-1] for band, of in in_bands(sorted(sizes), younger))
        return tuple(chain.from_iterable(cut))

    def _batches(
        self, folder: Folder, sizes: Iterable[tuple[Uid, int]], most: int = 0, band: int = 0
    ) -> tuple[Unit, ...]:
        return tuple(
            cut_batches(
                folder.folder_id,
                folder.uidvalidity,
                sizes,
                mailbox_id=folder.mailbox_id,
                batch_messages=most or self._rules.batch_messages,
                batch_bytes=self._rules.batch_bytes,
                band=band,
            )
        )
