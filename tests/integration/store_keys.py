"""The invariants of the keys in Redis: they hold at every moment, whatever was done to the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.model.lifecycle import SETTLED, MailboxState
from shared.rules.standing import Standing
from shared.store.memory.memory_store import MemoryStore
from shared.store.redis import keys
from tests.contract.store_kit import members_of, queues_agree


def keys_are_in_order(client: Any, model: MemoryStore, people: Sequence[str]) -> None:
    """Asserts that each unit of these mailboxes stands in one place, and that `model` has the same queues."""
    lanes = members_of(client, keys.LEASES)
    delayed = members_of(client, keys.DELAYED)
    units: set[str] = set()
    for m in people:
        if model.mailbox(m) is None:
            assert not list(client.scan_iter(f"{keys.PREFIX}*{m}*")), "erased, and not gone"
            continue
        state = MailboxState((client.hget(keys.mailbox(m), "state") or b"").decode())
        opened = {u.decode() for u in client.smembers(keys.mailbox(m, "open"))}
        ready = members_of(client, keys.mailbox(m, "ready"))
        units |= opened
        if state is MailboxState.COMPLETE:
            assert opened <= {f"{m}.look"}, "complete with something open"
        elif state not in SETTLED:
            assert opened, f"{state}, and nothing that would ever move it"
        busy: dict[str, set[str]] = {}
        for u in opened:
            row = {k.decode(): v.decode() for k, v in client.hgetall(keys.unit(u)).items()}
            tables = {"ready": ready, "leased": lanes, "delayed": delayed}
            places = [name for name, members in tables.items() if u in members]
            folder = row["folder"]
            if folder and u.encode() in client.lrange(keys.folder(folder, "waiting"), 0, -1):
                places.append("waiting")
            assert places == [row["state"]], f"{u} stands in {places} and says {row['state']}"
            if folder and row["state"] != "waiting":
                busy.setdefault(folder, set()).add(u)
            assert int(row["attempts"]) >= 0
            assert (row["holder"] != "") == (row["state"] == "leased")
        assert ready <= opened
        found = [client.hget(keys.folder(one.folder_id), "writers") for one, _ in model.folders(m)]
        assert int(client.hget(keys.mailbox(m), "more_lanes") or 0) == sum(int(n or 1) - 1 for n in found)
        for folder in {one.folder_id for one, _ in model.folders(m)} | set(busy):
            _heads_are_in_order(client, folder, busy.get(folder, set()))
    prefix = keys.unit("")
    stored = {k.decode()[len(prefix) :] for k in client.scan_iter(f"{prefix}*", count=1000)}
    assert {u for u in stored if not u.endswith(":intents")} == units, "a unit that nobody would ever find"
    assert lanes | delayed <= units
    holders = client.hgetall(f"{keys.PREFIX}holders")
    assert {u.decode() for u in holders.values()} == lanes
    queues_agree(client, model)


def _heads_are_in_order(client: Any, folder: str, busy: set[str]) -> None:
    """Asserts that the batches that may be written are the folder's heads, and that no place among them stays empty."""
    head, writers, alone = client.hmget(keys.folder(folder), "head", "writers", "alone")
    heads = (head or b"").decode().split()
    assert len(set(heads)) == len(heads), "a head twice"
    assert set(heads) == busy, "a batch that is no head may be written, or the other way round"
    waiting = client.llen(keys.folder(folder, "waiting"))
    assert not waiting or len(heads) >= int(writers or 1), "a batch waits for a place that is free"
    assert heads or (writers, alone) == (None, None), "a drained folder has one writer"
    assert alone is None or writers is None


def let_stand(life: Any) -> None:
    """Completes every mailbox of a lockstep life, lets its imports stand, and waits until all are due for a look."""
    while pair := life._claim("planner", {}):
        life.both("finish", pair)
        life.both("leave", "planner", pair[0].mailbox.mailbox_id)
        del life.leases["planner"]
    for whole in life.imports:
        life.both("set_standing", whole.import_id, "", Standing(least_seconds=10, most_seconds=90), lost=True)
    life.clock.forward(10)
    life.both("reap", 15, lost=True)
