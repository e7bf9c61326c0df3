"""Changes of the store that happen in one step, of several scripts: a transaction over what was read."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import redis

from shared.model.errors import ChangedMeanwhile
from shared.store.ports.at_once import ChangedStore
from shared.store.redis import keys
from shared.store.redis.redis_scripts import Scripts, meaning, unreachable

#: The parts of an import that are read before it is changed.
_READ: Final = ("", "mailboxes", "credentials", "waves", "standing")
#: A server does not take back what a transaction did before one of its scripts failed. So each script runs only where
#: the one before it did: it finds the step of that one, and leaves its own.
_GUARDED: Final = """
if redis.call('GET', KEYS[1]) ~= KEYS[2] then return redis.error_reply('ABORTED') end
local answer = (function()
%s
end)()
if type(answer) == 'table' and answer.err then return answer end
redis.call('SET', KEYS[1], KEYS[3], 'EX', 60)
return answer
"""


class AtOnce(Scripts):
    """Several changes of imports in one step."""

    def at_once(self, import_ids: Sequence[str], write: Callable[[ChangedStore], None]) -> None:
        for one in import_ids:
            while self.sweep(one):
                pass
        gathering = copy.copy(self)
        calls: list[tuple[str, tuple[Any, ...]]] = []
        gathering._gathered = calls
        steps = f"{keys.AT_ONCE}:{secrets.token_hex(8)}:%d"
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
                # The rights of the producer have no EVAL. Where the server forgets a script before it runs, none after it runs.
                wanted = (("restarted", ()), *calls)
                loaded = {name: pipe.script_load(_GUARDED % self._scripts[name].script) for name in dict(wanted)}
                pipe.multi()
                pipe.set(keys.AT_ONCE, steps % 0, ex=60)
                for n, (name, arguments) in enumerate(wanted, 1):
                    pipe.evalsha(loaded[name], 3, keys.AT_ONCE, steps % (n - 1), steps % n, *arguments)
                pipe.delete(keys.AT_ONCE)
                _, *answers = pipe.execute(raise_on_error=False)
            except redis.WatchError as error:
                if isinstance(error.__context__, redis.ConnectionError | redis.TimeoutError):  # it may be done, or not
                    raise unreachable(error.__context__) from error
                raise ChangedMeanwhile(
                    "somebody changed the import meanwhile: nothing was done; look at it again"
                ) from None
            except redis.RedisError as error:
                raise unreachable(error) from error
        for (name, _), answer in zip(wanted, answers, strict=False):
            if isinstance(answer, redis.RedisError):
                raise meaning(name, answer) from answer
