"""Metrics: the only module that names prometheus_client.

Workers count events (`WorkerMetrics` is a `shared.events.Listener`), the coordinator alone exports what the store holds
(`CoordinatorMetrics`), so that a sum over processes never counts a shared fact twice. Every label has a fixed, small
set of values, all of them born at zero: no address, folder, host or import id is ever a label.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from shared.events import (
    DoubtResolved,
    DuplicatesRemoved,
    Event,
    GroupSettled,
    SignedIn,
    UnitEnded,
    VerifyMismatch,
)
from shared.lifecycle import ImportState, MailboxState, Outcome
from shared.model import UnitKind

_SIDES = ("source", "destination")
_SIDED = (
    "auth_refused", "tls", "over_quota", "throttled", "unreachable", "connection_lost", "protocol", "folder_changed",
    "folder_refused", "refused",
)  # fmt: skip
#: How a unit may end: the codes of `worker.failures`, and what is no failure. Anything else counts as "other".
UNIT_RESULTS = (
    "finished", "in_doubt", "control", "lease_lost", "store_unreachable", "credentials_missing", "ledger_conflict",
    "fault", "other", *(f"{side}_{code}" for side in _SIDES for code in _SIDED),
)  # fmt: skip
#: How a login may end; the keys are the error types of `shared.errors`.
LOGIN_RESULTS: Mapping[str, str] = {
    "ok": "ok",
    "unreachable": "unreachable",
    "Unreachable": "unreachable",
    "AuthenticationRefused": "auth_refused",
    "TlsFailed": "tls",
    "Throttled": "throttled",
    "ProtocolViolation": "protocol",
    "other": "other",
}
_UNIT_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
_LOGIN_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TICK_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30)


class WorkerMetrics:
    """What one worker process did. Call it with each event."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
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
        self._removed = Counter(
            "mailhaul_duplicates_removed", "Second copies that verification removed.", registry=registry
        )
        self._mismatch = Counter(
            "mailhaul_verify_mismatch", "Messages that verification found amiss.", ["what"], registry=registry
        )
        for outcome in Outcome:
            self._messages.labels(outcome)
            self._bytes.labels(outcome)
        for kind in UnitKind:
            self._unit_seconds.labels(kind)
            for result in UNIT_RESULTS:
                self._units.labels(kind, result)
        for side in _SIDES:
            self._login_seconds.labels(side)
            for result in set(LOGIN_RESULTS.values()):
                self._logins.labels(side, result)
        for found in ("found", "absent"):
            self._doubts.labels(found)
        for what in ("altered", "missing"):
            self._mismatch.labels(what)

    def __call__(self, event: Event) -> None:
        match event:
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
            case DoubtResolved():
                self._doubts.labels("found").inc(event.found)
                self._doubts.labels("absent").inc(event.absent)
            case DuplicatesRemoved():
                self._removed.inc(event.messages)
            case VerifyMismatch():
                self._mismatch.labels(event.what).inc(event.messages)


class CoordinatorMetrics:
    """What the store holds. Only the coordinator that leads publishes it; one that stands by shows `mailhaul_leader`
    0."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"mailhaul_{name}", text, labels, registry=registry)

        self._leader = gauge("leader", "1 on the coordinator that leads.")
        self._imports = gauge("imports", "Imports by state.", "state")
        self._mailboxes = gauge("mailboxes", "Mailboxes of imports that run, by state.", "state")
        self._units = gauge("units", "Units by what they wait for.", "state")
        self._workers = gauge("workers", "Worker processes heard of in the last 30 s.")
        self._holds = gauge("holds", "Accounts and hosts that are left alone for a while.")
        self._depth = gauge("queue_depth", "Doorbells that nobody answered yet.", "queue")
        self._backlog = gauge("backlog_messages", "Messages of imports that run, without an outcome.")
        self._backlog_bytes = gauge("backlog_bytes", "Their bytes.")
        self._store = gauge("store_up", "1 while the state store answers.")
        self._expired = Counter(
            "mailhaul_leases_expired", "Leases that ran out and were taken back.", registry=registry
        )
        self._rung = Counter("mailhaul_doorbells_rung", "Doorbells rung by rescue.", ["queue"], registry=registry)
        self._tick = Histogram(
            "mailhaul_tick_duration_seconds", "One turn of the coordinator.", buckets=_TICK_SECONDS, registry=registry
        )
        self.publish_imports({}, {}, 0, 0)
        self.publish_queue(units={}, depths={}, workers=0, holds=0)
        for kind in UnitKind:
            self._rung.labels(kind)

    def publish_leader(self, leads: bool) -> None:
        """Whether this process leads. Who does not, shows nothing of the shared state but zeros."""
        self._leader.set(int(leads))
        if not leads:
            self.publish_imports({}, {}, 0, 0)
            self.publish_queue(units={}, depths={}, workers=0, holds=0)

    def publish_store(self, up: bool) -> None:
        """Whether the state store answers."""
        self._store.set(int(up))

    def publish_imports(
        self, imports: Mapping[str, int], mailboxes: Mapping[MailboxState, int], messages: int, size_bytes: int
    ) -> None:
        """Requests and what is left of them."""
        for state in ImportState:
            self._imports.labels(state).set(imports.get(state, 0))
        for phase in MailboxState:
            self._mailboxes.labels(phase).set(mailboxes.get(phase, 0))
        self._backlog.set(messages)
        self._backlog_bytes.set(size_bytes)

    def publish_queue(
        self, *, units: Mapping[str, int], depths: Mapping[UnitKind, int], workers: int, holds: int
    ) -> None:
        """What waits, and for whom."""
        for state in ("ready", "delayed", "leased"):
            self._units.labels(state).set(units.get(state, 0))
        for kind in UnitKind:
            self._depth.labels(kind).set(depths.get(kind, 0))
        self._workers.set(workers)
        self._holds.set(holds)

    def count_turn(self, *, seconds: float, expired: int, rung: Iterable[UnitKind]) -> None:
        """What one turn did."""
        self._tick.observe(seconds)
        self._expired.inc(expired)
        for kind in rung:
            self._rung.labels(kind).inc()


#: (whether it is well, in words)
Health = Callable[[], tuple[bool, str]]


def _always() -> tuple[bool, str]:
    return True, "ok"


def start_http(
    registry: CollectorRegistry, port: int, host: str, *, health: Health = _always, ready: Health | None = None
) -> ThreadingHTTPServer:
    """Serves /metrics, /healthz and /readyz from a thread; port 0 takes a free one (`server_port` says which).
    Raises OSError when the port is taken."""
    answers: dict[str, Callable[[], tuple[int, str, bytes]]] = {
        "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
        "/healthz": lambda: _said(health),
        "/readyz": lambda: _said(ready or health),
    }

    class Answer(BaseHTTPRequestHandler):
        server_version = "mailhaul"
        sys_version = ""
        timeout = 10

        def do_GET(self) -> None:
            found = answers.get(self.path.split("?", 1)[0])
            code, kind, body = found() if found else (404, "text/plain", b"/metrics, /healthz or /readyz\n")
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape is nothing to log."""

    server = ThreadingHTTPServer((host, port), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="mailhaul-http", daemon=True).start()
    return server


def _said(health: Health) -> tuple[int, str, bytes]:
    well, words = health()
    return (200 if well else 503), "application/json", json.dumps({"ok": well, "detail": words}).encode() + b"\n"
