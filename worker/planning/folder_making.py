"""Maps a mailbox's folders to the destination, and creates those that are missing.

A folder that the destination refuses gets the next name that `shared.folders.places` offers; all others keep theirs. A
refusal that no name helps, or that has another reason than the name, is reported when the folder's messages are to be
copied.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.folders.gmail import EXTENSION, narrowed
from shared.folders.mapping import LeftOut, MappedFolder, left_out, map_wanted
from shared.folders.tree import is_inbox
from shared.mail import FolderListing, MailDestination, MailSource
from shared.mail.answers.refusals import response_code
from shared.model import Folder, Options
from shared.model.errors import FolderRefused, Throttled
from shared.wording.often_said import CALLED_THERE
from worker.sessions.mailbox_sessions import together

#: Number of rounds in which names are tried: a tree of folders that take no folders below them needs one round for each
#: level.
MOST_ROUNDS: Final = 24
#: Response codes of a refusal that another name does not help (RFC 5530).
_NOT_THE_NAME: Final = frozenset(
    {
        "NOPERM",
        "OVERQUOTA",
        "LIMIT",
        "UNAVAILABLE",
        "SERVERBUG",
        "INUSE",
        "PRIVACYREQUIRED",
        "CONTACTADMIN",
        "READ-ONLY",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedFolders:
    """The folders of one mailbox."""

    #: The folders that the source lists.
    listing: FolderListing
    #: The destination of each folder, INBOX first.
    mapped: list[MappedFolder]
    #: Folders that are not the account's own and are left out.
    left_out: LeftOut


def make_folders(
    source: MailSource,
    destination: MailDestination,
    options: Options,
    known: Sequence[Folder],
    listings: tuple[FolderListing, FolderListing] | None = None,
    *,
    absent: Collection[bytes] = (),
    places: Mapping[bytes, bytes] | None = None,
) -> PreparedFolders:
    """Maps, creates and subscribes the folders; `known` is what an earlier pass planned.

    `listings` are those of both sides, where they are known. The folders with the source names `absent` are mapped and not
    created.
    `places` is source name → destination name of folders that were never planned and whose place is known. Raises what
    the ports raise.
    """
    theirs, ours = listings or together(source.listing, destination.listing)
    subscribed = {folder.name for folder in ours.folders if folder.subscribed}
    pins = {**(places or {}), **pins_of(known, ours)}
    notes = {f.source_name: f.note for f in known if f.source_name in pins}
    refused: dict[bytes, dict[bytes, str]] = {}
    for _ in range(MOST_ROUNDS):
        mapped = mapped_to(theirs, ours, source, options, pins, refused)
        mapped = [_remembering(one, notes.get(one.source_name, "")) for one in mapped]
        wanted = [one for one in mapped if not one.skip]
        missing = [
            one for one in wanted if not one.exists and one.source_name not in absent and not _was_refused(one, refused)
        ]
        # Parents first: a folder created below a name may take the name itself.
        missing.sort(key=lambda one: one.destination_name.count((ours.separator or "\0").encode()))
        errors = dict(zip(missing, destination.create([one.destination_name for one in missing]), strict=True))
        failed = {one: error for one, error in errors.items() if error is not None}
        for one, error in failed.items():
            if isinstance(error, Throttled):
                raise error
            refused.setdefault(one.source_name, {})[one.destination_name] = getattr(error, "detail", "")
        again = {one.source_name for one, error in failed.items() if _another_name_may_help(error)}
        if not again:
            break
        pins = {one.source_name: one.destination_name for one in wanted if one.source_name not in again}
        notes = {one.source_name: one.note for one in wanted}
        ours = destination.listing()
    fresh = [
        one.destination_name
        for one in wanted
        if one.subscribed and one.destination_name not in subscribed and one.source_name not in absent
    ]
    if fresh:
        destination.subscribe(fresh)
    mapped.sort(key=lambda one: not is_inbox(one.source_name))
    return PreparedFolders(listing=theirs, mapped=mapped, left_out=left_out(mapped))


def pins_of(known: Sequence[Folder], ours: FolderListing) -> dict[bytes, bytes]:
    """Returns source name → destination name of those folders that keep theirs.

    A folder that was never created does not: it may get another one now.
    """
    listed = {folder.name for folder in ours.folders}
    return {
        f.source_name: f.destination_name
        for f in known
        if f.destination_uidvalidity or f.left_alone or f.destination_name in listed
    }


def mapped_to(
    theirs: FolderListing,
    ours: FolderListing,
    source: MailSource,
    options: Options,
    pins: dict[bytes, bytes],
    refused: dict[bytes, dict[bytes, str]],
) -> list[MappedFolder]:
    """Returns the place of each folder; those in `pins` keep theirs, and no other gets one where it was `refused`."""
    mapped = map_wanted(theirs, ours, options, known=pins, refused=refused)
    if EXTENSION in source.capabilities:
        mapped = narrowed(theirs, mapped, options.gmail_labels)
    return mapped


def _was_refused(one: MappedFolder, refused: dict[bytes, dict[bytes, str]]) -> bool:
    return one.destination_name in refused.get(one.source_name, {})


def _another_name_may_help(error: Exception) -> bool:
    """Tells whether the name may be why the folder was refused; the server's own words can seldom be interpreted."""
    if not isinstance(error, FolderRefused):
        return False
    return response_code(error.detail.encode()) not in _NOT_THE_NAME


def _remembering(one: MappedFolder, before: str) -> MappedFolder:
    """Returns the folder with the reason for its name that an earlier pass or round gave.

    A name that is kept brings no reason of its own.
    """
    called = CALLED_THERE.says(folder=one.destination_display)
    head, found, _ = before.partition(called)
    return replace(one, note=head + found) if found and one.note == called else one
