"""The options on what to import, as they are given. The command line's help imports this module, and loads nothing else with it."""

from __future__ import annotations

from shared.nouns import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectionOptions:
    """The options as given on the command line; "" and False for those not given."""

    #: Special uses, separated by commas.
    skip_special: str = ""
    #: A `SharedFolders`.
    shared_folders: str = "leave"
    #: The destination's folder that receives everything.
    into: str = ""
    #: The folder map's file name, for messages.
    folder_map: str = ""
    #: The folder map's content; None when it could not be read.
    folder_map_content: bytes | None = None
    #: A date, or a date and time.
    since: str = ""
    #: A date, or a date and time.
    before: str = ""
    #: A size, e.g. 10MB.
    larger: str = ""
    #: A size, e.g. 1GiB.
    smaller: str = ""
    #: See `shared.model.Options`.
    unseen: bool = False
    #: See `shared.model.Options`.
    flagged: bool = False
    #: See `shared.model.Options`.
    not_deleted: bool = False
    #: See `shared.model.Options`.
    newest_first: bool = False
    #: A `LabelMode`.
    gmail_labels: str = "folders"
    #: A `MoveChoice`.
    moves: str = "follow"
    #: A `DeletionsChoice`.
    deletions: str = "tell"
    #: See `shared.model.Options`.
    deletions_cap: int = 100
