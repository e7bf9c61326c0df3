"""Gives source folders their places at the destination, one after the other; no place is given twice."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from hashlib import blake2b
from itertools import count
from typing import Final

from shared.folders.names import escape, shown, written
from shared.folders.tree import INBOX, Path, Tree
from shared.model.errors import ProtocolViolation
from shared.model.messages import ListedFolder, Owner
from shared.model.sides import Side
from shared.nouns import dataclass
from shared.wording.often_said import SERVER_SAID
from shared.wording.phrases import Phrase, several

DESTINATION_REFUSED: Final = Phrase("destination_refused", "the destination refused {folder}")

SEPARATOR_NOT_ALLOWED: Final = Phrase("separator_not_allowed", "its separator {name} cannot stand between folder names")
NAME_WRITTEN_ANEW: Final = Phrase("name_written_anew", "its name is not valid modified UTF-7: written anew")
DESTINATION_CANNOT_HOLD_ITS_NAME: Final = Phrase(
    "destination_cannot_hold_its_name", "the destination cannot hold its name as it is"
)
IS_NOT_THIS_ACCOUNT: Final = Phrase("is_not_this_account", "{name} is not this account's there")
LONGER_THAN_OCTETS_SHORTENED: Final = Phrase("longer_than_octets_shortened", "longer than {num} octets: shortened")
TAKES_NO_FOLDERS_BELOW: Final = Phrase("takes_no_folders_below", "{folder} takes no folders below it there")
IS_ANOTHER_FOLDER: Final = Phrase("is_another_folder", "{folder} is another folder there")

#: Separators that can stand between encoded names: modified UTF-7 itself uses & + , - and the letters.
_SEPARATORS = frozenset(string.punctuation) - frozenset('&+,-%*"')
#: Characters that are replaced, one set after the other, in a name that the destination refused: Dovecot's Maildir++
#: allows no dots, Cyrus no wildcards.
_SUSPECTS = (".", '.%*"\\&~')
#: The number of fillers that are tried in front of a name that leads into a namespace of others.
_OUTSIDE = 4
#: A shortened level has room for at least this many octets.
_ROOM = 48


@dataclass(frozen=True, kw_only=True, slots=True)
class NameRules:
    """The limits on names at the destination, beyond those of nearly every server."""

    #: Characters that the destination refuses, e.g. "." for Dovecot with maildir under the separator "/".
    forbidden: str = ""
    #: Names at the top that the destination keeps for itself, e.g. "Files"; case does not count.
    reserved: Collection[str] = ()
    #: Whether the destination takes "Work" and "work" for one folder.
    case_insensitive: bool = False
    #: Whether the destination keeps spaces at the ends of a level, and doubled ones.
    odd_spaces: bool = True
    #: The longest whole name in octets, as sent. (Dovecot refuses 256, Cyrus 1,000.)
    longest_octets: int = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The place that a folder was given."""

    #: The name on the wire.
    raw: bytes
    #: The name, decoded.
    path: Path
    #: Why the folder is there and not elsewhere; "" when its own name leads there.
    why: str


