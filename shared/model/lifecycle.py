"""The state machines of an import, a mailbox, a unit of work, a message and a cutover: every state, every edge, here only.

Each machine is one table, event → {state → next state}. `advance` is the only way along an edge; an edge that is not in
the table raises `IllegalTransition` and changes nothing. The Lua scripts of `shared.store` get the same tables
(`as_json`), and ARCHITECTURE.md's diagrams are drawn from them (`diagram`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum


class IllegalTransition(Exception):
    """An event came in a state that has no edge for it. The state is unchanged."""


class ImportState(StrEnum):
    """The states of an import."""

    #: Being written; a crash leaves it here, and the same command continues.
    OPENING = "opening"
    #: At least one mailbox is neither complete, parked nor cancelled.
    RUNNING = "running"
    #: Nothing is left to do until a person acts, or a parked mailbox is due again.
    FINISHED = "finished"


class MailboxState(StrEnum):
    """The states of a mailbox, which is one row of the manifest."""

    #: Waits for a worker to sign in and plan it.
    QUEUED = "queued"
    #: A worker lists folders and cuts batches; a crash leaves it here, and its plan unit is rescued.
    PLANNING = "planning"
    #: Batches are open.
    COPYING = "copying"
    #: Every batch is closed; the destination is being counted and compared.
    VERIFYING = "verifying"
    #: Every source message of the snapshot has an outcome and the destination was compared.
    COMPLETE = "complete"
    #: Stopped until a person acts, or until its next retry is due; `failure` says why and what to do.
    PARKED = "parked"
    #: Cancelled by an operator. Messages copied so far stay.
    CANCELLED = "cancelled"


class UnitState(StrEnum):
    """The states of a unit: a mailbox's plan, one batch, or a mailbox's verification."""

    #: Behind other batches of the same folder: as many are at work at once as the folder has writers.
    WAITING = "waiting"
    #: May be claimed.
    READY = "ready"
    #: May be claimed from a certain moment on: a transient failure or a throttle.
    DELAYED = "delayed"
    #: A worker holds it under a lease; a crash leaves it here until the lease is reaped.
    LEASED = "leased"
    #: Finished.
    DONE = "done"
    #: Replaced: split in halves, or planned anew.
    OBSOLETE = "obsolete"


class Outcome(StrEnum):
    """The outcomes of a source message. `pending` is the absence of one."""

    #: Appended by a worker.
    COPIED = "copied"
    #: Was at the destination before a worker appended anything (matched by its bytes).
    ALREADY_PRESENT = "already_present"
    #: Left out by a rule of the request.
    SKIPPED = "skipped"
    #: The destination does not accept it.
    REFUSED = "refused"
    #: Gone from the source before it was read.
    VANISHED = "vanished"
    #: Could not be moved after all attempts.
    FAILED = "failed"


class Control(StrEnum):
    """The operator's wish for an import or a mailbox, beside its state."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


class Wish(StrEnum):
    """The word that a lane hears about its lease: the operator's wish, or that the lease is not its own any more."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"
    #: Another import has less than its share of the lanes: as a pause at the next group. A session is shut for it only where one
    #: message takes long.
    YIELD = "yield"
    #: Fewer lanes are let in by now: as a pause at the next group, and no session is shut for it.
    LEAVE = "leave"
    #: The lease expired, or another worker holds the unit.
    LOST = "lost"


class Disposition(StrEnum):
    """The fate of a unit that did not finish. The scripts of the store know all but the last two by these words."""

    #: It is claimed again, and this attempt counts.
    AGAIN = "again"
    #: It is claimed again later, and this attempt does not count.
    WAIT = "wait"
    #: A `WAIT` because something that was sent before may still arrive at the destination.
    DOUBT = "doubt"
    #: A `DOUBT` in which another mailbox may have the destination meanwhile.
    LATE = "late"
    #: Its mailbox stops until a person acts, or until the next retry is due.
    PARK = "park"
    #: Its mailbox is planned anew.
    REPLAN = "replan"
    #: The messages that are left of its folder fail.
    GIVE_UP = "give_up"
    #: Nothing may be written any more: the lease or the store is gone.
    DROP = "drop"


class UnitResult(StrEnum):
    """The results of work on a unit that met no error; of an error it is the error's code."""

    #: Its messages are done.
    FINISHED = "finished"
    #: Something that was sent may still arrive, so it is claimed again.
    IN_DOUBT = "in_doubt"
    #: Smaller units took its place.
    SPLIT = "split"


class CutoverState(StrEnum):
    """The states of a cutover, which moves the people of a wave to the new server."""

    #: Begun by a person; the coordinator rehearses the switch.
    DRAFTED = "drafted"
    #: The switch would be made for every mailbox.
    CHECKED = "checked"
    #: Mailboxes are kept in sync; some are behind.
    STAGING = "staging"
    #: Every mailbox is in sync.
    SYNCED = "synced"
    #: A person told the people of the wave.
    ANNOUNCED = "announced"
    #: A person said "switch"; the coordinator turns one mailbox after the other to the new server.
    SWITCHED = "switched"
    #: All are turned; what still arrives at the source is copied.
    DRAINING = "draining"
    #: Over: a person closed it.
    CLOSED = "closed"
    #: The coordinator turns the mailboxes to the old server again, and what arrived at the new one is brought back.
    ROLLED_BACK = "rolled_back"


_M, _U, _I, _C = MailboxState, UnitState, ImportState, CutoverState

#: The state of a cutover that is not there yet; diagrams draw it as the beginning.
NOT_BEGUN = "[*]"

Table = Mapping[str, Mapping[str, str]]

