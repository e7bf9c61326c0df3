"""Which source folder goes where at the destination.

The raw bytes that a server lists are a folder's identity: they are never decoded and encoded again to select it.
Decoding is for people and for finding the destination's name. `map_folders` promises:

* never two source folders in one: of two that want one name, the later gets a hash of its source name behind it;
* the same answer again once the folders exist at the destination, so that a delta pass goes on where the first was;
* names keep their text: what the destination cannot hold is written as ``=XX`` (`shared.folder_names.escape`).
"""

from __future__ import annotations

import fnmatch
import re
import string
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from typing import Protocol

from shared import special_use
from shared.errors import ProtocolViolation
from shared.folder_names import decode_name, encode_name, escape, split, text_of

__all__ = [
    "FolderListing",
    "ListedFolder",
    "MappedFolder",
    "NameRules",
    "decode_name",
    "encode_name",
    "map_folders",
    "split",
]


class ListedFolder(Protocol):
    """What is needed of `shared.mail.ListedFolder`; this floor does not know the ports."""

    @property
    def name(self) -> bytes: ...
    @property
    def separator(self) -> str | None: ...
    @property
    def attributes(self) -> frozenset[str]: ...
    @property
    def subscribed(self) -> bool: ...


class FolderListing(Protocol):
    """What is needed of `shared.mail.FolderListing`."""

    @property
    def prefix(self) -> bytes: ...
    @property
    def separator(self) -> str | None: ...
    @property
    def folders(self) -> Sequence[ListedFolder]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class NameRules:
    """What the destination cannot hold, beside what hardly any server holds."""

    #: Characters that it refuses, e.g. "." for Dovecot with maildir under the separator "/".
    forbidden: str = ""
    #: Names at the top that it keeps for itself, e.g. "Files"; case does not count.
    reserved: Collection[str] = ()
    #: Whether it takes "Work" and "work" for one folder.
    case_insensitive: bool = False
    #: Whether it keeps spaces at the ends of a level, and doubled ones.
    odd_spaces: bool = True
    #: Longest whole name in octets, as sent. (Dovecot refuses 256, Cyrus 1,000.)
    longest_octets: int = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class MappedFolder:
    """Where one source folder goes, or why it goes nowhere."""

    #: The source's own name, raw bytes.
    source_name: bytes
    #: The destination's name, raw bytes as sent; b"" when left out.
    destination_name: bytes = b""
    #: For people: decoded, "/" between levels.
    display: str
    #: The destination's name for people; "" when left out.
    destination_display: str = ""
    #: "sent", "drafts", "trash", "junk", "archive", "all", "flagged", "important"; "" for an ordinary folder.
    special_use: str = ""
    #: Whether the user is subscribed to it at the source.
    subscribed: bool = False
    #: Whether the destination has it already and can select it.
    exists: bool = False
    #: Why it is left out; "" when it is not.
    skip: str = ""
    #: Why it is called differently at the destination; "" when it is not.
    note: str = ""


#: A place in a tree of folders: decoded levels without the namespace prefix; ("INBOX", …) for the inbox and below.
_Path = tuple[str, ...]

_INBOX: _Path = ("INBOX",)
#: Separators that can stand between encoded names: modified UTF-7 itself uses & + , - and the letters.
_SEPARATORS = frozenset(string.punctuation) - frozenset('&+,-%*"')
#: A level that is shortened keeps at least about this many octets.
_ROOM = 48


def map_folders(
    source: FolderListing,
    destination: FolderListing,
    *,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    without: Collection[str] = (),
    rules: NameRules | None = None,
    known: Mapping[bytes, bytes] | None = None,
) -> list[MappedFolder]:
    """One entry for every folder that the source lists, in its order.

    `include` and `exclude` are globs over display names (see `_Globs`); `without` leaves out special uses, such as
    "all" where every message lies in another folder too. `known` is source name → destination name of an earlier pass:
    it is kept whatever else has changed. Raises `ProtocolViolation` when the destination's separator cannot be one.
    """
    there, here = _Tree(source), _Tree(destination)
    skips = _skips(there, _Globs(include), _Globs(exclude), without)
    names = _Destination(here, there, rules or NameRules())
    live = [folder for folder in there.folders if not skips[folder.name]]
    _place(live, there, names, known or {})
    return [_entry(folder, there, names, skips[folder.name]) for folder in there.folders]


def _entry(folder: ListedFolder, there: _Tree, names: _Destination, skip: str) -> MappedFolder:
    use = special_use.use_of_attributes(folder.attributes) or special_use.use_of_name(there.path(folder))[0]
    if skip:
        return MappedFolder(
            source_name=folder.name,
            display=there.display(folder),
            special_use=use,
            subscribed=folder.subscribed,
            skip=skip,
        )
    raw, path, why = names.placed[folder.name]
    shown = "/".join(map(decode_name, map(encode_name, path)))
    if path != there.path(folder):
        why.append(f"called {shown} there")
    return MappedFolder(
        source_name=folder.name,
        destination_name=raw,
        display=there.display(folder),
        destination_display=shown,
        special_use=use,
        subscribed=folder.subscribed,
        exists=raw in names.selectable,
        note="; ".join(why),
    )


