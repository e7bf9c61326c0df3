"""Finds second copies at the destination, and tells which of them are proved to be ours.

A message that arrived after the folder was planned and that the ledger does not know is a second copy when its bytes
are those of a copy in the ledger. It is ours, and may be removed, when it also has that copy's internal date, and
either

- the append of its source message was once in doubt and the copy was not found, so that the message was sent again; or
- records were lost: another run had brought mail here that no ledger knew, so what arrives behind our own copy before
  this folder was ever verified is what that run still had on the line. The lower UID stays, so that two runs that both
  decide this never remove both copies.

A destination may alter a message beyond recognition: it cuts it off, or keeps nothing of it. Where records were lost, such
a message is sent again beside the copy that the run before had brought. That one is ours, and may be removed, when its
bytes and date are those of the new copy: the server made the same of the message twice, but for lines of mbox
(`made_twice`).

Any other second copy is reported and left: a person may have copied it. So is one in another folder of a message that was
sent again: its user may have moved the first copy there before it was recorded, where `worker.copying.moved_copies` could not
tell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Final

from shared.content.fingerprint import match, unmarked_of
from shared.folders.mapping import decode_name
from shared.mail import KnownStatus, MailDestination, Sighting
from shared.model import Folder, Note
from shared.model.uids import NO_UIDS, UidSet
from shared.nouns import dataclass
from shared.wording.phrases import Phrase
from worker.copying.account_arrivals import arrivals
from worker.copying.recovery import arrived
from worker.decisions.likeness import ADDED_BYTES

SECOND_COPY_OF_OURS_UID: Final = Phrase(
    "second_copy_of_ours_uid", "a second copy of ours (UID {uids} at the destination, beside UID {uid}) was removed"
)
SECOND_COPY_NOT_REMOVABLE: Final = Phrase(
    "second_copy_not_removable",
    "UID {uids} at the destination is a second copy of UID {uid}; the server cannot remove single messages",
)
SAME_MESSAGE_LEFT: Final = Phrase(
    "same_message_left",
    "UID {uids} at the destination is the same as UID {uid}; it was left, since it may be somebody else's copy",
)
SAME_MESSAGE_ELSEWHERE: Final = Phrase(
    "same_message_elsewhere",
    "it was sent again, and {folder} has a message with its header, size and date, too: its user may have moved the first copy",
)

#: Attributes of folders that only show what stands in others (RFC 6154).
VIEWS: Final = frozenset({"all", "flagged", "important"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Double:
    """A message that stands at the destination once more than it should."""

    #: UID at the source.
    uid: int
    #: UID of the copy in the ledger.
    copy: int
    #: UID of the second copy.
    extra: int
    #: Whether the second copy is proved to be ours.
    ours: bool


def doubles(
    destination: MailDestination,
    status: KnownStatus,
    folder: Folder,
    pairs: Mapping[int, int],
    *,
    lost: bool,
    theirs: UidSet = NO_UIDS,
) -> list[Double]:
    """Returns every second copy in the folder now open.

    `pairs` is its ledger, source UID → destination UID; `lost` says that records of an earlier run were lost; `theirs`
    are UIDs that neighbours brought.
    """
    ledger = UidSet.of(pairs.values())
    extras = arrived(destination, status, folder.destination_uidnext, ledger | theirs)
    if not extras:
        return []
    sizes = {seen.size_bytes for seen in extras}
    among = UidSet.of(uid for uid, size in destination.sizes(status, ledger) if size in sizes)
    heads = {_head(seen) for seen in extras}
    copies = {seen.uid: _head(seen) for seen in destination.sightings(among) if _head(seen) in heads} if among else {}
    if not copies:
        return []
    shared = set(copies.values())
    suspects = UidSet.of(seen.uid for seen in extras if _head(seen) in shared)
    known: dict[bytes | None, list[Sighting]] = defaultdict(list)
    for seen in destination.sightings(UidSet.of(copies), full=True):
        known[seen.digest].append(seen)
    sources = {to: uid for uid, to in pairs.items()}
    found = []
    for extra in destination.sightings(suspects, full=True):
        alike = known.get(extra.digest, [])
        proved = [
            copy
            for copy in alike
            if copy.internaldate == extra.internaldate
            and _ours(folder, sources[copy.uid], copy.uid, extra.uid, lost=lost)
        ]
        for copy in (proved or alike)[:1]:
            found.append(Double(uid=sources[copy.uid], copy=copy.uid, extra=extra.uid, ours=bool(proved)))
    return found


def made_twice(
    destination: MailDestination,
    status: KnownStatus,
    folder: Folder,
    pairs: Mapping[int, int],
    altered: UidSet,
    *,
    lost: bool,
    theirs: UidSet = NO_UIDS,
) -> list[Double]:
    """Returns second copies of `altered` messages, UIDs at the source whose copies differ in content, one to a message.

    They stand below the UID from which on we wrote where records were `lost`; else behind it, for messages in doubt. The rest is
    as for `doubles`.
    """
    if not lost:
        altered &= folder.doubts
    sources = {pairs[uid]: uid for uid in altered if pairs.get(uid, 0) >= folder.destination_uidnext}
    low, high = (1, folder.destination_uidnext) if lost else (folder.destination_uidnext, status.uidnext)
    window = UidSet.span(low, high - 1) - UidSet.of(pairs.values()) - theirs
    if not sources or not window:
        return []
    ours = UidSet.of(sorted(sources))
    sizes = sorted(size for _, size in destination.sizes(status, ours))
    near = UidSet.of(uid for uid, size in destination.sizes(status, window) if _is_near(sizes, size))
    heads = {_head_and_date(seen) for seen in destination.sightings(ours)}
    alike = UidSet.of(seen.uid for seen in destination.sightings(near) if _head_and_date(seen) in heads)
    if not alike:
        return []
    copies = {seen.uid: _made(seen) for seen in destination.sightings(ours, full=True)}
    extras = {seen.uid: _made(seen) for seen in destination.sightings(alike, full=True)}
    return [
        Double(uid=sources[copy], copy=copy, extra=extra, ours=True) for copy, extra in match(copies, extras).items()
    ]


def _is_near(sizes: Sequence[int], size: int) -> bool:
    """Tells whether a message of this size may be one of `sizes`, ascending, but for lines of mbox."""
    at = bisect_left(sizes, size - ADDED_BYTES)
    return at < len(sizes) and sizes[at] <= size + ADDED_BYTES


def _head_and_date(seen: Sighting) -> Hashable:
    return seen.fingerprint, seen.internaldate


def _made(seen: Sighting) -> Hashable:
    """Returns what two copies share that a server made of one message: all but lines of mbox, and the date."""
    return unmarked_of(seen.alike), seen.nuls, seen.internaldate


def _ours(folder: Folder, uid: int, copy: int, extra: int, *, lost: bool) -> bool:
    late = lost and not folder.verified and folder.destination_uidnext <= copy < extra
    return uid in folder.doubts or late


def _head(seen: Sighting) -> tuple[bytes, int]:
    return seen.fingerprint, seen.size_bytes


def notes_of(found: Sequence[Double], *, removed: bool) -> Iterator[Note]:
    """Yields the notes about these second copies, one a message: what was removed, and what may stand twice.

    `removed` says that those proved to be ours were removed.
    """
    by_message: dict[tuple[int, bool], list[Double]] = defaultdict(list)
    for double in found:
        by_message[double.uid, double.ours and removed].append(double)
    for (uid, undone), group in by_message.items():
        extras, copy = UidSet.of(double.extra for double in group), group[0].copy
        if undone:
            reason = SECOND_COPY_OF_OURS_UID.says(uids=str(extras), uid=copy)
        elif group[0].ours:
            reason = SECOND_COPY_NOT_REMOVABLE.says(uids=str(extras), uid=copy)
        else:
            reason = SAME_MESSAGE_LEFT.says(uids=str(extras), uid=copy)
        yield Note(uid=uid, what="undone" if undone else "doubled", reason=reason)


def elsewhere(
    destination: MailDestination,
    sent_again: Mapping[tuple[str, int], Sighting],
    folders: Sequence[Folder],
    known: Callable[[Folder], UidSet],
) -> dict[str, list[Note]]:
    """Returns the notes, by folder, on messages of which another folder got a copy that no ledger knows.

    `sent_again` are copies of messages that were once in doubt, by folder and source UID; `folders` and `known` as in
    `worker.copying.account_arrivals.arrivals`. The folder that is open may be another one afterwards.
    """
    wanted: dict[tuple[bytes, int, int | None], list[tuple[str, int]]] = defaultdict(list)
    for of, seen in sent_again.items():
        wanted[_dated(seen)].append(of)
    places = {folder.folder_id: folder.destination_name for folder in folders}
    views = {one.name for one in destination.listing().folders if not one.attributes.isdisjoint(VIEWS)}
    sizes = {seen.size_bytes for seen in sent_again.values()}
    found: dict[str, list[Note]] = defaultdict(list)
    for name, copies in arrivals(destination, sizes, folders, known, views, _since_first_planned):
        for copy in copies:
            others = [of for of in wanted[_dated(copy)] if places[of[0]] != name]
            if others:
                wanted[_dated(copy)].remove(others[0])
                folder_id, uid = others[0]
                reason = SAME_MESSAGE_ELSEWHERE.says(folder=f"{decode_name(name)} (UID {copy.uid})")
                found[folder_id].append(Note(uid=uid, what="doubled", reason=reason))
    return found


def _dated(seen: Sighting) -> tuple[bytes, int, int | None]:
    return (*_head(seen), seen.internaldate)


def _since_first_planned(planned: Sequence[Folder]) -> int:
    return max((folder.destination_uidnext for folder in planned), default=1)
