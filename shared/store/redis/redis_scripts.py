"""The scripts of `lua/` at a Redis server: runs several in one round trip, and translates their errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from shared.model import Lease
from shared.model.errors import (
    ChangedMeanwhile,
    FolderInUse,
    LeaseLost,
    LedgerConflict,
    MailhaulError,
    StoreError,
    StoreRestarted,
    UnderWay,
)
from shared.rules.batching import USUAL_WORTH, Worth
from shared.runtime.redis_client import HeldRedis, Send, in_one_flight, open_redis
from shared.store import PIECE, SCOPES, other_options
from shared.store.redis import scripts


def connect(url: str, **options: Any) -> redis.Redis:
    """Opens a client for the state database; `options` are redis-py's.

    Retries are safe here because every script may be repeated. The client waits about 20 s for a server that restarts.
    """
    return open_redis(
        url,
        socket_timeout=15,
        socket_connect_timeout=5,
        health_check_interval=30,
        max_connections=200,
        retry=Retry(ExponentialWithJitterBackoff(cap=2, base=0.05), 14),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError],
        **options,
    )


def unreachable(error: redis.RedisError) -> StoreError:
    """Returns the error for a store that does not answer."""
    return StoreError(f"the state store is not reachable ({type(error).__name__}: {str(error)[:200]})")


def refusal(said: str) -> str:
    """Returns the reason, in words for the operator, why a server refuses every write.

    Returns "" where its answer is no such refusal.
    """
    word, _, rest = said.partition(" ")
    if word == "MISCONF":
        reason = rest.partition(": ")[2] if "AOF" in rest else ""
        return f"it cannot write to its disk: {reason or rest}"
    meaning = {
        "OOM": "it is out of memory (maxmemory): raise it",
        "READONLY": "it is a replica, which takes no writes: give the master's address",
        "NOREPLICAS": "it has too few replicas to take writes (min-replicas-to-write)",
        "MASTERDOWN": "it is a replica whose master is away",
        "LOADING": "it is still reading its file",
    }
    return meaning.get(word, "")


def meaning(script: str, error: redis.RedisError) -> MailhaulError:
    """Returns the error that a failed script call stands for."""
    said = str(error)
    # The server's own word while a script takes long begins as the scripts' does.
    if not isinstance(error, redis.ResponseError) or said.startswith("BUSY Redis"):
        return unreachable(error)
    if said.startswith("FENCED"):
        return LeaseLost("another worker holds this now")
    if said.startswith("TAKEN"):
        return LedgerConflict(f"destination UID {said[6:]} is in the ledger already")
    if said.startswith("WRITTEN"):
        return FolderInUse(int(said.split()[1]) / 1000)
    if said.startswith("REBORN"):
        return StoreRestarted(
            "the state store was started again while the request was written: give the same command again"
        )
    if said.startswith("CHANGED"):
        return ChangedMeanwhile("somebody changed the import meanwhile: nothing was done; look at it again")
    if said.startswith("FORGOT"):
        return LeaseLost("the state store was started again since, and may have lost what it answered to before")
    if said.startswith("BUSY"):
        return other_options(said[5:].split(","))
    if said.startswith("SWEEPING"):
        return _Sweeping(f"an earlier change of import {said[9:200]} is not at its end yet")
    if said.startswith("UNDERWAY"):
        return UnderWay(f"the state store refused {script}: {said[9:200]}")
    return StoreError(f"the state store refused {script}: {said[:200]}")


class _Sweeping(StoreError):
    """An earlier change of the import is not at its end yet."""


def _unknown(answers: Sequence[Any]) -> list[int]:
    """Returns where the server did not know the script."""
    return [n for n, answer in enumerate(answers) if isinstance(answer, redis.exceptions.NoScriptError)]


class Scripts:
    """The base of the parts of `shared.store.redis.redis_store.RedisStore`. Thread-safe."""

    #: The number of mailboxes that one script changes at most where every mailbox of an import follows.
    piece: int = PIECE

    def __init__(
        self,
        client: redis.Redis,
        *,
        lease_seconds: float = 60,
        limits: Mapping[str, int] | None = None,
        most_lanes: Mapping[str, int] | None = None,
        rates: Mapping[str, int] | None = None,
        worth: Worth = USUAL_WORTH,
        observe: Callable[[str, float], object] | None = None,
        held: bool = False,
        edits: bool = True,
    ) -> None:
        """Loads the scripts.

        `limits` are the connections of each scope where nobody set any, and `most_lanes` how many the search may go up
        to there: without it not above `limits`. With `held`, each thread keeps a connection of its own (`HeldRedis`): for
        workers, whose lanes ask all the time. Without `edits` an import is read as it stands while a change in one step is
        being made: for processes whose rights do not reach to make it. `observe` is told of each round trip: (script,
        seconds). Of several scripts in one round trip the last gives the name, so that closing a batch and claiming the
        next is counted as "claim".
        """
        self._redis = client
        self._clients = HeldRedis(client) if held else None
        self._lease_seconds = lease_seconds
        self._limits = [str((limits or {}).get(scope, 4 if "account" in scope else 32)) for scope in SCOPES]
        self._most_lanes = [
            str((most_lanes or {}).get(scope, usual)) for scope, usual in zip(SCOPES, self._limits, strict=True)
        ]
        # The rates as the scripts read them: the same text with each call.
        self._rates = ";".join(f"{name}={most}" for name, most in (rates or {}).items() if most)
        self._worth = (worth.messages, worth.size_bytes)
        self._observe = observe
        #: Whether what was decided of an import is made before it is read (`redis_at_once`).
        self._edits = edits
        #: The calls that are gathered to happen at once, instead of being made; None where each is made.
        self._gathered: list[tuple[str, tuple[Any, ...]]] | None = None
        self._scripts = {name: client.register_script(text) for name, text in scripts.sources().items()}
        #: The open connections over which the server was asked whether it was started again → the scripts that it knows.
        self._greeted: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()

    def _run(self, name: str, *args: Any) -> Any:
        return self._run_all([(name, args)])[0]

    def _run_alone(self, name: str, import_id: str, *args: Any) -> Any:
        """Runs a script that an unfinished change of every mailbox of the import would mislead: brings that to its end first."""
        while True:
            try:
                return self._run(name, import_id, *args)
            except _Sweeping:
                while self.sweep(import_id):
                    pass

    def _run_sweep(self, name: str, import_id: str, *args: Any) -> int:
        """Runs a script that changes every mailbox of the import, then the pieces that it left. Returns its answer."""
        if self._gathered is not None:
            self._gathered += [(name, (import_id, *args, self.piece)), ("sweep", (import_id, self.piece))]
            return 0
        answer, left = self._run_alone(name, import_id, *args, self.piece)
        while left:
            left = self.sweep(import_id)
        return int(answer)

    def sweep(self, import_id: str) -> bool:
        """Does the next piece of what every mailbox of the import follows, with "" of any import. Returns whether more is left."""
        return bool(self._run("sweep", import_id, self.piece))

    def _run_all(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Runs several scripts in few round trips, in this order; each happens wholly or not at all, on its own.

        Raises the error of the first that failed.
        """
        if self._gathered is not None:
            self._gathered += calls
            return [0] * len(calls)
        found: list[Any] = []
        for at in range(0, len(calls), 100):
            part = calls[at : at + 100]
            try:
                answers = self._evaluate(part)
                unknown = _unknown(answers)
                if unknown:
                    # Somebody made the server forget them. What ran meanwhile is not run again.
                    self._load_again(dict.fromkeys(part[n][0] for n in unknown))
                    again = self._evaluate([part[n] for n in unknown])
                    for n, answer in zip(unknown, again, strict=True):
                        answers[n] = answer
            except redis.RedisError as error:
                raise meaning(calls[at][0], error) from error
            for (name, _), answer in zip(part, answers, strict=True):
                if isinstance(answer, redis.RedisError):
                    raise meaning(name, answer) from answer
            found += answers
        return found

    def _greet(self, connection: Any, send: Send, names: Collection[str]) -> None:
        """Sees to it that the server knows these scripts, so that never only some of a flight run.

        At a new connection it asks whether the server was started again, before the server is asked for anything else. So each
        process asks after every start and failover, since either ends its connections. A script is loaded when it is first
        needed: to load all of them takes a server that has just started as long as a short command.
        """
        known = self._greeted.get(connection)
        if known is None:
            connection.register_connect_callback(self._opened)
            there, noted = send([("SCRIPT", "EXISTS", *(one.sha for one in self._scripts.values())), self._note()])
            if isinstance(there, redis.RedisError):
                raise there
            known = {name for name, is_there in zip(self._scripts, there, strict=True) if is_there}
            if "restarted" not in known:
                # No process is given anything before it is noted that the server was started.
                self._load(send, ["restarted"], self._note())
                known.add("restarted")
            elif isinstance(noted, redis.RedisError):
                return  # a server that takes no writes takes no others either; it is asked again
            self._greeted[connection] = known
        if missing := [name for name in self._scripts if name in names and name not in known]:
            self._load(send, missing)
            known |= {*missing}

    def _opened(self, connection: Any) -> None:
        """Hears from redis-py that it connected anew."""
        self._greeted.pop(connection, None)

    def _load(self, send: Send, names: Iterable[str], *then: tuple[Any, ...]) -> None:
        """Loads these scripts, and runs commands after them in the same flight."""
        for answer in send([*(("SCRIPT", "LOAD", self._scripts[name].script) for name in names), *then]):
            if isinstance(answer, redis.RedisError):
                raise answer

    def _load_again(self, names: Iterable[str]) -> None:
        in_one_flight(self._client(), [], lambda _, send: self._load(send, names))

    def _note(self) -> tuple[Any, ...]:
        return "EVALSHA", self._scripts["restarted"].sha, 0

    def _evaluate(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Returns the scripts' answers or errors.

        It does not use redis-py's `Script`, which asks the server each time which scripts it knows, nor its pipeline,
        which costs more than the rest of the call.
        """
        commands = [("EVALSHA", self._scripts[name].sha, 0, *args) for name, args in calls]
        began = time.perf_counter()
        try:
            names = {name for name, _ in calls}
            return in_one_flight(self._client(), commands, lambda new, send: self._greet(new, send, names))
        finally:
            if self._observe:
                self._observe(calls[-1][0], time.perf_counter() - began)

    def _client(self) -> redis.Redis:
        return self._clients.mine() if self._clients else self._redis

    def _read(self, method: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return getattr(self._client(), method)(*args, **kwargs)
        except redis.RedisError as error:
            raise unreachable(error) from error

    def ping(self) -> None:
        """Raises `StoreError` when the store does not answer."""
        self._read("ping")

    def _pipeline(self, calls: Iterable[tuple[Any, ...]]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for method, *arguments in calls:
            getattr(pipeline, method)(*arguments)
        try:
            return list(pipeline.execute())
        except redis.RedisError as error:
            raise unreachable(error) from error

    def _fence(self, lease: Lease) -> tuple[str, int, str]:
        return lease.unit.unit_id, lease.term, lease.holder