def _skips(there: _Tree, include: _Globs, exclude: _Globs, without: Collection[str]) -> dict[bytes, str]:
    """Source name → why it is left out, "" when it is not."""
    skips = {}
    for folder in there.folders:
        display = there.display(folder)
        use = special_use.use_of_attributes(folder.attributes)
        skip = ""
        if not folder.attributes.isdisjoint({"noselect", "nonexistent"}):
            skip = "not selectable"
        elif set(folder.name) & set(b"\r\n\0"):
            skip = "its name holds a line break or NUL"
        elif pattern := exclude.first(display):
            skip = f"excluded by '{pattern}'"
        elif use and use in without:
            skip = f"left out: it is the \\{use.capitalize()} view of other folders"
        elif include and not include.first(display):
            skip = "not included"
        skips[folder.name] = skip
    return skips


class _Globs:
    """Patterns over display names. ``*`` crosses levels; a pattern names a folder and all below it; a pattern that is
    a folder's very name means that folder (``[Gmail]/Spam``); case counts, except in INBOX."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [
            (pattern, normal, re.compile(fnmatch.translate(normal)))
            for pattern in patterns
            for normal in (self._normal(pattern.rstrip("/")),)
        ]

    def __bool__(self) -> bool:
        return bool(self._patterns)

    @staticmethod
    def _normal(name: str) -> str:
        head, slash, rest = name.partition("/")
        return (head.upper() if head.upper() == "INBOX" else head) + slash + rest

    def first(self, display: str) -> str:
        """The first pattern that names the folder; "" when none does."""
        if not self._patterns:
            return ""
        levels = self._normal(display).split("/")
        names = ["/".join(levels[:depth]) for depth in range(1, len(levels) + 1)]
        for pattern, normal, regex in self._patterns:
            if any(name == normal or regex.match(name) for name in names):
                return pattern
        return ""


class _Tree:
    """One account's folders as levels, whatever the prefix and the separator."""

    def __init__(self, listing: FolderListing) -> None:
        self.prefix = listing.prefix
        self.separator = listing.separator or None
        self._in_inbox = self.prefix[:5].upper() == b"INBOX"
        self.folders = self._unique(listing.folders)
        inbox = next((folder for folder in self.folders if folder.name.upper() == b"INBOX"), None)
        #: Top folders stand where children of INBOX would: the prefix says so, or INBOX can have none (Domino).
        self.inbox_is_root = self._in_inbox or (inbox is not None and "noinferiors" in inbox.attributes)

    @staticmethod
    def _unique(folders: Iterable[ListedFolder]) -> list[ListedFolder]:
        """Every name once (some servers repeat themselves): of two lines about one, the one that can be selected."""
        seen: dict[bytes, ListedFolder] = {}
        for folder in folders:
            key = b"INBOX" if folder.name.upper() == b"INBOX" else folder.name
            if key not in seen or "noselect" in seen[key].attributes:
                seen[key] = folder
        return list(seen.values())

    def _below_prefix(self, folder: ListedFolder) -> tuple[bool, tuple[bytes, ...]]:
        start, rest = folder.name[: len(self.prefix)], folder.name[len(self.prefix) :]
        same = start == self.prefix or (self._in_inbox and start.upper() == self.prefix.upper())
        inside = bool(self.prefix and rest and same)
        return inside, split(rest if inside else folder.name, folder.separator or self.separator)

    def levels(self, folder: ListedFolder) -> tuple[bytes, ...]:
        """Raw levels below the prefix; INBOX in capitals, and only once."""
        _, levels = self._below_prefix(folder)
        if levels[0].upper() != b"INBOX":
            return levels
        while len(levels) > 1 and levels[1].upper() == b"INBOX":
            levels = levels[1:]
        return (b"INBOX", *levels[1:])

    def path(self, folder: ListedFolder) -> _Path:
        """`levels`, decoded."""
        return tuple(map(text_of, self.levels(folder)))

    def display(self, folder: ListedFolder) -> str:
        """For people: "/" between levels."""
        inside, levels = self._below_prefix(folder)
        shown = [decode_name(level) for level in levels]
        if levels[0].upper() == b"INBOX":
            shown[:1] = ["INBOX", "INBOX"] if inside and self._in_inbox else ["INBOX"]
        return "/".join(shown)

    def raw(self, path: _Path, joiner: str) -> bytes:
        """The name on the wire."""
        return b"INBOX" if path == _INBOX else self.prefix + joiner.join(map(str, path)).encode()