class Places:
    """The destination's tree, and the places in it that are given away."""

    def __init__(
        self,
        there: Tree,
        here: Tree,
        rules: NameRules,
        into: str = "",
        refused: Mapping[bytes, Mapping[bytes, str]] | None = None,
    ) -> None:
        """Reads both trees.

        `into` is the folder below which everything is put, "/" between levels; "" for none. `refused` is source name →
        names that the destination refused to make for it, with its words.
        """
        self._there, self._here, self._rules, self._refused = there, here, rules, refused or {}
        self._joiner = _joiner(there, here)
        # A server that separates by "." usually keeps folders as files, and refuses "/".
        self._forbidden = rules.forbidden + self._joiner + ("/" if self._joiner == "." else "")
        self._mark = next(char for char in "=_~!^$" if char not in self._forbidden)
        self._filler = next(char for char in "_-=~!^$" if char not in self._forbidden)
        self._sign = next(char for char in "~_=!^$" if char not in self._forbidden)
        self._reserved = {name.casefold() for name in rules.reserved}
        self._raws = {folder.name for folder in here.folders}
        self._spelled: dict[Path, bytes] = {}
        for _, path, raw in self.present():
            self._spelled.setdefault(self.key(path), raw)
        self.root = self.path_to(into) if into else ()
        #: Places of folders below which the destination lets none be made; for INBOX, `Tree` knows it.
        self._childless = {
            self.key(path) for folder, path, _ in self.present() if "noinferiors" in folder.attributes and path != INBOX
        }
        self._taken = set() if self.root else {self.key(INBOX)}
        self._homes: dict[tuple[bytes, ...], Path] = {}
        #: Source name → place.
        self.given: dict[bytes, Place] = {}

    def present(self) -> Iterator[tuple[ListedFolder, Path, bytes]]:
        """Yields what the destination has below its prefix: folder, place and name.

        A folder in an INBOX within INBOX has no place.
        """
        for folder in sorted(self._here.folders, key=lambda folder: folder.name):
            path, raw = self._here.path(folder), folder.name
            separator = self._joiner.encode()
            same_depth = not separator or raw.count(separator) == self._wire(path).count(separator)
            doubled = self._here.inbox_is_root and path[:1] == INBOX and len(path) > 1
            if self._here.inside(folder) and same_depth and not doubled and set(b"\r\n\0").isdisjoint(raw):
                yield folder, path, raw

    def is_free(self, path: Path) -> bool:
        """Tells whether the place is not given away yet, and the destination does not keep it for itself."""
        reserved = len(path) == 1 and path[0].casefold() in self._reserved
        return not reserved and self.key(path) not in self._taken

    def key(self, path: Path) -> Path:
        """Returns a key that is equal for names which the destination may take for one."""
        levels = [unicodedata.normalize("NFC", level) for level in path]
        if self._rules.case_insensitive:
            levels = [level.casefold() for level in levels]
        if levels[0].casefold() == "inbox":
            levels[0] = "INBOX"
        return tuple(levels)

    def natural(self, folder: ListedFolder) -> Path:
        """Returns the folder's place as if it were the only one."""
        path = self._there.path(folder)
        if path[:1] == INBOX and len(path) > 1 and self._here.inbox_is_root and not self.root:
            path = path[1:]
        return (*self.root, *map(self._written, path))

    def path_to(self, name: str) -> Path:
        """Returns the place that a person's name for it leads to, "/" between levels."""
        levels = name.split("/")
        if levels[0].upper() == "INBOX":
            levels = levels[1:] if self._here.inbox_is_root and len(levels) > 1 else ["INBOX", *levels[1:]]
        return tuple(map(self._written, levels))

    def changes(self, folder: ListedFolder) -> bool:
        """Tells whether the folder's name has to be written differently at the destination."""
        text = self._there.path(folder)[-1]
        return self._written(text) != text

    def put(self, folder: ListedFolder, path: Path, why: str = "", raw: bytes = b"") -> None:
        """Gives the folder this place, under the name `raw` or the one that the destination has for it."""
        raw = raw or self._raw(path)
        self._taken.add(self.key(path))
        self._homes.setdefault(self._there.levels(folder), path)
        self.given[folder.name] = Place(raw=raw, path=path, why=why)

    def keep(self, folder: ListedFolder, raw: bytes) -> None:
        """Leaves the folder where an earlier pass put it."""
        self.put(folder, self._here.path_of(raw), raw=raw)

    def move(self, folder: ListedFolder, path: Path, why: str) -> None:
        """Gives the folder the place that a person chose, or the nearest to it.

        The nearest place is one that is free and that the destination accepts.
        """
        if path == INBOX:
            self.put(folder, path, why)
        else:
            self._settle(folder, path[:-1], path[-1], [why], chosen=True)

    def find(self, folder: ListedFolder) -> None:
        """Gives the folder its own name below its parent's place, or the nearest name to it.

        The nearest name is one that is free and that the destination accepts.
        """
        levels, text = self._there.levels(folder), self._there.path(folder)[-1]
        odd = self._there.raw(text) != levels[-1]
        why: list[str] = [NAME_WRITTEN_ANEW.says()] if odd else []
        self._settle(folder, self._parent(levels), text, why)

    def _settle(self, folder: ListedFolder, parent: Path, text: str, why: list[str], *, chosen: bool = False) -> None:
        refused = self._refused.get(folder.name, {})
        first: tuple[Path, list[str]] | None = None
        for above, own, because in self._choices(folder.name, parent, text):
            path, more = self._free(folder.name, above, own, chosen=chosen)
            if first is None:
                first = path, [*why, *because, *more]
            if self._raw(path) not in refused:
                self.put(folder, path, several([*why, *because, *more]))
                return
        assert first is not None
        self.put(folder, first[0], several(first[1]))

    def _choices(self, source: bytes, parent: Path, text: str) -> Iterator[tuple[Path, str, list[str]]]:
        """Yields where a folder called `text` may go below `parent`, the likeliest first: parent, name and why.

        For a name that was refused, the first choices replace characters that servers often refuse. The next put it
        beside its parent, which may take no folders below it. The last give it another name, in the end of letters and
        digits alone.
        """
        refused = self._refused.get(source)
        above, own, why = self._beside(parent, self._written(text))
        if own != text and above == parent:
            why.append(DESTINATION_CANNOT_HOLD_ITS_NAME.says())
        for name in (self._earlier(above, text, own), own):
            if name:
                yield above, name, why
        if not refused:
            return
        tried, said = next(iter(refused.items()))
        what = DESTINATION_REFUSED.says(folder=display(self._here.path_of(tried)))
        why = [SERVER_SAID.says(what=what, said=said) if said else what]
        strange = "".join(char for char in own if not (char.isalnum() or char in " -_"))
        foreign = "".join(char for char in own if not char.isascii())
        for also in (*_SUSPECTS, strange, strange + foreign):
            implied = self._implied(above, also)
            if earlier := self._earlier(implied, own, own, also):
                yield implied, earlier, why
            yield implied, self._written(own, also), why
        for depth in range(len(above) - 1, -1, -1):
            yield above[:depth], self._filler.join((*above[depth:], own)), why
        plain, digest = self._written(own, strange + foreign), blake2b(source, digest_size=4).hexdigest()
        for name in (own + self._filler, plain + self._filler, f"{plain}{self._filler}{digest}", f"folder{digest}"):
            yield above, name, why
        yield (), f"folder{digest}", why

    def _beside(self, parent: Path, own: str) -> tuple[Path, str, list[str]]:
        """Returns `own` below `parent`, or beside it where `parent` takes no folders."""
        above = parent
        while above and self.key(above) in self._childless:
            own, above = f"{above[-1]}{self._filler}{own}", above[:-1]
        return above, own, [TAKES_NO_FOLDERS_BELOW.says(folder=display(parent))] if above != parent else []

    def _implied(self, path: Path, also: str) -> Path:
        """Returns the path with its last levels written differently, as far as they are no folder's place yet."""
        kept = next((n for n in range(len(path), 0, -1) if self.key(path[:n]) in self._taken), 0)
        return (*path[:kept], *(self._written(level, also) for level in path[kept:]))

    def _earlier(self, parent: Path, text: str, own: str, also: str = "") -> str:
        """Returns the name that an earlier mailhaul gave the folder, or "".

        The destination has that name then, and does not have `own`.
        """
        name = escape(text, self._forbidden + also, mark=self._mark, odd_spaces=self._rules.odd_spaces)
        there = self.key((*parent, name)) in self._spelled and self.key((*parent, own)) not in self._spelled
        return name if name != own and there and self.is_free((*parent, name)) else ""

    def _free(self, name: bytes, parent: Path, own: str, *, chosen: bool) -> tuple[Path, list[str]]:
        """Returns the folder's place, or the nearest to it that serves, and why it differs.

        The nearest place is free, short enough and, unless a person chose it, the account's own.
        """
        path = (*parent, own)
        why: list[str] = []
        if not chosen and not self._is_ours(path):
            why.append(IS_NOT_THIS_ACCOUNT.says(name=display(path)))
            own = self._outside(parent, own)
            path = (*parent, own)
        if len(self._wire(path)) > self._rules.longest_octets:
            why.append(LONGER_THAN_OCTETS_SHORTENED.says(num=self._rules.longest_octets))
            path = self._nearest(name, parent, own, chosen=chosen)
        elif not self.is_free(path):
            why.append(IS_ANOTHER_FOLDER.says(folder=display(path)))
            path = self._nearest(name, parent, own, chosen=chosen)
        return path, why

    def _nearest(self, name: bytes, parent: Path, own: str, *, chosen: bool) -> Path:
        """Returns `own` with a hash of the source's name behind it, shortened as needed.

        The result depends on nothing else, so it is the same in every pass. Further hashes are for names made to
        collide.
        """
        while len(parent) > len(self.root) and len(self._wire((*parent, "x" * _ROOM))) > self._rules.longest_octets:
            parent = parent[:-1]
        if not chosen:  # without the levels that were too long it may lead elsewhere
            own = self._outside(parent, own)
        for attempt in count():
            digest = blake2b(b"%d " % attempt + name, digest_size=4).hexdigest()
            path = (*parent, self._cut(parent, own, f"{self._sign}{digest}"))
            if self.is_free(path):
                return path
        raise AssertionError("unreachable")

    def _cut(self, parent: Path, own: str, tail: str) -> str:
        """Returns as much of `own` as fits before `tail`, with `tail`."""
        low, high = 0, len(own)
        while low < high:
            middle = (low + high + 1) // 2
            if len(self._wire((*parent, own[:middle] + tail))) > self._rules.longest_octets:
                high = middle - 1
            else:
                low = middle
        return own[:low] + tail

    def _parent(self, levels: tuple[bytes, ...]) -> Path:
        """Returns the place of the folder above, whether the source lists that one or only implies it."""
        above = levels[:-1]
        if not above:
            return self.root
        if above not in self._homes:
            home = self._parent(above)
            implied = (*home, self._outside(home, self._written(self._there.text(above[-1]))))
            self._homes[above] = INBOX if above == (b"INBOX",) and not self.root else implied
        place = self._homes[above]
        return () if place == INBOX and self._here.inbox_is_root else place

    def _is_ours(self, path: Path) -> bool:
        """Tells whether a folder there would be the account's own, and not another person's or a public one (RFC 2342)."""
        return self._here.owner(self._wire(path)) is Owner.PERSONAL

    def _outside(self, parent: Path, own: str) -> str:
        """Returns `own`, or the nearest name to it that leads into no namespace of others."""
        names = (own, own + self._filler, *(self._filler * times + own for times in range(1, _OUTSIDE)))
        return next((name for name in names if self._is_ours((*parent, name))), own)

    def _written(self, level: str, also: str = "") -> str:
        return written(level, self._forbidden + also, self._filler, odd_spaces=self._rules.odd_spaces)

    def _raw(self, path: Path) -> bytes:
        """Returns the name of the place, in the destination's own spelling where it has one."""
        raw = self._wire(path)
        return raw if raw in self._raws else self._spelled.get(self.key(path), raw)

    def _wire(self, path: Path) -> bytes:
        return b"INBOX" if path == INBOX else self._here.prefix + self._joiner.encode().join(map(self._here.raw, path))


def display(path: Path) -> str:
    """Returns the path for people: "/" between levels."""
    return "/".join(map(shown, path))


def _joiner(there: Tree, here: Tree) -> str:
    """Returns the separator between levels at the destination.

    A server without levels gets the source's separator, as text.
    """
    if here.separator is None:
        return there.separator if there.separator in _SEPARATORS else "." if there.separator else ""
    if here.separator not in _SEPARATORS:
        raise ProtocolViolation(Side.DESTINATION, SEPARATOR_NOT_ALLOWED.says(name=repr(here.separator)))
    return here.separator
