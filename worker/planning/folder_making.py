"""Maps a mailbox's folders to the destination, and creates those that are missing.

A folder that the destination refuses gets the next name that `shared.folders.places` offers; all others keep theirs. A
refusal that no name helps, or that has another reason than the name, is reported when the folder's messages are to be
copied. What the destination made under another name than it was asked for has that name from then on, unless it is another
folder's: two folders never become one (`shared.folders.made_names`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from shared.folders.gmail import EXTENSION, narrowed
from shared.folders.made_names import MadeNames
from shared.folders.mapping import LeftOut, MappedFolder, NameRules, left_out, map_wanted
from shared.folders.tree import is_inbox
from shared.mail import FolderListing, MailDestination, MailSource
from shared.mail.answers.refusals import response_code
from shared.model import Folder, Options
from shared.model.errors import FolderRefused, Throttled
from shared.nouns import dataclass
from shared.wording.often_said import CALLED_THERE
from worker.sessions.mailbox_sessions import together

#: Number of rounds in which names are tried: a tree of folders that take no folders below them needs one round for each
#: level.
MOST_ROUNDS: Final = 24
#: Number of folders that are created together at first, between which the lane may be told to stop; twice as many each time that
#: this took less than so many seconds.
MADE_AT_ONCE: Final = 20
QUICK_SECONDS: Final = 1.0
_EXISTS: Final = re.compile(r"already exist|exists already", re.IGNORECASE)
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
    go_on: Callable[[], object] = lambda: None,
) -> PreparedFolders:
    """Maps, creates and subscribes the folders; `known` is what an earlier pass planned.

    `listings` are those of both sides, where they are known. The folders with the source names `absent` are mapped and not
    created.
    `places` is source name → destination name of folders that were never planned and whose place is known. `go_on` is called
    between a few folders, and raises where the lane is to stop. Raises what the ports raise.
    """
    theirs, ours = listings or together(source.listing, destination.listing)
    subscribed = {folder.name for folder in ours.folders if folder.subscribed}
    pins = {**(places or {}), **pins_of(known, ours)}
    notes = {f.source_name: f.note for f in known if f.source_name in pins}
    refused: dict[bytes, dict[bytes, str]] = {}
    rules = NameRules()
    for _ in range(MOST_ROUNDS):
        mapped = mapped_to(theirs, ours, source, options, pins, refused, rules)
        mapped = [_remembering(one, notes.get(one.source_name, "")) for one in mapped]
        wanted = [one for one in mapped if not one.skip]
        missing = [
            one for one in wanted if not one.exists and one.source_name not in absent and not _was_refused(one, refused)
        ]
        if not missing:
            break
        # Parents first: a folder created below a name may take the name itself.
        missing.sort(key=lambda one: one.destination_name.count((ours.separator or "\0").encode()))
        failed = dict(_failed(destination, missing, go_on))
        for one, error in failed.items():
            refused.setdefault(one.source_name, {})[one.destination_name] = getattr(error, "detail", "")
        before, ours = ours, destination.listing()
        separator = (ours.separator or "\0").encode()
        elsewhere = _Elsewhere(MadeNames(before, ours), separator, wanted, missing, failed)
        for one in elsewhere.apart:
            refused.setdefault(one.source_name, {}).setdefault(one.destination_name, "")
        rules = elsewhere.learned(rules)
        again = {one.source_name for one, error in failed.items() if _another_name_may_help(error)}
        again |= {one.source_name for one in elsewhere.apart}
        again -= elsewhere.places.keys()
        if not again and not elsewhere.places:
            break
        pins = {one.source_name: one.destination_name for one in wanted if one.source_name not in again}
        pins.update(elsewhere.places)
        notes = {one.source_name: one.note for one in wanted}
    fresh = [
        one.destination_name
        for one in wanted
        if one.subscribed and one.destination_name not in subscribed and one.source_name not in absent
    ]
    if fresh:
        destination.subscribe(fresh)
    mapped.sort(key=lambda one: not is_inbox(one.source_name))
    return PreparedFolders(listing=theirs, mapped=mapped, left_out=left_out(mapped))


def _failed(
    destination: MailDestination, missing: Sequence[MappedFolder], go_on: Callable[[], object]
) -> Iterator[tuple[MappedFolder, Exception]]:
    """Creates the folders, and yields those that the destination refused, with the error.

    Raises a request to slow down, and what `go_on` raises. The more go together the quicker the server is.
    """
    at, most, refused = 0, MADE_AT_ONCE, False
    while at < len(missing):
        if refused:  # what was made is progress, which each attempt is to bring
            go_on()
        some, began = missing[at : at + most], time.monotonic()
        for one, error in zip(some, destination.create([one.destination_name for one in some]), strict=True):
            if isinstance(error, Throttled):
                raise error
            if error is not None:
                refused = True
                yield one, error
        at += len(some)
        most = 2 * most if time.monotonic() - began < QUICK_SECONDS else MADE_AT_ONCE


class _Elsewhere:
    """The folders that the destination has under other names than it was asked for."""

    def __init__(
        self,
        names: MadeNames,
        separator: bytes,
        wanted: Sequence[MappedFolder],
        missing: Sequence[MappedFolder],
        failed: Mapping[MappedFolder, Exception],
    ) -> None:
        #: Source name → the name that the destination gave the folder, where that is no other folder's.
        self.places: dict[bytes, bytes] = {}
        #: The folders of which the destination would have made one with another folder.
        self.apart: list[MappedFolder] = []
        self._names = names
        self._made: list[tuple[bytes, bytes]] = []
        unlisted = [
            one
            for one in sorted(missing, key=lambda one: (len(one.destination_name), one.source_name))
            if not names.lists(one.destination_name) and (one not in failed or _is_there_already(failed[one]))
        ]
        hidden = {one.source_name for one in unlisted}
        taken = {one.destination_name for one in wanted if one.source_name not in hidden}
        asked = {one.destination_name for one in unlisted}
        for one in unlisted:
            below = any(one.destination_name.startswith(other.destination_name + separator) for other in self.apart)
            made = names.made_of(one.destination_name, asked)
            if not made:
                continue
            if made in taken or below:
                self.apart.append(one)
                self._made.append((one.destination_name, made))
            else:
                self.places[one.source_name] = made
                taken.add(made)

    def learned(self, rules: NameRules) -> NameRules:
        """Returns the rules with what the names show that cannot be kept apart otherwise."""
        for asked, made in self._made:
            rules = self._names.learned(rules, asked, made)
        return rules


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
    rules: NameRules | None = None,
) -> list[MappedFolder]:
    """Returns the place of each folder; those in `pins` keep theirs, and no other gets one where it was `refused`."""
    mapped = map_wanted(theirs, ours, options, rules=rules, known=pins, refused=refused)
    if EXTENSION in source.capabilities:
        mapped = narrowed(theirs, mapped, options.gmail_labels)
    return mapped


def _was_refused(one: MappedFolder, refused: dict[bytes, dict[bytes, str]]) -> bool:
    return one.destination_name in refused.get(one.source_name, {})


def _is_there_already(error: Exception) -> bool:
    """Tells whether the folder was refused since the destination has it, under whatever name it lists it."""
    detail = getattr(error, "detail", "")
    return response_code(detail.encode()) == "ALREADYEXISTS" or _EXISTS.search(detail) is not None


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
