"""Joins what a server tells of one message in several FETCH answers (RFC 9051 §7.5.2 allows it): its UID, its flags, its body.

The number of the message in the folder says which answers belong together. It is that of another message once one is removed, so
nothing is joined over that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

from shared.mail.answers.fetch_answer import uid_of
from shared.mail.answers.tokens import Text, Value

_NUMBER: Final = re.compile(rb"\*[ \t]+(\d{1,10})[ \t]")
#: Most messages of which parts are kept, and most bytes of their bodies: honest answers come whole, or one behind the other.
MOST_PARTS: Final = 10_000
MOST_PART_BYTES: Final = 8 * 1024 * 1024


class FetchTold:
    """The parts of messages that came so far while a folder is open."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[bytes, Value]] = {}
        self._bytes = self._removed = 0

    def known(self, line: bytes, items: dict[bytes, Value], removed: int) -> dict[bytes, Value]:
        """Returns `items` of the answer that begins with `line`, with what other answers told of the same message.

        `removed` counts the messages that the server said were removed so far.
        """
        if removed != self._removed:
            self._parts.clear()
            self._bytes, self._removed = 0, removed
        earlier = self._parts.get(_number(line)) if self._parts else None
        return {**earlier, **items} if earlier else items

    def joined(
        self, line: bytes, items: dict[bytes, Value], removed: int, whole: Callable[[Collection[bytes]], bool]
    ) -> dict[bytes, Value] | None:
        """Returns `known`, or None where these are not all items that are wanted of a message: they are kept then."""
        items = self.known(line, items, removed)
        if whole(items):
            self.drop(line)
            return items
        return None if self.keep(line, items, items) else items

    def keep(self, line: bytes, items: dict[bytes, Value], wanted: Collection[bytes]) -> bool:
        """Keeps those items that are `wanted` of a message that is not told whole. Returns False where there is no room."""
        self.drop(line)
        number = _number(line)
        kept = {key: value for key, value in items.items() if key in wanted}
        size = _size(kept)
        if not number or len(self._parts) >= MOST_PARTS or self._bytes + size > MOST_PART_BYTES:
            return False
        self._parts[number] = kept
        self._bytes += size
        return True

    def drop(self, line: bytes) -> None:
        """Forgets the message of the answer that begins with `line`."""
        if self._parts and (old := self._parts.pop(_number(line), None)) is not None:
            self._bytes -= _size(old)

    def rest(self, uids: Collection[int]) -> Iterator[dict[bytes, Value]]:
        """Yields, and forgets, what came of these messages without ever being told whole."""
        for number, items in list(self._parts.items()):
            if uid_of(items) in uids:
                self._bytes -= _size(self._parts.pop(number))
                yield items


def _number(line: bytes) -> int:
    found = _NUMBER.match(line)
    return int(found[1]) if found else 0


def _size(items: dict[bytes, Value]) -> int:
    return sum(len(value) for value in items.values() if isinstance(value, Text))
