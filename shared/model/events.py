"""The events of the workers, as frozen facts.

Logs and metrics listen (`shared.runtime.logs`, `shared.metrics`); nothing else does.

No event holds an address, a folder name, a password or a word of a message: ids, counts and codes only.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.model.sides import Side
from shared.model.work import UnitKind
from shared.nouns import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSettled:
    """A group of messages got an outcome."""

    #: An `Outcome`.
    outcome: str
    #: Messages.
    messages: int
    #: Bytes of these messages.
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DoubtResolved:
    """A worker looked for the copies of groups whose answer was lost."""

    #: Messages that were found.
    found: int
    #: Messages that were not found.
    absent: int


@dataclass(frozen=True, kw_only=True, slots=True)
class UnitEnded:
    """A claim of a unit came to its end."""

    #: The kind of the unit.
    kind: UnitKind
    #: "finished", or the code of the failure.
    result: str
    #: Seconds from claim to end.
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """A login was tried."""

    #: "source" or "destination".
    side: Side
    #: "ok", or the code of the failure.
    result: str
    #: Seconds it took.
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionEnded:
    """A signed-in connection was closed or shut."""

    #: "source" or "destination".
    side: Side


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandEnded:
    """An IMAP command was answered, or failed."""

    #: "source" or "destination".
    side: Side
    #: "fetch", "append" (of a group), "select", …
    command: str
    #: Seconds it took.
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldBack:
    """A server asked to be left alone."""

    #: The limit it concerns: "source_account", "destination_host", …
    scope: str
    #: The time, seconds.
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RateWaited:
    """A lane waited until more might be moved."""

    #: The rate's name, as in `shared.model.rates.RATES`.
    rate: str
    #: The time, seconds.
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplicatesRemoved:
    """Verification removed second copies that were proved to be ours."""

    #: Messages removed.
    messages: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyMismatch:
    """Verification found that the destination differs from the ledger."""

    #: "altered" (other content), "normalised" (another form) or "missing".
    what: str
    #: Messages.
    messages: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TakenAway:
    """Verification found copies that users moved or removed at the destination."""

    #: "moved" or "removed".
    what: str
    #: Messages.
    messages: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DeletedAtSource:
    """Planning found that messages with a copy are no longer in their source folder."""

    #: Messages.
    messages: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DeletionsFollowed:
    """Verification removed the copies of messages that were deleted at the source."""

    #: Messages.
    messages: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MovedAtSource:
    """Planning moved the copies of messages that were moved at the source."""

    #: Messages.
    messages: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MessagesWithheld:
    """A source counts messages in a folder that it does not show."""

    #: Messages.
    messages: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LookEnded:
    """A look at a mailbox that stands ended."""

    #: The difference from the last pass ("new_mail", "flags", "full_pass" …); "" for nothing.
    found: str


Event = (
    GroupSettled
    | CommandEnded
    | DoubtResolved
    | UnitEnded
    | SignedIn
    | SessionEnded
    | HeldBack
    | RateWaited
    | DuplicatesRemoved
    | VerifyMismatch
    | TakenAway
    | DeletedAtSource
    | DeletionsFollowed
    | MovedAtSource
    | MessagesWithheld
    | LookEnded
)

Listener = Callable[[Event], None]
