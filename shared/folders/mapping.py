"""Decides which source folder goes where at the destination.

The raw bytes that a server lists are a folder's identity: they are never decoded and encoded again to select it.
Decoding is for people and for finding the destination's name. `map_folders` promises:

* Two source folders never become one: when two want the same name, the later gets a hash of its source name behind it.
* The answer is the same again once the folders exist at the destination, so that a delta pass continues the first one.
* Names keep their text: characters that the destination cannot hold, or refused, are written as ``_``
  (`shared.folders.names.written`), and only in the folder that they concern.
* A folder that lies below another stays below it, wherever that one goes.
* Folders of other people and public ones are left out unless asked for, and nothing is put among those of the destination
  unless a person names the place (RFC 2342).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol

from shared.folders import special_use
from shared.folders.names import MOST_LEVELS, decode_name, encode_name, split
from shared.folders.places import NameRules, Places, display
from shared.folders.tree import INBOX, Globs, Path, Tree, is_inbox, selectable
from shared.model import Options
from shared.model.choices import SharedFolders
from shared.model.messages import FolderListing, ListedFolder, Owner
from shared.nouns import dataclass
from shared.wording.often_said import CALLED_THERE
from shared.wording.phrases import Phrase, several

FOLDER_FOR_SENT: Final = Phrase("folder_for_sent", "the destination's folder for sent mail")
FOLDER_FOR_DRAFTS: Final = Phrase("folder_for_drafts", "the destination's folder for drafts")
FOLDER_FOR_DELETED: Final = Phrase("folder_for_deleted", "the destination's folder for deleted mail")
FOLDER_FOR_JUNK: Final = Phrase("folder_for_junk", "the destination's folder for junk mail")
FOLDER_FOR_ARCHIVE: Final = Phrase("folder_for_archive", "the destination's folder for archived mail")

ANOTHER_PERSON_FOLDER: Final = Phrase("another_person_folder", "another person's folder")
PUBLIC_OR_SHARED_FOLDER: Final = Phrase("public_or_shared_folder", "a public or shared folder")
NOTHING_WRITTEN_INTO_FOLDERS_OF_OTHERS: Final = Phrase(
    "nothing_written_into_folders_of_others", "nothing is written into folders of other people: {num}"
)
NOTHING_WRITTEN_INTO_PUBLIC_FOLDERS: Final = Phrase(
    "nothing_written_into_public_folders", "nothing is written into public folders: {num}"
)
ITS_NAME_HOLDS_LINE_BREAK: Final = Phrase("its_name_holds_line_break", "its name holds a line break or NUL")
ONE_FOLDER_OF_OTHER_PEOPLE: Final = Phrase("one_folder_of_other_people", "1 folder of other people is left out")
FOLDERS_OF_OTHERS_LEFT_OUT: Final = Phrase("folders_of_others_left_out", "{num} folders of other people are left out")
ONE_PUBLIC_FOLDER_IS_LEFT_OUT: Final = Phrase("one_public_folder_is_left_out", "1 public folder is left out")
PUBLIC_FOLDERS_ARE_LEFT_OUT: Final = Phrase("public_folders_are_left_out", "{num} public folders are left out")
SHARED_FOLDERS_COPY_TAKES: Final = Phrase("shared_folders_copy_takes", "take them with --shared-folders=copy")
EXCLUDED_BY: Final = Phrase("excluded_by", "excluded by '{pattern}'")
BY_FOLDER_MAP: Final = Phrase("by_folder_map", "by the folder map")
NOT_INCLUDED: Final = Phrase("not_included", "not included")
LEFT_OUT_FOR_ITS_SPECIAL_USE: Final = Phrase("left_out_for_its_special_use", "left out: its special use is {use}")
LEFT_OUT_IT_LIES_BELOW: Final = Phrase(
    "left_out_it_lies_below", "left out: it lies below the folder whose special use is {use}"
)

__all__ = [
    "FolderListing",
    "LeftOut",
    "ListedFolder",
    "MappedFolder",
    "NameRules",
    "decode_name",
    "encode_name",
    "left_out",
    "map_folders",
    "map_wanted",
    "readable",
    "split",
]

#: Special use → the reason for putting such a folder where the destination has its own.
_OWN_FOLDERS: Final[Mapping[str, str]] = {
    "sent": FOLDER_FOR_SENT.says(),
    "drafts": FOLDER_FOR_DRAFTS.says(),
    "trash": FOLDER_FOR_DELETED.says(),
    "junk": FOLDER_FOR_JUNK.says(),
    "archive": FOLDER_FOR_ARCHIVE.says(),
}


#: The beginning of the reason for putting a special folder where the destination has its own.
FOLDER_FOR: Final = "the destination's folder for"
#: The reason for leaving out a folder that cannot hold messages: nothing is lost with it.
ONLY_SUBFOLDERS: Final = Phrase("only_subfolders", "holds only subfolders").says()
#: The reason for leaving out a folder of another namespace.
FOREIGN: Final[Mapping[Owner, str]] = {
    Owner.OTHER: ANOTHER_PERSON_FOLDER.says(),
    Owner.PUBLIC: PUBLIC_OR_SHARED_FOLDER.says(),
}


class Owned(Protocol):
    """A folder with its owner, and the reason why it is left out."""

    @property
    def owner(self) -> Owner: ...
    @property
    def skip(self) -> str: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """The numbers of folders that can hold messages and are left out because they are not the account's own."""

    #: Folders of other people.
    other: int = 0
    #: Public and shared folders.
    public: int = 0

    def __bool__(self) -> bool:
        return bool(self.other or self.public)

    def note(self) -> str:
        """Says what an import leaves out, and how to have it copied; "" for nothing."""
        said = []
        if self.other:
            one = self.other == 1
            said.append(
                ONE_FOLDER_OF_OTHER_PEOPLE.says() if one else FOLDERS_OF_OTHERS_LEFT_OUT.says(num=f"{self.other:,}")
            )
        if self.public:
            one = self.public == 1
            said.append(
                ONE_PUBLIC_FOLDER_IS_LEFT_OUT.says()
                if one
                else PUBLIC_FOLDERS_ARE_LEFT_OUT.says(num=f"{self.public:,}")
            )
        return several([*said, SHARED_FOLDERS_COPY_TAKES.says()]) if said else ""

    def untouched(self) -> str:
        """Says into what nothing is written; "" for nothing."""
        said = []
        if self.other:
            said.append(NOTHING_WRITTEN_INTO_FOLDERS_OF_OTHERS.says(num=f"{self.other:,}"))
        if self.public:
            said.append(NOTHING_WRITTEN_INTO_PUBLIC_FOLDERS.says(num=f"{self.public:,}"))
        return several(said)


