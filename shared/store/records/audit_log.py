"""The audit log: who did what. It is only ever added to.

The entries of a month are a list, to which roles of the shipped ACL may push and which none of them may shorten or delete.
An entry that is older than `MAILHAUL_AUDIT_DAYS` is not told any more. A month that is over as a whole is deleted where this
process may do that; with the shipped ACL an administrator of Redis does it (docs/operations.md). What a version before kept
in a stream is read first.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, cast

import redis

from shared.content.json_text import read_json
from shared.store.records.plain_commands import PlainCommands
from shared.store.redis import keys
from shared.wording.kept import from_json
from shared.wording.phrases import Fault

#: The detail that holds the faults of a refused act with their codes.
FAULTS: Final = "faults"
#: Refused sign-ins of one hour that are noted one by one. Strangers cause these, and Redis keeps each for years.
MOST_GUESSES: Final = 100
#: Months before the oldest that is kept that are looked for, to be deleted.
_MONTHS_BACK: Final = 60
#: Entries that are read at once.
_PIECE: Final = 500
#: The most digits of a month in an id; the ids of the stream begin with milliseconds.
_MONTH_DIGITS: Final = 6


class AuditLog(PlainCommands):
    """The audit log in the state database. Thread-safe. Raises `StoreError` while it is away."""

    def __init__(self, client: redis.Redis, audit_days: float) -> None:
        """Takes `audit_days`, how long an entry is told."""
        super().__init__(client)
        self._audit_days = audit_days

    def add_entry(self, who: str, what: str, detail: Mapping[str, object]) -> None:
        """Adds an entry. `detail` must hold no secret."""
        now = time.time()
        row = json.dumps({"at": round(now, 3), "who": who, "what": what, "detail": detail}, ensure_ascii=False)
        if self._do("rpush", keys.audit(_month(now)), row) == 1:
            self._delete_what_is_over()

    def add_guess(self, who: str, detail: Mapping[str, object]) -> None:
        """Adds a refused sign-in; of more than `MOST_GUESSES` in an hour those that double the number, with the number."""
        hour = keys.guesses(int(time.time() // 3600))
        number = int(self._do("incr", hour))
        self._do("expire", hour, 7200)
        if number <= MOST_GUESSES:
            self.add_entry(who, "sign-in refused", detail)
        elif number % MOST_GUESSES == 0 and (number // MOST_GUESSES).bit_count() == 1:
            self.add_entry(who, "sign-in refused", {**detail, "in_this_hour": number})

    def audit(self, after: str = "", count: int = 500) -> list[dict[str, Any]]:
        """Returns the entries after the one with the id `after`, oldest first."""
        return [_without_faults(one) for one in islice(self._forward(after), count)]

    def audit_back(self, before: str = "", count: int = 50) -> list[dict[str, Any]]:
        """Returns the entries before the one with the id `before`, newest first.

        Each has its `faults` too, by which its reason is said in the reader's language; none where an older version wrote it.
        """
        return [
            {**_without_faults(one), "faults": _faults(one["detail"])} for one in islice(self._backward(before), count)
        ]

    def audit_pages(self, since: float | None = None, count: int = 500) -> Iterator[list[dict[str, Any]]]:
        """Yields the whole log, or the entries since `since` (seconds since the epoch), oldest first, page by page."""
        found = self._forward("", since or 0.0)
        entries = (_without_faults(one) for one in found if since is None or one["at"] >= since)
        while page := list(islice(entries, count)):
            yield page

    # -- reading

    def _forward(self, after: str, since: float = 0.0) -> Iterator[dict[str, Any]]:
        oldest = max(self._oldest(), since)
        month, at = _place(after)
        if not month:
            yield from self._stream(oldest, after)
        for name in _months(_month(oldest), _month(time.time() + 86_400)):
            if name >= month:
                yield from self._of(name, at + 1 if name == month else 0, oldest)

    def _of(self, month: str, start: int, oldest: float) -> Iterator[dict[str, Any]]:
        key = keys.audit(month)
        while rows := cast("Sequence[bytes]", self._do("lrange", key, start, start + _PIECE - 1)):
            yield from _entries(month, start, rows, oldest)
            start += len(rows)

    def _backward(self, before: str) -> Iterator[dict[str, Any]]:
        oldest = self._oldest()
        month, at = _place(before)
        if not before or month:
            for name in reversed(_months(_month(oldest), _month(time.time() + 86_400))):
                if month and name > month:
                    continue
                end = at if name == month else int(self._do("llen", keys.audit(name)))
                while end > 0:
                    start = max(0, end - _PIECE)
                    rows = cast("Sequence[bytes]", self._do("lrange", keys.audit(name), start, end - 1))
                    yield from reversed(list(_entries(name, start, rows, oldest)))
                    end = start
            before = ""
        yield from self._stream_back(oldest, before)

    def _stream(self, oldest: float, after: str) -> Iterator[dict[str, Any]]:
        """Yields what a version before kept in a stream."""
        low = f"({after}" if after else _stream_id(oldest)
        while rows := self._do("xrange", keys.AUDIT, low, "+", count=_PIECE):
            yield from map(_of_stream, rows)
            low = f"({rows[-1][0].decode()}"

    def _stream_back(self, oldest: float, before: str) -> Iterator[dict[str, Any]]:
        high = f"({before}" if before else "+"
        while rows := self._do("xrevrange", keys.AUDIT, high, _stream_id(oldest), count=_PIECE):
            yield from map(_of_stream, rows)
            high = f"({rows[-1][0].decode()}"

    def _oldest(self) -> float:
        """Returns the time of the oldest entry that is told, seconds since the epoch."""
        return max(0.001, time.time() - self._audit_days * 86_400)

    def _delete_what_is_over(self) -> None:
        """Deletes the months before the oldest that is told, unless the ACL leaves that to an administrator of Redis."""
        last = datetime.fromtimestamp(self._oldest(), UTC)
        over = [keys.audit(_before(last, number)) for number in range(1, _MONTHS_BACK + 1)]
        if self._do("exists", *over):
            with contextlib.suppress(redis.RedisError):  # next month there is another attempt
                self._redis.delete(*over)


def _month(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m")


def _before(last: datetime, months: int) -> str:
    """Returns the month so many months before."""
    number = last.year * 12 + last.month - 1 - months
    return f"{number // 12:04}{number % 12 + 1:02}"


def _months(first: str, last: str) -> list[str]:
    """Returns the months from the first to the last one."""
    low, high = (int(month[:-2]) * 12 + int(month[-2:]) - 1 for month in (first, last))
    return [f"{number // 12:04}{number % 12 + 1:02}" for number in range(low, high + 1)]


def _place(entry_id: str) -> tuple[str, int]:
    """Returns the month and the place in it that an id names; ("", -1) for that of a stream, and for none."""
    month, _, at = entry_id.partition("-")
    return (month, int(at)) if len(month) == _MONTH_DIGITS else ("", -1)


def _stream_id(at: float) -> str:
    return str(int(at * 1000))


def _entries(month: str, start: int, rows: Sequence[bytes], oldest: float) -> Iterator[dict[str, Any]]:
    """Yields the entries that are old enough to be told; what cannot be read was written by somebody else, and is left out."""
    for place, row in enumerate(rows, start):
        try:
            entry = read_json(row)
            read = {name: entry[name] for name in ("at", "who", "what", "detail")}
        except (ValueError, TypeError, KeyError):
            continue
        if isinstance(read["at"], int | float) and isinstance(read["detail"], dict) and read["at"] >= oldest:
            yield {"id": f"{month}-{place}", **read}


def _without_faults(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "detail": {name: value for name, value in entry["detail"].items() if name != FAULTS}}


def _faults(detail: Mapping[str, Any]) -> tuple[Fault, ...]:
    try:
        return tuple(map(from_json, detail.get(FAULTS, ())))
    except (ValueError, TypeError, LookupError, AttributeError):
        return ()


def _of_stream(row: tuple[bytes, Mapping[bytes, bytes]]) -> dict[str, Any]:
    entry, fields = row
    return {
        "id": entry.decode(),
        "at": int(entry.split(b"-")[0]) / 1000,
        "who": fields[b"who"].decode(),
        "what": fields[b"what"].decode(),
        "detail": read_json(fields[b"detail"]),
    }
