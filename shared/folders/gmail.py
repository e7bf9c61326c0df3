"""Gmail's labels: one message shown by many folders, and where it goes (Google: IMAP extensions, X-GM-EXT-1). Pure.

A folder of Gmail's is a label, and All Mail shows everything but Spam and Trash. A message says which other labels it
has in the folder that is open. Only messages that a folder really shows count: a label may be hidden from IMAP, or its
folder be cut short ("Limit IMAP folders to contain no more than this many messages"). Messages that it does not show
come from All Mail.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from shared.folders import special_use
from shared.folders.mapping import MappedFolder
from shared.folders.names import decode_name
from shared.folders.tree import is_inbox
from shared.model.choices import LabelMode
from shared.model.messages import FolderListing, Labels, ListedFolder
from shared.nouns import dataclass
from shared.wording.phrases import Phrase

#: The capability that a server with labels announces.
EXTENSION: Final = "X-GM-EXT-1"
#: The reason for leaving a message out of one folder: another gives it.
ELSEWHERE: Final = Phrase("given_by_another_folder_gmail", "given by another folder (Gmail label)").says()
#: The reason for leaving a message out of All Mail although no folder gives it.
UNWANTED: Final = Phrase("only_in_folders_that_are_left_out", "only in folders that are left out (Gmail label)").says()

_ALL: Final = b""
_SYSTEM: Final[Mapping[str, bytes]] = {
    "all": _ALL,
    "sent": b"\\sent",
    "drafts": b"\\draft",
    "flagged": b"\\starred",
    "important": b"\\important",
    "junk": b"\\spam",
    "trash": b"\\trash",
}
#: Folders that show messages which lie elsewhere too.
_VIEWS: Final = frozenset({b"\\starred", b"\\important"})
#: Folders whose messages All Mail does not show.
_APART: Final = frozenset({b"\\spam", b"\\trash"})
#: Labels that come before the user's own.
_FIRST: Final = (b"\\inbox", b"\\sent", b"\\draft")
_NOT_ATOM = re.compile(r"[^!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+", re.ASCII)
#: Longest keyword that Dovecot takes.
_KEYWORD_LENGTH: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelView:
    """An account's labels as far as IMAP shows them."""

    #: The mode that was asked for.
    mode: LabelMode
    #: Source name of each folder → its label; b"" is All Mail.
    labels: Mapping[bytes, bytes]
    #: Labels whose folders give messages → their turn; where a message may have only one home, its label with the
    #: lowest turn decides.
    turns: Mapping[bytes, int]
    #: Labels whose folders were left out by the request, views not among them.
    dropped: frozenset[bytes]
    #: For labels whose folders show fewer messages than have the label: the messages (X-GM-MSGID) that they do show.
    partial: Mapping[bytes, frozenset[int]] = field(default_factory=dict)

    def decides(self, name: bytes) -> bool:
        """Tells whether the labels of a folder's messages have to be requested."""
        own = self.labels.get(name, name)
        return own not in _APART and (own == _ALL or self.mode is not LabelMode.FOLDERS)

    def elsewhere(self, name: bytes, seen: Labels) -> str:
        """Returns why this folder does not give a message that it shows; "" when it does."""
        own = self.labels.get(name, name)
        if not self.decides(name):
            return ""
        others = {_spelled(label) for label in seen.labels} - {own}
        turns = [self.turns[label] for label in others if self._gives(label, seen.message)]
        if own != _ALL:
            return ELSEWHERE if min(turns, default=len(self.turns)) < self.turns.get(own, 0) else ""
        if turns:
            return ELSEWHERE
        shown = {label for label in others if label in self.labels.values()} - _VIEWS
        return UNWANTED if shown and shown <= self.dropped else ""

    def _gives(self, label: bytes, message: int) -> bool:
        return label in self.turns and (label not in self.partial or message in self.partial[label])

    @property
    def all_mail(self) -> bytes | None:
        """The source name of All Mail; None where it is hidden from IMAP."""
        return next((name for name, label in self.labels.items() if label == _ALL), None)

    def hidden(self, labels: Collection[bytes]) -> list[str]:
        """Returns those of the messages' labels that have no folder, as displayed."""
        known = set(self.labels.values())
        return sorted(decode_name(one) for one in labels if not one.startswith(b"\\") and one not in known)

    def short(self, counted: Mapping[bytes, int], shown: Mapping[bytes, int]) -> dict[bytes, bytes]:
        """Returns the folders that give fewer messages than have their label, as label → name.

        `shown` has the messages that a folder gives, by source name. `counted` has the messages that have a label.
        """
        count: dict[bytes, int] = {}
        for label, number in counted.items():
            count[_spelled(label)] = count.get(_spelled(label), 0) + number
        return {
            label: name
            for name, label in self.labels.items()
            if label in self.turns and name in shown and count.get(label, 0) > shown[name]
        }