def left_out(folders: Iterable[Owned]) -> LeftOut:
    """Counts the folders of one account that are left out as not its own."""
    found = [one.owner for one in folders if one.skip in FOREIGN.values()]
    return LeftOut(other=found.count(Owner.OTHER), public=found.count(Owner.PUBLIC))


def readable(listing: FolderListing, *, shared: bool) -> tuple[list[bytes], LeftOut]:
    """Returns the names of one account's folders that can hold messages, and how many are left out.

    Other people's folders and public ones are among the names only where `shared`, and are counted as left out
    otherwise.
    """
    tree = Tree(listing)
    names: list[bytes] = []
    apart: list[Owner] = []
    for folder in filter(selectable, tree.folders):
        owner = tree.owner(folder.name)
        if shared or owner is Owner.PERSONAL:
            names.append(folder.name)
        else:
            apart.append(owner)
    return names, LeftOut(other=apart.count(Owner.OTHER), public=apart.count(Owner.PUBLIC))


@dataclass(frozen=True, kw_only=True, slots=True)
class MappedFolder:
    """The place of a source folder at the destination, or the reason why it has none."""

    #: The source's own name, raw bytes.
    source_name: bytes
    #: The destination's name, raw bytes as sent; b"" when left out.
    destination_name: bytes = b""
    #: The name for people: decoded, "/" between levels.
    display: str
    #: The destination's name for people; "" when left out.
    destination_display: str = ""
    #: "sent", "drafts", "trash", "junk", "archive", "all", "flagged", "important"; "" for an ordinary folder.
    special_use: str = ""
    #: The owner of the folder at the source.
    owner: Owner = Owner.PERSONAL
    #: Whether the user is subscribed to it at the source.
    subscribed: bool = False
    #: Whether the destination has it already and can select it.
    exists: bool = False
    #: Why the folder is left out; "" when it is not.
    skip: str = ""
    #: Why the folder has another name at the destination; "" when it has not.
    note: str = ""


