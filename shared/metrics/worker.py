"""The metrics of a worker process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import Counter, Gauge, Histogram

from shared.metrics.process import ProcessMetrics
from shared.model import UnitKind
from shared.model.events import (
    CommandEnded,
    DeletedAtSource,
    DeletionsFollowed,
    DoubtResolved,
    DuplicatesRemoved,
    Event,
    GroupSettled,
    HeldBack,
    LookEnded,
    MessagesWithheld,
    MovedAtSource,
    RateWaited,
    SessionEnded,
    SignedIn,
    TakenAway,
    UnitEnded,
    VerifyMismatch,
)
from shared.model.lifecycle import Outcome, UnitResult
from shared.model.rates import RATES
from shared.model.sides import Side
from shared.store import SCOPES

_SIDES = tuple(Side)
_SIDED = (
    "auth_refused",
    "logins_stopped",
    "tls",
    "over_quota",
    "takes_nothing",
    "throttled",
    "unreachable",
    "connection_lost",
    "protocol",
    "wrong_protocol",
    "folder_changed",
    "folder_vanished",
    "folder_refused",
    "refused",
)
#: The results of a unit: the codes of `worker.decisions.failures`, and those that are no failure. Any other result counts as
#: "other".
UNIT_RESULTS = (
    *UnitResult,
    "control",
    "lease_lost",
    "store_unreachable",
    "account_rejected",
    "account_waiting",
    "credentials_missing",
    "ledger_conflict",
    "rate_waiting",
    "same_mailbox",
    "nothing_known",
    "return_in_doubt",
    "perhaps_swapped",
    "destination_foreign_writer",
    "fault",
    "other",
    *(f"{side}_{code}" for side in _SIDES for code in _SIDED),
)
#: The results of a look (`worker.decisions.looking`).
LOOK_RESULTS = (
    "nothing",
    "new_mail",
    "flags",
    "deleted",
    "new_folder",
    "folder_gone",
    "folder_replaced",
    "numbers_missing",
    "full_pass",
)
#: Error type of `shared.model.errors`, or "ok", "unreachable", "other" → the result of a login.
LOGIN_RESULTS: Mapping[str, str] = {
    "ok": "ok",
    "unreachable": "unreachable",
    "Unreachable": "unreachable",
    "AuthenticationRefused": "auth_refused",
    "LoginsStopped": "logins_stopped",
    "TlsFailed": "tls",
    "Throttled": "throttled",
    "ProtocolViolation": "protocol",
    "WrongProtocol": "wrong_protocol",
    "other": "other",
}
#: IMAP commands that are timed (`worker.sessions.timed`).
IMAP_COMMANDS = (
    "list",
    "status",
    "select",
    "search",
    "fetch",
    "append",
    "create",
    "subscribe",
    "store",
    "expunge",
    "copy",
    "noop",
)
_COMMAND_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_UNIT_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
_LOGIN_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class WorkerMetrics(ProcessMetrics):
    """The metrics of a worker process. The worker calls the object with each event."""

    def __init__(self) -> None:
        super().__init__()
        registry = self.registry
        self._messages = Counter("mailhaul_messages", "Messages that got an outcome.", ["outcome"], registry=registry)
        self._bytes = Counter(
            "mailhaul_message_bytes", "Bytes of messages that got an outcome.", ["outcome"], registry=registry
        )
        self._units = Counter(
            "mailhaul_units", "Claims of units by how they ended.", ["kind", "result"], registry=registry
        )
        self._unit_seconds = Histogram(
            "mailhaul_unit_duration_seconds",
            "From the claim of a unit to its end.",
            ["kind"],
            buckets=_UNIT_SECONDS,
            registry=registry,
        )
        self._logins = Counter("mailhaul_imap_logins", "Logins tried.", ["side", "result"], registry=registry)
        self._login_seconds = Histogram(
            "mailhaul_imap_login_duration_seconds",
            "Connecting and signing in.",
            ["side"],
            buckets=_LOGIN_SECONDS,
            registry=registry,
        )
        self._doubts = Counter(
            "mailhaul_in_doubt_messages",
            "Messages whose append was in doubt, by what was found.",
            ["found"],
            registry=registry,
        )
        self._lost = Counter("mailhaul_lease_lost", "Leases that were lost.", registry=registry)
        self._withheld = Counter(
            "mailhaul_withheld_messages",
            "Messages that sources count and do not show, as often as planned.",
            registry=registry,
        )
        self._removed = Counter(
            "mailhaul_duplicates_removed", "Second copies that verification removed.", registry=registry
        )
        self._mismatch = Counter(
            "mailhaul_verify_mismatch",
            "Messages that verification found missing, with other content (altered) or in another form (normalised).",
            ["what"],
            registry=registry,
        )
        self._taken_away = Counter(
            "mailhaul_taken_away_messages",
            "Copies that users moved or removed at the destination, as verification finds them.",
            ["what"],
            registry=registry,
        )
        self._deleted_at_source = Counter(
            "mailhaul_deleted_at_source_messages",
            "Messages with a copy that planning found to be no longer in their source folder.",
            registry=registry,
        )
        self._deletions_followed = Counter(
            "mailhaul_deletions_followed_messages",
            "Copies that verification removed, since their messages were deleted at the source.",
            registry=registry,
        )
        self._moved_at_source = Counter(
            "mailhaul_moved_at_source_messages",
            "Messages that were moved at the source, and whose copies planning moved with them.",
            registry=registry,
        )
        self._looks = Counter(
            "mailhaul_looks", "Looks at mailboxes that stand, by what they found.", ["found"], registry=registry
        )
        commands = Histogram(
            "mailhaul_imap_command_duration_seconds",
            "IMAP commands; FETCH until its first message, APPEND of a group until its answer.",
            ["side", "command"],
            buckets=_COMMAND_SECONDS,
            registry=registry,
        )
        # The labels are looked up once, since commands are timed for every group.
        self._commands = {(side, name): commands.labels(side, name) for side in _SIDES for name in IMAP_COMMANDS}
        self._connections = Gauge(
            "mailhaul_imap_connections", "Signed-in connections now.", ["side"], registry=registry
        )
        self._held = Counter(
            "mailhaul_throttle_wait_seconds",
            "For how long servers asked to be left alone.",
            ["scope"],
            registry=registry,
        )
        self._rated = Counter(
            "mailhaul_rate_wait_seconds",
            "How long lanes waited for rates, with their connections open.",
            ["rate"],
            registry=registry,
        )
        self._lanes = Gauge("mailhaul_lanes", "Units that this process can work on at a time.", registry=registry)
        self._busy = Gauge("mailhaul_lanes_busy", "Units that it works on now.", registry=registry)
        for scope in SCOPES:
            self._held.labels(scope)
        for rate in RATES:
            self._rated.labels(rate)
        for outcome in Outcome:
            self._messages.labels(outcome)
            self._bytes.labels(outcome)
        for kind in UnitKind:
            self._unit_seconds.labels(kind)
            for result in UNIT_RESULTS:
                self._units.labels(kind, result)
        for side in _SIDES:
            self._login_seconds.labels(side)
            self._connections.labels(side)
            for result in set(LOGIN_RESULTS.values()):
                self._logins.labels(side, result)
        for found in ("found", "absent"):
            self._doubts.labels(found)
        for what in ("altered", "normalised", "missing"):
            self._mismatch.labels(what)
        for found in LOOK_RESULTS:
            self._looks.labels(found)
        for what in ("moved", "removed"):
            self._taken_away.labels(what)

    def watch_lanes(self, lanes: int, busy: Callable[[], float]) -> None:
        """Publishes how many lanes there are; `busy` returns how many are at work."""
        self._lanes.set(lanes)
        self._busy.set_function(busy)

    def __call__(self, event: Event) -> None:
        match event:
            case CommandEnded():
                self._commands[event.side, event.command].observe(event.seconds)
            case GroupSettled():
                self._messages.labels(event.outcome).inc(event.messages)
                self._bytes.labels(event.outcome).inc(event.size_bytes)
            case UnitEnded():
                result = event.result if event.result in UNIT_RESULTS else "other"
                self._units.labels(event.kind, result).inc()
                self._unit_seconds.labels(event.kind).observe(event.seconds)
                if result == "lease_lost":
                    self._lost.inc()
            case SignedIn():
                self._logins.labels(event.side, LOGIN_RESULTS.get(event.result, "other")).inc()
                self._login_seconds.labels(event.side).observe(event.seconds)
                if event.result == "ok":
                    self._connections.labels(event.side).inc()
            case SessionEnded():
                self._connections.labels(event.side).dec()
            case RateWaited():
                self._rated.labels(event.rate).inc(event.seconds)
            case HeldBack():
                self._held.labels(event.scope).inc(event.seconds)
            case DoubtResolved():
                self._doubts.labels("found").inc(event.found)
                self._doubts.labels("absent").inc(event.absent)
            case DuplicatesRemoved():
                self._removed.inc(event.messages)
            case VerifyMismatch():
                self._mismatch.labels(event.what).inc(event.messages)
            case TakenAway():
                self._taken_away.labels(event.what).inc(event.messages)
            case DeletedAtSource():
                self._deleted_at_source.inc(event.messages)
            case DeletionsFollowed():
                self._deletions_followed.inc(event.messages)
            case MovedAtSource():
                self._moved_at_source.inc(event.messages)
            case LookEnded():
                self._looks.labels(event.found or "nothing").inc()
            case MessagesWithheld():
                self._withheld.inc(event.messages)
