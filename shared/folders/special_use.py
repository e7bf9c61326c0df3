"""The folders that every mail program has under a name of its own: tells their use by attribute and by name.

Attributes (RFC 6154, and the older XLIST's spellings) are what a server says; names are what programs and providers
have called these folders, by language, and count when the server says nothing. Names are compared without regard to
case.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping

from shared.folders.special_names import NAMES

#: The uses whose folders are brought together on both sides. The others (all, flagged, important) are views of messages
#: that lie elsewhere, or have no equal at the destination.
MAPPED = ("sent", "drafts", "trash", "junk", "archive")

#: Attributes in lower case without the backslash → use.
ATTRIBUTES: Mapping[str, str] = {
    "sent": "sent",
    "drafts": "drafts",
    "trash": "trash",
    "junk": "junk",
    "spam": "junk",
    "archive": "archive",
    "all": "all",
    "allmail": "all",
    "flagged": "flagged",
    "starred": "flagged",
    "important": "important",
}


#: Other words that people use for a use.
SPOKEN: Mapping[str, str] = {
    "spam": "junk",
    "deleted": "trash",
    "draft": "drafts",
    "starred": "flagged",
    "allmail": "all",
}

#: The folders below which providers keep folders with a use.
CONTAINERS = frozenset({"inbox", "[gmail]", "[google mail]"})


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()


_BY_NAME = {_plain(name): (use, rank) for use, names in NAMES.items() for rank, name in enumerate(names)}


def use_of_attributes(attributes: Collection[str]) -> str:
    """Returns the use that the server names, "" when it names none.

    Of several, the one that stands first in `ATTRIBUTES`.
    """
    return next((use for attribute, use in ATTRIBUTES.items() if attribute in attributes), "")


def use_of_name(levels: tuple[str, ...]) -> tuple[str, int]:
    """Returns (use, rank) of a folder by its name; lower ranks are likelier. ("", 0) for a name that says nothing.

    A name counts only at the top, below INBOX and below ``[Gmail]``: ``Clients/Sent`` is an ordinary folder of the
    user's.
    """
    if not levels or len(levels) > 2 or (len(levels) == 2 and _plain(levels[0]) not in CONTAINERS):
        return "", 0
    return _BY_NAME.get(_plain(levels[-1]), ("", 0))


def uses(folders: Iterable[tuple[Collection[str], tuple[str, ...]]]) -> list[str]:
    """Returns the use of each of an account's folders (attributes, decoded levels), "" for none.

    A name counts only for uses that the server marks no folder with: where it marks one, ``Trash`` is an ordinary
    folder of the user's.
    """
    listed = list(folders)
    said = [use_of_attributes(attributes) for attributes, _ in listed]
    marked = set(said)
    return [
        use or (named if (named := use_of_name(levels)[0]) not in marked else "")
        for use, (_, levels) in zip(said, listed, strict=True)
    ]
