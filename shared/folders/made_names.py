"""Finds which folder a destination made of a name that it does not list, and what that shows of its names. Pure.

A server may take CREATE of a name, and make the folder under another one: with characters replaced or left out, in another case,
without blanks at an end, cut short. Some say OK too where that is a folder which was there before. Who went on by the name that
was asked for would put the mail of two folders into one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from shared.folders.places import NameRules
from shared.folders.tree import INBOX, Path, Tree
from shared.model.messages import FolderListing

#: A name that is cut short has at least so many characters: a shorter one that begins alike is another folder.
_LEAST_CUT: Final = 24
#: Never taken for a character that the destination cannot hold: it stands for those that it cannot.
_FILLER: Final = "_"


class MadeNames:
    """The folders that a destination lists after some were created."""

    def __init__(self, before: FolderListing, after: FolderListing) -> None:
        self._tree = Tree(after)
        self._names = {self._tree.path(folder): folder.name for folder in self._tree.folders}
        known = {folder.name for folder in before.folders}
        self._fresh = {path for path, name in self._names.items() if name not in known}
        self._alike = [(form, self._by(form)) for form in (_without_case, _spaced, _letters)]
        self._texts = {_text(path): path for path in self._names}

    def _by(self, form: Callable[[Path], object]) -> dict[object, Path]:
        """Returns form → the path that has it; of several one that was not there before, or the first."""
        return {form(path): path for path in sorted(self._names, key=lambda path: (path in self._fresh, path))}

    def lists(self, name: bytes) -> bool:
        """Tells whether the folder is listed by its name."""
        return self._tree.path_of(name) in self._names

    def made_of(self, name: bytes, unlisted: Collection[bytes]) -> bytes:
        """Returns the name of the folder that the destination has for `name`; b"" where none is like it.

        `unlisted` are the names that were asked for and are not listed: the only fresh folder stands for the only one of them.
        """
        asked = self._tree.path_of(name)
        for form, found in self._alike:
            if (key := form(asked)) and key in found:
                return self._names[found[key]]
        whole = _text(asked)
        for length in range(len(whole) - 1, _LEAST_CUT - 1, -1):
            if whole[:length] in self._texts:
                return self._names[self._texts[whole[:length]]]
        if len(unlisted) == len(self._fresh) == 1:
            return self._names[next(iter(self._fresh))]
        return b""

    def learned(self, rules: NameRules, name: bytes, made: bytes) -> NameRules:
        """Returns the rules with what it shows that the folder `name` was made as `made`; the same ones for nothing."""
        asked, shown = self._tree.path_of(name), self._tree.path_of(made)
        if _without_case(asked) == _without_case(shown):
            return replace(rules, case_insensitive=True)
        if _spaced(asked) == _spaced(shown):
            return replace(rules, odd_spaces=False)
        if _text(asked).startswith(_text(shown)):
            return replace(rules, longest_octets=min(rules.longest_octets, len(made)))
        kept = {char.casefold() for level in shown for char in level}
        odd = {char for level in asked for char in level if not (char.isascii() and char.isalnum()) and char != _FILLER}
        lost = sorted(char for char in odd.difference(rules.forbidden) if char.casefold() not in kept)
        return replace(rules, forbidden=rules.forbidden + "".join(lost))


def _plain(path: Path) -> Path:
    levels = tuple(unicodedata.normalize("NFC", level) for level in path)
    return INBOX + levels[1:] if levels[0].casefold() == "inbox" else levels


def _without_case(path: Path) -> Path:
    return tuple(level.casefold() for level in _plain(path))


def _spaced(path: Path) -> Path:
    return tuple(" ".join(level.split()) for level in _without_case(path))


def _letters(path: Path) -> str:
    """Returns the letters and digits of a name, without accents; "" for a name that has none."""
    text = unicodedata.normalize("NFKD", "".join(path)).casefold()
    return "".join(char for char in text if char.isalnum())


def _text(path: Path) -> str:
    return "/".join(_plain(path))
