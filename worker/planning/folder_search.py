"""Follows the folders that were renamed or removed since the last pass, at either side.

A folder that was renamed at the source is renamed at the destination too, unless its user renamed or removed it there:
the user at the destination wins. Where a name changed, the folder keeps its id and its ledger. A crash between RENAME
and the ledger changes nothing: the next pass finds the folder under its new name on both sides.

Nothing is asked for where every folder is where it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from shared.folders.mapping import FOLDER_FOR, spelled
from shared.folders.places import display
from shared.folders.tree import Tree, is_inbox
from shared.mail import FolderListing, FolderStatus, KnownStatus, MailDestination, MailSession, MailSource, Sighting
from shared.mail.answers.numbers import known_statuses
from shared.model import LEFT_ALONE, Folder, Options
from shared.model.choices import MoveChoice
from shared.model.errors import FolderRefused, Throttled
from shared.model.uids import Uid, UidSet
from shared.nouns import dataclass
from shared.store import WorkStore
from shared.wording.often_said import CALLED_THERE
from shared.wording.phrases import Phrase, several, text_of
from worker.decisions.whereabouts import SideView, removed_by_users, sample
from worker.planning.folder_making import mapped_to, pins_of

RENAME_MET_ANOTHER_FOLDER: Final = Phrase(
    "rename_met_another_folder",
    "renamed at the source, and keeps its name at the destination (there is another folder of that name)",
)
RENAME_REFUSED: Final = Phrase(
    "rename_refused",
    "renamed at the source, and keeps its name at the destination (the server said: {said})",
)

#: The note on a folder that its user renamed.
RENAMED_THERE: Final = Phrase("renamed_there", "its user renamed it at the destination").says()
#: Number of pairs of folders that are compared to find one.
_MOST_TRIES: Final = 50
#: Number of messages of a folder that was made anew, and of the source's, which are compared.
_FEW: Final = 200
_SOME: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFolders:
    """The folders of an earlier pass under their present names."""

    #: The folders: names, notes and `taken_away` are those of now.
    folders: Sequence[Folder]
    #: Ids of the folders of which this pass finds that their user removed them at the destination.
    removed: frozenset[str]
    #: Ids of the folders that are gone from one side.
    gone: frozenset[str]
    #: The destination's folders now.
    ours: FolderListing
    #: The numbers of the destination's folders that are known by now.
    numbers: dict[bytes, KnownStatus | Exception]


class FolderSearch:
    """The search of one pass for the folders of the last, between two signed-in sessions."""

    def __init__(
        self,
        source: MailSource,
        destination: MailDestination,
        store: WorkStore,
        options: Options,
        known: Sequence[Folder],
        pending: Collection[str],
        explained: Sequence[Folder] = (),
    ) -> None:
        """Takes `known`, the folders of the last pass, and the ids of those with messages without an outcome.

        Where `known` are folders of other imports, `explained` are this import's own under their present names.
        """
        self._source, self._destination, self._store, self._options = source, destination, store, options
        self._known, self._pending, self._explained = known, pending, explained
        #: Source folder → its numbers and its MAILBOXID, as EXAMINE tells them; None where it cannot be opened.
        self._opened: dict[bytes, KnownStatus | None] = {}

    def run(self, there: SideView, here: SideView) -> FoundFolders:
        """Finds every folder, and renames those at the destination that were renamed at the source."""
        displaced_there = {f.folder_id for f in self._known if there.displaced(f.source_name, f.uidvalidity)}
        displaced = {f.folder_id for f in self._known if here.displaced(f.destination_name, f.destination_uidvalidity)}
        every = [*self._explained, *self._known]
        explained = {f.source_name for f in every if f.folder_id not in displaced_there}
        if self._options.moves != MoveChoice.FOLLOW or explained.issuperset(there.own()):
            displaced_there = set()
        if not displaced and not displaced_there:
            return self._followed(every, frozenset(), frozenset(), here)
        there, here = self._all_numbers(self._source, there), self._all_numbers(self._destination, here)
        tree = Tree(here.listing)
        taken_there = {f.source_name for f in every if f.folder_id not in displaced_there}
        taken_here = {f.destination_name for f in every if f.folder_id not in displaced}
        folders, gone, renamed, lost = list(self._explained), list[Folder](), list[Folder](), set[str]()
        for folder in self._known:
            moved, away = folder.folder_id in displaced_there, folder.folder_id in displaced
            if not moved and not away:
                folders.append(folder)
                continue
            sources, named = [folder.source_name], b""
            if moved:
                sources = there.alike(folder.source_name, folder.uidvalidity, folder.uidnext, taken_there)
                named = self._named(folder, there, taken_there)
            places = [folder.destination_name]
            if away:
                low = max(folder.verified_uidnext, folder.destination_uidnext)
                places = here.alike(folder.destination_name, folder.destination_uidvalidity, low, taken_here)
            source, place = self._found(folder, sources, places, there, here, moved=moved, away=away, named=named)
            taken_there.add(source)
            taken_here.add(place)
            if not source or not place:
                lost.add(folder.folder_id)
            now = replace(folder, source_name=source or folder.source_name)
            if away and place:
                now = replace(now, destination_name=place, note=several((RENAMED_THERE, _called(place, tree))))
            elif away:
                gone.append(now)
            if source and moved and not (away and place):
                renamed.append(now)
            folders.append(now)
        gone = [one for one in gone if not self._holds_ours(one, here)]
        removed = {one.folder_id for one in removed_by_users(gone, self._known, displaced, here, self._pending)}
        folders = [self._let_go(one) if one.folder_id in removed else one for one in folders]
        if renamed:
            absent = {one.folder_id for one in folders if one.left_alone} | {one.folder_id for one in gone}
            folders, here = self._rename(folders, {one.folder_id for one in renamed}, absent, there, here)
        return self._followed(folders, frozenset(removed), frozenset(lost), here)

    @staticmethod
    def _followed(
        folders: Sequence[Folder], removed: frozenset[str], gone: frozenset[str], here: SideView
    ) -> FoundFolders:
        numbers = {name: told for name, told in here.numbers.items() if isinstance(told, KnownStatus | Exception)}
        return FoundFolders(folders=folders, removed=removed, gone=gone, ours=here.listing, numbers=numbers)

    @staticmethod
    def _all_numbers(session: MailSource | MailDestination, view: SideView) -> SideView:
        names = [name for name in view.own() if name not in view.numbers]
        return replace(view, numbers={**view.numbers, **dict(zip(names, known_statuses(session, names), strict=True))})

    # -- recognising

    def _named(self, folder: Folder, there: SideView, taken: Collection[bytes]) -> bytes:
        """Returns the source folder with the MAILBOXID of this one among those that nothing explains; b"" where it is none.

        An id that another folder has too, now or at the last pass, tells nothing (proxies make such ids), nor does that of
        a folder whose UIDNEXT went back under the same UIDVALIDITY. Only what EXAMINE says counts: the STATUS of Cyrus
        3.6 may answer MAILBOXID with random bytes.
        """
        others = [one for one in (*self._explained, *self._known) if one.folder_id != folder.folder_id]
        if not folder.object_id or any(one.object_id == folder.object_id for one in others):
            return b""
        told = {one.source_name for one in others if one.object_id and one.source_name in taken}
        found = []
        for name in sorted({*there.own(), *filter(is_inbox, there.names)} - told):
            if name not in self._opened:
                self._opened[name] = None
                with contextlib.suppress(FolderRefused):
                    self._opened[name] = self._source.open(name)
            opened = self._opened[name]
            if opened is not None and opened.object_id == folder.object_id:
                found.append((name, opened))
        if len(found) != 1 or found[0][0] in taken:
            return b""
        name, opened = found[0]
        return b"" if opened.same_uids(folder.uidvalidity) and opened.uidnext < folder.uidnext else name

    def _found(
        self,
        folder: Folder,
        sources: Sequence[bytes],
        places: Sequence[bytes],
        there: SideView,
        here: SideView,
        *,
        moved: bool,
        away: bool,
        named: bytes,
    ) -> tuple[bytes, bytes]:
        """Returns the folder's name at the source and at the destination; b"" where it is gone.

        Messages that both folders hold prove it. Where they have none in common, a UIDVALIDITY that no other folder of
        the account has does. `named` is the source folder with its MAILBOXID, which needs no proof, and under the same
        UIDVALIDITY no message that speaks against it; b"" for none.
        """
        alike = sources
        if named:
            moved, sources = False, [named]
        pairs = sample([p for e in self._store.ledger(folder.folder_id) for r in e.records for p in r.pairs()])
        denied = False
        for source, place in [(source, place) for source in sources for place in places][:_MOST_TRIES]:
            same = self._alike(source, place, pairs)
            if same:
                return source, place
            denied = denied or same is False
        opened = self._opened.get(named)
        if denied and opened is not None and opened.same_uids(folder.uidvalidity):
            return self._found(folder, alike, places, there, here, moved=True, away=away, named=b"")
        source, place = (sources[0] if not moved else b""), (places[0] if not away else b"")
        if denied:
            return source, place
        if moved and sources and there.only(folder.uidvalidity) and _untouched(folder, there.numbers[sources[0]]):
            source = sources[0]
        if away and places and here.only(folder.destination_uidvalidity):
            place = places[0]
        return source, place

    def _alike(self, source: bytes, place: bytes, pairs: Sequence[tuple[Uid, Uid]]) -> bool | None:
        """Tells whether the messages of the ledger stand in these two folders; None where none stands in both."""
        theirs = self._seen(self._source, source, UidSet.of(uid for uid, _ in pairs))
        ours = self._seen(self._destination, place, UidSet.of(to for _, to in pairs)) if theirs else {}
        both = [theirs[uid].fingerprint == ours[to].fingerprint for uid, to in pairs if uid in theirs and to in ours]
        return 2 * sum(both) > len(both) if both else None

    @staticmethod
    def _seen(session: MailSource | MailDestination, name: bytes, uids: UidSet) -> dict[int, Sighting]:
        if not uids:
            return {}
        try:
            session.open(name)
        except FolderRefused:
            return {}
        return {seen.uid: seen for seen in session.sightings(uids)}

    def _holds_ours(self, folder: Folder, here: SideView) -> bool:
        """Tells whether the folder that has the name now holds mail of the source: the server only numbered it anew."""
        name = folder.destination_name
        status = here.numbers.get(name)
        if name not in here.names or not isinstance(status, FolderStatus) or not status.messages:
            return False
        try:
            self._destination.open(name)
            self._source.open(folder.source_name)
        except FolderRefused:
            return False
        ours = {seen.fingerprint for seen in _first(self._destination, _FEW)}
        return any(seen.fingerprint in ours for seen in _first(self._source, _SOME))

    def _let_go(self, folder: Folder) -> Folder:
        sources = UidSet.of(u for e in self._store.ledger(folder.folder_id) for r in e.records for u in r.source)
        return replace(folder, taken_away=folder.taken_away | (sources - folder.accepted), note=LEFT_ALONE)

    # -- renaming

    def _rename(
        self,
        folders: list[Folder],
        renamed: Collection[str],
        absent: Collection[str],
        there: SideView,
        here: SideView,
    ) -> tuple[list[Folder], SideView]:
        """Renames at the destination; parents first, since what is below them goes along.

        What is `absent` there only gets the name under which it would be made.
        """
        pins = pins_of([f for f in folders if f.folder_id not in renamed], here.listing)
        mapped = mapped_to(there.listing, here.listing, self._source, self._options, pins, {})
        targets = {one.source_name: one.destination_name for one in mapped if not one.skip}
        names = {one.name for one in here.listing.folders}
        before = {f.folder_id: f for f in (*self._explained, *self._known)}
        tree = Tree(here.listing)
        done: list[tuple[bytes, bytes]] = []
        now = {f.folder_id: f for f in folders}
        separator = (here.listing.separator or "\0").encode()
        for folder in sorted(folders, key=lambda one: one.destination_name.count(separator)):
            name = _moved_along(folder.destination_name, done, separator)
            target = targets.get(folder.source_name, b"") if folder.folder_id in renamed else b""
            why = ""
            if target and target != name and not self._stays(before[folder.folder_id], here.listing):
                if folder.folder_id in absent:
                    name = target
                elif target in names:
                    why = RENAME_MET_ANOTHER_FOLDER.says()
                elif (error := self._destination.rename(name, target)) is None:
                    done.append((name, target))
                    names = {_moved_along(one, [(name, target)], separator) for one in names}
                    name = target
                elif isinstance(error, Throttled):
                    raise error
                else:
                    said = getattr(error, "detail", "") or text_of(error)
                    why = RENAME_REFUSED.says(said=said)
            if why or name != folder.destination_name:
                note = several((why, _called(name, tree))) if why else ""
                note = folder.note if folder.folder_id in absent else note
                now[folder.folder_id] = replace(folder, destination_name=name, note=note)
        if not done:
            return list(now.values()), here
        return list(now.values()), self._after(here, done, separator)

    def _after(self, here: SideView, done: Sequence[tuple[bytes, bytes]], separator: bytes) -> SideView:
        """Has the subscriptions follow, and lists the folders again."""
        subscribed = [one.name for one in here.listing.folders if one.subscribed]
        follow = {name: _moved_along(name, done, separator) for name in subscribed}
        follow = {name: new for name, new in follow.items() if new != name}
        if follow:
            self._destination.subscribe(list(follow.values()))
            self._destination.unsubscribe(list(follow))
        kept = {n: s for n, s in here.numbers.items() if _moved_along(n, done, separator) == n}
        return SideView(listing=self._destination.listing(), numbers=kept)

    def _stays(self, folder: Folder, ours: FolderListing) -> bool:
        """Tells whether the folder keeps its name at the destination whatever it is called at the source.

        That is INBOX, a folder that the destination uses for something, and one whose place the operator chose.
        """
        attributes = next((one.attributes for one in ours.folders if one.name == folder.destination_name), frozenset())
        chosen = spelled(folder.display) in {spelled(old) for old, _ in self._options.folder_map}
        used = FOLDER_FOR in folder.note or not attributes.isdisjoint(_USES)
        return chosen or used or is_inbox(folder.destination_name)


#: Attributes of folders that the destination uses for something (RFC 6154).
_USES: Final = frozenset({"all", "archive", "drafts", "flagged", "junk", "sent", "trash", "important"})


def _moved_along(name: bytes, done: Sequence[tuple[bytes, bytes]], separator: bytes) -> bytes:
    """Returns the name after these renamings of folders at or above it."""
    for old, new in done:
        if name == old or name.startswith(old + separator):
            name = new + name[len(old) :]
    return name


def _called(name: bytes, tree: Tree) -> str:
    return CALLED_THERE.says(folder=display(tree.path_of(name)))


def _untouched(folder: Folder, status: FolderStatus | Exception) -> bool:
    return (
        isinstance(status, FolderStatus)
        and status.uidnext == folder.uidnext
        and status.messages == folder.source_messages
    )


def _first(session: MailSession, number: int) -> list[Sighting]:
    first = next(iter(session.existing().pieces(number)), None)
    return list(session.sightings(first)) if first else []
