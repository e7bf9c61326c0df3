"""The model's part that keeps what identifies messages.

It keeps the numbers of POP3 messages, and where copies stand of messages that several of Gmail's folders show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.content.maildrop import Known, overwritten
from shared.store import BRINGING_SECONDS
from shared.store.memory.memory_claims import Claims
from shared.store.memory.memory_readings import atomic


class Identity(Claims):
    """Numbers of POP3 messages, and places of shared messages."""

    @atomic
    def share(self, mailbox_id: str, unit_id: str, messages: Sequence[int]) -> list[bytes]:
        found = []
        for message in messages:
            known = self._shared.get((mailbox_id, message), ("", 0.0))
            if isinstance(known, bytes):
                found.append(known)
            elif known[0] not in ("", unit_id) and known[1] + BRINGING_SECONDS * 1000 > self._rows.now():
                found.append(b"?")
            else:
                self._shared[mailbox_id, message] = (unit_id, self._rows.now())
                found.append(b"")
        return found

    @atomic
    def stand(self, mailbox_id: str, places: Mapping[int, bytes]) -> None:
        for message, place in places.items():
            if place:
                self._shared[mailbox_id, message] = place
            else:
                self._shared.pop((mailbox_id, message), None)

    @atomic
    def maildrop(self, mailbox_id: str) -> Known:
        return self._maildrops.get(mailbox_id, Known(generation=1))

    @atomic
    def replace_maildrop(self, mailbox_id: str, before: Known, generation: int, digests: bytes) -> Known:
        known = self._maildrops.get(mailbox_id, Known(generation=1))
        if (known.generation, known.digests) == (before.generation, before.digests):
            said = known.said if generation == known.generation else b""
            known = self._maildrops[mailbox_id] = Known(generation=generation, digests=digests, said=said)
        return known

    @atomic
    def say_maildrop(self, mailbox_id: str, generation: int, said: Mapping[int, bytes]) -> None:
        known = self._maildrops.get(mailbox_id, Known(generation=1))
        if known.generation == generation:
            self._maildrops[mailbox_id] = replace(known, said=overwritten(known.said, said))
