"""Cuts a folder into batches, tells what changed since the last pass, and estimates how long it all takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Protocol

from shared.model import Folder, Unit, UnitKind, batch_id
from shared.model.uids import Uid, UidSet
from shared.nouns import dataclass


class Status(Protocol):
    """The part of `shared.mail.KnownStatus` that is needed here; this floor does not know the ports."""

    @property
    def uidvalidity(self) -> int | None: ...
    @property
    def uidnext(self) -> int: ...
    @property
    def messages(self) -> int: ...
    @property
    def highestmodseq(self) -> int | None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Worth:
    """The work that must be left of a mailbox for each lane at it.

    Signing in twice costs both servers, and takes two or three round trips. That is as much as some hundred messages
    cost. While other mailboxes wait, the lane is of more use there.
    """

    #: Messages for a lane.
    messages: int = 250
    #: Bytes for a lane: one of the two is enough.
    size_bytes: int = 8 << 20

    def lanes(self, messages: int, size_bytes: int) -> int:
        """Returns how many lanes so much work is worth; at least one."""
        return max(1, messages // self.messages, size_bytes // self.size_bytes)


#: The default.
USUAL_WORTH = Worth()


def cut_batches(
    folder_id: str,
    uidvalidity: int,
    sizes: Iterable[tuple[Uid, int]],
    *,
    mailbox_id: str = "",
    batch_messages: int,
    batch_bytes: int,
    band: int = 0,
) -> Iterator[Unit]:
    """Yields batches of at most `batch_messages` messages and `batch_bytes` bytes.

    A larger message is a batch of its own.

    A message of unknown size (0) shares its batch only with others of unknown size. So the sum is a bound for each
    message of a batch, or 0. `sizes` ascend by UID. They are read as batches are asked for, and no more than one batch
    is held. The same UIDs cut by the same limits give the same ids. Raises ValueError when UIDs do not ascend: a UID in
    two batches would be counted twice.
    """
    uids: list[int] = []
    held = last = 0

    def unit() -> Unit:
        cut = UidSet.of(uids)
        return Unit(
            unit_id=batch_id(folder_id, uidvalidity, cut),
            kind=UnitKind.COPY,
            mailbox_id=mailbox_id,
            folder_id=folder_id,
            uids=cut,
            size_bytes=held,
            band=band,
        )

    for uid, size in sizes:
        if uid <= last:
            raise ValueError(f"UID {uid} after {last}: UIDs must ascend")
        size, last = max(0, size), uid
        unlike = bool(size) != bool(held)
        if uids and (unlike or len(uids) >= batch_messages or held + size > batch_bytes):
            yield unit()
            uids, held = [], 0
        uids.append(uid)
        held += size
    if uids:
        yield unit()


class Change(StrEnum):
    """The change of a source folder since its last snapshot."""

    #: It was never planned.
    NEW = "new"
    #: Its numbers are those of the snapshot, or messages only disappeared: nothing is to be copied.
    UNCHANGED = "unchanged"
    #: There may be messages that are not accounted for.
    CHANGED = "changed"
    #: Its UIDs mean other messages now: the folder is planned anew, and messages are matched by their bytes, with
    #: nothing guessed.
    REPLACED = "replaced"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delta:
    """The part of a folder that a pass has to look at."""

    #: The change of the folder.
    change: Change
    #: UIDs from here on have no outcome yet; 0 when there are none to look for.
    first_uid: int = 0
    #: Whether flags of known messages may have changed.
    flags: bool = False
    #: Flags changed since this mod-sequence (RFC 7162); None: all are to be read.
    changed_since: int | None = None


def delta(status: Status, folder: Folder | None) -> Delta:
    """Compares the source folder with its last snapshot.

    A UIDNEXT below the snapshot's proves nothing (servers may only know a lower bound), so the UIDs are looked at.
    Under the same UIDNEXT there can be no new message.
    """
    if folder is None or (folder.uidvalidity == 0 and folder.uidnext <= 1):
        return Delta(change=Change.NEW, first_uid=1)
    if not status.uidvalidity or status.uidvalidity != folder.uidvalidity:
        return Delta(change=Change.REPLACED, first_uid=1)
    flags, since = _flags(status, folder)
    if status.uidnext != folder.uidnext:
        return Delta(change=Change.CHANGED, first_uid=folder.uidnext, flags=flags, changed_since=since)
    return Delta(change=Change.UNCHANGED, flags=flags, changed_since=since)


def other_number(status: Status, before: Folder) -> bool:
    """Tells whether a folder to which nothing new came holds fewer messages, or some that were deleted are back."""
    if status.messages < before.source_messages:
        return True
    return status.messages > before.source_messages and bool(before.deleted)


def _flags(status: Status, folder: Folder) -> tuple[bool, int | None]:
    if not status.messages or not folder.source_messages:
        return False, None
    if status.highestmodseq and folder.highestmodseq:
        if status.highestmodseq == folder.highestmodseq:
            return False, None
        if status.highestmodseq > folder.highestmodseq:
            return True, folder.highestmodseq
    return True, None


#: The speed of one connection, (optimistic, pessimistic): two servers near each other, and a provider far away that
#: throttles. Measured at 50 ms: 224 messages/s of many small mailboxes over one connection, 4,900 of one large one.
_MESSAGES_A_SECOND = (1_000.0, 25.0)
_BYTES_A_SECOND = (20e6, 0.5e6)
#: Signing in on both sides, listing, selecting.
_SECONDS_A_MAILBOX = (0.5, 5.0)
#: The speed of all connections together, which the two servers limit.
_ALL_BYTES_A_SECOND = (200e6, 10e6)


def expected_duration(messages: int, bytes_: int, mailboxes: int, connections: int) -> tuple[float, float]:
    """Returns (low, high) in seconds, for the dry run: an order of magnitude, not a promise.

    Each mailbox costs its sign-in; then the slower of messages and bytes decides. Connections share the work, but never
    more bytes than two servers move together.
    """
    if not mailboxes:
        return 0.0, 0.0
    lanes = max(1, connections)
    low, high = (
        mailboxes * _SECONDS_A_MAILBOX[at] / min(lanes, mailboxes)
        + max(
            messages / _MESSAGES_A_SECOND[at] / lanes,
            bytes_ / _BYTES_A_SECOND[at] / lanes,
            bytes_ / _ALL_BYTES_A_SECOND[at],
        )
        for at in (0, 1)
    )
    return low, high