#: event → {state → next state}
IMPORT: Table = {
    "submitted": {_I.OPENING: _I.RUNNING, _I.RUNNING: _I.RUNNING, _I.FINISHED: _I.FINISHED},
    "settled": {_I.RUNNING: _I.FINISHED},
    "again": {_I.OPENING: _I.OPENING, _I.FINISHED: _I.OPENING, _I.RUNNING: _I.OPENING},
    "reopened": {_I.FINISHED: _I.RUNNING, _I.RUNNING: _I.RUNNING, _I.OPENING: _I.OPENING},
}

MAILBOX: Table = {
    "plan_claimed": {_M.QUEUED: _M.PLANNING, _M.PLANNING: _M.PLANNING},
    "planned": {_M.PLANNING: _M.COPYING},
    "drained": {_M.COPYING: _M.VERIFYING},
    "verified": {_M.VERIFYING: _M.COMPLETE},
    "replan": {_M.PLANNING: _M.QUEUED, _M.COPYING: _M.QUEUED, _M.VERIFYING: _M.QUEUED},
    "park": {
        _M.QUEUED: _M.PARKED,
        _M.PLANNING: _M.PARKED,
        _M.COPYING: _M.PARKED,
        _M.VERIFYING: _M.PARKED,
        _M.PARKED: _M.PARKED,
        _M.COMPLETE: _M.PARKED,
    },
    "cancel": {
        _M.QUEUED: _M.CANCELLED,
        _M.PLANNING: _M.CANCELLED,
        _M.COPYING: _M.CANCELLED,
        _M.VERIFYING: _M.CANCELLED,
        _M.PARKED: _M.CANCELLED,
        _M.CANCELLED: _M.CANCELLED,
    },
    "again": {_M.COMPLETE: _M.QUEUED, _M.PARKED: _M.QUEUED, _M.CANCELLED: _M.QUEUED},
}

UNIT: Table = {
    "advance": {_U.WAITING: _U.READY},
    "due": {_U.DELAYED: _U.READY},
    "claim": {_U.READY: _U.LEASED},
    "release": {_U.LEASED: _U.READY},
    "delay": {_U.LEASED: _U.DELAYED},
    "reap": {_U.LEASED: _U.READY},
    "finish": {_U.LEASED: _U.DONE},
    "replace": {_U.LEASED: _U.OBSOLETE, _U.READY: _U.OBSOLETE, _U.DELAYED: _U.OBSOLETE, _U.WAITING: _U.OBSOLETE},
}

#: A message is pending until an intent names it; an intent is settled into an outcome or back to pending.
MESSAGE: Table = {
    "intend": {"pending": "appending"},
    "record": {"appending": "copied", "pending": "already_present"},
    "withdraw": {"appending": "pending"},
    "refuse": {"appending": "refused", "pending": "refused"},
    "skip": {"pending": "skipped"},
    "want": {"skipped": "pending"},
    "vanish": {"appending": "vanished", "pending": "vanished"},
    "give_up": {"appending": "failed", "pending": "failed"},
    "retry": {"failed": "pending", "refused": "pending"},
}

#: The states of a cutover. `shared.model.cutover` says who may send each event, and what must be met first.
CUTOVER: Table = {
    "start": {NOT_BEGUN: _C.DRAFTED, _C.CLOSED: _C.DRAFTED, _C.ROLLED_BACK: _C.DRAFTED},
    "check": {_C.DRAFTED: _C.CHECKED},
    "stage": {_C.CHECKED: _C.STAGING},
    "sync": {_C.STAGING: _C.SYNCED},
    "lag": {_C.SYNCED: _C.STAGING},
    "announce": {_C.SYNCED: _C.ANNOUNCED, _C.STAGING: _C.ANNOUNCED},
    "switch": {_C.ANNOUNCED: _C.SWITCHED, _C.SWITCHED: _C.SWITCHED, _C.DRAINING: _C.SWITCHED},
    "drain": {_C.SWITCHED: _C.DRAINING},
    "close": {_C.DRAINING: _C.CLOSED},
    "give_up": {
        _C.DRAFTED: _C.CLOSED,
        _C.CHECKED: _C.CLOSED,
        _C.STAGING: _C.CLOSED,
        _C.SYNCED: _C.CLOSED,
        _C.ANNOUNCED: _C.CLOSED,
    },
    "rollback": {_C.SWITCHED: _C.ROLLED_BACK, _C.DRAINING: _C.ROLLED_BACK, _C.ROLLED_BACK: _C.ROLLED_BACK},
}

MACHINES: Mapping[str, Table] = {
    "import": IMPORT,
    "mailbox": MAILBOX,
    "unit": UNIT,
    "message": MESSAGE,
    "cutover": CUTOVER,
}

#: Mailbox states in which nothing happens until a person acts, or a parked mailbox is due again.
SETTLED = frozenset({_M.COMPLETE, _M.PARKED, _M.CANCELLED})


def advance(machine: str, state: str, event: str) -> str:
    """Returns the state after `event`. Raises `IllegalTransition` when there is no such edge."""
    try:
        return MACHINES[machine][event][state]
    except KeyError:
        raise IllegalTransition(f"{machine}: no edge for {event!r} in state {state!r}") from None


def as_json() -> str:
    """Returns the tables as JSON, for the Lua scripts."""
    return json.dumps(MACHINES, sort_keys=True)


def diagram(machine: str) -> str:
    """Returns a Mermaid state diagram drawn from the table."""
    lines = ["stateDiagram-v2"]
    for event, edges in MACHINES[machine].items():
        lines += [f"    {before} --> {after}: {event}" for before, after in edges.items()]
    return "\n".join(lines)
