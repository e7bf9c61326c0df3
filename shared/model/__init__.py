"""The frozen nouns that producer and worker share. No I/O, no clock, no secrets (those are in `shared.runtime.credentials`)."""

from shared.model.accounts import AccountState, Profile
from shared.model.folders import LEFT_ALONE, REMOVED, UNREADABLE, Folder, Moving, Tally, gone, short
from shared.model.ids import (
    account_key,
    batch_id,
    folded,
    folder_id,
    import_id,
    mailbox_id,
    part_id,
    route_id,
    server_key,
)
from shared.model.ledger import Audit, LedgerEntry, Note, Settled
from shared.model.marks import FolderMark, SwitchMarks
from shared.model.requests import BY_ROW, Account, Endpoint, Failure, Import, Mailbox, Options, Tls
from shared.model.waves import Wave
from shared.model.work import (
    FolderPlan,
    Intent,
    Lease,
    Neighbour,
    Overview,
    ProgressReply,
    Stranded,
    Unit,
    UnitKind,
    Wait,
)

__all__ = [
    "BY_ROW",
    "LEFT_ALONE",
    "REMOVED",
    "UNREADABLE",
    "Account",
    "AccountState",
    "Audit",
    "Endpoint",
    "Failure",
    "Folder",
    "FolderMark",
    "FolderPlan",
    "Import",
    "Intent",
    "Lease",
    "LedgerEntry",
    "Mailbox",
    "Moving",
    "Neighbour",
    "Note",
    "Options",
    "Overview",
    "Profile",
    "ProgressReply",
    "Settled",
    "Stranded",
    "SwitchMarks",
    "Tally",
    "Tls",
    "Unit",
    "UnitKind",
    "Wait",
    "Wave",
    "account_key",
    "batch_id",
    "folded",
    "folder_id",
    "gone",
    "import_id",
    "mailbox_id",
    "part_id",
    "route_id",
    "server_key",
    "short",
]
