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


class WantedFolders:
    """The folders that a mailbox is to have at the destination, as the listings of both sides tell."""

    def __init__(
        self,
        source: MailSource,
        destination: MailDestination,
        options: Options,
        known: Sequence[Folder],
        listings: tuple[FolderListing, FolderListing],
        *,
        absent: Collection[bytes] = (),
        places: Mapping[bytes, bytes] | None = None,
        counted: Collection[bytes] = (),
    ) -> None:
        """Maps the folders; `known` is what an earlier pass planned.

        The folders with the source names `absent` are mapped and not created. `places` is source name → destination name
        of folders that were never planned and whose place is known. The numbers of the destination's folders `counted` are
        known already.
        """
        self._source, self._destination, self._options = source, destination, options
        self._absent, self._counted = absent, counted
        self._theirs, self._ours = listings
        self._pins = {**(places or {}), **pins_of(known, self._ours)}
        self._notes = {f.source_name: f.note for f in known if f.source_name in self._pins}
        self._refused: dict[bytes, dict[bytes, str]] = {}
        self._rules = NameRules()
        #: The place of each folder, as far as the destination refuses none.
        self.mapped = self._mapped()

    def _mapped(self) -> list[MappedFolder]:
        mapped = mapped_to(
            self._theirs, self._ours, self._source, self._options, self._pins, self._refused, self._rules
        )
        return [_remembering(one, self._notes.get(one.source_name, "")) for one in mapped]

    def make(self, go_on: Callable[[], object] = lambda: None) -> PreparedFolders:
        """Creates and subscribes the folders.

        `go_on` is called between a few folders, and raises where the lane is to stop. Raises what the ports raise.
        """
        subscribed = {folder.name for folder in self._ours.folders if folder.subscribed}
        for turn in range(MOST_ROUNDS):
            if turn:
                self.mapped = self._mapped()
            wanted = [one for one in self.mapped if not one.skip]
            here = [one for one in wanted if one.source_name not in self._absent]
            missing = [one for one in here if not one.exists and not _was_refused(one, self._refused)]
            if not missing:
                break
            uncounted = dict.fromkeys(one.destination_name for one in here if one.destination_name not in self._counted)
            if self._all_made(missing, wanted, list(uncounted), go_on):
                break
        fresh = [one.destination_name for one in here if one.subscribed and one.destination_name not in subscribed]
        if fresh:
            self._destination.subscribe(fresh)
        mapped = sorted(self.mapped, key=lambda one: not is_inbox(one.source_name))
        return PreparedFolders(listing=self._theirs, mapped=mapped, left_out=left_out(mapped))

    def _all_made(
        self,
        missing: list[MappedFolder],
        wanted: Sequence[MappedFolder],
        counting: Sequence[bytes],
        go_on: Callable[[], object],
    ) -> bool:
        """Creates the folders `missing`, and lists what there is then. Tells whether no folder is to get another name.

        The numbers of `counting` are asked for behind the listing. Where a folder has another name, nobody takes those that were
        told under the first one: all are asked for again.
        """
        # Parents first: a folder created below a name may take the name itself.
        missing.sort(key=lambda one: one.destination_name.count((self._ours.separator or "\0").encode()))
        failed = dict(_failed(self._destination, missing, go_on))
        for one, error in failed.items():
            self._refused.setdefault(one.source_name, {})[one.destination_name] = getattr(error, "detail", "")
        before, self._ours = self._ours, self._destination.listing(counting=counting)
        separator = (self._ours.separator or "\0").encode()
        elsewhere = _Elsewhere(MadeNames(before, self._ours), separator, wanted, missing, failed)
        for one in elsewhere.apart:
            self._refused.setdefault(one.source_name, {}).setdefault(one.destination_name, "")
        self._rules = elsewhere.learned(self._rules)
        again = {one.source_name for one, error in failed.items() if _another_name_may_help(error)}
        again |= {one.source_name for one in elsewhere.apart}
        again -= elsewhere.places.keys()
        if not again and not elsewhere.places:
            return True
        self._pins = {one.source_name: one.destination_name for one in wanted if one.source_name not in again}
        self._pins.update(elsewhere.places)
        self._notes = {one.source_name: one.note for one in wanted}
        return False


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
