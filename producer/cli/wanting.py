"""The options on what to import, and the confirmations of what looks like a mistake, for all verbs that have them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from producer.intake.allowed import Allowed
from producer.intake.selection_options import SelectionOptions
from shared.wording.phrases import Phrase

_MOST_BYTES: Final = 8 << 20
UNREADABLE: Final = Phrase("folder_map_unreadable", "{path} cannot be read ({cause})")
LARGE: Final = Phrase("folder_map_large", "{path} is larger than {num} MiB")


def _option(name: str, text: str, metavar: str | None = None) -> Any:
    return typer.Option(name, metavar=metavar, help=text)


SharedFoldersOption = Annotated[
    str,
    _option(
        "--shared-folders", "Folders of other people and public folders: leave them out, or copy them.", "leave|copy"
    ),
]


def selected(
    since: Annotated[str, _option("--since", "Only messages from this date on (INTERNALDATE, UTC).", "DATE")] = "",
    before: Annotated[str, _option("--before", "Only messages before this date.", "DATE")] = "",
    larger: Annotated[str, _option("--larger", "Only messages larger than this, e.g. 10MB.", "SIZE")] = "",
    smaller: Annotated[str, _option("--smaller", "Only messages smaller than this.", "SIZE")] = "",
    unseen: Annotated[bool, _option("--unseen", "Only messages that were not read.")] = False,
    flagged: Annotated[bool, _option("--flagged", "Only messages that are flagged.")] = False,
    not_deleted: Annotated[
        bool,
        _option("--not-deleted", "Leave messages out that are marked as deleted; copied with the mark without it."),
    ] = False,
    newest_first: Annotated[
        bool, _option("--newest-first", "The last 30 days of everybody first, then the last year.")
    ] = False,
    skip_special: Annotated[
        str,
        _option(
            "--skip-special", "Leave special folders out: spam,trash,drafts,sent,archive,all,flagged,important.", "USES"
        ),
    ] = "",
    shared_folders: SharedFoldersOption = "leave",
    into: Annotated[str, _option("--into", "Put everything below this folder, INBOX too.", "FOLDER")] = "",
    folder_map: Annotated[
        str,
        _option("--folder-map", "File of two columns, old and new folder name; `plan` shows what comes of it.", "FILE"),
    ] = "",
    gmail_labels: Annotated[
        str,
        _option(
            "--gmail-labels",
            "Gmail: a copy for each label (folders), one copy (primary), or one with labels as keywords (keywords).",
            "folders|primary|keywords",
        ),
    ] = "folders",
    moves: Annotated[
        str,
        _option(
            "--moves",
            "What was moved at the source since the last pass: move it at the destination too, or copy it once more.",
            "follow|copy",
        ),
    ] = "follow",
    deletions: Annotated[
        str,
        _option(
            "--deletions",
            "Deleted at the source since the last pass: tell it, or remove the copies too.",
            "tell|follow",
        ),
    ] = "tell",
    deletions_cap: Annotated[
        int,
        _option(
            "--deletions-cap", "The most copies that --deletions follow removes from a mailbox in a pass.", "NUMBER"
        ),
    ] = 100,
) -> SelectionOptions:
    """Returns the options on what to import, with the content of the folder map. Raises `UsageError`."""
    content = None
    if folder_map:
        try:
            with Path(folder_map).expanduser().open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise UNREADABLE.error("folder_map", path=folder_map, cause=str(error.strerror)) from None
        if len(content) > _MOST_BYTES:
            raise LARGE.error("folder_map", path=folder_map, num=_MOST_BYTES >> 20)
    return SelectionOptions(
        skip_special=skip_special,
        shared_folders=shared_folders,
        into=into,
        folder_map=folder_map,
        folder_map_content=content,
        since=since,
        before=before,
        larger=larger,
        smaller=smaller,
        unseen=unseen,
        flagged=flagged,
        not_deleted=not_deleted,
        newest_first=newest_first,
        gmail_labels=gmail_labels,
        moves=moves,
        deletions=deletions,
        deletions_cap=deletions_cap,
    )


def confirmed(
    share_destination: Annotated[
        bool, _option("--share-destination", "Several rows may go into one destination mailbox, one after the other.")
    ] = False,
    case_sensitive_logins: Annotated[
        bool, _option("--case-sensitive-logins", "Logins that differ only in capitals are different mailboxes.")
    ] = False,
    same_mailbox: Annotated[
        bool,
        _option(
            "--same-mailbox",
            "Go on although source and destination are one mailbox, or seem to be exchanged for each other.",
        ),
    ] = False,
) -> Allowed:
    """Returns the confirmations."""
    return Allowed(
        share_destination=share_destination, case_sensitive_logins=case_sensitive_logins, same_mailbox=same_mailbox
    )
