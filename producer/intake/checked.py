"""The result of a check of each row: what both accounts show, and whether the mail fits. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.nouns import dataclass
from shared.wording.phrases import Phrase, several

SOURCE_MAIL_MAY_NOT_FIT: Final = Phrase(
    "source_mail_may_not_fit", "the source's mail may not fit into the destination's quota"
)
#: Failure for mail that cannot fit.
OVERFULL: Final = Phrase("destination_quota_cannot_hold", "destination: the quota cannot hold the source's mail").says()


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedSide:
    """The result of one account at one side."""

    #: Whether the scan could sign in and read the mailbox.
    ok: bool = False
    #: The fault; "" when there is none.
    failure: str = ""
    #: The server's own words about the failure.
    detail: str = ""
    #: The operator's remedy.
    advice: str = ""
    #: Folders that can be opened; those of other people and public ones count only if they were asked for.
    folders: int = 0
    #: Folders of other people that are left out.
    other_folders: int = 0
    #: Public folders that are left out.
    public_folders: int = 0
    #: The folders that are left out, in words; "" for none.
    left_out: str = ""
    #: Messages of the folders that can be opened.
    messages: int = 0
    #: Bytes of these messages; None when that was not asked for.
    size_bytes: int | None = None
    #: Storage quota in bytes; None when the server has none or does not report it.
    quota_bytes: int | None = None
    #: Used part of the quota, in bytes.
    quota_used_bytes: int | None = None
    #: Extensions that the server announces and refuses, and what is done instead; "" for none.
    refuses: str = ""
    #: Whether the account does not exist and would be created.
    would_create: bool = False
    #: A warning to read before any message is read; "" for none.
    caution: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A row of the manifest and what the scan found."""

    #: Line in the manifest.
    row: int
    #: Login at the source.
    login: str
    #: Login at the destination.
    destination_login: str
    #: URL of the row's own server; "" where the row uses the import's source.
    server: str = ""
    #: The source's account as it was seen.
    source: CheckedSide
    #: The destination's account as it was seen.
    destination: CheckedSide

    @property
    def ok(self) -> bool:
        """Tells whether both sides work and the destination can hold the mail."""
        return self.works and not self.overfull

    @property
    def works(self) -> bool:
        """Tells whether both sides work."""
        return self.source.ok and self.destination.ok

    @property
    def overfull(self) -> str:
        """The reason why the destination cannot hold the source's mail; "" where it can.

        It is also "" where the destination's own mail may be a part of the source's.
        """
        quota, used = self.destination.quota_bytes, self.destination.quota_used_bytes or 0
        size = self.source.size_bytes
        if not self.works or quota is None or size is None or used + size <= quota:
            return ""
        return OVERFULL if size > quota or not self.destination.messages else ""

    @property
    def warning(self) -> str:
        """The warning about a row whose sides both work; "" for none."""
        return several((self._room, self.source.caution if self.works else ""))

    @property
    def _room(self) -> str:
        quota, used = self.destination.quota_bytes, self.destination.quota_used_bytes or 0
        if (
            self.works
            and not self.overfull
            and quota is not None
            and self.source.size_bytes is not None
            and used + self.source.size_bytes > quota
        ):
            return SOURCE_MAIL_MAY_NOT_FIT.says()
        return ""


def swapped(found: Sequence[Checked]) -> bool:
    """Tells whether every source mailbox is empty and every destination mailbox is not."""
    return bool(found) and all(one.works and not one.source.messages and one.destination.messages for one in found)
