"""The port to the state store: requests, plans, the ledger, leases, progress. All shared state is kept there.

Rules that every adapter keeps, and that `tests/contract/test_store*.py` check over Redis and memory alike:

- A method happens wholly or not at all, and may be repeated: after a lost answer the same call changes nothing more. So
  a caller may retry after `StoreError`. Where all mailboxes of an import follow a change of it, they do in pieces
  (`RequestStore.sweep`): the change itself happens at once, and of a caller that dies meanwhile another does the rest.
  The methods that close a unit (`finish`, `release`, `split`) raise `LeaseLost` when they are repeated.
- Every method that takes a `Lease` is fenced by the lease's term: after another claim, reap or reset it raises
  `LeaseLost` and writes nothing. A lane has one lease at a time: a lease that it still holds when it claims again goes
  back first.
- The store refuses with `StoreError` what could not be repaired later: closing a unit with open intents, or a batch
  with messages that have no outcome; splitting a batch into parts that do not hold just those messages; using the
  number of an intent twice.
- The ledger is a bijection: a destination UID that is offered twice raises `LedgerConflict`.
- `claim` counts the attempts. When a lease is taken back, an attempt under which messages got their outcome is not
  counted.
- The counters of folder, mailbox and import change together: their sums agree at every moment.
- Time is the store's own clock. Clients' clocks are never compared with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from shared.model.sides import Scope
from shared.store.ports.account_store import AccountStore, LoginStore, SignInStore, TokenStore
from shared.store.ports.at_once import AtOnceStore, ChangedStore
from shared.store.ports.coordination_store import CoordinationStore
from shared.store.ports.cutover_store import CutoverStore
from shared.store.ports.lane_store import LaneStore
from shared.store.ports.looks import LookStore
from shared.store.ports.marks import MarkStore
from shared.store.ports.outbox import ForecastStore, NoticeStore
from shared.store.ports.reach_store import ReachStore
from shared.store.ports.request_store import RequestStore, Resealed
from shared.store.ports.work_store import WorkStore
from shared.wording.phrases import FaultsFound, FieldName, Parameter, Phrase

__all__ = [
    "BRAKE_AFTER",
    "BRINGING_SECONDS",
    "MOST_DOUBTS",
    "PIECE",
    "SCOPES",
    "SHARED_SECONDS",
    "SILENT_SECONDS",
    "AccountStore",
    "AtOnceStore",
    "ChangedStore",
    "CoordinationStore",
    "CutoverStore",
    "ForecastStore",
    "LaneStore",
    "LoginStore",
    "LookStore",
    "MarkStore",
    "NoticeStore",
    "ReachStore",
    "RequestStore",
    "Resealed",
    "SignInStore",
    "Store",
    "TokenStore",
    "WorkStore",
    "other_options",
    "process_of",
]

#: The four scopes of a connection limit, in the order in which they are asked.
SCOPES = tuple(Scope)

#: The number of refusals in a row after which a shared login that let others in before counts as refused for all.
MOST_DOUBTS = 3

#: The number of different logins at one server that are tried before any is let in; when all of them are refused, the
#: others wait for an operator.
BRAKE_AFTER = 5

#: The time for which the store keeps where shared messages stand, and for which a lane waits for the batch that brings
#: one, seconds.
SHARED_SECONDS, BRINGING_SECONDS = 14 * 86_400, 600

OTHER_OPTIONS: Final = Phrase(
    "import_with_other_options",
    "the import is under way with another {options}: give the same as before, or wait until it is finished "
    "(mailhaul watch), or end it (mailhaul cancel)",
)
LISTED: Final = Phrase("listed", "{first}, {rest}")
#: A worker that was silent for longer, in seconds, is probably lost: each worker sends a heartbeat every second.
SILENT_SECONDS = 10.0

#: The number of mailboxes that follow a change of their import or wave in one step of the store: with 50,000 in one step
#: nobody else would be answered for seconds.
PIECE: Final = 500


def process_of(holder: str) -> str:
    """Returns the process that a lane belongs to: the part of the lane's name before the last "/"."""
    return holder.rpartition("/")[0] or holder


def other_options(names: Sequence[str]) -> FaultsFound:
    """Returns the error for opening an import that is under way with other options; `names` are these options."""
    *first, last = (FieldName(name.replace("-", "_")) for name in names)
    listed: Parameter = last
    for name in reversed(first):
        listed = LISTED.says(first=name, rest=listed)
    return OTHER_OPTIONS.error(options=listed)


class Store(
    RequestStore,
    WorkStore,
    LaneStore,
    LookStore,
    AccountStore,
    SignInStore,
    CutoverStore,
    MarkStore,
    CoordinationStore,
    NoticeStore,
    ForecastStore,
    ReachStore,
    AtOnceStore,
    Protocol,
):
    """The whole port. `shared.store.redis` is the adapter for production, `shared.store.memory` the model."""
