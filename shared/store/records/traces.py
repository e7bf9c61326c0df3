"""Looks through the whole state database for what names a person, a mailbox or an import.

What belongs to a mailbox goes with it (`Store.erase`). Other keys mention it: answers to repeated requests, the story of
an import, servers that are left alone. Those mentions are struck out here, and whatever is left is told. The audit log
is only counted: it lives as long as `MAILHAUL_AUDIT_DAYS` says.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

import redis

from shared.nouns import dataclass
from shared.store.redis.keys import AUDIT, PREFIX
from shared.store.redis.redis_scripts import unreachable

_PAGE: Final = 500
#: Letters of logins and ids. Whatever else a login has is looked for as it stands.
_WORD: Final = re.compile(r"[\w.%+@-]+")
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
#: Keys that only mention somebody, after the prefix.
_MENTIONS: Final = re.compile(
    rb"(?:desk:(?:once|rehearsals?|events|samples):.*|desk:targets|notices|delivery:.*|holds|whys|owing|limits|rates|(?:meter|permits):.*"
    rb"|import:[^:]*:(?:brake|names|by_source|by_destination|sorted:.*))\Z",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """A place of the state database that names what was looked for."""

    #: The key.
    key: bytes
    #: The entry, field or member of the key; None where the key or its whole value is meant.
    part: bytes | None = None
    #: The key's type, as Redis calls it.
    kind: bytes = b"string"


@dataclass(frozen=True, kw_only=True, slots=True)
class Traces:
    """The result of a look through all keys."""

    #: Keys that were read.
    keys: int = 0
    #: The places, those of the audit log aside.
    found: tuple[Trace, ...] = ()
    #: Entries of the audit log.
    audit: int = 0


class Names:
    """The names that are looked for, in any case and as JSON writes them."""

    def __init__(self, names: Collection[str]) -> None:
        folded = {name.casefold() for name in names if name}
        self._words = {name for name in folded if _WORD.fullmatch(name)}
        self._others = folded - self._words

    def stand_in(self, value: bytes) -> bool:
        """Tells whether one of the names stands in `value`, not as a part of a longer word."""
        text = value.decode("utf-8", "replace")
        if "\\u" in text:
            text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
        text = text.casefold()
        return any(word in self._words or word.rstrip(".") in self._words for word in _WORD.findall(text)) or any(
            name in text or name.replace("\\", "\\\\") in text for name in self._others
        )


def look(client: redis.Redis, names: Names) -> Traces:
    """Reads every key. Raises `StoreError`."""
    read = audit = 0
    found: list[Trace] = []
    try:
        for keys in _pages(client):
            kinds = client.pipeline(transaction=False)
            for key in keys:
                kinds.type(key)
            for key, kind in zip(keys, kinds.execute(), strict=True):
                read += 1
                if key.startswith(AUDIT.encode()):
                    audit += sum(names.stand_in(value) for _, value in _parts(client, key, kind))
                elif names.stand_in(key):
                    found.append(Trace(key=key, kind=kind))
                else:
                    parts = (part for part, value in _parts(client, key, kind) if names.stand_in(value))
                    found += [Trace(key=key, part=part, kind=kind) for part in parts]
    except redis.RedisError as error:
        raise unreachable(error) from error
    return Traces(keys=read, found=tuple(found), audit=audit)


def strike(client: redis.Redis, found: Collection[Trace]) -> int:
    """Deletes what only mentions the names. Returns how many places that were. Raises `StoreError`."""
    struck = [trace for trace in found if _MENTIONS.match(trace.key.removeprefix(PREFIX.encode()))]
    try:
        for trace in struck:
            _strike(client, trace)
    except redis.RedisError as error:
        raise unreachable(error) from error
    return len(struck)


def _strike(client: redis.Redis, trace: Trace) -> None:
    if trace.part is None:
        client.delete(trace.key)
    elif trace.kind == b"hash":
        client.hdel(trace.key, trace.part)
    elif trace.kind == b"set":
        client.srem(trace.key, trace.part)
    elif trace.kind == b"zset":
        client.zrem(trace.key, trace.part)
    elif trace.kind == b"stream":
        client.xdel(trace.key, trace.part)
    else:
        client.lrem(trace.key, 0, trace.part)  # type: ignore[arg-type]


def _pages(client: redis.Redis) -> Iterator[list[bytes]]:
    page: list[bytes] = []
    for key in client.scan_iter(match=f"{PREFIX}*", count=_PAGE):
        page.append(key)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


def _parts(client: Any, key: bytes, kind: bytes) -> Iterator[tuple[bytes | None, bytes]]:
    """Yields (part, all bytes of it) of a key's value."""
    if kind == b"string":
        yield None, client.get(key) or b""
    elif kind == b"hash":
        yield from ((field, field + b" " + value) for field, value in client.hscan_iter(key, count=_PAGE))
    elif kind == b"set":
        yield from ((member, member) for member in client.sscan_iter(key, count=_PAGE))
    elif kind == b"zset":
        yield from ((member, member) for member, _ in client.zscan_iter(key, count=_PAGE))
    elif kind == b"list":
        yield from ((value, value) for value in client.lrange(key, 0, -1))
    elif kind == b"stream":
        after = b"-"
        while page := client.xrange(key, after, "+", count=_PAGE):
            yield from ((entry, b" ".join(row.values())) for entry, row in page)
            after = b"(" + page[-1][0]
