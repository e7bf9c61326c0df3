"""An account's folders as a tree of levels, whatever the namespace prefix and the separator, and globs over it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

from shared.folders.names import MOST_LEVELS, encode_name, encode_utf8, shown, split, text_of, text_of_utf8
from shared.model.messages import FolderListing, ListedFolder, Namespace, Owner

#: A folder's place: decoded levels without the namespace prefix; ("INBOX", …) for the inbox and what is below it.
Path = tuple[str, ...]

INBOX: Path = ("INBOX",)


def is_inbox(name: bytes) -> bool:
    """Tells whether the name is INBOX, in any case (RFC 9051 §5.1)."""
    return name.upper() == b"INBOX"


def selectable(folder: ListedFolder) -> bool:
    """Tells whether the folder can hold messages (RFC 9051 §7.3.1, RFC 5258 §3)."""
    return folder.attributes.isdisjoint({"noselect", "nonexistent"})


class Tree:
    """The folders of one listing."""

    def __init__(self, listing: FolderListing) -> None:
        self.prefix = listing.prefix
        self.separator = listing.separator or None
        self._in_inbox = self.prefix[:5].upper() == b"INBOX"
        #: The functions that decode a raw level, and encode one.
        self.text, self.raw = (text_of_utf8, encode_utf8) if listing.utf8 else (text_of, encode_name)
        self._paths: dict[bytes, Path] = {}
        self._owners = _Owners(listing.namespaces)
        self.folders = _once(listing.folders)
        inbox = next((folder for folder in self.folders if is_inbox(folder.name)), None)
        #: Whether top folders stand where children of INBOX would: the prefix says so, or INBOX can have none (Domino).
        self.inbox_is_root = self._in_inbox or (inbox is not None and "noinferiors" in inbox.attributes)

    def _below_prefix(self, name: bytes, separator: str | None) -> tuple[bool, tuple[bytes, ...]]:
        start, rest = name[: len(self.prefix)], name[len(self.prefix) :]
        same = start == self.prefix or (self._in_inbox and start.upper() == self.prefix.upper())
        inside = bool(self.prefix and rest and same)
        return inside, split(rest if inside else name, separator or self.separator)

    def owner(self, name: bytes) -> Owner:
        """Returns the owner of the folder with this name, listed or not."""
        return self._owners.of(name)

    def inside(self, folder: ListedFolder) -> bool:
        """Tells whether the folder is the inbox, or the account's own and below the prefix."""
        if is_inbox(folder.name):
            return True
        below = not self.prefix or self._below_prefix(folder.name, folder.separator)[0]
        return below and self.owner(folder.name) is Owner.PERSONAL

    def levels(self, folder: ListedFolder) -> tuple[bytes, ...]:
        """Returns the raw levels below the prefix; INBOX in capitals, and only once."""
        return self._levels(folder.name, folder.separator)

    def _levels(self, name: bytes, separator: str | None) -> tuple[bytes, ...]:
        _, levels = self._below_prefix(name, separator)
        if not is_inbox(levels[0]):
            return levels
        while len(levels) > 1 and is_inbox(levels[1]):
            levels = levels[1:]
        return (b"INBOX", *levels[1:])

    def path(self, folder: ListedFolder) -> Path:
        """Returns `levels`, decoded."""
        if folder.name not in self._paths:
            self._paths[folder.name] = tuple(map(self.text, self.levels(folder)))
        return self._paths[folder.name]

    def path_of(self, name: bytes) -> Path:
        """Returns the place that a name leads to, listed or not."""
        return tuple(map(self.text, self._levels(name, self.separator)))

    def display(self, folder: ListedFolder) -> str:
        """Returns the folder's name for people: "/" between levels."""
        inside, levels = self._below_prefix(folder.name, folder.separator)
        names = [shown(self.text(level)) for level in levels]
        if is_inbox(levels[0]):
            names[:1] = ["INBOX", "INBOX"] if inside and self._in_inbox else ["INBOX"]
        return "/".join(names)


class _Owners:
    """The owners of folders: the namespace with the longest prefix that the name begins with decides (RFC 2342).

    INBOX, and every name that no namespace covers, is the account's own; so is a prefix that is named both as its own
    and as another's. The name of a prefix without its last separator is the namespace's root, and belongs to it.
    """

    def __init__(self, namespaces: Iterable[Namespace]) -> None:
        self._prefixes: dict[bytes, Owner] = {}
        self._roots: dict[bytes, Owner] = {}
        # The account's own namespaces come last, so that they override the others.
        for one in sorted(namespaces, key=lambda one: one.owner is Owner.PERSONAL):
            prefix = _inbox_in_capitals(one.prefix)
            self._prefixes[prefix] = one.owner
            separator = (one.separator or "").encode("latin-1", "replace")
            if separator and prefix.endswith(separator) and len(prefix) > len(separator):
                self._roots[prefix.removesuffix(separator)] = one.owner
        if Owner.PERSONAL not in self._prefixes.values():
            self._prefixes[b""] = Owner.PERSONAL
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)

    def of(self, name: bytes) -> Owner:
        if is_inbox(name):
            return Owner.PERSONAL
        name = _inbox_in_capitals(name)
        if name in self._roots:
            return self._roots[name]
        return next(
            (self._prefixes[name[:n]] for n in self._lengths if name[:n] in self._prefixes),
            Owner.PERSONAL,
        )


def _inbox_in_capitals(name: bytes) -> bytes:
    return name[:5].upper() + name[5:] if is_inbox(name[:5]) else name


def _once(folders: Iterable[ListedFolder]) -> list[ListedFolder]:
    """Returns every name once, since some servers repeat themselves.

    Of two lines for one name, the function takes the one that can be selected.
    """
    seen: dict[bytes, ListedFolder] = {}
    for folder in folders:
        key = b"INBOX" if is_inbox(folder.name) else folder.name
        if key not in seen or not selectable(seen[key]):
            seen[key] = folder
    return list(seen.values())


class Globs:
    """Patterns over display names.

    ``*`` crosses levels; a pattern names a folder and all below it; a pattern that is a folder's very name means that
    folder (``[Gmail]/Spam``); case counts, except in INBOX.
    """

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
        """Returns the first pattern that names the folder; "" when none does."""
        if not self._patterns:
            return ""
        levels = self._normal(display).split("/", MOST_LEVELS - 1)
        names = ["/".join(levels[:depth]) for depth in range(1, len(levels) + 1)]
        for pattern, normal, regex in self._patterns:
            if any(name == normal or regex.match(name) for name in names):
                return pattern
        return ""