def view_of(listing: FolderListing, mapped: Sequence[MappedFolder], mode: LabelMode) -> LabelView:
    """Makes the view from the listing; `mapped` says which folders the request takes."""
    labels = {folder.name: _label(folder) for folder in listing.folders}
    taken = {labels[one.source_name]: one.display for one in mapped if not one.skip} if mapped else {}
    own = sorted((label for label in taken if not label.startswith(b"\\") and label), key=lambda la: (taken[la], la))
    views = sorted(_VIEWS & set(taken))
    order = [*(label for label in _FIRST if label in taken), *own, *views]
    left = {labels[one.source_name] for one in mapped if one.skip and one.skip != KEYWORD} - _VIEWS - {_ALL}
    return LabelView(
        mode=mode, labels=labels, turns={label: n for n, label in enumerate(order)}, dropped=frozenset(left)
    )


#: The reason for leaving out a label's folder where labels become keywords.
KEYWORD: Final = Phrase("its_messages_get_label_as_keyword", "its messages get the label as a keyword").says()
_VIEW: Final = Phrase("its_messages_lie_in_other_folders", "its messages lie in other folders").says()


def narrowed(listing: FolderListing, mapped: Sequence[MappedFolder], mode: LabelMode) -> list[MappedFolder]:
    """Returns the mapping, in which folders that give no messages in this mode are left out."""
    if mode is LabelMode.FOLDERS:
        return list(mapped)
    labels = {folder.name: _label(folder) for folder in listing.folders}

    def skip(one: MappedFolder) -> str:
        label = labels[one.source_name]
        if one.skip:
            return one.skip
        if label in _VIEWS:
            return _VIEW
        return KEYWORD if mode is LabelMode.KEYWORDS and label and not label.startswith(b"\\") else ""

    return [
        replace(one, skip=why, destination_name=b"", destination_display="", exists=False, note="")
        if (why := skip(one))
        else one
        for one in mapped
    ]


def keywords(labels: Collection[bytes]) -> tuple[str, ...]:
    """Turns labels into keywords.

    A name stays as it is on the wire (modified UTF-7), with "_" for characters that no keyword can hold. Important
    becomes ``$Important`` (RFC 8457). System labels for the places of a message become none.
    """
    found = set()
    for label in labels:
        if _spelled(label) == b"\\important":
            found.add("$Important")
        elif not label.startswith(b"\\"):
            found.add(_NOT_ATOM.sub("_", label.decode("latin-1"))[:_KEYWORD_LENGTH])
    return tuple(sorted(found - {""}))


def _label(folder: ListedFolder) -> bytes:
    if is_inbox(folder.name):
        return b"\\inbox"
    return _SYSTEM.get(special_use.use_of_attributes(folder.attributes), folder.name)


def _spelled(label: bytes) -> bytes:
    """Returns the label, a system label in lower case."""
    return label.lower() if label.startswith(b"\\") else label
