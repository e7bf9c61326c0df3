"""The result of a dry run: what an import would do, mailbox by mailbox.

`mailhaul plan` prints it or gives it as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from typing import Any, Final, Protocol

from producer.forecast.binding import bindings, said
from producer.forecast.gathering import FASTEST, SLOWEST, rated
from producer.forecast.loads import ForecastLimits, Load
from producer.forecast.simulation import simulated
from shared.folders.mapping import FOREIGN, ONLY_SUBFOLDERS, LeftOut, MappedFolder, left_out
from shared.folders.names import visible
from shared.model import CANNOT_BE_READ_AT_SOURCE
from shared.model.errors import SameMailbox
from shared.model.messages import Owner
from shared.nouns import dataclass
from shared.rules.batching import expected_duration
from shared.wording.often_said import CALLED_THERE
from shared.wording.phrases import parts, several, text_of
from shared.wording.spoken import spoken_duration, spoken_size


class FolderSize(Protocol):
    """The part of `shared.mail.KnownStatus` that this module needs; decisions do not import the ports."""

    @property
    def messages(self) -> int: ...
    @property
    def size_bytes(self) -> int | None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderLine:
    """A folder of the dry run."""

    #: Name at the source, as shown to people.
    source: str
    #: Name at the destination, as shown to people; "" when the folder is left out.
    destination: str
    #: "sent", "trash", …; "" for an ordinary folder.
    special_use: str = ""
    #: The folder's owner: "personal", "other" (another person) or "public".
    owner: Owner = Owner.PERSONAL
    #: Messages that would be copied; for a folder that is left out, the messages that it holds, if known.
    messages: int = 0
    #: Bytes of these messages; None where the source reports no sizes before they are read.
    size_bytes: int | None = None
    #: Whether the destination has the folder already.
    exists: bool = False
    #: Why the folder is left out; "" when it is not.
    skip: str = ""
    #: Remarks on the folder, for example why it gets another name at the destination; "" for none.
    note: str = ""
    #: Messages that would not be copied, beside `messages`.
    skipped_messages: int = 0
    #: Why they would not be copied, with numbers; "" when there are none.
    skipped: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class MailboxLine:
    """A mailbox of the dry run."""

    #: Line in the manifest, counted from 1.
    row: int
    #: Login at the source.
    login: str
    #: Login at the destination.
    destination_login: str
    #: URL of the row's own server; "" where the row uses the import's source.
    server: str = ""
    #: Folders, INBOX first, the others in the order of their names.
    folders: tuple[FolderLine, ...] = ()
    #: Why the mailbox could not be read, and what to do; "" when it could.
    problem: str = ""
    #: Whether its account at the destination would be created.
    would_create: bool = False
    #: Whether the source is empty and the destination is not.
    backwards: bool = False

    @property
    def left_out(self) -> LeftOut:
        """The folders of other people and the public folders that would not be copied."""
        return left_out(self.folders)


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Sums over mailboxes; messages and bytes of folders that are left out do not count."""

    #: Rows of the manifest.
    mailboxes: int = 0
    #: Mailboxes that could not be read.
    problems: int = 0
    #: Folders that would be copied.
    folders: int = 0
    #: Folders left out that can hold messages, including those of other people and public ones.
    skipped_folders: int = 0
    #: Folders of other people that are left out.
    other_folders: int = 0
    #: Public folders that are left out.
    public_folders: int = 0
    #: Folders that get another name.
    renamed_folders: int = 0
    #: Messages that would be copied.
    messages: int = 0
    #: Bytes of these messages, as far as they are known.
    size_bytes: int = 0
    #: Messages of these folders that would not be copied.
    skipped_messages: int = 0
    #: Folders whose size the source does not report.
    unknown_sizes: int = 0
    #: Accounts that would be created at the destination.
    new_accounts: int = 0


#: The most limits that a plan names.
_BINDINGS: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class DryRun:
    """The result of a dry run."""

    #: URL of the source.
    source: str
    #: URL of the destination.
    destination: str
    #: Mailboxes in the manifest's order.
    mailboxes: tuple[MailboxLine, ...]
    #: Warnings for the operator to read before starting.
    warnings: tuple[str, ...] = ()
    #: Connections that work at the same time; the estimate needs the number.
    connections: int = 1
    #: Whether every source mailbox is empty and every destination is not.
    swapped: bool = False
    #: The size of each mailbox, and the limits that count for it.
    loads: tuple[Load, ...] = ()
    limits: ForecastLimits = ForecastLimits()

    @property
    def totals(self) -> Totals:
        """The sums over all mailboxes."""
        return totals(self.mailboxes)

    @property
    def seconds(self) -> tuple[float, float]:
        """The estimated duration in seconds, (low, high), under the limits that are set.

        See `shared.rules.batching.expected_duration` and `producer.forecast`.
        """
        sums = self.totals
        plain = expected_duration(sums.messages, sums.size_bytes, sums.mailboxes - sums.problems, self.connections)
        held = (simulated(self.loads, replace(self.limits, speed=speed)).known for speed in (FASTEST, SLOWEST))
        low, high = plain if not rated(self.limits) else map(max, plain, held)
        return low, high

    @property
    def binds(self) -> list[str]:
        """The limits that make it take longer, and for whom, in words."""
        if not rated(self.limits):
            return []
        limits = replace(self.limits, speed=FASTEST)
        found = bindings(self.loads, limits, 0.0, simulated(self.loads, limits))
        return [said(one) for one in found if "." in one.what][:_BINDINGS]

    def as_json(self) -> dict[str, Any]:
        """Returns the result for ``--json``: names as in the dataclasses, no secrets."""
        low, high = self.seconds
        return {
            **{one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("loads", "limits")},
            "binds": self.binds,
            "mailboxes": [
                {**asdict(box), "left_out": box.left_out.note(), "totals": asdict(totals([box]))}
                for box in self.mailboxes
            ],
            "totals": asdict(self.totals),
            "expected_seconds": {"low": round(low), "high": round(high)},
        }

    def lines(self, *, folders: bool = True) -> Iterator[str]:
        """Returns the lines for a terminal.

        With `folders` off there is one line for each mailbox, and one for each folder that is left out or has a note.
        """
        yield f"from {self.source} to {self.destination}: nothing is written"
        for warning in self.warnings:
            yield f"note: {warning}"
        for box in self.mailboxes:
            yield from _mailbox(box, folders)
        if self.swapped:
            yield f"{SameMailbox.SWAPPED} {SameMailbox.advice}"
        sums = self.totals
        yield (
            f"{_count(sums.mailboxes, 'mailbox', 'mailboxes')}, {_load(sums)}; "
            f"left out: {sums.skipped_folders}, renamed: {sums.renamed_folders}, not reached: {sums.problems}"
            + (f", messages skipped: {sums.skipped_messages:,}" if sums.skipped_messages else "")
            + (f", accounts to be created: {sums.new_accounts}" if sums.new_accounts else "")
        )
        if sums.problems == sums.mailboxes:
            yield "no estimate: no mailbox could be opened"
            return
        low, high = self.seconds
        yield f"expected: {spoken_duration(low)} to {spoken_duration(high)}, over {self.connections} connections"
        yield from self.binds


