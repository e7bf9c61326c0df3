"""The choices that a request makes among a few, by the words of the API and of Redis."""

from __future__ import annotations

from enum import StrEnum


class SharedFolders(StrEnum):
    """The treatment of folders of other people and of public folders."""

    LEAVE = "leave"
    COPY = "copy"


class LabelMode(StrEnum):
    """The ways to treat a message that several of Gmail's folders show."""

    #: A copy in each of them; All Mail gives only what no other folder gives.
    FOLDERS = "folders"
    #: One copy: in INBOX, else Sent, Drafts, the first of its labels by name, else All Mail.
    PRIMARY = "primary"
    #: One copy: in INBOX, else Sent, Drafts, All Mail; its labels become keywords.
    KEYWORDS = "keywords"


class MoveChoice(StrEnum):
    """The treatment in a later pass of messages that were moved or renamed at the source."""

    #: Their copies are moved at the destination too.
    FOLLOW = "follow"
    #: They are copied to their new place.
    COPY = "copy"


class DeletionsChoice(StrEnum):
    """The treatment in a later pass of messages that were deleted at the source."""

    #: They are told, and their copies stay.
    TELL = "tell"
    #: Copies that nobody changed are removed.
    FOLLOW = "follow"


class Verification(StrEnum):
    """The depths of a verification."""

    #: Ledger, sizes and fingerprints; what was checked before is not read again.
    DEFAULT = "default"
    #: The same, of everything once more; a person asks for it after the copying.
    ANEW = "anew"
    #: SHA-256 of every message on both sides.
    FULL = "full"
