"""Finds the folders that other imports of the same two mailboxes copied, where they have other names by now.

A folder that its user renamed between the plans of two imports is one folder. The second import renames the first one's copy,
or leaves it under the name that its user gave it at the destination, and copies into it what is new. It recognises such a
folder as it does its own of an earlier pass (`worker.planning.folder_search`). Otherwise it would copy the folder a second
time, under its new name.

Where the operator chose different places for the folder in the two imports, each has its own copy of it, as without a new name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace

from shared.folders.mapping import spelled
from shared.folders.tree import is_inbox
from shared.mail import FolderStatus, MailDestination, MailSource
from shared.mail.answers.numbers import known_statuses
from shared.model import Folder, Mailbox, Options
from shared.nouns import dataclass
from shared.store import Store
from worker.decisions.whereabouts import SideView
from worker.planning.folder_search import FolderSearch, FoundFolders
from worker.sessions.mailbox_sessions import together


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundBeside:
    """The folders of other imports under their present names."""

    #: This import's own folders: what lies below a folder that was renamed has another name, too.
    own: FoundFolders
    #: Source folder → the destination folder that holds its copy.
    places: Mapping[bytes, bytes] = field(default_factory=dict)
    #: Source folder → `Folder.same_as`.
    same_as: Mapping[bytes, frozenset[str]] = field(default_factory=dict)
    #: Source folder → its numbers, as far as they were asked for here.
    told: Mapping[bytes, FolderStatus | Exception] = field(default_factory=dict)


class NeighbourFolders:
    """The search of one plan for the folders of other imports, between two signed-in sessions."""

    def __init__(self, source: MailSource, destination: MailDestination, store: Store, options: Options) -> None:
        self._source, self._destination, self._store, self._options = source, destination, store, options
        #: Import → its options; None where it is forgotten.
        self._others: dict[str, Options | None] = {}

    def find(
        self, planned: Iterable[tuple[Mailbox, Folder]], own: FoundFolders, there: SideView, *, alone: bool
    ) -> FoundBeside:
        """Finds those folders `planned` by other imports that no record of this one explains.

        `own` are this import's folders, `there` is what is known of the source. With `alone` no folder of the source is
        asked for before its turn.
        """
        if {one.source_name for one in own.folders}.issuperset(there.own()):
            return FoundBeside(own=own)
        groups = self._groups(planned, own.folders)
        if not groups:
            return FoundBeside(own=own)
        every = [one for group in groups for one in group]
        names = {one.source_name for one in every} & there.names - there.numbers.keys()
        asked = [] if alone else sorted(names)
        here = SideView(listing=own.ours, numbers=own.numbers)
        places = sorted({one.destination_name for one in every} & here.names - here.numbers.keys())
        told, seen = together(lambda: self._source.statuses(asked), lambda: known_statuses(self._destination, places))
        answers = dict(zip(asked, told, strict=True))
        there = replace(there, numbers={**there.numbers, **answers})
        here = replace(here, numbers={**here.numbers, **dict(zip(places, seen, strict=True))})

        def age(one: Folder) -> tuple[bool, int]:
            # Of two records of one folder the newer is the one whose copy still has its name.
            return here.displaced(one.destination_name, one.destination_uidvalidity), -one.uidnext

        for group in groups:
            group.sort(key=age)
        groups.sort(key=lambda group: age(group[0]))
        theirs = [group[0] for group in groups]
        ids = {one.folder_id for one in theirs}
        search = FolderSearch(self._source, self._destination, self._store, self._options, theirs, ids, own.folders)
        found = search.run(there, here)
        ours = [one for one in found.folders if one.folder_id not in ids]
        result = FoundBeside(own=replace(found, folders=ours, removed=own.removed, gone=own.gone), told=answers)
        return _placed(found, groups, result, there)

    def _groups(self, planned: Iterable[tuple[Mailbox, Folder]], own: Sequence[Folder]) -> list[list[Folder]]:
        """Returns the folders of other imports that no record of this one explains; in each list the records of one folder."""
        explained = {(one.source_name, one.uidvalidity) for one in own}
        known = frozenset[str]().union(*(one.same_as for one in own))
        groups: dict[tuple[object, ...], list[Folder]] = defaultdict(list)
        for mailbox, folder in planned:
            told = folder.uidvalidity and folder.destination_uidvalidity and not is_inbox(folder.source_name)
            if not told or (folder.source_name, folder.uidvalidity) in explained or folder.folder_id in known:
                continue
            if self._placed_alike(mailbox.import_id, folder):
                named = (folder.source_name, folder.destination_name)
                numbers = (folder.uidvalidity, folder.destination_uidvalidity)
                groups[(folder.object_id or named, *numbers)].append(folder)
        return list(groups.values())

    def _placed_alike(self, import_id: str, folder: Folder) -> bool:
        """Tells whether this import would have put the folder, under its former name, where the other one did."""
        if import_id not in self._others:
            import_ = self._store.import_(import_id)
            self._others[import_id] = import_.options if import_ is not None else None
        theirs, ours = self._others[import_id], self._options
        return theirs is not None and theirs.into == ours.into and _chosen(theirs, folder) == _chosen(ours, folder)


def _chosen(options: Options, folder: Folder) -> dict[str, str]:
    """Returns the places that the operator chose for the folder, or for folders above it."""
    levels = spelled(folder.display).split("/")
    above = {"/".join(levels[:depth]) for depth in range(1, len(levels) + 1)}
    return {spelled(old): new for old, new in options.folder_map if spelled(old) in above}


def _placed(
    found: FoundFolders, groups: Sequence[Sequence[Folder]], result: FoundBeside, there: SideView
) -> FoundBeside:
    """Returns the result with the places of those folders that are at both sides."""
    names = {one.name for one in found.ours.folders}
    now = {one.folder_id: one for one in found.folders if one.folder_id not in found.gone}
    places, same_as = dict[bytes, bytes](), dict[bytes, frozenset[str]]()
    for group in groups:
        one, before = now.get(group[0].folder_id), group[0]
        if one is None or one.destination_name not in names:
            continue
        # Under `--moves copy` a new name is a new folder.
        if one.source_name == before.source_name and there.displaced(one.source_name, one.uidvalidity):
            continue
        present = one.source_name, one.destination_name
        renamed = {other.folder_id for other in group if (other.source_name, other.destination_name) != present}
        ids = same_as.get(one.source_name, frozenset()).union(renamed, *(other.same_as for other in group))
        # Also one whose record has its new name already: the other import followed its user since.
        places.setdefault(*present)
        if ids:
            same_as[one.source_name] = ids
    return replace(result, places=places, same_as=same_as)
