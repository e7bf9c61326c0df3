"""Changes of imports that happen wholly or not at all, of several scripts, however many rows they write.

No script writes all rows, since everybody would wait for it. The calls of a change are gathered, and written down some at
a time where nobody looks (`edit:T`): who dies meanwhile leaves the imports as they were, and what was written down expires.
Then one script decides (`decide.lua`), if nobody changed what was read. From there on the change counts: its calls are made
one after the other, by whoever reads or changes one of the imports next where the caller died. So nobody sees a part of it.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, cast

import redis

from shared.model.errors import ChangedMeanwhile
from shared.runtime.redis_client import in_one_flight
from shared.store.ports.at_once import ChangedStore
from shared.store.redis import keys
from shared.store.redis.redis_scripts import Scripts, meaning, unreachable

Found = TypeVar("Found")

#: The parts of an import that are read before it is changed.
_READ: Final = ("", "mailboxes", "credentials", "waves", "standing")
#: Seconds for which the calls of a change are kept that is only being written down.
_KEPT_SECONDS: Final = 3600
#: A call is made where it stands first in its change, and leaves it in the same step: two processes may be at it. A sweep
#: stays until its last piece. What is refused takes the rest with it.
_GUARDED: Final = """
local first = string.match(redis.call('LINDEX', KEYS[1], 0) or '', '^%%d+')
if first ~= string.match(KEYS[2], '%%d+$') then return redis.error_reply('ABORTED') end
local answer = (function()
%s
end)()
if '%s' == 'sweep' and answer == 1 then return answer end
if type(answer) == 'table' and answer.err then redis.call('DEL', KEYS[1]) else redis.call('LPOP', KEYS[1]) end
return answer
"""


class AtOnce(Scripts):
    """Several changes of imports in one step."""

    #: The number of calls of a change that one round trip writes down, or makes.
    flight: int = 32

    def at_once(self, import_ids: Sequence[str], write: Callable[[ChangedStore], None]) -> None:
        self._settle(import_ids)
        gathering = copy.copy(self)
        calls: list[tuple[str, tuple[Any, ...]]] = []
        gathering._gathered = calls
        token = secrets.token_hex(8)
        with self._redis.pipeline() as pipe:
            try:
                watch: Any = pipe.watch
                watch(*(keys.import_(one, part) for one in import_ids for part in _READ))
                for one in import_ids:
                    names = cast("list[bytes]", pipe.zrange(keys.import_(one, "waves"), 0, -1))
                    watch(*(keys.import_(one, f"wave:{name}") for name in ("", *(name.decode() for name in names))))
                if any(pipe.hget(keys.import_(one), "sweep") for one in import_ids):
                    raise redis.WatchError
                write(cast("ChangedStore", gathering))
                for at in range(0, len(calls), self.flight):
                    self._write_down(token, at, calls[at : at + self.flight])
                # The rights of the producer have no EVAL.
                decide = pipe.script_load(self._scripts["decide"].script)
                pipe.multi()
                pipe.evalsha(decide, 0, token, len(calls), *import_ids)
                (decided,) = pipe.execute(raise_on_error=False)
            except redis.WatchError as error:
                if isinstance(
                    error.__context__, redis.ConnectionError | redis.TimeoutError
                ):  # it may be decided, or not
                    raise unreachable(error.__context__) from error
                raise ChangedMeanwhile(
                    "somebody changed the import meanwhile: nothing was done; look at it again"
                ) from None
            except redis.RedisError as error:
                raise unreachable(error) from error
        if isinstance(decided, redis.RedisError):
            raise meaning("decide", decided) from decided
        self._settle(import_ids)

    def sweep(self, import_id: str) -> bool:
        if import_id and (token := self._read("hget", keys.EDITS, import_id)):
            return self._go_on(token.decode()) or super().sweep(import_id)
        return super().sweep(import_id)

    def _settle(self, import_ids: Sequence[str]) -> None:
        """Brings to their end what was decided of these imports, and what their mailboxes have yet to follow."""
        for one in import_ids:
            while self.sweep(one):
                pass

    def _whole(self, import_id: str, read: Callable[[], Found]) -> Found:
        """Returns what `read` finds of the import: of a change in one step nothing, or all."""
        while True:
            found = read()
            if not self._make_decided([import_id]):
                return found

    def _make_decided(self, import_ids: Sequence[str]) -> bool:
        """Makes what was decided of these imports. Returns whether there was anything."""
        marks = self._read("hmget", keys.EDITS, list(import_ids)) if self._edits and import_ids else []
        tokens = {mark.decode() for mark in marks if mark}
        for token in tokens:
            while self._go_on(token):
                pass
        return bool(tokens)

    def _write_down(self, token: str, first: int, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> None:
        entries = [_entry(number, call) for number, call in enumerate(calls, first)]
        self._pipeline([("rpush", keys.edit(token), *entries), ("expire", keys.edit(token), _KEPT_SECONDS)])

    def _go_on(self, token: str) -> bool:
        """Makes the next calls of a change that was decided. Returns whether there were any."""
        edit = keys.edit(token)
        entries = [_parts(entry) for entry in self._read("lrange", edit, 0, self.flight - 1)]
        if not entries:
            self._evaluate([("decide", (token, 0))])
            return False
        try:
            texts = {name: _GUARDED % (self._scripts[name].script, name) for _, name, _ in entries}
            loaded = {name: self._client().script_load(text) for name, text in texts.items()}
            commands = [
                ("EVALSHA", loaded[name], 2, edit, f"{edit}:{number}", *arguments)
                for number, name, arguments in entries
            ]
            answers = in_one_flight(self._client(), commands, lambda new, send: self._greet(new, send, ()))
        except redis.RedisError as error:
            raise unreachable(error) from error
        for (_, name, _), answer in zip(entries, answers, strict=True):
            if isinstance(answer, redis.exceptions.NoScriptError) or str(answer) == "ABORTED":
                break  # somebody else made it, or a sweep has more pieces
            if isinstance(answer, redis.RedisError):
                raise meaning(name, answer) from answer
        return True


def _entry(number: int, call: tuple[str, tuple[Any, ...]]) -> bytes:
    """Returns a call as it is written down: its number, its script and its arguments, each with its length."""
    name, arguments = call
    given = [one if isinstance(one, bytes) else str(one).encode() for one in (name, *arguments)]
    return b"%d " % number + b"".join(b"%d:%b" % (len(one), one) for one in given)


def _parts(entry: bytes) -> tuple[int, str, list[bytes]]:
    """Reads what `_entry` wrote."""
    number, _, rest = entry.partition(b" ")
    given = []
    while rest:
        length, _, rest = rest.partition(b":")
        given.append(rest[: int(length)])
        rest = rest[int(length) :]
    return int(number), given[0].decode(), given[1:]
