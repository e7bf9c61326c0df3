"""The folders of one mailbox as an import would find them, for the dry run.

The dry run maps and selects folders with the same functions as the import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from producer.intake.dry_run import FolderLine, folder_lines
from shared.folders.gmail import EXTENSION, narrowed
from shared.folders.mapping import FOREIGN, ONLY_SUBFOLDERS, MappedFolder, map_wanted
from shared.folders.names import natural_order
from shared.folders.tree import is_inbox
from shared.mail import FolderListing, KnownStatus, MailSource
from shared.mail.answers.limits import too_large
from shared.mail.answers.numbers import known_statuses
from shared.mail.imap.choosing import LabelsSeen, kept_elsewhere, left_out, look_at_labels
from shared.model import Options
from shared.model.errors import FolderRefused
from shared.model.uids import UidSet
from shared.rules.selection import Selection, merged, summary, union
from shared.wording.phrases import Phrase, several

MESSAGES_ARE: Final = Phrase("messages_are", "{num} messages are {what}")
MESSAGE_IS: Final = Phrase("message_is", "{num} message is {what}")


def foresee(
    source: MailSource, here: FolderListing, options: Options, most: int | None = None
) -> tuple[FolderLine, ...]:
    """Returns what would become of each folder of `source`, INBOX first. Only reads.

    `here` is the destination's listing; `most` is the size in bytes of the largest message that the destination takes,
    None if it does not say.
    """
    listing, mode = source.listing(), options.gmail_labels
    mapped = map_wanted(listing, here, options)
    if EXTENSION in source.capabilities:
        mapped = narrowed(listing, mapped, mode)
    seen = look_at_labels(source, listing, mapped, mode)
    mapped = [_noted(one, seen.notes if seen else {}) for one in mapped]
    mapped.sort(key=lambda one: natural_order(one.display))
    # Folders of other people that are left out are not asked for their numbers: their content is private.
    names = [one.source_name for one in mapped if one.skip not in (ONLY_SUBFOLDERS, *FOREIGN.values())]
    statuses = dict(zip(names, known_statuses(source, names, sized=True), strict=True))
    for name in filter(is_inbox, names):
        if not isinstance(statuses[name], Exception):
            try:  # some servers report numbers for a folder that they refuse to open
                source.open(name)
            except FolderRefused as error:
                statuses[name] = error
    selection = Selection.of(options)
    skipped: dict[bytes, tuple[int, str]] = {}
    large: dict[bytes, str] = {}
    for one in mapped:
        status = statuses.get(one.source_name)
        if one.skip or not isinstance(status, KnownStatus) or not status.messages:
            continue
        if not selection.everything or (seen and seen.view.decides(one.source_name)):
            try:
                statuses[one.source_name], skipped[one.source_name] = _chosen(source, selection, seen, one)
            except FolderRefused as error:
                statuses[one.source_name] = error
        elif status.size_bytes is None:
            statuses[one.source_name] = _sized(source, one.source_name, status)
        now = statuses[one.source_name]
        if most is not None and isinstance(now, KnownStatus) and (now.size_bytes or 0) > most:
            large[one.source_name] = _refused(source, one.source_name, most)
    if caution := source.caution():
        large = {one.source_name: several((large.get(one.source_name, ""), caution)) for one in mapped}
    return folder_lines([_noted(one, large) for one in mapped], statuses, skipped)


def _refused(source: MailSource, name: bytes, most: int) -> str:
    """Tells how many messages of a folder would be refused for their size; "" for none.

    The count includes messages that are not selected.
    """
    try:
        count = sum(size > most for _, size in source.sizes(source.open(name)))
    except FolderRefused:
        return ""
    if not count:
        return ""
    return (MESSAGES_ARE if count > 1 else MESSAGE_IS).says(num=f"{count:,}", what=too_large(most))


def _noted(one: MappedFolder, notes: Mapping[bytes, str]) -> MappedFolder:
    return replace(one, note=several((one.note, notes.get(one.source_name, ""))))


def _chosen(
    source: MailSource, selection: Selection, seen: LabelsSeen | None, one: MappedFolder
) -> tuple[KnownStatus, tuple[int, str]]:
    """Returns the folder's status as if it held only the selected messages; and how many are not selected, and why."""
    status = source.open(one.source_name)
    sizes = [(int(uid), size) for uid, size in source.sizes(status)]
    out = left_out(source, selection, sizes)
    if seen:
        rest = UidSet.of(uid for uid, _ in sizes) - union(out.values())
        out = merged(out, kept_elsewhere(source, seen.view, one.source_name, rest))
    dropped = union(out.values())
    size = sum(size for uid, size in sizes if uid not in dropped)
    wanted = replace(status, messages=len(sizes) - len(dropped), size_bytes=size)
    return wanted, (len(dropped), summary(out))


def _sized(source: MailSource, name: bytes, status: KnownStatus) -> KnownStatus:
    """Returns the status with the sum of sizes, read message by message because the server does not report the sum."""
    try:
        return replace(status, size_bytes=sum(size for _, size in source.sizes(source.open(name))))
    except FolderRefused:
        return replace(status, size_bytes=0)
