"""The store's sealed values on Redis: they are forgotten, or sealed anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import redis

from shared.model.errors import CredentialsError
from shared.store import Resealed
from shared.store.redis import codec, keys
from shared.store.redis.on_disk import wait_for_disk
from shared.store.redis.redis_at_once import AtOnce
from shared.store.redis.redis_scripts import unreachable

#: Mailboxes, or sealed values, in one round trip.
_SOME: Final = 500
#: Between two looks whether the append-only file is written anew, seconds.
_LOOK_SECONDS: Final = 0.05


class Secrets(AtOnce):
    """Sealed passwords and tokens of imports."""

    def seal(self, import_id: str, sealed: Mapping[tuple[str, str], bytes]) -> None:
        flat = [part for (mailbox, side), value in sealed.items() for part in (f"{mailbox}:{side}", value)]
        for at in range(0, len(flat), 4 * self.piece):
            self._run_alone("seal", import_id, *flat[at : at + 4 * self.piece])

    def sealed(self, import_id: str, mailbox_id: str, side: str) -> bytes | None:
        value: bytes | None = self._read("hget", keys.import_(import_id, "credentials"), f"{mailbox_id}:{side}")
        return value

    def forget(self, import_id: str) -> bool:
        there = bool(self._run_sweep("forget", import_id, ""))
        mailboxes = [m.decode() for m in self._read("zrange", keys.import_(import_id, "mailboxes"), 0, -1)]
        for some in _parts(mailboxes):
            reads = [("hget", keys.mailbox(m), "failure") for m in some]
            lists = [("lrange", keys.mailbox(m, "failures"), 0, -1) for m in some]
            found = self._pipeline([*reads, *lists])
            calls = [
                ("forget", (import_id, m, 0, *_without_words({last, *before})))
                for m, last, before in zip(some, found[: len(some)], found[len(some) :], strict=True)
            ]
            self._run_all(calls)
        return there

    def reseal(self, import_id: str, renew: Callable[[bytes], bytes]) -> Resealed:
        self._settle([import_id])
        total = Resealed()
        for part, split in (("credentials", b""), ("tokens", b":")):
            key, renewed, lost = keys.import_(import_id, part), 0, 0
            for some in _parts(list(self._read("hgetall", key).items())):
                pairs: list[Any] = []
                for name, value in some:
                    head, sep, sealed = value.rpartition(split) if split else (b"", b"", value)
                    if name.endswith(b"#"):  # who fetches a token; nothing is sealed there
                        continue
                    try:
                        pairs += [name, value, head + sep + renew(sealed)]
                    except CredentialsError:
                        lost += 1
                renewed += int(self._run("reseal", key, *pairs)) if pairs else 0
            total += Resealed(renewed=renewed, lost=lost)
        return total

    def wait_for_disk(self) -> bool:
        try:
            return wait_for_disk(self._client())
        except redis.RedisError as error:
            raise unreachable(error) from error

    def purge(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        begun = False
        try:
            while True:
                said = self._redis.info("persistence")
                if not int(said.get("aof_enabled", 0)):
                    return True
                busy = int(said["aof_rewrite_in_progress"]) or int(said["aof_rewrite_scheduled"])
                if not busy and begun:
                    return bool(said["aof_last_bgrewrite_status"] == "ok")
                if not busy:
                    # One that ran before holds what was deleted meanwhile, so it does not count.
                    self._redis.bgrewriteaof()
                    begun = True
                if time.monotonic() > until:
                    return False
                time.sleep(_LOOK_SECONDS)
        except redis.ResponseError:
            return False  # this user of Redis may not
        except redis.RedisError as error:
            raise unreachable(error) from error


def _without_words(failures: set[bytes | None]) -> Iterator[str | bytes]:
    """Each failure that holds words of a server, and what stands in its place."""
    for text in failures - {None}:
        assert text is not None
        if (found := codec.decode_failure(text)) != (less := found.without_words()):
            yield text
            yield codec.encode_failure(less)


def _parts(whole: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(whole), _SOME):
        yield whole[at : at + _SOME]