def map_folders(
    source: FolderListing,
    destination: FolderListing,
    *,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    without: Collection[str] = (),
    shared: bool = False,
    into: str = "",
    renamed: Mapping[str, str] | None = None,
    rules: NameRules | None = None,
    known: Mapping[bytes, bytes] | None = None,
    refused: Mapping[bytes, Mapping[bytes, str]] | None = None,
) -> list[MappedFolder]:
    """Returns one entry for every folder that the source lists, in its order.

    `include` and `exclude` are globs over display names (see `shared.folders.tree.Globs`). `without` leaves out special
    uses and all below their folders. `shared` takes folders of other people and public ones too. `into` is the
    destination's folder below which everything goes, INBOX too, under its own name. `renamed` is source name →
    destination name, both as displayed. Folders below a renamed one go along, and a folder that it names is taken,
    whoever owns it. `known` is source name → destination name of an earlier pass, which is kept, whatever has changed
    since. `refused` is source name → names that the destination refused to make for it, with its words: the folder gets
    another name, as long as there is one to be tried. Raises `ProtocolViolation` when the destination's separator
    cannot be one.
    """
    there, here = Tree(source), Tree(destination)
    chosen = {spelled(old): new for old, new in (renamed or {}).items()}
    asked = None if shared else chosen
    skips = _skips(there, Globs(include), Globs(exclude), without, asked)
    places = Places(there, here, rules or NameRules(), into, refused)
    taken = [folder for folder in there.folders if not skips[folder.name]]
    _give(there, taken, places, known or {}, chosen)
    there_already = {folder.name for folder in here.folders if selectable(folder)}
    return [_entry(there, folder, skips[folder.name], places, there_already) for folder in there.folders]


def map_wanted(
    source: FolderListing,
    destination: FolderListing,
    options: Options,
    *,
    rules: NameRules | None = None,
    known: Mapping[bytes, bytes] | None = None,
    refused: Mapping[bytes, Mapping[bytes, str]] | None = None,
) -> list[MappedFolder]:
    """Maps the folders as `map_folders` does, with the options of a request."""
    return map_folders(
        source,
        destination,
        include=options.include,
        exclude=options.exclude,
        without=options.skip_special,
        shared=options.shared_folders == SharedFolders.COPY,
        into=options.into,
        renamed=dict(options.folder_map),
        rules=rules,
        known=known,
        refused=refused,
    )


def _entry(
    there: Tree, folder: ListedFolder, skip: str, places: Places, there_already: Collection[bytes]
) -> MappedFolder:
    shown = there.display(folder)
    place = places.given.get(folder.name)
    goes_to = display(place.path) if place else ""
    called = CALLED_THERE.says(folder=goes_to) if place and goes_to != shown else ""
    return MappedFolder(
        source_name=folder.name,
        destination_name=place.raw if place else b"",
        display=shown,
        destination_display=goes_to,
        special_use=special_use.use_of_attributes(folder.attributes) or special_use.use_of_name(there.path(folder))[0],
        owner=there.owner(folder.name),
        subscribed=folder.subscribed,
        exists=place is not None and place.raw in there_already,
        skip=skip,
        note=several((place.why, called)) if place else "",
    )


def spelled(name: str) -> str:
    """Returns a displayed name for comparing: INBOX in capitals."""
    head, slash, rest = name.partition("/")
    return ("INBOX" if head.upper() == "INBOX" else head) + slash + rest


def _skips(
    there: Tree, include: Globs, exclude: Globs, without: Collection[str], asked: Collection[str] | None
) -> dict[bytes, str]:
    """Returns source name → why the folder is left out, "" when it is not.

    Of other people's folders and of public ones only those in `asked` are taken, as displayed, and those below them;
    with None, all are.
    """
    skips = {}
    own = [folder for folder in there.folders if there.owner(folder.name) is Owner.PERSONAL]
    uses = special_use.uses((folder.attributes, there.path(folder)) for folder in own)
    special = {there.levels(f): use for f, use in zip(own, uses, strict=True) if use in without}
    for folder in there.folders:
        shown = there.display(folder)
        levels = there.levels(folder)
        owner = there.owner(folder.name)
        use = next((special[levels[:n]] for n in range(1, len(levels) + 1) if levels[:n] in special), "")
        skip = ""
        if not selectable(folder):
            skip = ONLY_SUBFOLDERS
        elif not set(b"\r\n\0").isdisjoint(folder.name):
            skip = ITS_NAME_HOLDS_LINE_BREAK.says()
        elif pattern := exclude.first(shown):
            skip = EXCLUDED_BY.says(pattern=pattern)
        elif include and not include.first(shown):
            skip = NOT_INCLUDED.says()
        elif owner in FOREIGN and asked is not None and not _names(asked, shown):
            skip = FOREIGN[owner]
        elif levels in special:
            skip = LEFT_OUT_FOR_ITS_SPECIAL_USE.says(use=use)
        elif use:
            skip = LEFT_OUT_IT_LIES_BELOW.says(use=use)
        skips[folder.name] = skip
    return skips


