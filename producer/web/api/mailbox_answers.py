"""The answers of the API about mailboxes, their folders and their messages."""

from __future__ import annotations

from pydantic import Field

from producer.web.api.answers import Answer, CountsAnswer, Moment
from shared.model.lifecycle import Control


class FailureAnswer(Answer):
    """The reason why a mailbox does not go on."""

    code: str
    sentence: str
    detail: str
    advice: str
    folder: str
    at: Moment
    times: int
    missing_bytes: int


class MailboxAnswer(CountsAnswer):
    """A mailbox in a list."""

    id: str
    row: int
    login: str
    server: str
    destination_login: str
    state: str
    control: Control
    wave: str
    priority: int
    group: str
    failure: FailureAnswer | None


class MailboxesAnswer(Answer):
    """A page of mailboxes; `total` is the number of all that match."""

    total: int
    start: int
    mailboxes: list[MailboxAnswer]


class FoundMailboxAnswer(MailboxAnswer):
    """A mailbox that was searched for in all imports."""

    import_id: str
    import_: str = Field(alias="import")


class FoundMailboxesAnswer(Answer):
    """A page of mailboxes of all imports; `total` is the number of all that match."""

    total: int
    start: int
    mailboxes: list[FoundMailboxAnswer]


class FolderAnswer(CountsAnswer):
    """A folder of a mailbox."""

    folder: str
    destination: str
    renamed: bool
    note: str
    skipped_why: str
    shown: str
    readable: bool


class MessageNoteAnswer(Answer):
    """A note on one message."""

    uid: int
    what: str
    reason: str
    message_id: str


class NotedFolderAnswer(FolderAnswer):
    """A folder, with notes on single messages."""

    notes: list[MessageNoteAnswer]


class FoldersAnswer(Answer):
    """The folders of a mailbox in the order of the plan."""

    folders: list[NotedFolderAnswer]


class RenamedAnswer(Answer):
    """A folder that has another name at the destination."""

    source: str
    destination: str
    note: str


class WholeMailboxAnswer(MailboxAnswer):
    """A mailbox with its folders and its last failures."""

    account: str
    again_at: Moment | None
    waits_for: str
    compared: int
    looked_at: Moment | None
    synced_at: Moment | None
    look_at: Moment | None
    other_folders: int
    public_folders: int
    left_out: str
    renamed_folders: list[RenamedAnswer]
    folders: list[FolderAnswer]
    failures: list[FailureAnswer]