def folder_lines(
    mapped: Iterable[MappedFolder],
    statuses: Mapping[bytes, FolderSize | Exception],
    skipped: Mapping[bytes, tuple[int, str]] | None = None,
) -> tuple[FolderLine, ...]:
    """Returns the lines of one mailbox.

    `statuses` holds, by source name, what would be copied, or the error of a folder that the source does not open.
    `skipped` holds, by source name, how many messages would not be copied, and why.
    """
    lines = []
    for folder in mapped:
        status = statuses.get(folder.source_name)
        refused = isinstance(status, Exception)
        known = None if status is None or isinstance(status, Exception) else status
        number, why = (skipped or {}).get(folder.source_name, (0, ""))
        lines.append(
            FolderLine(
                source=folder.display,
                destination="" if refused else folder.destination_display,
                special_use=folder.special_use,
                owner=folder.owner,
                messages=known.messages if known else 0,
                size_bytes=(known.size_bytes if known.messages else 0) if known else None,
                exists=folder.exists,
                skip=folder.skip
                or (CANNOT_BE_READ_AT_SOURCE.says(cause=text_of(status)) if isinstance(status, Exception) else ""),
                note=folder.note,
                skipped_messages=number,
                skipped=why,
            )
        )
    return tuple(lines)


def totals(mailboxes: Iterable[MailboxLine]) -> Totals:
    """Returns the sums over these mailboxes."""
    boxes = list(mailboxes)
    folders = [folder for box in boxes for folder in box.folders]
    copied = [folder for folder in folders if not folder.skip]
    foreign = left_out(folders)
    return Totals(
        mailboxes=len(boxes),
        problems=sum(bool(box.problem) for box in boxes),
        folders=len(copied),
        skipped_folders=sum(bool(folder.skip) and folder.skip != ONLY_SUBFOLDERS for folder in folders),
        other_folders=foreign.other,
        public_folders=foreign.public,
        renamed_folders=sum(folder.destination != folder.source for folder in copied),
        messages=sum(folder.messages for folder in copied),
        size_bytes=sum(folder.size_bytes or 0 for folder in copied),
        skipped_messages=sum(folder.skipped_messages for folder in copied),
        unknown_sizes=sum(folder.size_bytes is None for folder in copied),
        new_accounts=sum(box.would_create for box in boxes),
    )


def _mailbox(box: MailboxLine, folders: bool) -> Iterator[str]:
    sums = totals([box])
    to = "" if box.destination_login == box.login else f" → {box.destination_login}"
    new = ", the account would be created" if box.would_create else ""
    yield f"{box.login}{to}: {box.problem or _load(sums)}{new}"
    for folder in box.folders:
        if folder.skip in (ONLY_SUBFOLDERS, *FOREIGN.values()):
            if folders and folder.skip == ONLY_SUBFOLDERS and folder.owner is Owner.PERSONAL:
                yield f"    {visible(folder.source)}: {folder.skip}"
        elif folder.skip:
            yield f"    {visible(folder.source)}: left out, {folder.skip}"
        elif folders or folder.note:
            to = "" if folder.destination == folder.source else f" → {visible(folder.destination)}"
            # The arrow shows the new name already, so the note does not repeat it.
            called = CALLED_THERE.says(folder=folder.destination)
            why = several(part for part in parts(folder.note) if not to or part != called)
            note = f" ({why})" if why else ""
            skipped = f", skipped: {folder.skipped}" if folder.skipped else ""
            yield f"    {visible(folder.source)}{to}: {_count(folder.messages, 'message', 'messages')}{skipped}{note}"
    if note := box.left_out.note():
        yield f"    note: {note}"


def _load(sums: Totals) -> str:
    size = spoken_size(sums.size_bytes)
    if sums.unknown_sizes:
        size = f"at least {size}" if sums.size_bytes else "size not known yet"
    return f"{_count(sums.folders, 'folder', 'folders')}, {_count(sums.messages, 'message', 'messages')}, {size}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