def _names(asked: Collection[str], shown: str) -> bool:
    """Tells whether the folder, or one that it lies below, is among those asked for."""
    levels = spelled(shown).split("/", MOST_LEVELS - 1) if asked else []
    return any("/".join(levels[:depth]) in asked for depth in range(1, len(levels) + 1))


def _give(
    there: Tree,
    folders: list[ListedFolder],
    places: Places,
    known: Mapping[bytes, bytes],
    renamed: Mapping[str, str],
) -> None:
    """Gives the places, first those settled already, then those that a person chose.

    After them come special folders, then parents before children. Among equals, folders that keep their names come
    first, and then those whose names are well-formed.
    """
    chosen = {
        folder.name: places.path_to(renamed[name])
        for folder in folders
        if (name := spelled(there.display(folder))) in renamed and folder.name not in known
    }

    def stays(folder: ListedFolder) -> bool:
        raw = known.get(folder.name, b"")
        return is_inbox(raw) if raw else chosen.get(folder.name, places.root or INBOX) == INBOX

    claimed = any(is_inbox(folder.name) and stays(folder) for folder in folders)
    kept: set[bytes] = set()
    for folder in folders:
        raw = known.get(folder.name, b"")
        inbox = is_inbox(raw)
        if is_inbox(folder.name) and claimed:
            places.put(folder, INBOX, raw=raw if inbox else b"")
        elif raw and not (inbox and claimed) and raw not in kept:
            places.keep(folder, raw)
            kept.add(raw)
    for folder in folders:
        if folder.name in chosen and folder.name not in places.given:
            path = chosen[folder.name]
            if path != INBOX or not claimed:
                places.move(folder, path, BY_FOLDER_MAP.says())
                claimed = claimed or path == INBOX
    if not places.root:
        _give_special(there, folders, places)

    for folder in sorted(folders, key=lambda folder: _order(there, places, folder)):
        if folder.name not in places.given:
            places.find(folder)


def _order(there: Tree, places: Places, folder: ListedFolder) -> tuple[int, bool, bool, bytes]:
    levels = there.levels(folder)
    odd = any(there.raw(text) != raw for text, raw in zip(there.path(folder), levels, strict=True))
    return len(levels), places.changes(folder), odd, folder.name


def _give_special(there: Tree, folders: list[ListedFolder], places: Places) -> None:
    """Brings special folders together, by attribute before name.

    A destination folder that is special only by its name, or wanted only by name, is left alone when another source
    folder's own name leads there. So folders that mailhaul itself made never change the answer of the next pass.
    """
    owners: dict[Path, set[bytes]] = defaultdict(set)
    for folder in folders:
        natural = places.natural(folder)
        for depth in range(1, len(natural) + 1):
            owners[places.key(natural[:depth])].add(folder.name)
    first: dict[Path, bytes] = {}
    for folder in sorted(folders, key=lambda folder: _order(there, places, folder)):
        first.setdefault(places.key(places.natural(folder)), folder.name)
    sources = _by_use((folder, there.path(folder)) for folder in folders)
    targets = _by_use((folder, path) for folder, path, _ in places.present() if selectable(folder))
    for use in special_use.MAPPED:
        certain = bool(sources[use, True])
        wanting = [folder for folder, _ in sources[use, certain]]
        if any(folder.name in places.given for folder in wanting):
            continue
        for sure in (True, False):
            choices = []
            for folder in wanting:
                own = places.key(places.natural(folder))
                for target, path in targets[use, sure]:
                    key = places.key(path)
                    # The folder's own place, unless another of the same name comes before it.
                    own_place = key == own and first[key] == folder.name
                    if places.is_free(path) and (own_place or not owners.get(key) or (sure and certain)):
                        choices.append((key != own, folder, path, target.name))
            if choices:
                moves, folder, path, raw = min(choices, key=lambda choice: choice[0])
                places.put(folder, path, _OWN_FOLDERS[use] if moves else "", raw)
                break


def _by_use(
    folders: Iterable[tuple[ListedFolder, Path]],
) -> dict[tuple[str, bool], list[tuple[ListedFolder, Path]]]:
    """Returns (use, whether the server says so) → folders and their paths, the likeliest name first."""
    found: dict[tuple[str, bool], list[tuple[int, bytes, ListedFolder, Path]]] = defaultdict(list)
    for folder, path in folders:
        said = special_use.use_of_attributes(folder.attributes)
        named, rank = special_use.use_of_name(path)
        if path != INBOX and (use := said or named):
            found[use, bool(said)].append((rank if use == named else 999, folder.name, folder, path))
    ordered = {key: [(f, p) for _, _, f, p in sorted(some, key=lambda one: one[:2])] for key, some in found.items()}
    return defaultdict(list, ordered)
