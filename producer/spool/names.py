"""Makes file names of logins and folders that are safe on every system and can be read back. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

#: Characters that are kept, beside letters and digits of any script.
_PLAIN: Final = frozenset(" -_.@+")
#: Characters that no name begins or ends with: they make hidden files or options, or some systems cut them off.
_NOT_FIRST: Final = frozenset(" -.")
_NOT_LAST: Final = frozenset(" .")
#: Most octets of a name; systems take 255.
_MOST_OCTETS: Final = 120


def file_name(text: str) -> str:
    """Returns `text` with unusual characters as %XX of their UTF-8; `original` reads it back."""
    last = len(text) - 1
    return "".join(
        character
        if _is_plain(character)
        and not (at == 0 and character in _NOT_FIRST)
        and not (at == last and character in _NOT_LAST)
        else "".join(f"%{octet:02X}" for octet in character.encode("utf-8", "surrogateescape"))
        for at, character in enumerate(text)
    )


def original(name: str) -> str:
    """Returns the text that `file_name` was given."""
    return unquote(name, errors="surrogateescape")


def _is_plain(character: str) -> bool:
    return character in _PLAIN or character.isalnum()


def _alike(name: str) -> str:
    """Returns one value for names that some system takes for the same file."""
    return unicodedata.normalize("NFKD", name).casefold()


def distinct(texts: Mapping[str, str]) -> dict[str, str]:
    """Returns a file name for each id; no two are alike on any system, whatever it makes of upper and lower case.

    A name that would be too long, or like another, ends in ~ and the beginning of the id, which no other name has.
    """
    found: dict[str, str] = {}
    used: set[str] = set()
    for key, text in texts.items():
        name = file_name(text)
        if not name or len(name.encode()) > _MOST_OCTETS or _alike(name) in used:
            cut = name.encode()[:_MOST_OCTETS].decode(errors="ignore").rstrip("%. ")
            name = f"{cut}~{key[:12]}"
        used.add(_alike(name))
        found[key] = name
    return found
