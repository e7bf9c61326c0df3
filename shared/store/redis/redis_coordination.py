"""The store's part for the coordinator: `shared.store.CoordinationStore` on Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import redis

from shared.model import Overview, Unit
from shared.model.lifecycle import ImportState
from shared.store import process_of
from shared.store.redis import codec, keys
from shared.store.redis.redis_scripts import Scripts, refusal, unreachable

#: The codes that the Redis client removes from the errors' texts.
_CODES: Final = {
    redis.OutOfMemoryError: "OOM",
    redis.ReadOnlyError: "READONLY",
    redis.exceptions.MasterDownError: "MASTERDOWN",
}


class Coordination(Scripts):
    """Leadership, what dead processes held, and figures."""

    def lead(self, holder: str, ttl_seconds: float, post: str = "leader") -> int:
        return int(self._run("lead", holder, int(ttl_seconds * 1000), post))

    def reap(self, grace_seconds: float) -> list[str]:
        taken = [unit.decode() for unit in self._run("reap", int(grace_seconds * 1000))]
        while self.sweep(""):
            pass
        return taken

    def processes(self) -> list[str]:
        lanes = self._read("hkeys", keys.HOLDERS)
        posts = self._pipeline([("hget", keys.LEADER, "holder"), ("hget", keys.SENDER, "holder")])
        found = {process_of(lane.decode()) for lane in lanes} | {(post or b"").decode() for post in posts}
        return sorted(found.union(worker.decode() for worker in self._read("zrange", keys.WORKERS, 0, -1)) - {""})

    def bury(self, processes: Sequence[str]) -> list[str]:
        return [unit.decode() for unit in self._run("bury", *processes)]

    def overview(self) -> Overview:
        mailboxes, units, delayed, leased, workers, holds, states, owing, behind, *looks = self._run("overview", "")
        names = [state.decode() for state in states]
        return Overview(
            ready_mailboxes=mailboxes,
            ready_units=units,
            delayed_units=delayed,
            leased_units=leased,
            workers=workers,
            behind=behind,
            imports={state: names.count(state) for state in ImportState},
            holds={name.decode(): float(until) / 1000 for name, until in codec.pairs(holds).items()},
            owing={name.decode(): float(until) / 1000 for name, until in codec.pairs(owing).items()},
            looks_due=looks[0],
            looks_due_since=float(looks[1]) / 1000,
            busy_lanes=looks[2],
        )

    def workers(self) -> int:
        return int(self._run("overview", "workers"))

    def refusing(self) -> str:
        try:
            self._redis.set(keys.PROBE, b"", px=1000)
        except redis.ResponseError as error:
            return refusal(f"{_CODES.get(type(error), '')} {error}".lstrip())
        except redis.RedisError as error:
            raise unreachable(error) from error
        return ""

    def ready_mailboxes(self) -> dict[str, float]:
        found = (self._read("zrange", queue, 0, -1, withscores=True) for queue in self._queues())
        return {mailbox.decode(): place for queue in found for mailbox, place in queue}

    def _queues(self) -> Iterator[str]:
        """Yields the keys of the queues, as they are to be served (`claim.lua`)."""
        lines = [line.decode() for line in self._read("zrange", keys.LINES, 0, -1)]
        orders = {line.decode(): int(order) for line, order in self._read("hgetall", keys.ORDERS).items()}
        for line in sorted(lines, key=lambda line: orders.get(line, 0)):
            queues = [queue.decode() for queue in self._read("zrange", keys.routes(line), 0, -1)]
            for queue in sorted(queues, key=lambda queue: int(queue.partition(":")[0])):
                yield keys.ready(keys.place(line, queue))

    def ready_units(self, count: int) -> list[Unit]:
        found: list[Unit] = []
        routes = self._read("zrange", keys.LOOK_ROUTES, 0, -1)
        for queue in (*self._queues(), *(keys.looks(route.decode()) for route in routes)):
            mailboxes = self._read("zrange", queue, 0, count - 1)
            ready = self._pipeline(("zrange", keys.mailbox(m.decode(), "ready"), 0, 3) for m in mailboxes)
            ids = [u.decode() for units in ready for u in units][: count - len(found)]
            rows = self._pipeline(("hgetall", keys.unit(u)) for u in ids)
            found += [codec.decode_unit(u, row) for u, row in zip(ids, rows, strict=True) if row]
            if len(found) >= count:
                return found[:count]
        return found
