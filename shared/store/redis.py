"""The store on Redis or Valkey (6.2 or newer): one script call a method, so that each happens wholly or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from shared.errors import LeaseLost, LedgerConflict, MailhaulError, StoreError
from shared.lifecycle import Control, ImportState, MailboxState
from shared.maildrop import Known
from shared.model import (
    AccountState,
    Audit,
    Endpoint,
    Failure,
    Folder,
    FolderPlan,
    Import,
    Intent,
    Lease,
    LedgerEntry,
    Mailbox,
    Note,
    Settled,
    Stranded,
    Tally,
    Unit,
    route_id,
)
from shared.model.search import ORDERS, Search
from shared.model.sign_in import LoginTurn
from shared.plan import USUAL_WORTH, Worth
from shared.redis_client import open_redis
from shared.store import MOST_DOUBTS, SCOPES, SILENT_SECONDS, Overview, codec, keys, other_options, process_of, scripts
from shared.uids import NO_UIDS, UidSet


def connect(url: str) -> redis.Redis:
    """A client for the state database. Retries are safe here because every script may be repeated. A restart of the
    server is sat out for about 20 s."""
    return open_redis(
        url,
        socket_timeout=15,
        socket_connect_timeout=5,
        health_check_interval=30,
        max_connections=200,
        retry=Retry(ExponentialWithJitterBackoff(cap=2, base=0.05), 14),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError],
    )


def _unreachable(error: redis.RedisError) -> StoreError:
    return StoreError(f"the state store is not reachable ({type(error).__name__}: {str(error)[:200]})")


def _meaning(script: str, error: redis.RedisError) -> MailhaulError:
    """What a failed script call means to a worker."""
    said = str(error)
    if not isinstance(error, redis.ResponseError):
        return _unreachable(error)
    if said.startswith("FENCED"):
        return LeaseLost("another worker holds this now")
    if said.startswith("TAKEN"):
        return LedgerConflict(f"destination UID {said[6:]} is in the ledger already")
    if said.startswith("BUSY"):
        return other_options(said[5:].split(","))
    return StoreError(f"the state store refused {script}: {said[:200]}")


class RedisStore:
    """`shared.store.Store` on Redis. Thread-safe; one per process."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        lease_seconds: float = 60,
        limits: Mapping[str, int] | None = None,
        worth: Worth = USUAL_WORTH,
        observe: Callable[[str, float], object] | None = None,
    ) -> None:
        """`observe` is told of each round trip: (script, seconds); of several scripts in one the last gives the name, so
        that what follows a batch goes by "claim"."""
        self._redis = client
        self._lease_seconds = lease_seconds
        self._limits = [str((limits or {}).get(scope, 4 if "account" in scope else 32)) for scope in SCOPES]
        self._worth = (worth.messages, worth.size_bytes)
        self._observe = observe
        self._scripts = {name: client.register_script(text) for name, text in scripts.sources().items()}

    def _run(self, name: str, *args: Any) -> Any:
        return self._run_all([(name, args)])[0]

    def _run_all(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Several scripts in few round trips, in this order; each happens wholly or not at all, for itself. Raises what
        the first that failed means."""
        found: list[Any] = []
        for at in range(0, len(calls), 100):
            part = calls[at : at + 100]
            try:
                answers = self._evaluate(part)
                if isinstance(answers[0], redis.exceptions.NoScriptError):
                    # A new server knows none of them. All are loaded together, so that never only some of a part ran.
                    for script in self._scripts.values():
                        self._redis.script_load(script.script)
                    answers = self._evaluate(part)
            except redis.RedisError as error:
                raise _meaning(calls[at][0], error) from error
            for (name, _), answer in zip(part, answers, strict=True):
                if isinstance(answer, redis.RedisError):
                    raise _meaning(name, answer) from answer
            found += answers
        return found

    def _evaluate(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Their answers or errors. Not by way of redis-py's `Script`, which asks the server each time what it knows."""
        pipeline = self._redis.pipeline(transaction=False)
        for name, args in calls:
            pipeline.evalsha(self._scripts[name].sha, 0, *args)
        began = time.perf_counter()
        try:
            return list(pipeline.execute(raise_on_error=False))
        finally:
            if self._observe:
                self._observe(calls[-1][0], time.perf_counter() - began)

    def _read(self, method: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return getattr(self._redis, method)(*args, **kwargs)
        except redis.RedisError as error:
            raise _unreachable(error) from error

    def ping(self) -> None:
        """Raises `StoreError` when the store is not there."""
        self._read("ping")

    # -- requests

    def open_import(self, request: Import, mailboxes: Sequence[Mailbox], retention_days: float) -> int:
        fields = codec.encode_import(request) | {"retention": str(int(retention_days * 86400))}
        route = route_id(request.source, request.destination)
        rows = [
            {
                "id": m.mailbox_id,
                "row": m.row,
                "source_login": m.source.login,
                "destination_login": m.destination.login,
                "route": route,
                "source_account": f"{request.source.url}/{m.source.login}",
                "source_host": request.source.host,
                "destination_account": f"{request.destination.url}/{m.destination.login}",
                "destination_host": request.destination.host,
                "profile": codec.encode_profile(m.profile),
            }
            for m in mailboxes
        ]
        queued = 0
        for at in range(0, max(1, len(rows)), 500):
            queued += self._run("open", request.import_id, json.dumps(fields), json.dumps(rows[at : at + 500]))
        return queued

    def submit(self, import_id: str) -> None:
        self._run("submit", import_id)

    def imports(self) -> list[Import]:
        ids = [i.decode() for i in self._read("zrevrange", keys.IMPORTS, 0, -1)]
        return [found for i in ids if (found := self.import_(i))]

    def import_(self, import_id: str) -> Import | None:
        row = self._read("hgetall", keys.import_(import_id))
        return codec.decode_import(import_id, row) if row else None

    def import_tally(self, import_id: str) -> tuple[Tally, dict[MailboxState, int]]:
        row = self._read("hgetall", keys.import_(import_id))
        return codec.decode_tally(row), {s: n for s in MailboxState if (n := codec.number(row, f"s:{s}"))}

    def stranded(self, import_id: str) -> Stranded:
        lease_ms, silent_ms = int(self._lease_seconds * 1000), int(SILENT_SECONDS * 1000)
        units, messages, left = self._run("stranded", import_id, lease_ms, silent_ms)
        return Stranded(units=units, messages=messages, seconds=max(0, left) / 1000)

    def _both(self, import_id: str) -> tuple[Endpoint, Endpoint]:
        # Not kept: the same import may be opened again with another CA file or fingerprint.
        found = self.import_(import_id)
        if found is None:
            raise StoreError(f"import {import_id} is not in the store")
        return found.source, found.destination

    def _pipeline(self, calls: Iterable[tuple[str, str]]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for method, key in calls:
            getattr(pipeline, method)(key)
        try:
            return list(pipeline.execute())
        except redis.RedisError as error:
            raise _unreachable(error) from error

    def mailboxes(self, import_id: str, start: int = 0, count: int = -1) -> list[tuple[Mailbox, Tally]]:
        last = -1 if count < 0 else start + count - 1
        ids = [m.decode() for m in self._read("zrange", keys.import_(import_id, "mailboxes"), start, last)]
        return self._rows(import_id, ids)

    def _rows(self, import_id: str, ids: Sequence[str]) -> list[tuple[Mailbox, Tally]]:
        rows = self._pipeline(("hgetall", keys.mailbox(m)) for m in ids)
        source, destination = self._both(import_id) if ids else (None, None)
        return [
            (codec.decode_mailbox(m, row, source, destination), codec.decode_tally(row))  # type: ignore[arg-type]
            for m, row in zip(ids, rows, strict=True)
        ]

    def find_mailboxes(self, import_id: str, wanted: Search) -> tuple[int, list[tuple[Mailbox, Tally]]]:
        total, *ids = self._run(
            "find", import_id, wanted.state or "", wanted.code, wanted.text.lower(), ORDERS[wanted.order],
            "1" if wanted.descending else "", wanted.start, wanted.count,
        )  # fmt: skip
        return int(total), self._rows(import_id, [m.decode() for m in ids])

    def mailbox(self, mailbox_id: str) -> Mailbox | None:
        row = self._read("hgetall", keys.mailbox(mailbox_id))
        return codec.decode_mailbox(mailbox_id, row, *self._both(codec.text(row, "import"))) if row else None

    def folders(self, mailbox_id: str) -> list[tuple[Folder, Tally]]:
        ids = [f.decode() for f in self._read("zrange", keys.mailbox(mailbox_id, "folders"), 0, -1)]
        rows = self._pipeline(("hgetall", keys.folder(f)) for f in ids)
        return [(codec.decode_folder(f, row), codec.decode_tally(row)) for f, row in zip(ids, rows, strict=True)]

    def notes(self, folder_id: str) -> list[Note]:
        row = self._read("hgetall", keys.folder(folder_id, "notes"))
        return sorted((codec.decode_note(k, v) for k, v in row.items()), key=lambda note: (note.uid, note.what))

    def failures(self, mailbox_id: str) -> list[Failure]:
        return [Failure(**json.loads(v)) for v in self._read("lrange", keys.mailbox(mailbox_id, "failures"), 0, -1)]

    def control(self, import_id: str, mailbox_id: str | None, word: Control) -> int:
        return int(self._run("control", import_id, mailbox_id or "", word))

    def retry(self, import_id: str, mailbox_id: str, batches: Sequence[tuple[Unit, Sequence[Note]]]) -> bool:
        rows = [
            {
                "folder": unit.folder_id,
                "id": unit.unit_id,
                "uids": codec.encode_uids(unit.uids),
                "size": unit.size_bytes,
                "notes": [codec.note_field(note) for note in notes],
            }
            for unit, notes in batches
        ]
        return bool(self._run("retry", import_id, mailbox_id, json.dumps(rows)))

    def seal(self, import_id: str, sealed: Mapping[tuple[str, str], bytes]) -> None:
        flat = [part for (mailbox, side), value in sealed.items() for part in (f"{mailbox}:{side}", value)]
        for at in range(0, len(flat), 2000):
            self._run("seal", import_id, *flat[at : at + 2000])

    def sealed(self, import_id: str, mailbox_id: str, side: str) -> bytes | None:
        value: bytes | None = self._read("hget", keys.import_(import_id, "credentials"), f"{mailbox_id}:{side}")
        return value

    def forget(self, import_id: str) -> bool:
        self._read("delete", keys.import_(import_id, "tokens"))
        return bool(self._read("delete", keys.import_(import_id, "credentials")))

    def set_limit(self, scope: str, most: int | None) -> None:
        if most is None:
            self._read("hdel", keys.LIMITS, scope)
        else:
            self._read("hset", keys.LIMITS, scope, most)

    def limits(self) -> dict[str, int]:
        return {scope: most for scope, most in self._limits_set() if not scope.startswith(keys.USUAL)}

    def set_usual(self, limits: Mapping[str, int]) -> None:
        if limits:
            self._read("hset", keys.LIMITS, mapping={f"{keys.USUAL}{scope}": most for scope, most in limits.items()})

    def usual(self) -> dict[str, int]:
        found = self._limits_set()
        return {scope.removeprefix(keys.USUAL): most for scope, most in found if scope.startswith(keys.USUAL)}

    def _limits_set(self) -> list[tuple[str, int]]:
        return [(scope.decode(), int(most)) for scope, most in self._read("hgetall", keys.LIMITS).items()]

    # -- work

    def claim(self, holder: str, *, prefer: str = "", hint: str = "", held: str = "") -> Lease | None:
        asked = time.monotonic()
        return self._leased(self._run("claim", *self._claim_args(holder, prefer, hint, held)), holder, asked)

    def _claim_args(self, holder: str, prefer: str, hint: str, held: str) -> tuple[Any, ...]:
        return (holder, int(self._lease_seconds * 1000), prefer, hint, held, 2000, *self._limits, *self._worth)

    def _leased(self, answer: Any, holder: str, asked: float) -> Lease | None:
        """What the claim script answered. `asked` is when, by the monotonic clock."""
        if not answer:
            return None
        unit_id, term, unit_row, mailbox_id, mailbox_row, folder_row, ledger, digest, intents, now, ends = answer
        unit = codec.decode_unit(unit_id.decode(), pairs := codec.pairs(unit_row))
        source, destination = (codec.decode_endpoint(value.decode()) for value in ends)
        return Lease(
            unit=unit,
            holder=holder,
            term=int(term),
            # Trust counts from when the request was sent, not from when the answer came.
            deadline=asked + self._lease_seconds,
            claimed_at=int(now) / 1000,
            mailbox=codec.decode_mailbox(mailbox_id.decode(), codec.pairs(mailbox_row), source, destination),
            folder=codec.decode_folder(unit.folder_id, codec.pairs(folder_row)) if unit.folder_id else None,
            records=codec.decode_records(ledger),
            others=UidSet.parse(codec.text(pairs, "others")),
            digest=int(digest),
            intents=tuple(sorted(map(codec.decode_intent, intents), key=lambda i: (i.at, i.uids.ranges))),
        )

    def attend(self, worker: str, leases: Sequence[Lease], *, extend: bool) -> list[str]:
        args: list[str | int] = []
        for lease in leases:
            args += [lease.unit.unit_id, lease.term, lease.holder]
        words = self._run("attend", worker, int(self._lease_seconds * 1000), "1" if extend else "0", *args)
        return [word.decode() for word in words]

    def leave(self, holder: str, mailbox_id: str) -> None:
        self._run("leave", holder, mailbox_id)

    def _fence(self, lease: Lease) -> tuple[str, int, str]:
        return lease.unit.unit_id, lease.term, lease.holder

    def progress(
        self,
        lease: Lease,
        *,
        settled: Sequence[Settled] = (),
        intents: Sequence[Intent] = (),
        withdrawn: Iterable[str] = (),
        doubts: UidSet = NO_UIDS,
    ) -> Control:
        return Control(self._run("progress", *self._progress_args(lease, settled, intents, withdrawn, doubts)).decode())

    def _progress_args(
        self,
        lease: Lease,
        settled: Sequence[Settled],
        intents: Sequence[Intent] = (),
        withdrawn: Iterable[str] = (),
        doubts: UidSet = NO_UIDS,
    ) -> tuple[Any, ...]:
        return (
            *self._fence(lease),
            json.dumps([codec.encode_settled(s) for s in settled]),
            json.dumps([codec.encode_intent(intent) for intent in intents]),
            json.dumps(list(withdrawn)),
            str(doubts),
        )

    def finish(self, lease: Lease, records: Sequence[LedgerEntry] = ()) -> None:
        self._run("finish", *self._finish_args(lease, records))

    def _finish_args(self, lease: Lease, records: Sequence[LedgerEntry]) -> tuple[Any, ...]:
        packed = codec.encode_records(records[0].records) if records else b""
        return (*self._fence(lease), packed, "1" if records and records[0].checked else "0")

    def follow(
        self,
        lease: Lease,
        *,
        settled: Sequence[Settled] = (),
        records: Sequence[LedgerEntry] = (),
        prefer: str = "",
        claim: bool = True,
    ) -> Lease | None:
        calls: list[tuple[str, tuple[Any, ...]]] = []
        if settled:
            calls.append(("progress", self._progress_args(lease, settled)))
        calls.append(("finish", self._finish_args(lease, records)))
        if claim:
            calls.append(("claim", self._claim_args(lease.holder, prefer, "", lease.mailbox.mailbox_id)))
        asked = time.monotonic()
        answers = self._run_all(calls)
        return self._leased(answers[-1], lease.holder, asked) if claim else None

    def release(
        self,
        lease: Lease,
        *,
        how: str,
        delay_seconds: float = 0,
        failure: Failure | None = None,
        hold: str = "",
        hold_seconds: float = 0,
    ) -> None:
        said = codec.encode_failure(failure)
        self._run("release", *self._fence(lease), how, int(delay_seconds * 1000), said, hold, int(hold_seconds * 1000))

    def split(self, lease: Lease, halves: Sequence[tuple[Unit, Sequence[Intent]]]) -> None:
        rows = [
            {
                "id": unit.unit_id,
                "uids": codec.encode_uids(unit.uids),
                "size": unit.size_bytes,
                "messages": len(unit.uids),
                "attempts": unit.attempts,
                "intents": [codec.encode_intent(intent) for intent in intents],
            }
            for unit, intents in halves
        ]
        self._run("split", *self._fence(lease), json.dumps(rows))

    def recheck(self, mailbox_id: str, delay_seconds: float) -> bool:
        return bool(self._run("recheck", mailbox_id, int(delay_seconds * 1000)))

    def plan_folders(self, lease: Lease, plans: Sequence[tuple[FolderPlan, int]]) -> None:
        self._run_all([("plan_folder", self._plan_args(lease, plan, order)) for plan, order in plans])

    def _plan_args(self, lease: Lease, plan: FolderPlan, order: int) -> tuple[Any, ...]:
        batches = [
            {"id": b.unit_id, "uids": codec.encode_uids(b.uids), "size": b.size_bytes, "messages": len(b.uids)}
            for b in plan.batches
        ]
        return (
            *self._fence(lease),
            plan.folder.folder_id,
            json.dumps(codec.encode_folder(plan.folder)),
            json.dumps(batches),
            order,
            plan.messages,
            plan.size_bytes,
            json.dumps([codec.encode_settled(s) for s in plan.adopted]),
            "1" if plan.reset else "0",
            codec.encode_records([record for settled in plan.adopted for record in settled.records]),
            codec.encode_sets(plan.skipped) if plan.skipped is not None else b"",
            sum(map(len, (plan.skipped or {}).values())),
            plan.skipped_bytes,
        )

    def folder(self, folder_id: str) -> Folder | None:
        row = self._read("hgetall", keys.folder(folder_id))
        return codec.decode_folder(folder_id, row) if row else None

    def ledger(self, folder_id: str) -> list[LedgerEntry]:
        return codec.decode_ledger(self._read("hgetall", keys.folder(folder_id, "ledger")))

    def audit(self, lease: Lease, audits: Sequence[Audit]) -> None:
        self._run_all([("audit", self._audit_args(lease, audit)) for audit in audits])

    def _audit_args(self, lease: Lease, audit: Audit) -> tuple[Any, ...]:
        return (
            *self._fence(lease),
            audit.folder_id,
            audit.verified,
            json.dumps({name: str(digest) for name, digest in audit.digests.items()}),
            json.dumps({"altered": audit.altered, "missing": audit.missing}),
            json.dumps({codec.note_field(note): codec.encode_note(note) for note in audit.notes}),
            json.dumps(list(audit.checked)),
        )

    def set_flags(self, lease: Lease, folder_id: str, highestmodseq: int, seen: Mapping[str, UidSet] | None) -> None:
        flags = codec.encode_sets(seen) if seen is not None else b""
        self._run("set_flags", *self._fence(lease), folder_id, highestmodseq, flags)

    def flags(self, folder_id: str) -> dict[str, UidSet]:
        return codec.decode_sets(self._read("get", keys.folder(folder_id, "flags")))

    def maildrop(self, mailbox_id: str) -> Known:
        row = self._read("hmget", keys.mailbox(mailbox_id, "maildrop"), "generation", "identities")
        return Known(generation=int(row[0] or 1), digests=row[1] or b"")

    def number_maildrop(self, mailbox_id: str, before: Known, digests: bytes, *, renew: bool) -> Known:
        found = self._run(
            "maildrop", mailbox_id, before.generation, len(before.digests), digests, "1" if renew else "0"
        )
        return Known(generation=int(found[0]), digests=found[1])

    def skipped(self, folder_id: str) -> dict[str, UidSet]:
        return codec.decode_sets(self._read("get", keys.folder(folder_id, "skipped")))

    def limits_of(self, mailbox_id: str) -> dict[str, str]:
        values = self._read("hmget", keys.mailbox(mailbox_id), *SCOPES)
        return {scope: (value or b"").decode() for scope, value in zip(SCOPES, values, strict=True)}

    def account_turn(self, lease: Lease, service: str, interval_seconds: float) -> float:
        return int(self._run("account_turn", *self._fence(lease), service, int(interval_seconds * 1000))) / 1000

    def account_hold(self, service: str, seconds: float) -> None:
        self._run("account_hold", service, int(seconds * 1000))

    def note_account(self, lease: Lease, state: AccountState) -> None:
        self._run("account", *self._fence(lease), state)

    def login_turn(
        self, import_id: str, mailbox_id: str, side: str, digest: str, holder: str, *, shared: bool, seconds: float
    ) -> LoginTurn:
        place = (import_id, mailbox_id, side, "1" if shared else "0", digest, holder)
        state, wait, words = self._run("login_turn", *place, int(seconds * 1000))
        return LoginTurn(state=state.decode(), wait_seconds=wait / 1000, words=words.decode("utf-8", "replace"))

    def login_told(
        self, import_id: str, mailbox_id: str, side: str, digest: str, holder: str, *, shared: bool, result: str,
        words: str = "",
    ) -> str:  # fmt: skip
        place = (import_id, mailbox_id, side, "1" if shared else "0", digest, holder)
        return str(self._run("login_told", *place, result, words, MOST_DOUBTS).decode())

    def forgive_logins(self, import_id: str) -> None:
        self._read("hdel", keys.import_(import_id), "login:source", "login:destination")

    def token(
        self, import_id: str, name: str, holder: str, *, stale: bytes = b"", seconds: float
    ) -> tuple[bytes, float]:
        sealed, wait = self._run("token", import_id, name, holder, stale, int(seconds * 1000))
        return sealed, wait / 1000

    def keep_token(self, import_id: str, name: str, holder: str, sealed: bytes, seconds: float) -> None:
        self._run("keep_token", import_id, name, holder, sealed, int(seconds * 1000))

    # -- coordination

    def lead(self, holder: str, ttl_seconds: float) -> int:
        return int(self._run("lead", holder, int(ttl_seconds * 1000)))

    def reap(self, grace_seconds: float) -> list[str]:
        return [unit.decode() for unit in self._run("reap", int(grace_seconds * 1000))]

    def processes(self) -> list[str]:
        lanes = self._read("hkeys", keys.HOLDERS)
        leader = self._read("hget", keys.LEADER, "holder")
        found = {process_of(lane.decode()) for lane in lanes} | {leader.decode() if leader else ""}
        return sorted(found.union(worker.decode() for worker in self._read("zrange", keys.WORKERS, 0, -1)) - {""})

    def bury(self, processes: Sequence[str]) -> list[str]:
        return [unit.decode() for unit in self._run("bury", *processes)]

    def overview(self) -> Overview:
        mailboxes, units, delayed, leased, workers, holds, states = self._run("overview")
        names = [state.decode() for state in states]
        return Overview(
            ready_mailboxes=mailboxes,
            ready_units=units,
            delayed_units=delayed,
            leased_units=leased,
            workers=workers,
            imports={state: names.count(state) for state in ImportState},
            holds={name.decode(): float(until) / 1000 for name, until in codec.pairs(holds).items()},
        )

    def ready_mailboxes(self) -> dict[str, float]:
        routes = self._read("zrange", keys.ROUTES, 0, -1)
        found = (self._read("zrange", keys.ready(route.decode()), 0, -1, withscores=True) for route in routes)
        return {mailbox.decode(): place for queue in found for mailbox, place in queue}

    def ready_units(self, count: int) -> list[Unit]:
        found: list[Unit] = []
        for route in self._read("zrange", keys.ROUTES, 0, -1):
            for mailbox in self._read("zrange", keys.ready(route.decode()), 0, count - 1):
                ids = [u.decode() for u in self._read("zrange", keys.mailbox(mailbox.decode(), "ready"), 0, 3)]
                rows = self._pipeline(("hgetall", keys.unit(u)) for u in ids)
                found += [codec.decode_unit(u, row) for u, row in zip(ids, rows, strict=True) if row]
                if len(found) >= count:
                    return found[:count]
        return found
